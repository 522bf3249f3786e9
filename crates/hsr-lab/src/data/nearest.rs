//! The likeliest meaning of a mistyped name.

/// The candidate nearest to `name` by edit distance, letter case ignored; `None` where nothing resembles it, because a
/// far-fetched suggestion misleads more than it helps. A candidate that contains `name`, or is contained in it, always
/// resembles it.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let name: Vec<char> = name.to_lowercase().chars().collect();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let letters: Vec<char> = candidate.to_lowercase().chars().collect();
            let distance = edit_distance(&name, &letters);
            let (shorter, longer) = if name.len() < letters.len() {
                (&name, &letters)
            } else {
                (&letters, &name)
            };
            let part = shorter.len() >= 2
                && longer
                    .windows(shorter.len())
                    .any(|window| window == shorter.as_slice());
            (part || 2 * distance <= longer.len()).then_some((distance, candidate))
        })
        // The first of the equally near ones: `min_by_key` keeps it.
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// The Levenshtein distance: the fewest insertions, deletions and substitutions that turn `a` into `b`.
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distances_are_those_of_the_textbook() {
        let distance = |a: &str, b: &str| {
            edit_distance(
                &a.chars().collect::<Vec<_>>(),
                &b.chars().collect::<Vec<_>>(),
            )
        };
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("saturday", "sunday"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }

    #[test]
    fn the_nearest_is_found_despite_case_parts_and_typing_errors() {
        let names = ["iris", "wine", "breast-cancer", "moons"];
        assert_eq!(nearest("moon", names), Some("moons"));
        assert_eq!(nearest("IRIS", names), Some("iris"));
        assert_eq!(nearest("breast", names), Some("breast-cancer"));
        assert_eq!(nearest("wien", names), Some("wine"));
        assert_eq!(nearest("zzzzzz", names), None);
        assert_eq!(nearest("", names), None);
    }
}

//! The likeliest meaning of a mistyped name.

/// The candidate nearest to `name` by Damerau's edit distance (two letters swapped are one error), letter case ignored;
/// `None` where nothing resembles it, because a far-fetched suggestion misleads more than it helps. A candidate that
/// contains `name`, or is contained in it, always resembles it.
///
/// ```
/// use hsr_lab::data::nearest;
///
/// assert_eq!(nearest("irsi", ["iris", "wine"]), Some("iris"));
/// assert_eq!(nearest("mushrooms", ["iris", "wine"]), None);
/// ```
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let letters = candidate.to_lowercase();
            let distance = strsim::damerau_levenshtein(&name, &letters);
            let (shorter, longer) = if name.len() < letters.len() {
                (&name, &letters)
            } else {
                (&letters, &name)
            };
            let part = shorter.chars().count() >= 2 && longer.contains(shorter.as_str());
            (part || 2 * distance <= longer.chars().count()).then_some((distance, candidate))
        })
        // The first of the equally near ones: `min_by_key` keeps it.
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_found_despite_case_parts_and_typing_errors() {
        let names = ["iris", "wine", "breast-cancer", "moons"];
        assert_eq!(nearest("moon", names), Some("moons"));
        assert_eq!(nearest("IRIS", names), Some("iris"));
        assert_eq!(nearest("breast", names), Some("breast-cancer"));
        assert_eq!(nearest("wien", names), Some("wine"));
        // Two swapped letters of three: two errors for Levenshtein, which would be too many.
        assert_eq!(nearest("hrs", ["plain", "hsr"]), Some("hsr"));
        assert_eq!(nearest("zzzzzz", names), None);
        assert_eq!(nearest("", names), None);
    }
}

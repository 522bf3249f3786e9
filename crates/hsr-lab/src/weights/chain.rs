//! Which layer follows which, where nobody says it: shapes that fit onto each other, and numbers in names.

use std::collections::BTreeMap;

/// A matrix that may be a layer's weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The name without `.weight`.
    pub name: String,
    pub inputs: usize,
    pub outputs: usize,
}

/// How many orders of the layers there are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Orders {
    None,
    /// One; the candidates in this order.
    One(Vec<usize>),
    Several,
}

/// Steps after which a search is given up: far more than any file with one answer takes.
const MOST_STEPS: usize = 100_000;

/// The orders in which every candidate's inputs are the outputs of the one before it, and names that differ in a number
/// alone, as `fc1` and `fc2` or `net.0` and `net.2`, ascend.
pub(super) fn orders(candidates: &[Candidate]) -> Orders {
    // By the name of the old layout, whose shapes leave two answers where K = d.
    let named = |name: &str| candidates.iter().position(|it| it.name == name);
    if let (2, Some(hidden), Some(output)) = (candidates.len(), named("hidden"), named("output")) {
        // Where they do not fit, reading them says how.
        return Orders::One(vec![hidden, output]);
    }
    let mut search = Search {
        before: predecessors(candidates),
        candidates,
        order: Vec::new(),
        used: vec![false; candidates.len()],
        found: Vec::new(),
        steps: 0,
    };
    search.extend();
    match (search.found.len(), search.steps < MOST_STEPS) {
        (0, true) => Orders::None,
        (1, true) => Orders::One(search.found.remove(0)),
        _ => Orders::Several,
    }
}

/// For each candidate the one that must come before it: of the same name but for a number, the next smaller number.
fn predecessors(candidates: &[Candidate]) -> Vec<Option<usize>> {
    let mut series: BTreeMap<(String, String), Vec<(u64, usize)>> = BTreeMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        if let Some((front, number, back)) = last_number(&candidate.name) {
            let of_series = series.entry((front, back)).or_default();
            of_series.push((number, index));
        }
    }
    let mut before = vec![None; candidates.len()];
    for mut members in series.into_values() {
        members.sort_unstable();
        for pair in members.windows(2) {
            before[pair[1].1] = Some(pair[0].1);
        }
    }
    before
}

/// The last number in a name, with what stands before and behind it.
fn last_number(name: &str) -> Option<(String, u64, String)> {
    let end = name.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = name[..end]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| {
            at + name[at..].chars().next().map_or(1, char::len_utf8)
        });
    let number = name[start..end].parse().ok()?;
    Some((name[..start].to_owned(), number, name[end..].to_owned()))
}

struct Search<'a> {
    candidates: &'a [Candidate],
    before: Vec<Option<usize>>,
    order: Vec<usize>,
    used: Vec<bool>,
    found: Vec<Vec<usize>>,
    steps: usize,
}

impl Search<'_> {
    fn extend(&mut self) {
        if self.order.len() == self.candidates.len() {
            self.found.push(self.order.clone());
            return;
        }
        for next in 0..self.candidates.len() {
            self.steps += 1;
            if self.found.len() > 1 || self.steps >= MOST_STEPS {
                return;
            }
            let fits = self
                .order
                .last()
                .is_none_or(|&last| self.candidates[last].outputs == self.candidates[next].inputs);
            let in_turn = self.before[next].is_none_or(|before| self.used[before]);
            if self.used[next] || !fits || !in_turn {
                continue;
            }
            self.used[next] = true;
            self.order.push(next);
            self.extend();
            self.order.pop();
            self.used[next] = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(list: &[(&str, usize, usize)]) -> Orders {
        let candidates: Vec<Candidate> = list
            .iter()
            .map(|&(name, inputs, outputs)| Candidate {
                name: name.to_owned(),
                inputs,
                outputs,
            })
            .collect();
        orders(&candidates)
    }

    #[test]
    fn numbers_in_names_and_shapes_leave_one_order() {
        let one = |order: &[usize]| Orders::One(order.to_vec());
        // Ten follows nine: numbers, not letters.
        let many: Vec<(String, usize, usize)> =
            (0..12).map(|i| (format!("net.{}", 2 * i), 3, 3)).collect();
        let mut many: Vec<(&str, usize, usize)> =
            many.iter().map(|(n, i, o)| (n.as_str(), *i, *o)).collect();
        many.sort_unstable();
        let Orders::One(order) = of(&many) else {
            panic!("one order")
        };
        assert_eq!(many[order[5]].0, "net.10");
        // By shapes alone; and where the last layer is none of the series.
        assert_eq!(of(&[("b", 5, 3), ("a", 2, 5)]), one(&[1, 0]));
        assert_eq!(
            of(&[("head", 4, 4), ("body.0", 2, 4), ("body.1", 4, 4)]),
            Orders::Several
        );
        assert_eq!(
            of(&[("head", 4, 3), ("body.0", 2, 4), ("body.1", 4, 4)]),
            one(&[1, 2, 0])
        );
        assert_eq!(of(&[("output", 3, 4), ("hidden", 4, 3)]), one(&[1, 0]));
        assert_eq!(of(&[("only", 3, 4)]), one(&[0]));
    }

    #[test]
    fn two_orders_and_none_are_told_apart() {
        assert_eq!(of(&[("a", 4, 4), ("b", 4, 4)]), Orders::Several);
        assert_eq!(of(&[("fc1", 4, 3), ("fc2", 2, 4)]), Orders::None);
        // Shapes would have it the other way round than the numbers.
        assert_eq!(of(&[("fc2", 2, 4), ("fc1", 4, 3)]), Orders::None);
        // Too many to try: not one answer.
        let names: Vec<String> = (0..40).map(|i| "x".repeat(i + 1)).collect();
        let mut square: Vec<(&str, usize, usize)> =
            names.iter().map(|name| (name.as_str(), 4, 4)).collect();
        square.push(("lonely", 5, 6));
        assert_eq!(of(&square), Orders::Several);
    }
}

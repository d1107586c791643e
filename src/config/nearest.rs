//! The known word a typing mistake was probably meant to be.

/// Words longer than this are not compared: no key is, and the cost grows with the square.
const LONGEST: usize = 64;

/// The closest of `known`, if it is close enough to be worth a question.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().replace('-', "_").chars().collect();
    if word.len() > LONGEST {
        return None;
    }
    let (distance, closest) = known
        .into_iter()
        .map(|candidate| {
            let letters: Vec<char> = candidate.replace('-', "_").chars().collect();
            (distance(&word, &letters), candidate)
        })
        .min_by_key(|(distance, _)| *distance)?;
    let allowed = 1 + closest.chars().count().min(word.len()) / 4;
    (distance <= allowed).then_some(closest)
}

/// Edits from one word to the other: insert, delete, replace, swap two neighbours.
///
/// `last` always has one place more than `to`, and `current` one more than the columns done, so
/// no index is out of bounds.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut previous_letter = None;
    for (row, letter) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        let mut previous_target = None;
        for (column, target) in to.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != target);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped = previous_letter == Some(target) && previous_target == Some(letter);
            if swapped && let Some(two_back) = column.checked_sub(1) {
                best = best.min(before_last[two_back] + 1);
            }
            current.push(best);
            previous_target = Some(target);
        }
        previous_letter = Some(letter);
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(from.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 4] = ["mode", "min_warm", "max", "checkout_timeout"];

    #[test]
    fn finds_what_was_meant() {
        for (word, meant) in [
            ("min_wram", Some("min_warm")),
            ("min-warm", Some("min_warm")),
            ("MAX", Some("max")),
            ("maxx", Some("max")),
            ("chekout_timout", Some("checkout_timeout")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, KEYS), meant, "{word}");
        }
        assert_eq!(nearest(&"m".repeat(100_000), KEYS), None);
        assert_eq!(nearest("max", []), None);
    }
}

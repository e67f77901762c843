//! Finds the name somebody most likely meant.
//!
//! Not here: which names are allowed where (`history::request`, the configuration).

/// Longest name that is compared, in bytes: what is longer was not a slip of the finger.
const NAME_BYTES_MAX: usize = 64;

/// The allowed name that differs from `found` by the fewest edits, if that is at most a third of
/// its letters (at least one edit, for short names).
pub fn nearest<'a>(found: &str, allowed: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if found.len() > NAME_BYTES_MAX {
        return None;
    }
    let edits_max = (found.chars().count() / 3).max(1);
    allowed
        .into_iter()
        .map(|name| (edits(found, name), name))
        .filter(|(edits, _)| *edits <= edits_max)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// Insertions, removals, replacements and swaps of neighbours that turn `left` into `right`.
fn edits(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().flat_map(char::to_lowercase).collect();
    let right: Vec<char> = right.chars().flat_map(char::to_lowercase).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, from) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, to) in right.iter().enumerate() {
            let replaced = above[column] + usize::from(from != to);
            let mut best = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            let swapped =
                row > 0 && column > 0 && left[row - 1] == *to && right[column - 1] == *from;
            if swapped {
                best = best.min(before[column - 1] + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_name_and_other_words_do_not() {
        let allowed = ["metric", "step", "stat", "from", "to"];
        assert_eq!(nearest("setp", allowed), Some("step"));
        assert_eq!(nearest("metrics", allowed), Some("metric"));
        assert_eq!(nearest("form", allowed), Some("from"));
        assert_eq!(nearest("resolution", allowed), None);
        assert_eq!(nearest("", allowed), None);
    }
}

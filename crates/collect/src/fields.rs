//! Reads numbers out of the kernel's text files, on bytes and without allocating.
//!
//! Keeps true: what is not a plain non-negative number (`max`, `-1`, a number past `u64::MAX`) is
//! absent, never 0 and never an error. Not here: which file holds what (`cgroup`, `proc`).

/// The number that `text` is, spaces and line ends around it aside.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// The lines of a file, without their ends.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// The words of a line.
pub(crate) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// Splits a line at its first `separator`; `None` without one.
pub(crate) fn split_at(line: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = line.iter().position(|byte| *byte == separator)?;
    Some((line.get(..at)?, line.get(at + 1..)?))
}

/// The lines `key number` of a file such as `memory.stat`.
pub(crate) fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
    lines(text).filter_map(|line| {
        let (key, value) = split_at(line, b' ')?;
        Some((key, number(value)?))
    })
}

/// The `total` of the `some` and of the `full` line of a pressure file, in microseconds.
pub(crate) fn pressure(text: &[u8]) -> (Option<u64>, Option<u64>) {
    let total = |kind: &[u8]| {
        lines(text).find_map(|line| {
            let mut words = words(line);
            if words.next()? != kind {
                return None;
            }
            words.find_map(|word| number(word.strip_prefix(b"total=")?))
        })
    };
    (total(b"some"), total(b"full"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plain_number_is_absent() {
        let read = |text: &str| number(text.as_bytes());
        assert_eq!(read(" 42\n"), Some(42));
        assert_eq!(read("18446744073709551615"), Some(u64::MAX));
        for absent in ["", "\n", "max", "-1", "18446744073709551616", "4 2", "0x10"] {
            assert_eq!(read(absent), None, "{absent:?}");
        }
    }

    #[test]
    fn pressure_takes_the_totals() {
        let text = b"some avg10=0.61 avg60=1.98 avg300=1.46 total=6665376\n\
            full avg10=0.40 avg60=1.62 avg300=1.21 total=5685213\n";
        assert_eq!(pressure(text), (Some(6_665_376), Some(5_685_213)));
        assert_eq!(pressure(b"some avg10=0.00 total=x\n"), (None, None));
    }
}

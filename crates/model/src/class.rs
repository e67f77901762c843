//! What kind of failure an error is, so that callers can decide without knowing the error.
//!
//! Not here: HTTP status codes (`serve` maps classes to them in one table).

use std::error::Error;
use std::fmt::Write as _;

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The request is wrong and will stay wrong.
    Invalid,
    /// What was asked for does not exist.
    Missing,
    /// A configured limit was reached; asking for less may work.
    Limited,
    /// Not now: trying again later may work.
    Busy,
    /// Stored or received bytes are damaged.
    Corrupt,
    /// A fault of this program or of the machine below it.
    Bug,
}

/// Prints an error and all its causes in one line, outermost first, joined by `: `.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {inner}");
        cause = inner.source();
    }
    text
}

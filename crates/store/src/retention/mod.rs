//! What is no longer returned, and what may be deleted: ages, rules, budget, deletions.
//!
//! A row is hidden when it is older than its table's and resolution's age, older than the age a
//! rule gives its series, lies in a range that was deleted for its series, or before what the byte
//! budget shed. Hidden rows are never returned, whether or not their file still lives; merges leave
//! them out.
//!
//! Holds KEEP.
//! Not here: rewriting files (`compact`), when any of this runs (`engine`).

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod audit;
mod deletion;
mod hidden;
mod rules;
mod selector;
mod shed;

pub use audit::{AuditError, AuditLine, audit};
pub use deletion::{DELETIONS_MAX, Deletion, Removed};
pub use hidden::Hidden;
pub use rules::{Ages, Rule, RuleError, Rules, parse_duration_ms};
pub use selector::{SelectorError, parse_selector};
pub use shed::{Budget, DryRun, DryRunLine, Reason, dry_run, shed};
pub(crate) use shed::{day, is_over};

#[cfg(test)]
mod tests;

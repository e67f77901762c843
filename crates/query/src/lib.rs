//! Answers questions about the stored series, within limits.
//!
//! [`history`] reads history questions: one metric in steps and groups.
//! [`promql`] owns the PromQL language: parser, evaluator, functions and the test language.
//! [`series`] makes PromQL's series out of stored rows.

pub mod container_labels;
pub mod history;
pub mod inventory;
pub mod nearest;
pub mod parameters;
pub mod promql;
pub mod series;
pub mod time;

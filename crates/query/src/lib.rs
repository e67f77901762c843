//! Answers questions about the stored series, within limits.
//!
//! [`history`] reads history questions: one metric in steps and groups.
//! [`promql`] owns the PromQL language: parser, evaluator, functions and the test language.

pub mod container_labels;
pub mod history;
pub mod inventory;
pub mod nearest;
pub mod parameters;
pub mod promql;
pub mod time;

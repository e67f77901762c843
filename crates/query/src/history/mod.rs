//! History: how one metric of many containers or nodes went over time, in steps and groups.
//!
//! [`HistoryRequest`] says what is asked, [`HistoryAnswer`] what came out.
//! Not here: PromQL, and how answers are written (`serve`).

mod answer;
mod evaluate;
mod fold;
mod metric;
mod request;

pub use answer::{HistoryAnswer, HistoryGroup};
pub use evaluate::{HistoryLimits, QueryError, history};
pub use metric::{MetricChoice, Reading};
pub use request::{Across, HistoryRequest, PARAMETERS, STEP_MS_MAX, STEP_MS_MIN, STEPS_MAX, Stat};

pub use crate::parameters::{GroupLabel, ParameterError};

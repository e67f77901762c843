//! History: how one metric of many containers or nodes went over time, in steps and groups.
//!
//! [`HistoryRequest`] says what is asked, [`HistoryAnswer`] what came out. An answer is made in
//! three stages: the rows of one subject become one value per step (`fold`), subjects come
//! together in groups (`groups`), and what is missing is told (`coverage`).
//!
//! Long steps are answered from windows of the store where those give the same numbers
//! (`rolled`, `windows`).
//!
//! Not here: PromQL; how answers are written (`serve`).

mod answer;
mod coverage;
mod error;
mod evaluate;
mod fold;
mod groups;
mod metric;
mod points;
mod request;
mod rolled;
mod told;
mod windows;

pub use answer::{
    FIELD_LABEL, HistoryAnswer, HistoryField, HistoryGap, HistoryGroup, SERIES_GAPS_MAX,
};
pub use error::{HistoryLimits, QueryError};
pub(crate) use evaluate::epoch_column;
pub use evaluate::{history, history_of};
pub use metric::{FieldChoice, MetricChoice, Reading};
pub use request::{Across, HistoryRequest, PARAMETERS, STEP_MS_MAX, STEP_MS_MIN, STEPS_MAX, Stat};

pub use crate::parameters::{GroupLabel, ParameterError};

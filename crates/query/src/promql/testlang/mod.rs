//! The test language of Prometheus: scripts that load series, evaluate queries and say what to
//! expect.
//!
//! A script is lines: `load STEP` with series below it, `clear`, and
//! `eval instant at TIME QUERY` or `eval range from TIME to TIME step STEP QUERY` with the expected
//! series and `expect …` lines below it. A blank line or a comment ends what is below.
//!
//! A series line after one that ends its name with `@st` takes its samples' starts from there.
//! What needs native histograms counts as unsupported, not as passed.

mod compare;
mod pin;
mod run;
mod script;
mod sequence;

pub use run::{Failure, Report, run_script};
pub use script::ScriptError;

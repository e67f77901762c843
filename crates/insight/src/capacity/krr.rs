//! Requests as Robusta's krr recommends them: strategies `simple` and `simple_limit`.
//!
//! # Source
//!
//! robusta-dev/krr, `robusta_krr/strategies/simple.py` and `simple_limit.py`.

use serde::Serialize;

use super::Point;
use crate::robust::{quantile, real_i64};

/// How krr is told to recommend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KrrOptions {
    /// Percentile of the CPU request, 0 to 1.
    pub cpu_request: f64,
    /// Percentile of the CPU limit; `None`: no limit.
    pub cpu_limit: Option<f64>,
    /// Added to the largest memory seen, as a share.
    pub memory_margin: f64,
    /// Added to the limit at which an out-of-memory kill happened, as a share.
    pub oom_margin: f64,
    /// Points that must be there over all replicas.
    pub points_min: usize,
    /// History that must be there, milliseconds.
    pub range_ms_min: i64,
}

impl KrrOptions {
    /// `simple`: p95 of CPU, no CPU limit, memory 15 % above its peak.
    pub const SIMPLE: Self = Self {
        cpu_request: 0.95,
        cpu_limit: None,
        memory_margin: 0.15,
        oom_margin: 0.25,
        points_min: 100,
        range_ms_min: 3 * 3_600_000,
    };
    /// `simple_limit`: p66 as request and p96 as limit.
    pub const SIMPLE_LIMIT: Self =
        Self { cpu_request: 0.66, cpu_limit: Some(0.96), ..Self::SIMPLE };
}

/// Why there is no recommendation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Withheld {
    /// No samples at all.
    NoData,
    /// Fewer points than needed.
    TooFewPoints {
        /// Points found.
        found: usize,
        /// Points needed.
        needed: usize,
    },
    /// A shorter stretch of history than needed.
    TooShort {
        /// Milliseconds found.
        found_ms: i64,
        /// Milliseconds needed.
        needed_ms: i64,
    },
}

impl std::fmt::Display for Withheld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoData => f.write_str("there are no samples"),
            Self::TooFewPoints { found, needed } => {
                write!(f, "there are {found} samples, {needed} are needed")
            }
            Self::TooShort { found_ms, needed_ms } => write!(
                f,
                "samples span {:.1} h, {:.1} h are needed",
                real_i64(*found_ms) / 3.6e6,
                real_i64(*needed_ms) / 3.6e6,
            ),
        }
    }
}

/// What to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct KrrAmount {
    /// To reserve.
    pub request: f64,
    /// Never to pass; `None`: no limit.
    pub limit: Option<f64>,
}

/// CPU in cores, of replicas' rates: the largest of the replicas' percentiles.
///
/// # Errors
///
/// [`Withheld`] says why the data is too thin.
pub fn cpu(replicas: &[Vec<Point>], options: &KrrOptions) -> Result<KrrAmount, Withheld> {
    enough(replicas, options)?;
    let at = |share: f64| {
        let values = |of: &Vec<Point>| of.iter().map(|of| of.value).collect::<Vec<f64>>();
        replicas.iter().filter_map(|of| quantile(&values(of), share)).fold(0.0, f64::max)
    };
    Ok(KrrAmount { request: at(options.cpu_request), limit: options.cpu_limit.map(at) })
}

/// Memory in bytes, of replicas' working sets; request and limit are the same.
/// `oom_limit_bytes`: the highest limit at which a replica was killed for lack of memory.
///
/// # Errors
///
/// [`Withheld`] says why the data is too thin.
pub fn memory(
    replicas: &[Vec<Point>],
    oom_limit_bytes: Option<f64>,
    options: &KrrOptions,
) -> Result<KrrAmount, Withheld> {
    enough(replicas, options)?;
    let peak = replicas.iter().flatten().map(|of| of.value).fold(0.0, f64::max);
    let by_kill = oom_limit_bytes.unwrap_or(0.0) * (1.0 + options.oom_margin);
    let amount = (peak * (1.0 + options.memory_margin)).max(by_kill);
    Ok(KrrAmount { request: amount, limit: Some(amount) })
}

fn enough(replicas: &[Vec<Point>], options: &KrrOptions) -> Result<(), Withheld> {
    let times = || replicas.iter().flatten().map(|of| of.time_ms);
    let (Some(first), Some(last)) = (times().min(), times().max()) else {
        return Err(Withheld::NoData);
    };
    let found = times().count();
    if found < options.points_min {
        return Err(Withheld::TooFewPoints { found, needed: options.points_min });
    }
    let found_ms = last.saturating_sub(first);
    if found_ms < options.range_ms_min {
        return Err(Withheld::TooShort { found_ms, needed_ms: options.range_ms_min });
    }
    Ok(())
}

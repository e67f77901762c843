//! How a store is set up. Every bound of the engine has its name here.

use std::path::PathBuf;
use std::time::Duration;

use crate::retention::{Ages, Rule, Rules};
use crate::sabotage::{Bug, is_planted};
use crate::segment::Resolution;

/// How long each resolution is kept, by age of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionOptions {
    /// Rows as collected.
    pub raw: Duration,
    /// Windows of five minutes.
    pub five_minute: Duration,
    /// Windows of one hour.
    pub hour: Duration,
}

const DAY: Duration = Duration::from_hours(24);

impl Default for RetentionOptions {
    fn default() -> Self {
        Self {
            raw: DAY.saturating_mul(14),
            five_minute: DAY.saturating_mul(180),
            hour: DAY.saturating_mul(1095),
        }
    }
}

impl RetentionOptions {
    /// How long rows of this resolution are kept.
    pub fn of(&self, resolution: Resolution) -> Duration {
        match resolution {
            Resolution::Raw => self.raw,
            Resolution::FiveMinutes => self.five_minute,
            Resolution::Hour => self.hour,
        }
    }

    /// First millisecond that is still kept at `now_ms`.
    pub(crate) fn start_ms(&self, resolution: Resolution, now_ms: i64) -> i64 {
        let kept_ms = i64::try_from(self.of(resolution).as_millis()).unwrap_or(i64::MAX);
        now_ms.saturating_sub(kept_ms)
    }
}

/// How a store is set up.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The data directory; made if it is not there.
    pub dir: PathBuf,
    /// A WAL file that has reached this length is closed.
    pub wal_segment_bytes: u64,
    /// All heads are flushed when the WAL is longer than this; twice as much refuses frames.
    pub wal_bytes_max: u64,
    /// Heads are flushed when they take more memory than this; twice as much refuses frames.
    pub head_bytes_max: usize,
    /// A head is flushed when its first row came this long ago.
    pub flush_age: Duration,
    /// How long a commit waits for others to share its sync; zero: not at all.
    pub group_commit_max_delay: Duration,
    /// Bytes of frames that may wait for their commit; more are refused.
    pub queue_bytes_max: usize,
    /// How long rows are kept.
    pub retention: RetentionOptions,
    /// Rows further than this in the future are refused.
    pub future_max: Duration,
    /// Frames are refused while less than this is free; accepted again from twice this.
    pub disk_free_bytes_min: u64,
    /// Other ages for some series; the first rule that accepts a series counts.
    pub retention_rules: Vec<Rule>,
    /// Bytes all segments may take; the oldest go when there are more. `None`: no limit.
    pub bytes_max: Option<u64>,
    /// zstd level of segments of closed days: 1 to 19.
    pub zstd_level_compact: i32,
    /// Time between two looks for segments to merge or roll up; `None`: only when asked.
    pub compact_interval: Option<Duration>,
}

impl StoreOptions {
    pub(super) fn rules(&self) -> Rules {
        let RetentionOptions { raw, five_minute, hour } = self.retention;
        let off = if is_planted(Bug::RetentionOffByOne) { DAY } else { Duration::ZERO };
        let raw = raw.saturating_sub(off);
        Rules { ages: Ages::new(raw, five_minute, hour), rules: self.retention_rules.clone() }
    }

    /// The defaults, for a data directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            wal_segment_bytes: 64 << 20,
            wal_bytes_max: 512 << 20,
            head_bytes_max: 32 << 20,
            flush_age: Duration::from_hours(1),
            group_commit_max_delay: Duration::ZERO,
            queue_bytes_max: 64 << 20,
            retention: RetentionOptions::default(),
            future_max: Duration::from_mins(10),
            disk_free_bytes_min: 256 << 20,
            retention_rules: Vec::new(),
            bytes_max: None,
            zstd_level_compact: 9,
            compact_interval: Some(Duration::from_mins(1)),
        }
    }
}

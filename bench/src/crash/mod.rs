//! Kills a writing store again and again and looks whether anything acknowledged is missing.
//!
//! The writer is a process of its own ([`writer`]); the judge ([`judge`]) opens what it left
//! and compares it with what the writer said was acknowledged. Rows are a function of their
//! number, so any row that was invented, changed or doubled is seen.

pub mod incumbents;
pub mod judge;
pub mod power;
pub mod process;
pub mod rigs;
pub mod rows;
pub mod writer;

/// What all cycles together showed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Kills or power cuts.
    pub cycles: u64,
    /// Times a writer started on what the one before left.
    pub restarts: u64,
    /// Frames that were acknowledged.
    pub acked: u64,
    /// Acknowledged frames that were missing afterwards.
    pub acked_lost: u64,
    /// Rows that were there twice.
    pub duplicated: u64,
    /// Rows that nobody wrote, or with another value, and frames that were there in part.
    pub wrong: u64,
}

impl Tally {
    /// Whether every promise held.
    pub fn is_clean(&self) -> bool {
        self.acked_lost == 0 && self.duplicated == 0 && self.wrong == 0
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "cycles={} restarts={} acked={} acked_lost={} duplicated={} wrong={}",
            self.cycles, self.restarts, self.acked, self.acked_lost, self.duplicated, self.wrong
        )
    }
}

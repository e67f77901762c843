//! Which frames were kept: for each sender and epoch, the sequences seen.
//!
//! Sequences are kept as ranges, so that a sender in order costs one range however long it runs.
//! Everything is bounded: senders by least recent use, epochs by age, ranges by closing the lowest
//! gap, after which a frame that was missing there counts as seen.
//!
//! Holds ONCE.
//! Not here: when a frame is marked (`engine::commit`, after its WAL record is durable).

use std::collections::BTreeMap;

use plimsoll_wire::{FrameId, SenderId};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// Most senders that are remembered.
pub const SENDERS_MAX: usize = 65_536;
/// Most epochs remembered of one sender.
pub const EPOCHS_MAX: usize = 16;
/// Most ranges of sequences remembered of one epoch.
pub const RANGES_MAX: usize = 1024;

/// What is known of a frame's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It was not kept before.
    New,
    /// It was kept before.
    Seen,
    /// Its epoch is older than all that are remembered, so nobody knows.
    Forgotten,
}

/// The sequences seen, for each sender and epoch.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    senders: FxHashMap<SenderId, SenderMarks>,
    uses: u64,
}

/// The epochs of one sender.
#[derive(Debug, Clone, Default)]
pub struct SenderMarks {
    epochs: BTreeMap<u64, Ranges>,
    used: u64,
}

impl SenderMarks {
    /// The newest epoch and its highest sequence.
    pub fn latest(&self) -> Option<(u64, u64)> {
        self.epochs.last_key_value().map(|(epoch, ranges)| (*epoch, ranges.last()))
    }
}

/// Disjoint ranges of sequences: first to last, both inside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Ranges {
    by_first: BTreeMap<u64, u64>,
}

impl Ranges {
    fn contains(&self, sequence: u64) -> bool {
        self.by_first.range(..=sequence).next_back().is_some_and(|(_, last)| sequence <= *last)
    }

    fn last(&self) -> u64 {
        self.by_first.last_key_value().map_or(0, |(_, last)| *last)
    }

    fn insert(&mut self, first: u64, last: u64) {
        let (mut first, mut last) = (first, last.max(first));
        // Swallow every range that overlaps or touches.
        while let Some((known_first, known_last)) = self
            .by_first
            .range(..=last.saturating_add(1))
            .next_back()
            .map(|(known_first, known_last)| (*known_first, *known_last))
            .filter(|(_, known_last)| known_last.saturating_add(1) >= first)
        {
            self.by_first.remove(&known_first);
            first = first.min(known_first);
            last = last.max(known_last);
        }
        self.by_first.insert(first, last);
        if self.by_first.len() > RANGES_MAX
            && let Some((lowest, _)) = self.by_first.pop_first()
            && let Some((_, last)) = self.by_first.pop_first()
        {
            self.by_first.insert(lowest, last);
        }
    }
}

impl Marks {
    /// What is known of this frame.
    pub fn find(&self, id: FrameId) -> Mark {
        let Some(sender) = self.senders.get(&id.sender) else {
            return Mark::New;
        };
        match sender.epochs.get(&id.epoch) {
            Some(ranges) if ranges.contains(id.sequence) => Mark::Seen,
            None if sender.epochs.len() >= EPOCHS_MAX
                && sender.epochs.first_key_value().is_some_and(|(old, _)| id.epoch < *old) =>
            {
                Mark::Forgotten
            }
            _ => Mark::New,
        }
    }

    /// Remembers that this frame was kept.
    pub fn insert(&mut self, id: FrameId) {
        self.insert_range(id.sender, id.epoch, id.sequence, id.sequence);
    }

    /// Remembers everything that `other` does.
    pub fn merge(&mut self, other: &Self) {
        for (sender, marks) in &other.senders {
            for (epoch, ranges) in &marks.epochs {
                for (first, last) in &ranges.by_first {
                    self.insert_range(*sender, *epoch, *first, *last);
                }
            }
        }
    }

    fn insert_range(&mut self, sender: SenderId, epoch: u64, first: u64, last: u64) {
        self.uses = self.uses.saturating_add(1);
        if self.senders.len() >= SENDERS_MAX && !self.senders.contains_key(&sender) {
            self.forget_oldest();
        }
        let marks = self.senders.entry(sender).or_default();
        marks.used = self.uses;
        marks.epochs.entry(epoch).or_default().insert(first, last);
        if marks.epochs.len() > EPOCHS_MAX {
            marks.epochs.pop_first();
        }
    }

    // Many at once, so that ever new senders do not each cost a walk over all.
    fn forget_oldest(&mut self) {
        let mut used: Vec<u64> = self.senders.values().map(|marks| marks.used).collect();
        used.sort_unstable();
        let cut = used.get(SENDERS_MAX.div_euclid(16)).copied().unwrap_or(u64::MAX);
        self.senders.retain(|_, marks| marks.used >= cut);
    }

    /// Number of senders remembered.
    pub fn senders(&self) -> usize {
        self.senders.len()
    }

    /// The senders, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (SenderId, &SenderMarks)> {
        self.senders.iter().map(|(sender, marks)| (*sender, marks))
    }

    /// The form that stands in a manifest, senders used longest ago first.
    pub fn to_file(&self) -> MarksFile {
        let mut senders: Vec<_> = self.senders.iter().collect();
        senders.sort_by_key(|(sender, marks)| (marks.used, **sender));
        let lines = senders.into_iter().map(|(sender, marks)| SenderLine {
            sender: sender.to_string(),
            epochs: marks
                .epochs
                .iter()
                .map(|(epoch, ranges)| EpochLine {
                    epoch: *epoch,
                    seen: ranges.by_first.iter().map(|(first, last)| (*first, *last)).collect(),
                })
                .collect(),
        });
        MarksFile(lines.collect())
    }

    /// Reads the form that stands in a manifest; lines that name no sender are left out.
    pub fn from_file(file: &MarksFile) -> Self {
        let mut marks = Self::default();
        for line in &file.0 {
            let Some(sender) = SenderId::from_hex(&line.sender) else {
                continue;
            };
            for epoch in &line.epochs {
                for (first, last) in &epoch.seen {
                    marks.insert_range(sender, epoch.epoch, *first, *last);
                }
            }
        }
        marks
    }
}

/// Marks as they stand in a manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarksFile(Vec<SenderLine>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SenderLine {
    sender: String,
    epochs: Vec<EpochLine>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct EpochLine {
    epoch: u64,
    seen: Vec<(u64, u64)>,
}

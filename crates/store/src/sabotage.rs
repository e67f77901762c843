//! Mistakes that are built in on purpose, one at a time, to prove that a test catches them.
//!
//! A test that has not caught its planted bug does not count. The environment variable
//! `PLIMSOLL_SABOTAGE` names the bugs of this process, separated by commas; without the feature
//! `sabotage` nothing is planted, and the questions below are the constant `false`.
//! Which test catches which bug is written in `docs/reliability.md`.

/// A mistake that can be built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Files are never synced.
    NoSync,
    /// Folders are never synced.
    NoDirSync,
    /// A group of frames is acknowledged before its sync, which comes with the next group.
    AckBeforeSync,
    /// A sync that failed counts as done.
    IgnoreSyncError,
    /// A file gets its name before its bytes are synced.
    RenameBeforeSync,
    /// Checksums are not compared.
    SkipCrc,
    /// The checksum of a WAL record covers its payload only, not its place and length.
    CrcWithoutLength,
    /// A frame that was kept before is kept again.
    DedupeOff,
    /// Replay believes marks that are stored apart from the records they speak of.
    MarksApart,
    /// WAL files go before the manifest that makes them superfluous is durable.
    WalBeforeManifest,
    /// Retention is a day off.
    RetentionOffByOne,
    /// Replay stops at the first bad record.
    ReplayStops,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::NoSync,
        Self::NoDirSync,
        Self::AckBeforeSync,
        Self::IgnoreSyncError,
        Self::RenameBeforeSync,
        Self::SkipCrc,
        Self::CrcWithoutLength,
        Self::DedupeOff,
        Self::MarksApart,
        Self::WalBeforeManifest,
        Self::RetentionOffByOne,
        Self::ReplayStops,
    ];

    /// Its name in the environment variable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoSync => "no-sync",
            Self::NoDirSync => "no-dir-sync",
            Self::AckBeforeSync => "ack-before-sync",
            Self::IgnoreSyncError => "ignore-sync-error",
            Self::RenameBeforeSync => "rename-before-sync",
            Self::SkipCrc => "skip-crc",
            Self::CrcWithoutLength => "crc-without-length",
            Self::DedupeOff => "dedupe-off",
            Self::MarksApart => "marks-apart",
            Self::WalBeforeManifest => "wal-before-manifest",
            Self::RetentionOffByOne => "retention-off-by-one",
            Self::ReplayStops => "replay-stops",
        }
    }
}

/// Whether this process was told to make the mistake.
#[cfg(feature = "sabotage")]
pub fn is_planted(bug: Bug) -> bool {
    use std::sync::LazyLock;
    static PLANTED: LazyLock<Vec<Bug>> = LazyLock::new(|| {
        let named = std::env::var("PLIMSOLL_SABOTAGE").unwrap_or_default();
        let names: Vec<&str> = named.split(',').collect();
        Bug::ALL.into_iter().filter(|bug| names.contains(&bug.name())).collect()
    });
    PLANTED.contains(&bug)
}

/// Never: the feature `sabotage` is off.
#[cfg(not(feature = "sabotage"))]
pub const fn is_planted(_: Bug) -> bool {
    false
}

//! Who this sender is: a random id made once, and an epoch that grows from start to start.
//!
//! Both stand in one small file; it is written aside, synced and renamed, so that a power cut
//! leaves the old one or the new one. A clock that was set back cannot make an epoch come twice.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use plimsoll_wire::{FrameId, SenderId};

use super::ShipError;

/// Name of the file: the id in hex, a space, the last epoch.
const FILE: &str = "sender";

/// Gives frames their identities.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ids {
    pub(super) sender: SenderId,
    pub(super) epoch: u64,
    /// The last one given.
    pub(super) sequence: u64,
}

impl Ids {
    /// The next identity.
    pub(super) fn next(&mut self) -> FrameId {
        self.sequence = self.sequence.saturating_add(1);
        FrameId { sender: self.sender, epoch: self.epoch, sequence: self.sequence }
    }

    /// What stands in a frame that has no identity yet and is never sent so.
    pub(super) fn none(&self) -> FrameId {
        FrameId { sender: self.sender, epoch: self.epoch, sequence: 0 }
    }
}

/// Begins a new epoch.
pub(super) fn begin(state: &Path, now_ms: u64) -> Result<(SenderId, u64), ShipError> {
    let path = state.join(FILE);
    let failed = |source: io::Error| ShipError::State { path: path.clone(), source };
    std::fs::create_dir_all(state).map_err(failed)?;
    let (sender, last) = match std::fs::read_to_string(&path) {
        Ok(text) => parse(&text).ok_or(ShipError::Damaged { path: path.clone() })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => (random().map_err(failed)?, 0),
        Err(error) => return Err(failed(error)),
    };
    let epoch = now_ms.max(last.saturating_add(1));
    write(state, &format!("{sender} {epoch}\n")).map_err(failed)?;
    Ok((sender, epoch))
}

fn parse(text: &str) -> Option<(SenderId, u64)> {
    let (id, epoch) = text.trim_end().split_once(' ')?;
    Some((SenderId::from_hex(id)?, epoch.parse().ok()?))
}

fn random() -> io::Result<SenderId> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(SenderId(bytes))
}

fn write(state: &Path, text: &str) -> io::Result<()> {
    let aside = state.join("sender.new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&aside, state.join(FILE))?;
    File::open(state)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_stays_and_the_epoch_grows() {
        let folder = tempfile::tempdir().unwrap();
        let (id, first) = begin(folder.path(), 1_000).unwrap();
        assert_eq!(first, 1_000);
        assert_eq!(begin(folder.path(), 500).unwrap(), (id, 1_001), "the clock was set back");
        assert_eq!(begin(folder.path(), 9_000).unwrap(), (id, 9_000));
        std::fs::write(folder.path().join(FILE), "junk").unwrap();
        assert!(matches!(begin(folder.path(), 1), Err(ShipError::Damaged { .. })));
    }
}

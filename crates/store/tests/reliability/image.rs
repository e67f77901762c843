//! What a disk may hold after a power cut, worked out from what was done to it.
//!
//! Bytes that were not synced are lost, kept or torn at sectors of 512 bytes; names that were not
//! synced are lost or kept one by one, in any order. A rename is one change: when the old name is
//! gone the new one is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plimsoll_store::disk::trace::Event;

use crate::dice::Dice;
use crate::world::files;

/// What a disk writes at once or not at all.
const SECTOR_BYTES: usize = 512;

#[derive(Debug, Clone, Default)]
struct File {
    bytes: Vec<u8>,
    /// Bytes from the start that are durable.
    durable: usize,
}

/// What a name meant since its folder was synced last; the first is durable.
type History = Vec<Option<usize>>;

/// A rename whose two halves go together.
#[derive(Debug, Clone)]
struct Move {
    from: (PathBuf, usize),
    to: (PathBuf, usize),
}

/// How a power cut treats what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing is lost: only the process died.
    KeepAll,
    /// All is lost.
    DropAll,
    /// Any of it.
    Random,
}

/// A disk while it is written to.
#[derive(Debug, Clone, Default)]
pub struct Image {
    root: PathBuf,
    files: Vec<File>,
    numbers: BTreeMap<u64, usize>,
    names: BTreeMap<PathBuf, History>,
    moves: Vec<Move>,
    folders: BTreeMap<PathBuf, bool>,
    /// What was noted, in order.
    pub notes: Vec<u64>,
}

impl Image {
    /// The disk as it is now, all durable.
    pub fn of(root: &Path) -> Self {
        let mut image = Self { root: root.to_owned(), ..Self::default() };
        for path in files(root) {
            let bytes = std::fs::read(&path).expect("read");
            image.files.push(File { durable: bytes.len(), bytes });
            image.names.insert(path, vec![Some(image.files.len() - 1)]);
        }
        image
    }

    /// An empty disk whose names will start with `root`.
    pub fn rooted(root: &Path) -> Self {
        Self { root: root.to_owned(), ..Self::default() }
    }

    /// The disk after these changes.
    pub fn after(mut self, events: &[Event]) -> Self {
        for event in events {
            self.apply(event);
        }
        self
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::CreateFolder(path) => {
                self.folders.entry(path.clone()).or_insert(false);
            }
            Event::Create { file, path } => {
                self.files.push(File::default());
                self.numbers.insert(*file, self.files.len() - 1);
                self.point(path, Some(self.files.len() - 1));
            }
            Event::Write { file, bytes } => {
                let file = self.numbers[file];
                self.files[file].bytes.extend(bytes);
            }
            Event::Sync { file } => self.sync(self.numbers[file]),
            Event::Forget { file } => {
                let file = &mut self.files[self.numbers[file]];
                file.bytes.truncate(file.durable);
            }
            Event::Found { path, bytes } => {
                self.files.push(File { bytes: bytes.clone(), durable: 0 });
                self.point(path, Some(self.files.len() - 1));
            }
            Event::SyncPath(path) => {
                if let Some(file) = self.current(path) {
                    self.sync(file);
                }
            }
            Event::SyncFolder(path) => self.sync_folder(path),
            Event::Rename { from, to } => {
                let file = self.current(from);
                let to_index = self.point(to, file);
                let from_index = self.point(from, None);
                let (from, to) = ((from.clone(), from_index), (to.clone(), to_index));
                self.moves.push(Move { from, to });
            }
            Event::Remove(path) => {
                if self.current(path).is_some() {
                    self.point(path, None);
                }
            }
            Event::Note(number) => self.notes.push(*number),
        }
    }

    fn current(&self, path: &Path) -> Option<usize> {
        self.names.get(path).and_then(|history| history.last().copied().flatten())
    }

    // Gives a name a new meaning; returns its place in the name's history.
    fn point(&mut self, path: &Path, file: Option<usize>) -> usize {
        let history = self.names.entry(path.to_owned()).or_insert_with(|| vec![None]);
        history.push(file);
        history.len() - 1
    }

    fn sync(&mut self, file: usize) {
        self.files[file].durable = self.files[file].bytes.len();
    }

    fn sync_folder(&mut self, folder: &Path) {
        for (path, history) in &mut self.names {
            if path.parent() == Some(folder) {
                let last = history.last().copied().flatten();
                *history = vec![last];
                // Both halves of a rename are one change of the file system's journal.
                self.moves.retain(|entry| entry.to.0 != *path);
                for entry in &mut self.moves {
                    if entry.from.0 == *path {
                        entry.from.1 = 0;
                    }
                }
            }
        }
        for (path, is_durable) in &mut self.folders {
            *is_durable |= path.parent() == Some(folder);
        }
    }

    /// Writes what a power cut leaves into an empty folder.
    pub fn write(&self, target: &Path, cut: Cut, dice: &mut Dice) {
        let chosen = self.choose(cut, dice);
        let is_kept = |durable: bool, dice: &mut Dice| match cut {
            Cut::KeepAll => true,
            Cut::DropAll => durable,
            Cut::Random => durable || dice.coin(),
        };
        let mut lost_folders = Vec::new();
        for (path, durable) in &self.folders {
            if is_kept(*durable, dice) {
                let place = target.join(path.strip_prefix(&self.root).unwrap_or(path));
                if !lost_folders.iter().any(|lost: &PathBuf| path.starts_with(lost)) {
                    std::fs::create_dir_all(place).expect("folder");
                }
            } else {
                lost_folders.push(path.clone());
            }
        }
        for (path, index) in &chosen {
            let Some(file) = self.names[path][*index] else { continue };
            if lost_folders.iter().any(|lost| path.starts_with(lost)) {
                continue;
            }
            let place = target.join(path.strip_prefix(&self.root).unwrap_or(path));
            std::fs::create_dir_all(place.parent().expect("folder")).expect("folder");
            std::fs::write(place, torn(&self.files[file], cut, dice)).expect("write");
        }
    }

    // For each name, which of its meanings the disk has.
    fn choose(&self, cut: Cut, dice: &mut Dice) -> BTreeMap<PathBuf, usize> {
        let mut chosen: BTreeMap<PathBuf, usize> = self
            .names
            .iter()
            .map(|(path, history)| {
                let index = match cut {
                    Cut::KeepAll => history.len() - 1,
                    Cut::DropAll => 0,
                    Cut::Random => dice.below(history.len()),
                };
                (path.clone(), index)
            })
            .collect();
        for entry in &self.moves {
            let gone = chosen[&entry.from.0] >= entry.from.1;
            let there = chosen[&entry.to.0] >= entry.to.1;
            if gone && !there {
                chosen.insert(entry.to.0.clone(), entry.to.1);
            }
        }
        chosen
    }
}

fn torn(file: &File, cut: Cut, dice: &mut Dice) -> Vec<u8> {
    match cut {
        Cut::KeepAll => file.bytes.clone(),
        Cut::DropAll => file.bytes[..file.durable].to_vec(),
        Cut::Random => {
            let length = file.durable + dice.below(file.bytes.len() - file.durable + 1);
            let mut bytes = file.bytes[..length].to_vec();
            let mut start = file.durable;
            while start < length {
                let end = ((start / SECTOR_BYTES + 1) * SECTOR_BYTES).min(length);
                if dice.coin() {
                    bytes[start..end].fill(0);
                }
                start = end;
            }
            bytes
        }
    }
}

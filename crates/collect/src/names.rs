//! The containers known last, on disk, so that a collector that starts while the engine is away
//! still knows whose control groups it reads.
//!
//! One small file, written aside and renamed. It is a cache: one that cannot be read is done
//! without. Secrets are replaced before anything is written; environments never get this far.
//! Not here: when it is written (`sampler`).

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::engine::EngineFacts;
use crate::engine::container::ContainerFacts;
use crate::redact;

/// Name of the file in the state folder.
const FILE: &str = "containers.json";
const FORMAT: u32 = 1;
/// Largest file that is read.
const BYTES_MAX: u64 = 64 << 20;

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Names {
    format: u32,
    pub(crate) engine: EngineFacts,
    /// The newest event, engine's clock.
    pub(crate) last_event_nano: Option<i64>,
    pub(crate) containers: Vec<Name>,
}

/// One container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Name {
    id: String,
    facts: ContainerFacts,
    pub(crate) restarts: u64,
    /// End of the run that was recorded last.
    pub(crate) told_end_ms: Option<i64>,
}

impl Name {
    /// What may be kept of a container.
    pub(crate) fn new(facts: &ContainerFacts, restarts: u64, told_end_ms: Option<i64>) -> Self {
        let id = facts.id.to_string();
        let mut facts = ContainerFacts { id: Arc::default(), ..facts.clone() };
        for (key, value) in &mut facts.labels {
            if redact::redacted(key, value) != value {
                redact::REDACTED.clone_into(value);
            }
        }
        Self { id, facts, restarts, told_end_ms }
    }

    /// The container again.
    pub(crate) fn into_facts(mut self) -> ContainerFacts {
        self.facts.id = Arc::from(self.id);
        self.facts
    }
}

impl Names {
    pub(crate) fn new(engine: EngineFacts, last_event_nano: Option<i64>) -> Self {
        Self { format: FORMAT, engine, last_event_nano, containers: Vec::new() }
    }

    /// Reads what an earlier process remembered.
    pub(crate) fn load(state: &Path) -> Option<Self> {
        let path = state.join(FILE);
        let bytes = fs::metadata(&path).ok()?.len();
        let names = (bytes <= BYTES_MAX)
            .then(|| fs::read(&path).ok())
            .flatten()
            .and_then(|text| serde_json::from_slice::<Self>(&text).ok())
            .filter(|names| names.format == FORMAT);
        if names.is_none() {
            tracing::warn!(path = %path.display(), "file of known containers could not be used");
        }
        names
    }

    /// Replaces what is remembered.
    pub(crate) fn save(&self, state: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(self).map_err(io::Error::other)?;
        fs::create_dir_all(state)?;
        let aside = state.join("containers.new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        file.write_all(&text)?;
        file.sync_data()?;
        fs::rename(&aside, state.join(FILE))?;
        File::open(state)?.sync_all()
    }
}

/// Texts by name, as events hold them.
pub(crate) fn texts<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_loaded_without_its_secrets() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Names::load(folder.path()), None);
        let mut facts = ContainerFacts { id: Arc::from("ab"), ..ContainerFacts::default() };
        facts.labels.insert("com.docker.compose.service".to_owned(), "web".to_owned());
        facts.labels.insert("app.token".to_owned(), "hunter2".to_owned());
        facts.started_at_ms = Some(5);
        let engine = EngineFacts { node: "n1".to_owned(), ..EngineFacts::default() };
        let mut names = Names::new(engine, Some(7));
        names.containers.push(Name::new(&facts, 3, Some(4)));
        names.save(folder.path()).unwrap();
        let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(text.contains("web") && !text.contains("hunter2"));
        let loaded = Names::load(folder.path()).unwrap();
        assert_eq!(loaded, names);
        let name = loaded.containers.into_iter().next().unwrap();
        assert_eq!((name.restarts, name.told_end_ms), (3, Some(4)));
        let again = name.into_facts();
        assert_eq!((again.id.as_ref(), again.started_at_ms), ("ab", Some(5)));
        assert_eq!(again.labels["app.token"], redact::REDACTED);
    }

    #[test]
    fn corrupt_a_file_cut_at_any_byte_is_done_without() {
        let folder = tempfile::tempdir().unwrap();
        let names = Names::new(EngineFacts::default(), None);
        names.save(folder.path()).unwrap();
        let path = folder.path().join(FILE);
        let bytes = fs::read(&path).unwrap();
        for cut in 0..bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            assert_eq!(Names::load(folder.path()), None, "cut {cut}");
        }
    }
}

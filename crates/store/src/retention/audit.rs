//! One line per deletion in `audit.log`: who took what, when.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use plimsoll_model::ErrorClass;
use serde::Serialize;

/// A line of the audit log, written as one JSON object.
#[derive(Debug, Clone, Serialize)]
pub struct AuditLine<'a> {
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// Who asked.
    pub who: &'a str,
    /// What was done: `delete`, `shed`.
    pub action: &'a str,
    /// Of which table; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<&'a str>,
    /// Of which series.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<&'a str>,
    /// First millisecond.
    pub start_ms: i64,
    /// Millisecond after the last.
    pub end_ms: i64,
}

/// The line could not be made durable.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the audit log {path}", path = path.display())]
pub struct AuditError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl AuditError {
    /// The machine's fault, or a full disk.
    pub fn class(&self) -> ErrorClass {
        match self.source.kind() {
            io::ErrorKind::StorageFull => ErrorClass::Busy,
            _ => ErrorClass::Bug,
        }
    }
}

/// Adds a line to the log at `path` and makes it durable.
///
/// # Errors
///
/// [`AuditError`]; then what it tells of must not be done.
pub fn audit(path: &Path, line: &AuditLine<'_>) -> Result<(), AuditError> {
    let failed = |source| AuditError { path: path.to_owned(), source };
    let mut text = serde_json::to_vec(line).map_err(|error| failed(error.into()))?;
    text.push(b'\n');
    let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
    file.write_all(&text).map_err(failed)?;
    file.sync_all().map_err(failed)
}

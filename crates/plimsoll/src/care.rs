//! `plimsoll verify`, `backup` and `restore`: care for a data folder, also while a server runs.
//!
//! Not here: what is checked and copied (`store::verify`, `store::backup`).

use std::path::Path;

use plimsoll_model::chain;
use plimsoll_store::backup::{self, BackupError};
use plimsoll_store::verify::{self, Progress, VerifyError};

use crate::terminal::Terminal;

/// Why the data could not be cared for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CareError {
    /// There is nothing to check.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The copy failed.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// Something is wrong with the data; it was printed.
    #[error("{problems} problems were found; a running server sets damaged files aside by itself")]
    Damaged { problems: usize },
    /// The terminal is gone.
    #[error("cannot write to the terminal")]
    Terminal { source: std::io::Error },
}

/// Checks every byte of a data folder and prints what is wrong.
///
/// # Errors
///
/// [`CareError`]; damage is [`CareError::Damaged`].
pub(crate) fn verify(data: &Path, terminal: &mut Terminal) -> Result<(), CareError> {
    let report = verify::verify(data, |at| show(terminal, at))?;
    let told = |source| CareError::Terminal { source };
    for problem in &report.problems {
        terminal.line(&chain(problem)).map_err(told)?;
    }
    for name in &report.quarantined {
        terminal.line(&format!("set aside earlier: {name}")).map_err(told)?;
    }
    let line = format!(
        "generation {}: {} segments with {} rows, {} log files with {} records, {} bytes read",
        report.generation,
        report.segments,
        report.rows,
        report.wal_files,
        report.wal_records,
        report.bytes
    );
    terminal.line(&line).map_err(told)?;
    if report.is_clean() {
        return terminal.line("all of it is as it was written").map_err(told);
    }
    Err(CareError::Damaged { problems: report.problems.len().max(1) })
}

/// Copies a data folder into a backup.
///
/// # Errors
///
/// [`CareError`].
pub(crate) fn backup(data: &Path, target: &Path, terminal: &mut Terminal) -> Result<(), CareError> {
    let report = backup::backup(data, target, |at| show(terminal, at))?;
    let line = format!(
        "backed up generation {}: {} segments, {} log files, {} bytes, {} of them kept from before",
        report.generation, report.segments, report.wal_files, report.bytes, report.bytes_kept
    );
    let told = |source| CareError::Terminal { source };
    terminal.line(&line).map_err(told)?;
    for path in &report.damaged {
        terminal.line(&format!("damaged, left out: {}", path.display())).map_err(told)?;
    }
    Ok(())
}

/// Makes a data folder from a backup, whole or not at all.
///
/// # Errors
///
/// [`CareError`].
pub(crate) fn restore(from: &Path, data: &Path, terminal: &mut Terminal) -> Result<(), CareError> {
    let report = backup::restore(from, data, |at| show(terminal, at))?;
    let line = format!(
        "restored generation {}: {} files, {} bytes",
        report.generation, report.files, report.bytes
    );
    terminal.line(&line).map_err(|source| CareError::Terminal { source })
}

fn show(terminal: &mut Terminal, at: Progress<'_>) {
    if terminal.is_terminal() {
        let line = format!("{} of {} bytes", at.bytes_done, at.bytes_total);
        // Progress that cannot be shown is no reason to stop.
        let _ = terminal.status(&line);
    }
}

//! The one place that writes to standard output and standard error by hand.
//!
//! Not here: logs (`logging`).

use std::io::{IsTerminal, Write};

/// Where the program talks to a person.
#[derive(Debug)]
pub(crate) struct Terminal {
    is_terminal: bool,
    /// Letters of the line that is rewritten in place.
    status_letters: usize,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self { is_terminal: std::io::stdout().is_terminal(), status_letters: 0 }
    }

    /// Whether somebody looks at it.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, line: &str) -> std::io::Result<()> {
        self.clear()?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()
    }

    /// Writes text as it is.
    pub(crate) fn text(&mut self, text: &str) -> std::io::Result<()> {
        self.clear()?;
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Writes a line in place of the last one written so.
    pub(crate) fn status(&mut self, line: &str) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        let width = self.status_letters;
        write!(out, "\r{line:width$}")?;
        self.status_letters = line.chars().count();
        out.flush()
    }

    /// Writes a line to standard error.
    pub(crate) fn complain(&mut self, line: &str) -> std::io::Result<()> {
        self.clear()?;
        writeln!(std::io::stderr().lock(), "{line}")
    }

    fn clear(&mut self) -> std::io::Result<()> {
        if self.status_letters > 0 {
            self.status("")?;
            self.status_letters = 0;
            write!(std::io::stdout().lock(), "\r")?;
        }
        Ok(())
    }
}

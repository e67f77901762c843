//! Sets up logs: text lines on standard error, as severe as `log.level` says.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::settings::Settings;

/// Starts logging. `RUST_LOG`, where set, is finer than the setting.
pub(crate) fn start(settings: &Settings) {
    let level = settings.text("log", "level");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
    if started.is_err() {
        tracing::debug!("logging was started already");
    }
}

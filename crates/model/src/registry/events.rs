//! Which events are kept and how much they matter, read from `schemas/events.toml`.
//!
//! Not here: where events come from (`collect`), the columns of an event row
//! (`schemas/metrics/event.toml`).

use std::sync::LazyLock;

use serde::Deserialize;

use super::file::RegistryError;
use super::schema;

/// All rules about events.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct EventRules {
    format: u32,
    default: DefaultRule,
    #[serde(rename = "event")]
    rules: Vec<EventRule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct DefaultRule {
    keep: bool,
    severity: Severity,
}

/// What one type and action of event means.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventRule {
    /// What it happened to: `container`, `service`, `engine`, ...
    #[serde(rename = "type")]
    pub event_type: String,
    /// What happened, without the text after a colon.
    pub action: String,
    /// The text after the colon this rule is for; `None`: any or none.
    pub detail: Option<String>,
    /// Whether the event is stored.
    pub keep: bool,
    /// How much it matters.
    pub severity: Severity,
    /// How much it matters when something ended with an exit code other than 0.
    pub severity_failed: Option<Severity>,
    /// Who says it.
    #[serde(default)]
    pub by: Teller,
    /// What it means.
    pub help: String,
}

/// How much an event matters, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Only for those who look for it.
    Debug,
    /// Part of usual life.
    Info,
    /// Something to look at when there is time.
    Warning,
    /// Something broke.
    Error,
}

/// Who tells an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Teller {
    /// The engine's event stream.
    #[default]
    Engine,
    /// The collector, by comparing states.
    Collector,
    /// People and tools, through the API.
    Api,
}

/// What the rules say of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is stored.
    pub keep: bool,
    /// How much it matters.
    pub severity: Severity,
}

/// The embedded file.
const TEXT: &str = include_str!("../../../../schemas/events.toml");

// A broken embedded file cannot pass the tests; every event is then kept.
static EMBEDDED: LazyLock<EventRules> =
    LazyLock::new(|| EventRules::parse(TEXT).unwrap_or_default());

impl Default for DefaultRule {
    fn default() -> Self {
        Self { keep: true, severity: Severity::Info }
    }
}

impl EventRules {
    /// The rules this program was built with.
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// Reads the text of an `events.toml`.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        schema::parse("events", text, |file: &Self| file.format)
    }

    /// All rules, in the order of the file.
    pub fn rules(&self) -> &[EventRule] {
        &self.rules
    }

    /// The rule for an event: the one with its detail before the one without.
    pub fn rule(&self, event_type: &str, action: &str, detail: &str) -> Option<&EventRule> {
        let named = || {
            let of = |rule: &&EventRule| rule.event_type == event_type && rule.action == action;
            self.rules.iter().filter(of)
        };
        named()
            .find(|rule| rule.detail.as_deref() == Some(detail))
            .or_else(|| named().find(|rule| rule.detail.is_none()))
    }

    /// Whether an event is kept and how much it matters.
    ///
    /// `action` and `detail` are the parts before and after the engine's colon
    /// ([`split_action`]); `exit_code` is that of what ended, if anything did.
    pub fn verdict(
        &self,
        event_type: &str,
        action: &str,
        detail: &str,
        exit_code: Option<i64>,
    ) -> Verdict {
        let Some(rule) = self.rule(event_type, action, detail) else {
            return Verdict { keep: self.default.keep, severity: self.default.severity };
        };
        let failed = exit_code.is_some_and(|code| code != 0);
        let severity = if failed { rule.severity_failed } else { None }.unwrap_or(rule.severity);
        Verdict { keep: rule.keep, severity }
    }
}

/// Splits the engine's action at its first colon: `health_status: unhealthy` is
/// (`health_status`, `unhealthy`). The detail is empty where there is no colon.
pub fn split_action(action: &str) -> (&str, &str) {
    match action.split_once(':') {
        Some((action, detail)) => (action.trim_end(), detail.trim_start()),
        None => (action, ""),
    }
}

impl Severity {
    /// The word stored in the column `severity`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Teller {
    /// The word used in the documentation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Collector => "collector",
            Self::Api => "API",
        }
    }
}

//! Which events are kept and how much they matter: `schemas/events.toml`, embedded.

use std::sync::LazyLock;

use serde::Deserialize;

const FILE: &str = include_str!("../../../../schemas/events.toml");

#[derive(Debug, Deserialize)]
struct Rules {
    default: Verdict,
    #[serde(default)]
    event: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
struct Verdict {
    keep: bool,
    severity: String,
}

#[derive(Debug, Deserialize)]
struct Rule {
    #[serde(rename = "type")]
    kind: String,
    action: String,
    detail: Option<String>,
    keep: bool,
    severity: String,
    severity_failed: Option<String>,
}

// A file that does not parse cannot pass the tests; production would then keep everything.
static RULES: LazyLock<Option<Rules>> = LazyLock::new(|| toml::from_str(FILE).ok());

/// The severity of an event, `None` when it is not kept.
pub(super) fn severity(
    kind: &str,
    action: &str,
    detail: Option<&str>,
    exit_code: Option<i64>,
) -> Option<&'static str> {
    let Some(rules) = RULES.as_ref() else { return Some("info") };
    let matching = |rule: &&Rule, wanted: Option<&str>| {
        rule.kind == kind && rule.action == action && rule.detail.as_deref() == wanted
    };
    let exact = detail.and_then(|_| rules.event.iter().find(|rule| matching(rule, detail)));
    let rule = exact.or_else(|| rules.event.iter().find(|rule| matching(rule, None)));
    let Some(rule) = rule else {
        return rules.default.keep.then_some(rules.default.severity.as_str());
    };
    let failed = exit_code.is_some_and(|code| code != 0);
    let severity = rule.severity_failed.as_ref().filter(|_| failed).unwrap_or(&rule.severity);
    rule.keep.then_some(severity.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_applied() {
        assert!(RULES.is_some());
        assert_eq!(severity("container", "die", None, Some(0)), Some("info"));
        assert_eq!(severity("container", "die", None, Some(137)), Some("warning"));
        assert_eq!(
            severity("container", "health_status", Some("unhealthy"), None),
            Some("warning")
        );
        assert_eq!(severity("container", "exec_start", Some("sh"), None), None);
        assert_eq!(severity("nobody", "knows", None, None), Some("info"));
    }
}

//! Requests: what was asked, and the filters in it.
//!
//! Keeps true: a request that cannot be understood filters nothing rather than failing.
//!
//! Not here: answers.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Requests beyond this many are answered but not recorded.
pub(super) const RECORDED_MAX: usize = 100_000;

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRequest {
    /// Method, such as `GET`.
    pub method: String,
    /// Path with its version prefix.
    pub path: String,
    /// What followed the question mark, as it came; empty when there was none.
    pub query: String,
}

/// The query of a request, decoded.
#[derive(Debug, Clone, Default)]
pub(super) struct Query {
    values: BTreeMap<String, String>,
    filters: BTreeMap<String, BTreeSet<String>>,
}

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(key), decoded(value))
        });
        let values: BTreeMap<String, String> = pairs.collect();
        let filters = values.get("filters").map(|text| filters(text)).unwrap_or_default();
        Self { values, filters }
    }

    /// A parameter as the engine reads booleans: present and none of the words for no.
    pub(super) fn flag(&self, key: &str, otherwise: bool) -> bool {
        self.values.get(key).map_or(otherwise, |value| {
            !matches!(value.to_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
        })
    }

    /// A time given as seconds, with or without a fraction, in milliseconds.
    pub(super) fn time_ms(&self, key: &str) -> Option<i64> {
        let text = self.values.get(key)?;
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
        let seconds: i64 = seconds.parse().ok()?;
        seconds.checked_mul(1_000)?.checked_add(digits.parse().ok()?)
    }

    /// Whether a filter is absent or one of its values passes.
    pub(super) fn passes(&self, filter: &str, test: impl Fn(&str) -> bool) -> bool {
        self.filters.get(filter).is_none_or(|wanted| wanted.iter().any(|value| test(value)))
    }

    /// Whether all values of a label filter (`key` or `key=value`) are among labels.
    pub(super) fn labelled(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |wanted: &String| match wanted.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|known| known == value),
            None => labels.contains_key(wanted),
        };
        self.filters.get("label").is_none_or(|wanted| wanted.iter().all(has))
    }

    /// Whether a filter was given at all.
    pub(super) fn has_filter(&self, filter: &str) -> bool {
        self.filters.contains_key(filter)
    }
}

/// Filters are JSON: `{"name": ["a", "b"]}` or, from old clients, `{"name": {"a": true}}`.
fn filters(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let Ok(Value::Object(parsed)) = serde_json::from_str(text) else {
        return BTreeMap::new();
    };
    let values = |value: Value| match value {
        Value::Array(list) => {
            list.into_iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
        }
        Value::Object(map) => {
            map.into_iter().filter(|(_, on)| on.as_bool() == Some(true)).map(|(k, _)| k).collect()
        }
        _ => BTreeSet::new(),
    };
    let all = parsed.into_iter().map(|(name, value)| (name, values(value)));
    all.filter(|(_, wanted)| !wanted.is_empty()).collect()
}

/// Undoes percent-encoding; `+` is a space.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, hex.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(first),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Query, decoded};

    #[test]
    fn queries_are_decoded() {
        assert_eq!(decoded("a%20b+c%zz%"), "a b c%zz%");
        let query = Query::parse("all=1&since=12.5&filters=%7B%22type%22%3A%5B%22node%22%5D%7D");
        assert!(query.flag("all", false));
        assert_eq!(query.time_ms("since"), Some(12_500));
        assert!(query.passes("type", |value| value == "node"));
        assert!(!query.passes("type", |value| value == "container"));
        let old = Query::parse("filters={\"label\":{\"a=b\":true}}");
        assert!(old.labelled(&[("a".to_owned(), "b".to_owned())].into()));
        assert!(!old.labelled(&[("a".to_owned(), "c".to_owned())].into()));
    }
}

//! Label sets: what names a series, shared and cheap to compare.
//!
//! Holds: pairs are sorted by name, names are unique, no value is empty.
//! Not here: matching labels against a selector (`super::matcher`).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::FxHasher;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";
/// The label that holds the upper bound of a classic histogram's bucket.
pub const BUCKET: &str = "le";
/// Labels that describe the metric itself; whatever changes a value's meaning drops them.
pub(super) const METADATA: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// One label: its name and its value.
pub type Pair = (Arc<str>, Arc<str>);

/// A sorted set of labels. Cloning shares it.
#[derive(Clone)]
pub struct Labels(Arc<LabelSet>);

struct LabelSet {
    pairs: Box<[Pair]>,
    hash: u64,
}

impl Labels {
    /// The set without labels.
    pub fn empty() -> Self {
        Self::sorted(Vec::new())
    }

    /// A set from pairs in any order. Empty values are dropped; of one name the last value counts.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<Arc<str>>,
        V: Into<Arc<str>>,
    {
        let mut all: Vec<Pair> = pairs.into_iter().map(|(n, v)| (n.into(), v.into())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let mut unique: Vec<Pair> = Vec::with_capacity(all.len());
        for pair in all {
            match unique.last_mut() {
                Some(last) if last.0 == pair.0 => *last = pair,
                _ => unique.push(pair),
            }
        }
        unique.retain(|(_, value)| !value.is_empty());
        Self::sorted(unique)
    }

    /// A set from pairs that are already sorted by name, unique and without empty values.
    fn sorted(pairs: Vec<Pair>) -> Self {
        let mut hasher = FxHasher::default();
        for (name, value) in &pairs {
            name.hash(&mut hasher);
            value.hash(&mut hasher);
        }
        Self(Arc::new(LabelSet { pairs: pairs.into_boxed_slice(), hash: hasher.finish() }))
    }

    /// The value of a label, or `None` when the set lacks it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pair(name).map(|(_, value)| &**value)
    }

    /// The value of a label; empty when the set lacks it, as PromQL sees it.
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    fn pair(&self, name: &str) -> Option<&Pair> {
        self.0.pairs.iter().find(|(n, _)| &**n == name)
    }

    /// The metric's name; empty when there is none.
    pub fn metric_name(&self) -> &str {
        self.value(METRIC_NAME)
    }

    /// All labels, sorted by name.
    pub fn pairs(&self) -> &[Pair] {
        &self.0.pairs
    }

    /// Whether there are no labels.
    pub fn is_empty(&self) -> bool {
        self.0.pairs.is_empty()
    }

    /// The labels for which `keep` says yes.
    #[must_use]
    pub fn retain(&self, keep: impl Fn(&str) -> bool) -> Self {
        if self.0.pairs.iter().all(|(name, _)| keep(name)) {
            return self.clone();
        }
        Self::sorted(self.0.pairs.iter().filter(|(name, _)| keep(name)).cloned().collect())
    }

    /// Without the labels that describe the metric itself (`__name__`, `__type__`, `__unit__`).
    #[must_use]
    pub fn without_metadata(&self) -> Self {
        self.retain(|name| !METADATA.contains(&name))
    }

    /// With one label set; an empty value removes it.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        self.with_all(&[(name, value)])
    }

    /// With several labels set; empty values remove theirs.
    #[must_use]
    pub fn with_all(&self, changes: &[(&str, &str)]) -> Self {
        let kept = self.0.pairs.iter().cloned();
        let set = changes.iter().map(|(n, v)| (Arc::<str>::from(*n), Arc::<str>::from(*v)));
        Self::from_pairs(kept.chain(set))
    }

    /// A hash of the labels for which `keep` says yes: equal sets hash equal.
    pub fn hash_of(&self, keep: impl Fn(&str) -> bool) -> u64 {
        let mut hasher = FxHasher::default();
        for (name, value) in self.0.pairs.iter().filter(|(name, _)| keep(name)) {
            name.hash(&mut hasher);
            value.hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Whether two sets agree on the labels for which `keep` says yes.
    pub fn same_of(&self, other: &Self, keep: impl Fn(&str) -> bool) -> bool {
        let left = self.0.pairs.iter().filter(|(name, _)| keep(name));
        let right = other.0.pairs.iter().filter(|(name, _)| keep(name));
        left.eq(right)
    }

    /// Where `limit_ratio` puts this set in `[0, 1]`: the XXH64 of the set as Prometheus lays it
    /// out in memory (each string after its length in one byte, or `0xff` and three bytes).
    pub fn sampling_offset(&self) -> f64 {
        let mut bytes = Vec::with_capacity(64);
        for text in self.0.pairs.iter().flat_map(|(name, value)| [name, value]) {
            match u8::try_from(text.len()) {
                Ok(short) if short < 0xff => bytes.push(short),
                _ => {
                    bytes.push(0xff);
                    bytes.extend_from_slice(&text.len().to_le_bytes()[..3]);
                }
            }
            bytes.extend_from_slice(text.as_bytes());
        }
        super::xxh64::xxh64(&bytes) as f64 / u64::MAX as f64
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.hash == other.0.hash && self.0.pairs == other.0.pairs)
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.pairs.cmp(&other.0.pairs)
    }
}

/// Writes `{name="value", ...}` with the metric's name among the labels.
impl fmt::Display for Labels {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("{")?;
        for (index, (name, value)) in self.0.pairs.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            if super::text::is_plain_label_name(name) {
                write!(out, "{comma}{name}={}", super::text::quoted(value.as_bytes()))?;
            } else {
                let name = super::text::quoted(name.as_bytes());
                write!(out, "{comma}{name}={}", super::text::quoted(value.as_bytes()))?;
            }
        }
        out.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_sorted_unique_and_without_empty_values() {
        let labels = Labels::from_pairs([("b", "2"), ("a", "1"), ("b", "3"), ("c", "")]);
        assert_eq!(labels.to_string(), r#"{a="1", b="3"}"#);
        assert_eq!(labels.with("a", "").to_string(), r#"{b="3"}"#);
        assert_eq!(labels.with("a", "9"), Labels::from_pairs([("a", "9"), ("b", "3")]));
    }

    #[test]
    fn order_is_by_pairs_then_length() {
        let short = Labels::from_pairs([("a", "1")]);
        let long = Labels::from_pairs([("a", "1"), ("b", "1")]);
        let other = Labels::from_pairs([("a", "2")]);
        assert!(Labels::empty() < short && short < long && long < other);
    }
}

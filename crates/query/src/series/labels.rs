//! The labels of a series, and which matchers a scan can apply.
//!
//! Label sets are made once per series and kept in a [`SeriesCache`] that queries share.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use plimsoll_model::registry::LabelRules;
use plimsoll_model::{Dimension, Filter, Matcher as RowMatcher, Table};
use plimsoll_store::SeriesKey;
use rustc_hash::FxHashMap;

use super::names::Shown;
use crate::container_labels::ContainerLabels;
use crate::promql::{Labels, MatchOp, Matcher, Pair};

/// Most label sets kept; all are forgotten when there are more.
const LABEL_SETS_MAX: usize = 400_000;
/// Most descriptions of containers kept.
const DESCRIPTIONS_MAX: usize = 50_000;

/// Label sets that queries share. Holds LIMIT: it forgets everything when it is full.
#[derive(Debug, Default)]
pub struct SeriesCache {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Labels of containers by the JSON they stand in.
    described: FxHashMap<String, Arc<[Pair]>>,
    /// Per thing shown: labels by row key, with the description they were made with.
    sets: FxHashMap<(usize, Arc<SeriesKey>), Made>,
}

/// A description, if there was one, and the labels that were made with it.
type Made = (Option<Arc<[Pair]>>, Labels);

impl SeriesCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// The labels of a container as series have them, from the JSON they are stored as.
    pub(super) fn described(&self, json: &str) -> Option<Arc<[Pair]>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pairs) = kept.described.get(json) {
            return Some(pairs.clone());
        }
        let labels: ContainerLabels = serde_json::from_str(json).ok()?;
        let rules = &LabelRules::embedded().exposition;
        let pair = |(name, value): (&String, &String)| {
            let value = shortened(value, rules.label_bytes_max);
            (Arc::from(spelled(&rules.label_prefix, name)), Arc::from(value))
        };
        let pairs: Arc<[Pair]> = labels.iter().map(pair).collect();
        if kept.described.len() >= DESCRIPTIONS_MAX {
            kept.described.clear();
        }
        kept.described.insert(json.to_owned(), pairs.clone());
        Some(pairs)
    }

    /// All labels of a series without labels from cells.
    pub(super) fn labels(
        &self,
        shown: &Shown,
        key: &Arc<SeriesKey>,
        described: Option<&Arc<[Pair]>>,
    ) -> Labels {
        let of = (shown.id, key.clone());
        {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((with, labels)) = kept.sets.get(&of)
                && same(with.as_ref(), described)
            {
                return labels.clone();
            }
        }
        let labels = series_labels(shown, key, described.map(AsRef::as_ref), &[]);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.sets.len() >= LABEL_SETS_MAX {
            kept.sets.clear();
        }
        kept.sets.insert(of, (described.cloned(), labels.clone()));
        labels
    }
}

fn same(one: Option<&Arc<[Pair]>>, other: Option<&Arc<[Pair]>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}

/// Names of labels that every series has, shared.
struct Words {
    dimensions: Vec<(Dimension, Arc<str>)>,
    id: Arc<str>,
    name: Arc<str>,
    instance: Arc<str>,
}

static WORDS: LazyLock<Words> = LazyLock::new(|| Words {
    dimensions: Dimension::CONTAINER.iter().map(|of| (*of, Arc::from(of.name()))).collect(),
    id: Arc::from("id"),
    name: Arc::from("name"),
    instance: Arc::from("instance"),
});

/// All labels of a series; of one name the fixed label counts, then what names the row.
pub(super) fn series_labels(
    shown: &Shown,
    key: &SeriesKey,
    described: Option<&[Pair]>,
    of_cells: &[Pair],
) -> Labels {
    let (rules, words, subject) = (&LabelRules::embedded().exposition, &*WORDS, &key.subject);
    let mut pairs: Vec<Pair> = described.unwrap_or(&[]).to_vec();
    if shown.of_containers() {
        let id = rules.container_id.replace("{container_id}", &subject.container_id);
        pairs.push((words.id.clone(), Arc::from(id)));
        pairs.push((words.name.clone(), subject.container.clone()));
    }
    let (before, after) = &shown.instance;
    pairs.push((words.instance.clone(), Arc::from([before, &*subject.node, after].concat())));
    for (dimension, name) in &words.dimensions {
        pairs.push((name.clone(), subject.get(*dimension).clone()));
    }
    for key_label in &shown.keys {
        let Some(value) = key.keys.get(key_label.key) else { continue };
        let value = if key_label.before.is_empty() || value.starts_with('/') {
            value.clone()
        } else {
            Arc::from([key_label.before.as_str(), value].concat())
        };
        pairs.push((key_label.label.clone(), value));
    }
    pairs.extend_from_slice(of_cells);
    pairs.extend_from_slice(&shown.fixed);
    Labels::from_pairs(pairs)
}

/// A container label as cAdvisor names it.
pub(super) fn spelled(prefix: &str, name: &str) -> String {
    let plain = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    prefix.chars().chain(plain).collect()
}

/// At most `bytes_max` bytes of a text, cut between characters.
fn shortened(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or("")
}

/// The matchers that rows can be narrowed by.
pub(super) fn pushed_down(matchers: &[Matcher], table: &Table, all: &[&Shown]) -> Filter {
    let mut filter = Filter::default();
    for matcher in matchers {
        if let Some(matcher) = pushed(matcher, table, all) {
            filter.push(matcher);
        }
    }
    filter
}

fn pushed(matcher: &Matcher, table: &Table, all: &[&Shown]) -> Option<RowMatcher> {
    let name = &*matcher.name;
    let has = |of| table.dimensions().contains(&of);
    let rules = &LabelRules::embedded().exposition;
    // A fixed label or a text of the row may stand in for the row's own.
    if all.iter().any(|shown| shown.fixed(name).is_some() || shown.has_text(name)) {
        return None;
    }
    if name == "id" && matcher.op == MatchOp::Equal && has(Dimension::ContainerId) {
        let prefix = rules.container_id.strip_suffix("{container_id}")?;
        let id = matcher.value.strip_prefix(prefix)?;
        return Some(RowMatcher::equal(Dimension::ContainerId.name(), id));
    }
    if name == "instance" && matcher.op == MatchOp::Equal {
        let (before, after) = &all.first()?.instance;
        if all.iter().any(|shown| (&shown.instance.0, &shown.instance.1) != (before, after)) {
            return None;
        }
        let node = matcher.value.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?;
        return Some(RowMatcher::equal(Dimension::Node.name(), node));
    }
    let dimension = Dimension::from_name(name).filter(|of| has(*of));
    let column = match (name, dimension) {
        ("name", _) if has(Dimension::Container) => Dimension::Container.name(),
        (_, Some(dimension)) => dimension.name(),
        _ => plain_key(name, table, all)?,
    };
    match matcher.op {
        MatchOp::Equal => Some(RowMatcher::equal(column, &*matcher.value)),
        MatchOp::NotEqual => Some(RowMatcher::not_equal(column, &*matcher.value)),
        MatchOp::Regex => RowMatcher::matches(column, &matcher.value).ok(),
        MatchOp::NotRegex => RowMatcher::not_matches(column, &matcher.value).ok(),
    }
}

/// A key that is a label under its own name in everything shown.
fn plain_key<'t>(name: &str, table: &'t Table, all: &[&Shown]) -> Option<&'t str> {
    let index = table.keys().iter().position(|key| key == name)?;
    let is_plain = |shown: &&Shown| {
        let mut keys = shown.keys.iter();
        keys.any(|of| of.key == index && &*of.label == name && of.before.is_empty())
    };
    (!all.is_empty() && all.iter().all(is_plain))
        .then(|| table.keys().get(index))?
        .map(String::as_str)
}

//! The labels of a series, and which matchers a scan can apply.

use plimsoll_model::registry::LabelRules;
use plimsoll_model::{Dimension, Filter, Matcher as RowMatcher, Table};
use plimsoll_store::SeriesKey;

use super::names::Shown;
use crate::container_labels::ContainerLabels;
use crate::promql::{Labels, METRIC_NAME, MatchOp, Matcher};

/// The label `instance` of what node exporter shows, after the node's name.
const NODE_INSTANCE: &str = ":9100";
/// The label `job` of what node exporter shows.
const NODE_JOB: &str = "node-exporter";

/// All labels of a series; of one name the fixed label counts, then what names the row.
pub(super) fn series_labels(
    shown: &Shown,
    key: &SeriesKey,
    of_container: Option<&ContainerLabels>,
    of_piece: &[(String, String)],
) -> Labels {
    let rules = &LabelRules::embedded().exposition;
    let subject = &key.subject;
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut push = |name: &str, value: &str| pairs.push((name.to_owned(), value.to_owned()));
    for (name, value) in of_container.into_iter().flatten() {
        push(&spelled(&rules.label_prefix, name), shortened(value, rules.label_bytes_max));
    }
    if shown.table.dimensions().contains(&Dimension::ContainerId) {
        push("id", &rules.container_id.replace("{container_id}", &subject.container_id));
        push("name", &subject.container);
    } else if shown.of_cadvisor {
        push("id", &rules.root_id);
    }
    if shown.of_cadvisor {
        push("instance", &rules.instance.replace("{node}", &subject.node));
        push("job", &rules.job);
    } else {
        push("instance", &format!("{}{NODE_INSTANCE}", subject.node));
        push("job", NODE_JOB);
    }
    for dimension in shown.table.dimensions() {
        push(dimension.name(), subject.get(*dimension));
    }
    for (name, value) in shown.table.keys().iter().zip(&key.keys) {
        push(name, value);
    }
    pairs.extend(of_piece.iter().cloned());
    pairs.extend(shown.labels.clone());
    pairs.push((METRIC_NAME.to_owned(), shown.name.clone()));
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
    if name == "id" && matcher.op == MatchOp::Equal && has(Dimension::ContainerId) {
        let prefix = rules.container_id.strip_suffix("{container_id}")?;
        let id = matcher.value.strip_prefix(prefix)?;
        return Some(RowMatcher::equal(Dimension::ContainerId.name(), id));
    }
    let dimension = Dimension::from_name(name).filter(|of| has(*of));
    let column = match (name, dimension) {
        ("name", _) if has(Dimension::Container) => Dimension::Container.name(),
        (_, Some(dimension)) => dimension.name(),
        _ => table.keys().iter().find(|key| *key == name)?.as_str(),
    };
    // A fixed label or a text of the row may stand in for the row's own.
    if all.iter().any(|shown| shown.labels.contains_key(name) || has_text(shown, name)) {
        return None;
    }
    match matcher.op {
        MatchOp::Equal => Some(RowMatcher::equal(column, &*matcher.value)),
        MatchOp::NotEqual => Some(RowMatcher::not_equal(column, &*matcher.value)),
        MatchOp::Regex => RowMatcher::matches(column, &matcher.value).ok(),
        MatchOp::NotRegex => RowMatcher::not_matches(column, &matcher.value).ok(),
    }
}

fn has_text(shown: &Shown, name: &str) -> bool {
    let mut metrics = shown.metrics.iter();
    metrics.any(|index| shown.table.metrics().get(*index).is_some_and(|of| of.column == name))
}

//! What a history answer tells beside its values: coverage, gaps, names and units.
//!
//! Not here: the values (`history::evaluate`), what a stretch is (`history::coverage`).

use std::collections::BTreeMap;

use plimsoll_model::Dimension;
use plimsoll_store::{Resolution, SeriesKey};
use plimsoll_window::Steps;

use super::answer::{FIELD_LABEL, HistoryAnswer, HistoryField, HistoryGap, SERIES_GAPS_MAX};
use super::coverage::{Cover, Stretch, Union, gap_max_ms, gaps};
use super::groups::Groups;
use super::{FieldChoice, GroupLabel, HistoryRequest, Stat};

/// What an answer tells beside its values.
pub(super) struct Told<'a> {
    request: &'a HistoryRequest,
    gap_max_ms: i64,
    union: Union,
    series_gaps: Vec<HistoryGap>,
    series_gaps_left_out: usize,
}

impl<'a> Told<'a> {
    pub(super) fn new(request: &'a HistoryRequest) -> Self {
        let gap_max_ms = gap_max_ms(request.metric.table);
        let (union, series_gaps) = (Union::default(), Vec::new());
        Self { request, gap_max_ms, union, series_gaps, series_gaps_left_out: 0 }
    }

    /// Notes where a subject has samples.
    pub(super) fn tell(&mut self, key: &SeriesKey, stretches: &[Stretch]) -> Cover {
        self.union.add(stretches);
        for range in gaps(stretches, self.request.range) {
            if self.series_gaps.len() < SERIES_GAPS_MAX {
                let labels = gap_labels(self.request, key);
                self.series_gaps.push(HistoryGap { range, labels });
            } else {
                self.series_gaps_left_out = self.series_gaps_left_out.saturating_add(1);
            }
        }
        Cover::of(stretches, self.request.range)
    }

    /// The answer, as read from raw rows.
    pub(super) fn answer(
        self,
        groups: Groups,
        steps: &Steps,
        fields: Vec<FieldChoice>,
    ) -> HistoryAnswer {
        let request = self.request;
        let (coverage, gaps) = self.union.of(request.range, self.gap_max_ms);
        let mut warnings = Vec::new();
        if self.series_gaps_left_out > 0 {
            warnings.push(format!("{} more gaps are not listed", self.series_gaps_left_out));
        }
        let is_total = request.stat == Stat::Sum;
        let unit =
            |field: &FieldChoice| if is_total { &field.unit_total } else { &field.unit }.clone();
        let fields: Vec<HistoryField> = fields
            .into_iter()
            .map(|field| HistoryField { unit: unit(&field), name: field.name })
            .collect();
        HistoryAnswer {
            metric: request.metric.name.clone(),
            unit: common_unit(&fields),
            label_names: label_names(request, &fields),
            times_ms: steps.iter().map(|(start_ms, _)| start_ms).collect(),
            step_ms: request.step_ms,
            groups: groups.finish(&fields),
            fields,
            resolution: Resolution::Raw.name().to_owned(),
            coverage,
            gaps,
            series_gaps: self.series_gaps,
            warnings,
            rows: 0,
        }
    }
}

/// The unit of all fields, or none.
fn common_unit(fields: &[HistoryField]) -> String {
    let first = fields.first().map(|field| field.unit.as_str()).unwrap_or_default();
    let same = fields.iter().all(|field| field.unit == first);
    if same { first.to_owned() } else { String::new() }
}

/// The names of the labels; a container label that has the name of another one is written
/// `label.<name>`.
fn label_names(request: &HistoryRequest, fields: &[HistoryField]) -> Vec<String> {
    let table = request.metric.table;
    let field = (fields.len() > 1).then_some(FIELD_LABEL);
    let name = |by: &GroupLabel| {
        let name = by.name(table);
        let mut others = request.by.iter().filter(|other| *other != by);
        let taken = field == Some(name) || others.any(|other| other.name(table) == name);
        match by {
            GroupLabel::Container(_) if taken => format!("label.{name}"),
            _ => name.to_owned(),
        }
    };
    request.by.iter().map(name).chain(field.map(str::to_owned)).collect()
}

/// What names a subject to a person.
fn gap_labels(request: &HistoryRequest, key: &SeriesKey) -> BTreeMap<String, String> {
    let dimensions = [Dimension::Node, Dimension::Service, Dimension::Container];
    let of_subject = dimensions.iter().map(|of| (of.name(), key.subject.get(*of).as_ref()));
    let by_key = |(index, name)| {
        let grouped = request.by.contains(&GroupLabel::Key(index));
        let value = key.keys.get(index).map_or("", AsRef::as_ref);
        grouped.then_some((name, value))
    };
    let names = request.metric.table.keys().iter().map(String::as_str);
    of_subject
        .chain(names.enumerate().filter_map(by_key))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

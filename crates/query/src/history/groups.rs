//! Brings the values of subjects together in groups.
//!
//! A step of a group has the sum, average or largest of those of its subjects that have a value
//! in that step; none when none has.
//! Holds LIMIT: a group is not made when the answer would pass its limit of values.

use std::collections::BTreeMap;

use super::answer::{HistoryField, HistoryGroup};
use super::coverage::Cover;
use super::{Across, HistoryLimits, QueryError};

/// The groups of an answer that is being made.
#[derive(Debug)]
pub(super) struct Groups {
    steps: usize,
    fields: usize,
    across: Across,
    by_labels: BTreeMap<Vec<String>, Group>,
}

#[derive(Debug)]
struct Group {
    columns: Vec<Values>,
    cover: Cover,
}

/// One value per step, coming together.
#[derive(Debug, Clone)]
struct Values {
    values: Vec<Option<f64>>,
    subjects: Vec<u32>,
}

impl Groups {
    pub(super) fn new(steps: usize, fields: usize, across: Across) -> Self {
        Self { steps, fields, across, by_labels: BTreeMap::new() }
    }

    /// Adds a subject: one column of values per field, one value per step.
    pub(super) fn add(
        &mut self,
        labels: Vec<String>,
        columns: &[Vec<Option<f64>>],
        cover: Cover,
        limits: &HistoryLimits,
    ) -> Result<(), QueryError> {
        if !self.by_labels.contains_key(&labels) {
            let groups = self.by_labels.len().saturating_add(1);
            let points = groups.saturating_mul(self.fields).saturating_mul(self.steps);
            if points > limits.points_max {
                return Err(QueryError::Points { max: limits.points_max });
            }
        }
        let group = self.by_labels.entry(labels).or_insert_with(|| {
            let none = Values { values: vec![None; self.steps], subjects: vec![0; self.steps] };
            Group { columns: vec![none; self.fields], cover: Cover::default() }
        });
        group.cover.add(cover);
        for (held, column) in group.columns.iter_mut().zip(columns) {
            held.add(column, self.across);
        }
        Ok(())
    }

    /// One entry per set of labels and field, sorted by labels, then in the order of `fields`.
    pub(super) fn finish(self, fields: &[HistoryField]) -> Vec<HistoryGroup> {
        let across = self.across;
        let of_group = |(labels, group): (Vec<String>, Group)| {
            let coverage = group.cover.share();
            group.columns.into_iter().zip(fields).map(move |(column, field)| {
                let (mut labels, unit) = (labels.clone(), field.unit.clone());
                labels.extend((fields.len() > 1).then(|| field.name.clone()));
                HistoryGroup { labels, unit, values: column.finish(across), coverage }
            })
        };
        self.by_labels.into_iter().flat_map(of_group).collect()
    }
}

impl Values {
    fn add(&mut self, column: &[Option<f64>], across: Across) {
        let places = self.values.iter_mut().zip(&mut self.subjects);
        for ((place, subjects), value) in places.zip(column) {
            let Some(value) = value else { continue };
            *subjects = subjects.saturating_add(1);
            *place = Some(match (*place, across) {
                (None, _) => *value,
                (Some(before), Across::Max) => before.max(*value),
                (Some(before), Across::Sum | Across::Avg) => before + value,
            });
        }
    }

    fn finish(mut self, across: Across) -> Vec<Option<f64>> {
        if across == Across::Avg {
            for (place, subjects) in self.values.iter_mut().zip(&self.subjects) {
                *place = place.map(|sum| sum / f64::from(*subjects));
            }
        }
        self.values
    }
}

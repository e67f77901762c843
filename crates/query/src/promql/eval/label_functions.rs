//! Functions that change labels: `label_replace`, `label_join`.

use super::call::{argument, text_argument};
use super::{Evaluator, Grid, Row, merge_same_labels};
use crate::promql::ast::Call;
use crate::promql::error::QueryError;
use crate::promql::labels::METRIC_NAME;
use crate::promql::matcher::anchored;
use crate::promql::text::Text;

/// Bytes that one value takes.
const VALUE_BYTES: usize = 8;

impl Evaluator<'_> {
    /// Sets a label from the match of an expression against another.
    pub(super) fn label_replace(
        &mut self,
        call: &Call,
        grid: Grid,
    ) -> Result<Vec<Row>, QueryError> {
        let pattern = text_argument(call, 4)?.lossy();
        let Ok(regex) = anchored(&pattern) else {
            return Err(QueryError::LabelRegex { pattern });
        };
        let target = label_name(text_argument(call, 1)?, "destination", "label_replace")?;
        let template = text_argument(call, 2)?.lossy();
        let source = text_argument(call, 3)?.lossy();
        let mut rows = self.vector(argument(call, 0)?, grid)?;
        for row in &mut rows {
            let value = row.labels.value(&source);
            let Some(captures) = regex.captures(value) else {
                continue;
            };
            // Every reference may stand for the whole value; long labels count as values.
            let references = template.matches('$').count();
            let bytes = template.len().saturating_add(references.saturating_mul(value.len()));
            self.charge(bytes / VALUE_BYTES)?;
            let mut replacement = String::new();
            captures.expand(&template, &mut replacement);
            row.labels = row.labels.with(&target, &replacement);
            row.drops_name = row.drops_name && target != METRIC_NAME;
        }
        merge_same_labels(rows)
    }

    /// Sets a label to the values of others, joined.
    pub(super) fn label_join(&mut self, call: &Call, grid: Grid) -> Result<Vec<Row>, QueryError> {
        let target = label_name(text_argument(call, 1)?, "destination", "label_join")?;
        let separator = text_argument(call, 2)?.lossy();
        let mut sources = Vec::new();
        for index in 3..call.args.len() {
            sources.push(label_name(text_argument(call, index)?, "source", "label_join")?);
        }
        let mut rows = self.vector(argument(call, 0)?, grid)?;
        for row in &mut rows {
            let values: Vec<&str> = sources.iter().map(|name| row.labels.value(name)).collect();
            let bytes: usize = values.iter().map(|value| value.len() + separator.len()).sum();
            self.charge(bytes / VALUE_BYTES)?;
            let joined = values.join(&separator);
            row.labels = row.labels.with(&target, &joined);
            row.drops_name = row.drops_name && target != METRIC_NAME;
        }
        merge_same_labels(rows)
    }
}

/// A label name in an argument: any text that is not empty.
fn label_name(
    text: &Text,
    role: &'static str,
    function: &'static str,
) -> Result<String, QueryError> {
    match text.as_str() {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(QueryError::FunctionLabel { role, function, name: text.lossy() }),
    }
}

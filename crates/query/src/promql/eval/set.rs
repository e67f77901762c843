//! Set operators: `and`, `or`, `unless`.

use super::matching::matches;
use super::{ABSENT, Evaluator, Grid, Row, is_absent, merge_same_labels};
use crate::promql::ast::Binary;
use crate::promql::error::QueryError;
use crate::promql::operators::BinaryOp;

impl Evaluator<'_> {
    /// Evaluates a set operation.
    pub(super) fn set_operation(
        &mut self,
        binary: &Binary,
        mut left: Vec<Row>,
        mut right: Vec<Row>,
        grid: Grid,
    ) -> Result<Vec<Row>, QueryError> {
        for group in matches(&binary.matching, &left, &right) {
            self.charge(grid.steps)?;
            // The side whose presence decides, and the side that loses values.
            let (deciding, deciding_rows) = match binary.op {
                BinaryOp::Or => (&group.left, &left),
                _ => (&group.right, &right),
            };
            let mut there = vec![false; grid.steps];
            for index in deciding {
                for (there, value) in there.iter_mut().zip(&deciding_rows[*index].values) {
                    *there |= !is_absent(*value);
                }
            }
            let keeps_where = binary.op == BinaryOp::And;
            let losing = if binary.op == BinaryOp::Or { &group.right } else { &group.left };
            let losing_rows = if binary.op == BinaryOp::Or { &mut right } else { &mut left };
            for index in losing {
                for (value, there) in losing_rows[*index].values.iter_mut().zip(&there) {
                    if *there != keeps_where {
                        *value = ABSENT;
                    }
                }
            }
        }
        if binary.op == BinaryOp::Or {
            left.append(&mut right);
        }
        left.retain(|row| !row.is_empty());
        if grid.steps == 1 { Ok(left) } else { merge_same_labels(left) }
    }
}

//! Binary operators: arithmetic and comparisons of scalars and vectors.
//!
//! Not here: how series of two vectors find each other (`super::matching`), set operators
//! (`super::set`).

use super::{ABSENT, Evaluated, Evaluator, Grid, Row, is_absent};
use crate::promql::annotations::Note;
use crate::promql::ast::Binary;
use crate::promql::error::QueryError;
use crate::promql::operators::BinaryOp;

impl Evaluator<'_> {
    /// Evaluates a binary operation.
    pub(super) fn binary(&mut self, binary: &Binary, grid: Grid) -> Result<Evaluated, QueryError> {
        let left = self.eval(&binary.left, grid)?;
        let right = self.eval(&binary.right, grid)?;
        let op = binary.op;
        match (left, right) {
            (Evaluated::Scalar(mut left), Evaluated::Scalar(right)) => {
                for (left, right) in left.iter_mut().zip(right) {
                    *left = scalar_result(op, *left, right);
                }
                Ok(Evaluated::Scalar(left))
            }
            (Evaluated::Vector(rows), Evaluated::Scalar(scalars)) => {
                self.note_trim(binary, !rows.is_empty());
                Ok(Evaluated::Vector(with_scalar(binary, rows, &scalars, false)))
            }
            (Evaluated::Scalar(scalars), Evaluated::Vector(rows)) => {
                self.note_trim(binary, !rows.is_empty());
                Ok(Evaluated::Vector(with_scalar(binary, rows, &scalars, true)))
            }
            (Evaluated::Vector(left), Evaluated::Vector(right)) if op.is_set() => {
                self.set_operation(binary, left, right, grid).map(Evaluated::Vector)
            }
            (Evaluated::Vector(left), Evaluated::Vector(right)) => {
                self.matched(binary, left, right, grid).map(Evaluated::Vector)
            }
        }
    }

    /// Notes that a trim operator met floats, which it does nothing for.
    pub(super) fn note_trim(&mut self, binary: &Binary, met: bool) {
        if met && binary.op.is_trim() {
            let op = binary.op.symbol();
            self.note(&Note::FloatOperands { op }, binary.span);
        }
    }
}

/// The result of an operator on two numbers where comparisons give 0 or 1.
fn scalar_result(op: BinaryOp, left: f64, right: f64) -> f64 {
    if op.is_comparison() {
        f64::from(u8::from(holds(op, left, right)))
    } else {
        arithmetic(op, left, right)
    }
}

/// The result of an arithmetic operator.
pub(in crate::promql) fn arithmetic(op: BinaryOp, left: f64, right: f64) -> f64 {
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::Div => left / right,
        BinaryOp::Mod => left % right,
        BinaryOp::Pow => left.powf(right),
        BinaryOp::Atan2 => left.atan2(right),
        _ => f64::NAN,
    }
}

/// Whether a comparison holds.
fn holds(op: BinaryOp, left: f64, right: f64) -> bool {
    match op {
        BinaryOp::Eq => left == right,
        BinaryOp::Ne => left != right,
        BinaryOp::Gt => left > right,
        BinaryOp::Lt => left < right,
        BinaryOp::Ge => left >= right,
        BinaryOp::Le => left <= right,
        _ => false,
    }
}

/// What an operation on two samples gives: [`ABSENT`] where a comparison does not hold.
pub(super) fn sample_result(binary: &Binary, left: f64, right: f64) -> f64 {
    let op = binary.op;
    if op.is_trim() {
        ABSENT
    } else if !op.is_comparison() {
        arithmetic(op, left, right)
    } else if binary.returns_bool {
        scalar_result(op, left, right)
    } else if holds(op, left, right) {
        left
    } else {
        ABSENT
    }
}

/// An operation between each value of a vector and a scalar. Comparisons keep the vector's value.
fn with_scalar(binary: &Binary, rows: Vec<Row>, scalars: &[f64], swapped: bool) -> Vec<Row> {
    let (op, returns_bool) = (binary.op, binary.returns_bool);
    let mut rows = rows;
    for row in &mut rows {
        row.drops_name |= op.changes_meaning() || returns_bool;
        for (value, scalar) in row.values.iter_mut().zip(scalars) {
            if is_absent(*value) {
                continue;
            }
            let (left, right) = if swapped { (*scalar, *value) } else { (*value, *scalar) };
            *value = if op.is_comparison() && !returns_bool {
                if holds(op, left, right) { *value } else { ABSENT }
            } else {
                sample_result(binary, left, right)
            };
        }
    }
    rows.retain(|row| !row.is_empty());
    rows
}

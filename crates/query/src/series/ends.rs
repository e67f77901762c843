//! What the death of a container does to its series.
//!
//! A series ends one millisecond after its last sample of a life, so that it is gone at once and
//! not only after PromQL's look-back. Gauges say nothing while their container is dead; what
//! counters say when it died is their last sample.

use super::lives::Life;
use super::values::Piece;
use crate::promql::STALE_BITS;

/// Cuts the series of a life into what was while it lasted.
pub(super) fn cut(piece: &mut Piece, life: &Life, is_gauge: bool) {
    if life.dead.is_empty() {
        return;
    }
    let old = std::mem::take(piece);
    piece.labels = old.labels;
    let mut dead = life.dead.iter().copied().peekable();
    for (index, (time_ms, value)) in old.times.iter().zip(&old.values).enumerate() {
        while let Some((_, to_ms)) = dead.peek().copied().filter(|(_, to_ms)| *to_ms <= *time_ms) {
            end_before(piece, to_ms);
            dead.next();
        }
        if is_gauge && dead.peek().is_some_and(|(from_ms, _)| from_ms <= time_ms) {
            continue;
        }
        piece.times.push(*time_ms);
        piece.values.push(*value);
        piece.starts_ms.extend(old.starts_ms.get(index));
    }
    if dead.next().is_some() {
        end_before(piece, i64::MAX);
    }
}

/// Ends a series after its last sample, unless it has none or ended already.
pub(super) fn end_before(piece: &mut Piece, before_ms: i64) {
    let Some(last_ms) = piece.times.last().copied() else { return };
    let has_ended = piece.values.last().is_some_and(|value| value.to_bits() == STALE_BITS);
    if has_ended || last_ms.saturating_add(1) >= before_ms {
        return;
    }
    piece.times.push(last_ms.saturating_add(1));
    piece.values.push(f64::from_bits(STALE_BITS));
    if let Some(start_ms) = piece.starts_ms.last().copied() {
        piece.starts_ms.push(start_ms);
    }
}

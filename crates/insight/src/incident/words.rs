//! Says in words why something ranks where it does.

use super::change::Direction;
use super::metrics::WATCHED;
use super::rank::{CHANGED_Z_MIN, MetricChange, Presence};

/// Metrics a sentence names at most.
const NAMED_MAX: usize = 3;

pub(super) fn reason(
    presence: Presence,
    metrics: &[MetricChange],
    onset_ms: Option<i64>,
    start_ms: i64,
) -> String {
    match presence {
        Presence::Appeared => return "appeared in the window".to_owned(),
        Presence::WentSilent => return "has no samples in the window, went silent".to_owned(),
        Presence::Stayed => {}
    }
    let loud = metrics.iter().filter(|of| of.change.z.abs() >= CHANGED_Z_MIN);
    let parts: Vec<String> = loud.take(NAMED_MAX).map(sentence).collect();
    if parts.is_empty() {
        return match metrics.first() {
            Some(of) => format!("nothing unusual; largest: {}", sentence(of)),
            None => "too few samples to tell".to_owned(),
        };
    }
    let since = onset_ms.map_or_else(String::new, |onset_ms| {
        format!(", since {} s into the window", (onset_ms.saturating_sub(start_ms) / 1_000).max(0))
    });
    format!("{}{since}", parts.join("; "))
}

fn sentence(of: &MetricChange) -> String {
    let words = WATCHED.iter().find(|watched| watched.name == of.metric);
    let words = words.map_or(of.metric, |watched| watched.words);
    let change = &of.change;
    let went = match change.direction {
        Direction::Up => "rose",
        Direction::Down => "fell",
    };
    format!(
        "{words} {went} from {} to {} {} ({:+.1} times its usual spread)",
        short(change.baseline_median),
        short(change.window_median),
        of.unit.replace('_', " "),
        change.z,
    )
}

/// A number with three digits that say something.
fn short(value: f64) -> String {
    let size = value.abs();
    let steps = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    for (step, letter) in steps {
        if size >= step {
            return format!("{:.1}{letter}", value / step);
        }
    }
    if size >= 10.0 {
        format!("{value:.0}")
    } else if size >= 0.1 || size == 0.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

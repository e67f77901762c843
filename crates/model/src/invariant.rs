//! Checks of the invariants listed in `docs/architecture.md`, by id.
//!
//! A broken invariant panics in tests and debug builds and is counted in release builds,
//! so that production says it without stopping.

use std::sync::atomic::{AtomicU64, Ordering};

static BROKEN: AtomicU64 = AtomicU64::new(0);

/// How often an invariant was found broken since the process started.
pub fn broken_total() -> u64 {
    BROKEN.load(Ordering::Relaxed)
}

/// Counts one broken invariant; called by [`holds!`](crate::holds).
#[doc(hidden)]
pub fn count_broken() {
    BROKEN.fetch_add(1, Ordering::Relaxed);
}

/// Checks that an invariant holds: `holds!(GROW, growth >= 0)`.
///
/// Panics in debug builds; in release builds it is counted by
/// [`broken_total`](crate::invariant::broken_total).
#[macro_export]
macro_rules! holds {
    ($id:ident, $condition:expr) => {
        if !$condition {
            $crate::invariant::count_broken();
            debug_assert!(false, concat!("invariant ", stringify!($id), " is broken"));
        }
    };
}

//! The storage tests of the reliability programme, named by their ids.
//!
//! `docs/reliability.md` says what each id promises and which planted bug it has caught; the rigs
//! that need processes, loop devices or root are in `bench/tests/`.
#![allow(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::similar_names,
    unreachable_pub,
    reason = "tests count frames and bytes they made and fail by panicking"
)]

mod dice;
mod image;
mod planted;
mod r04_simulated_disk;
mod r05_r06_failures;
mod r08_mutants;
mod r09_locality;
mod r10_disk_full;
mod r12_r13_upkeep;
mod r14_backup;
mod r15_two_writers;
mod r17_golden;
mod start;
mod world;

//! Says what happened and what will be needed, from stored history.
//!
//! [`incident`] compares a stretch of time with what was usual around it and ranks what changed;
//! [`capacity`] turns usage into recommendations, forecasts and headroom. [`robust`] owns the
//! statistics both are made of.
//!
//! Keeps true: every judgement carries the numbers it was made of.
//! Not here: parsing of parameters and writing of answers (`serve`, the command line).

pub mod capacity;
pub mod incident;
pub mod robust;

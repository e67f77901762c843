//! Placeholder.

pub mod head;
pub mod scan;
pub mod segment;

//! Keeps batches: WAL, heads, segments, manifest, retention, scans.
//!
//! A frame is decoded, admitted, written to the WAL, synced, put into its table's head and only
//! then acknowledged. Heads become segments; the manifest is the only list of live segments. A
//! scan sees segments and heads of one table as one consistent view.
//!
//! Holds ACK, ONCE, SEG, SORT, KEEP, LIMIT and CORRUPT.
//! Not here: who may send or ask (`ingest`, `serve`), what answers mean (`query`).

pub mod backup;
pub mod compact;
pub mod disk;
pub mod engine;
pub mod export;
pub mod head;
pub mod manifest;
pub mod retention;
pub mod rollup;
pub mod sabotage;
pub mod scan;
pub mod segment;
pub mod verify;
pub mod wal;

pub use engine::{
    Appended, DeleteRequest, Rejection, RetentionOptions, Store, StoreError, StoreOptions,
    StoreStatus,
};
pub use rollup::{RollupError, SeriesWindows, StepWindows, WindowsAnswer, WindowsRequest};
pub use scan::{Chunk, Scan, ScanError, ScanLimits, ScanRequest, SeriesKey, SeriesRows};
pub use segment::{Resolution, Segment, SegmentError, SegmentMeta};

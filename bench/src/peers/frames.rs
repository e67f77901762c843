//! Rows as Plimsoll frames, as an agent that ships once a minute makes them.

use plimsoll_model::{Batch, BatchBuilder, Subject};
use plimsoll_wire::{FrameEncoder, FrameId, FrameLimits, SenderId};

use super::metric::{METRICS, Table};
use super::rows::Row;

/// Frames of one request.
const FRAMES_PER_REQUEST: usize = 30;

/// Makes requests of frames.
pub struct Frames {
    encoder: FrameEncoder,
    sequences: Vec<u64>,
    request: Vec<u8>,
    frames: usize,
    metrics: usize,
}

impl Frames {
    /// For `nodes` nodes and the first `metrics` of [`METRICS`].
    ///
    /// # Errors
    ///
    /// When the encoder cannot be set up.
    pub fn new(nodes: usize, metrics: usize) -> Result<Self, String> {
        let encoder =
            FrameEncoder::new(FrameLimits::default()).map_err(|error| error.to_string())?;
        let sequences = vec![0; nodes];
        Ok(Self { encoder, sequences, request: Vec::new(), frames: 0, metrics })
    }

    /// Adds the rows of one node, a frame per table; gives a request when one is full.
    ///
    /// # Errors
    ///
    /// A sentence that says which rows do not fit their table.
    pub fn add(
        &mut self,
        node: usize,
        rows: &[Row],
        subjects: &[Subject],
    ) -> Result<Option<Vec<u8>>, String> {
        for table in Table::ALL {
            let Some(batch) = batch(table, rows, subjects, self.metrics)? else { continue };
            self.sequences[node] += 1;
            let mut sender = [0; 16];
            sender[..8].copy_from_slice(&(node as u64 + 1).to_le_bytes());
            let sequence = self.sequences[node];
            let id = FrameId { sender: SenderId(sender), epoch: 1, sequence };
            let frame = self.encoder.encode(&batch, id).map_err(|error| error.to_string())?;
            self.request.extend(frame);
            self.frames += 1;
        }
        Ok(if self.frames >= FRAMES_PER_REQUEST { self.take() } else { None })
    }

    /// The request that is not full yet; none when it is empty.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        self.frames = 0;
        let request = std::mem::take(&mut self.request);
        (!request.is_empty()).then_some(request)
    }
}

/// The rows of one table; none when nothing of it was reported.
fn batch(
    table: Table,
    rows: &[Row],
    subjects: &[Subject],
    metrics: usize,
) -> Result<Option<Batch>, String> {
    let known = Batch::find_table(table.name()).map_err(|error| error.to_string())?;
    let mut builder = BatchBuilder::new(known);
    let problem = |error: plimsoll_model::batch::RowError| error.to_string();
    let columns: Vec<usize> = (0..metrics).filter(|at| METRICS[*at].table == table).collect();
    for row in rows {
        if columns.iter().all(|at| row.values[*at].is_none()) {
            continue;
        }
        let part = match table {
            Table::Container => "",
            Table::Network => row.parts[0],
            Table::Blkio => row.parts[1],
        };
        builder.row(row.time_ms, &subjects[row.container], &[part]);
        builder.int("started_at_ms", Some(row.started_at_ms)).map_err(problem)?;
        for at in &columns {
            builder.int(METRICS[*at].column, row.values[*at]).map_err(problem)?;
        }
    }
    if builder.num_rows() == 0 {
        return Ok(None);
    }
    builder.finish().map(Some).map_err(|error| error.to_string())
}

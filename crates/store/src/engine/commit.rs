//! The one thread that writes the WAL: many callers, one sync.
//!
//! It takes every request that waits, drops what was kept before, writes the rest as one group,
//! and only after the sync marks the frames, puts their rows into heads and answers.
//!
//! Holds ACK and ONCE.
//! Not here: decoding (`admit`), files (`wal::Writer`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};

use plimsoll_model::chain;
use plimsoll_wire::FrameId;
use rustc_hash::FxHashSet;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::admit::{Admitted, wide};
use super::shared::{Shared, count};
use super::{Appended, ReadOnly, Rejection, StoreError};
use crate::manifest::Mark;
use crate::sabotage::{Bug, is_planted};
use crate::wal::{Entry, Placed, WalError, Writer};

/// Bytes of frames after which a group is closed.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// The frames of one caller.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) frames: Vec<Pending>,
    pub(super) bytes: usize,
    /// Gives the bytes back to the queue's bound when the request is done.
    pub(super) _permit: OwnedSemaphorePermit,
    pub(super) reply: oneshot::Sender<Result<Vec<Appended>, StoreError>>,
}

/// One frame of a request.
#[derive(Debug)]
pub(super) enum Pending {
    /// To be written.
    Admitted(Box<Admitted>),
    /// Already answered.
    Settled(Appended),
}

/// Writes groups until every sender is gone.
pub(super) fn run(
    shared: &Arc<Shared>,
    mut writer: Writer,
    requests: &Receiver<Request>,
    wake: &SyncSender<()>,
) {
    while let Ok(first) = requests.recv() {
        let group = gather(shared, requests, first);
        commit(shared, &mut writer, group);
        let is_full = shared.measure() > shared.options.head_bytes_max
            || shared.wal_bytes() > shared.options.wal_bytes_max;
        if is_full {
            // A wake-up that already waits is enough.
            let _ = wake.try_send(());
        }
    }
}

fn gather(shared: &Shared, requests: &Receiver<Request>, first: Request) -> Vec<Request> {
    let mut bytes = first.bytes;
    let mut group = vec![first];
    let delay = shared.options.group_commit_max_delay;
    let until = shared.clock.monotonic().saturating_add(delay);
    while bytes < GROUP_BYTES_MAX {
        let left = until.saturating_sub(shared.clock.monotonic());
        let next = if left.is_zero() {
            requests.try_recv().ok()
        } else {
            requests.recv_timeout(left).ok()
        };
        let Some(request) = next else {
            break;
        };
        bytes = bytes.saturating_add(request.bytes);
        group.push(request);
    }
    group
}

fn commit(shared: &Shared, writer: &mut Writer, mut group: Vec<Request>) {
    shared.check_space();
    if let Some(why) = shared.refuses() {
        for request in group {
            let source = why.clone();
            let _ = request.reply.send(Err(StoreError::ReadOnly { source }));
        }
        return;
    }
    settle_known(shared, &mut group);
    let admitted = || {
        group.iter().flat_map(|request| &request.frames).filter_map(|pending| match pending {
            Pending::Admitted(admitted) => Some(admitted.as_ref()),
            Pending::Settled(_) => None,
        })
    };
    let entries: Vec<Entry<'_>> = admitted()
        .map(|frame| Entry { received_ms: frame.received_ms, payload: &frame.payload })
        .collect();
    let written = if entries.is_empty() {
        Ok(Vec::new())
    } else {
        writer.append(&entries).map(|done| {
            note_left(shared, done.left.as_ref());
            done.placed
        })
    };
    drop(entries);
    note_files(shared, writer);
    match written {
        Ok(placed) => {
            register(shared, admitted().zip(&placed));
            for (frame, place) in admitted().zip(&placed) {
                shared.apply(&frame.batch, place.end);
            }
            // Only now: a flush may take away closed files whose rows are all in segments.
            shared.wal_current.store(writer.current_id(), Ordering::Release);
            answer(shared, group);
        }
        Err(error) => fail(shared, group, error),
    }
}

// Answers frames that were kept before, and further copies inside the group: those become durable
// with the first copy, or fail with it.
fn settle_known(shared: &Shared, group: &mut [Request]) {
    let marks = shared.marks.lock();
    let mut in_group: FxHashSet<FrameId> = FxHashSet::default();
    for pending in group.iter_mut().flat_map(|request| &mut request.frames) {
        let Pending::Admitted(frame) = pending else {
            continue;
        };
        let (id, epoch) = (frame.id, frame.id.epoch);
        let mark = if is_planted(Bug::DedupeOff) { Mark::New } else { marks.find(id) };
        match mark {
            Mark::New if in_group.insert(id) => {}
            Mark::New | Mark::Seen => *pending = Pending::Settled(Appended::Duplicate),
            Mark::Forgotten => {
                let reason = Rejection::Epoch { epoch };
                *pending = Pending::Settled(Appended::Rejected { reason });
            }
        }
    }
}

fn note_left(shared: &Shared, left: Option<&WalError>) {
    if let Some(error) = left {
        count(&shared.counters.wal_failures, 1);
        tracing::warn!(error = %chain(error), "write-ahead log file left after a failure");
    }
}

// A file that was left holds nothing that was acknowledged but what is registered already.
fn note_files(shared: &Shared, writer: &mut Writer) {
    let mut files = shared.wal_files.lock();
    for id in writer.take_left() {
        files.entry(id).or_default();
    }
}

// The frames are durable: remembers them and where they stand, before their rows can be flushed.
fn register<'a>(shared: &Shared, placed: impl Iterator<Item = (&'a Admitted, &'a Placed)>) {
    let mut marks = shared.marks.lock();
    let mut files = shared.wal_files.lock();
    for (frame, place) in placed {
        marks.insert(frame.id);
        let file = files.entry(place.start.file).or_default();
        file.bytes = file.bytes.max(place.end.offset);
        file.last.insert(frame.batch.table().index(), place.start.offset);
    }
    count(&shared.counters.commits, 1);
    let mut read_only = shared.read_only.lock();
    if matches!(*read_only, Some(ReadOnly::WalFailed { .. })) {
        *read_only = None;
        tracing::info!("write-ahead log works again");
    }
}

fn answer(shared: &Shared, group: Vec<Request>) {
    let counters = &shared.counters;
    for request in group {
        let answers = request.frames.into_iter().map(|pending| match pending {
            Pending::Settled(appended) => {
                match appended {
                    Appended::Duplicate => count(&counters.frames_duplicate, 1),
                    _ => count(&counters.frames_rejected, 1),
                }
                appended
            }
            Pending::Admitted(frame) => {
                let (rows, samples) = (wide(frame.batch.num_rows()), frame.samples);
                count(&counters.frames_new, 1);
                count(&counters.rows, rows);
                count(&counters.rows_refused, frame.rows_refused);
                count(&counters.samples, samples);
                Appended::New { rows, samples }
            }
        });
        let answers = answers.collect();
        // A caller that went away does not mind.
        let _ = request.reply.send(Ok(answers));
    }
}

fn fail(shared: &Shared, group: Vec<Request>, error: WalError) {
    count(&shared.counters.wal_failures, 1);
    tracing::error!(error = %chain(&error), "frames not written");
    *shared.read_only.lock() = Some(ReadOnly::WalFailed { error: chain(&error) });
    let source = Arc::new(error);
    for request in group {
        let source = Arc::clone(&source);
        let _ = request.reply.send(Err(StoreError::Wal { source }));
    }
}

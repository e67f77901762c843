//! Frames that wait for the server, in order, within a bound of bytes.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// One frame.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) frame: Bytes,
    pub(super) rows: u64,
    /// Time of its first row.
    pub(super) from_ms: i64,
    /// Time of its last row.
    pub(super) to_ms: i64,
}

/// The frames that wait.
#[derive(Debug)]
pub(super) struct Queue {
    frames: VecDeque<Waiting>,
    bytes: usize,
    bytes_max: usize,
}

impl Queue {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn frames(&self) -> usize {
        self.frames.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Puts a frame at the end; returns the oldest ones that had to go for it. The first `kept`
    /// frames stay whatever happens, and so does the new one.
    pub(super) fn push(&mut self, waiting: Waiting, kept: usize) -> Vec<Waiting> {
        self.bytes += waiting.frame.len();
        self.frames.push_back(waiting);
        let mut dropped = Vec::new();
        while self.bytes > self.bytes_max && self.frames.len() > kept + 1 {
            let Some(oldest) = self.frames.remove(kept) else { break };
            self.bytes -= oldest.frame.len();
            dropped.push(oldest);
        }
        dropped
    }

    /// The frames at the front that fit into `bytes_max`, at least one, and their bytes.
    pub(super) fn front(&self, bytes_max: usize) -> (usize, Bytes) {
        let mut sum = 0;
        let fits = |waiting: &&Waiting| {
            sum += waiting.frame.len();
            sum <= bytes_max
        };
        let frames = self.frames.iter().take_while(fits).count().max(1).min(self.frames.len());
        if frames == 1 {
            return (1, self.frames.front().map(|first| first.frame.clone()).unwrap_or_default());
        }
        let mut body = BytesMut::new();
        for waiting in self.frames.iter().take(frames) {
            body.extend_from_slice(&waiting.frame);
        }
        (frames, body.freeze())
    }

    /// Takes the first `frames` frames out.
    pub(super) fn remove(&mut self, frames: usize) -> Vec<Waiting> {
        let removed: Vec<Waiting> = self.frames.drain(..frames.min(self.frames.len())).collect();
        self.bytes -= removed.iter().map(|waiting| waiting.frame.len()).sum::<usize>();
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(text: &'static str) -> Waiting {
        Waiting { frame: Bytes::from_static(text.as_bytes()), rows: 1, from_ms: 0, to_ms: 0 }
    }

    #[test]
    fn the_oldest_go_but_not_those_on_their_way() {
        let mut queue = Queue::new(6);
        assert!(queue.push(waiting("aa"), 0).is_empty());
        assert!(queue.push(waiting("bb"), 0).is_empty());
        assert!(queue.push(waiting("cc"), 1).is_empty());
        let dropped = queue.push(waiting("dd"), 1);
        assert_eq!(dropped.len(), 1);
        assert_eq!(dropped[0].frame, "bb");
        assert_eq!(queue.front(100).1, "aaccdd");
        assert_eq!(queue.bytes(), 6);
    }

    #[test]
    fn a_request_holds_what_fits_and_at_least_one_frame() {
        let mut queue = Queue::new(100);
        for text in ["aaaa", "bb", "cc"] {
            queue.push(waiting(text), 0);
        }
        assert_eq!(queue.front(0).0, 1);
        assert_eq!(queue.front(6).0, 2);
        queue.remove(1);
        assert_eq!(queue.front(4).1, "bbcc");
        queue.remove(9);
        assert!(queue.is_empty());
        assert_eq!(queue.bytes(), 0);
    }
}

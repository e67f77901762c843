//! Laws of manifests and marks.

use std::collections::BTreeSet;

use plimsoll_wire::{FrameId, SenderId};
use proptest::prelude::*;

use super::*;

fn sample(generation: u64) -> Manifest {
    let mut marks = Marks::default();
    for sequence in [1, 2, 3, 7, 9] {
        marks.insert(FrameId { sender: SenderId([3; 16]), epoch: 5, sequence });
    }
    let meta = SegmentMeta {
        bytes: 100,
        rows: 10,
        samples: 30,
        series: 2,
        start_ms: -5,
        end_ms: 1_700_000_000_000,
        crc32c: 77,
        index_offset: 50,
        index_crc32c: 99,
    };
    let entry = SegmentEntry {
        id: 4,
        table: "container".to_owned(),
        resolution: Resolution::Raw,
        date: "2023-11-14".to_owned(),
        meta,
        lineage: Lineage::default(),
    };
    Manifest {
        generation,
        next_segment: 5,
        segments: vec![entry],
        flushed: [("container".to_owned(), Position { file: 2, offset: 900 })].into(),
        marks: marks.to_file(),
        ..Manifest::default()
    }
}

#[test]
fn the_newest_generation_is_read_and_three_are_kept() {
    let dir = tempfile::tempdir().expect("dir");
    let disk = Disk::new();
    for generation in 1..=6 {
        write(&disk, dir.path(), dir.path(), &sample(generation)).expect("write");
    }
    std::fs::write(dir.path().join("notes.txt"), "not ours").expect("write");
    let found = read(&disk, dir.path()).expect("read");
    assert_eq!(found.manifest, sample(6));
    assert!(!found.fell_back && found.damaged.is_empty());
    let names: Vec<_> =
        disk.list(dir.path()).expect("list").iter().map(|f| f.name().to_owned()).collect();
    assert_eq!(names.len(), 7, "{names:?}");
}

#[test]
fn corrupt_any_changed_or_cut_byte_is_an_error() {
    let bytes = text::print(&sample(1)).expect("print");
    assert_eq!(text::parse(&bytes).expect("parse"), sample(1));
    for at in 0..bytes.len() {
        for change in [1_u8, 0x20, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            assert!(text::parse(&changed).is_err(), "byte {at}");
        }
        assert!(text::parse(&bytes[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn one_damaged_copy_costs_nothing_two_fall_back() {
    let dir = tempfile::tempdir().expect("dir");
    let disk = Disk::new();
    for generation in 1..=2 {
        write(&disk, dir.path(), dir.path(), &sample(generation)).expect("write");
    }
    std::fs::write(dir.path().join("0000000000000002"), "").expect("write");
    let found = read(&disk, dir.path()).expect("read");
    assert_eq!((found.manifest.generation, found.fell_back), (2, false));
    assert_eq!(found.damaged.len(), 1);
    std::fs::write(dir.path().join("0000000000000002.copy"), "x").expect("write");
    let found = read(&disk, dir.path()).expect("read");
    assert_eq!((found.manifest.generation, found.fell_back), (1, true));
    assert_eq!((found.damaged.len(), found.generation_max), (2, 2));
}

#[test]
fn a_generation_under_another_name_is_refused() {
    let dir = tempfile::tempdir().expect("dir");
    let disk = Disk::new();
    write(&disk, dir.path(), dir.path(), &sample(1)).expect("write");
    std::fs::copy(dir.path().join("0000000000000001"), dir.path().join("0000000000000009"))
        .expect("copy");
    let found = read(&disk, dir.path()).expect("read");
    assert_eq!((found.manifest.generation, found.fell_back), (1, true));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let mut manifest = sample(1);
    manifest.segments[0].table = "../../etc".to_owned();
    let bytes = text::print(&manifest).expect("print");
    assert!(matches!(text::parse(&bytes), Err(ManifestError::Segment { id: 4 })));
}

#[test]
fn limit_marks_stay_bounded() {
    let mut marks = Marks::default();
    let id = |sender: u32, epoch, sequence| {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&sender.to_le_bytes());
        FrameId { sender: SenderId(bytes), epoch, sequence }
    };
    // Every second sequence: each is a range of its own until the bound closes the lowest gaps.
    for sequence in 0..10_000 {
        marks.insert(id(1, 1, 2 * sequence + 1));
    }
    let text = serde_json::to_string(&marks.to_file()).expect("print");
    assert!(text.len() < 40_000, "{} bytes", text.len());
    assert_eq!(marks.find(id(1, 1, 19_999)), Mark::Seen);
    assert_eq!(marks.find(id(1, 1, 19_998)), Mark::New);
    for epoch in 2..40 {
        marks.insert(id(1, epoch, 1));
    }
    assert_eq!(marks.find(id(1, 1, 1)), Mark::Forgotten);
    assert_eq!(marks.find(id(1, 39, 1)), Mark::Seen);
    assert_eq!(marks.find(id(1, 40, 1)), Mark::New);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn once_marks_know_exactly_what_was_inserted(
        frames in proptest::collection::vec((0_u8..3, 0_u64..3, 1_u64..60), 0..150),
    ) {
        let id = |(sender, epoch, sequence): (u8, u64, u64)| FrameId {
            sender: SenderId([sender; 16]), epoch, sequence,
        };
        let mut marks = Marks::default();
        let model: BTreeSet<_> = frames.iter().copied().collect();
        for frame in &frames {
            marks.insert(id(*frame));
        }
        let back = Marks::from_file(&marks.to_file());
        let mut merged = Marks::default();
        merged.merge(&back);
        for sender in 0..3 {
            for epoch in 0..3 {
                for sequence in 0..62 {
                    let frame = (sender, epoch, sequence);
                    let expected =
                        if model.contains(&frame) { Mark::Seen } else { Mark::New };
                    for marks in [&marks, &back, &merged] {
                        prop_assert_eq!(marks.find(id(frame)), expected);
                    }
                }
            }
        }
    }
}

//! Laws of the WAL's bytes: what was placed comes back; damage costs only what it touches.

use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::record::{HEADER_BYTES, RECORD_HEAD_BYTES};
use super::*;
use crate::disk::Disk;
use crate::disk::faults::Faults;

fn payload(index: usize) -> Vec<u8> {
    (0..20 + index * 7 % 90).map(|at| (index * 31 + at * 7) as u8).collect()
}

fn append(writer: &mut Writer, payloads: &[Vec<u8>]) -> Result<Group, WalError> {
    let entries: Vec<Entry<'_>> =
        payloads.iter().map(|payload| Entry { received_ms: 5, payload }).collect();
    writer.append(&entries)
}

fn read_all(folder: &Path, id: u64) -> (Vec<Replayed>, Damage) {
    let mut reader = Reader::open(&file_path(folder, id), id).expect("open");
    let mut records = Vec::new();
    while let Some(record) = reader.next_record().expect("read") {
        records.push(record);
    }
    (records, reader.damage())
}

/// One file with ten records; returns the folder and where each record stands.
fn ten() -> (TempDir, Vec<Placed>) {
    let folder = tempfile::tempdir().expect("folder");
    let mut writer = Writer::new(Disk::new(), folder.path().to_owned(), 1 << 20, 1);
    let payloads: Vec<_> = (0..10).map(payload).collect();
    let placed = append(&mut writer, &payloads[..4]).expect("append").placed;
    let more = append(&mut writer, &payloads[4..]).expect("append").placed;
    (folder, [placed, more].concat())
}

#[test]
fn what_was_placed_comes_back_in_place() {
    let (folder, placed) = ten();
    let (records, damage) = read_all(folder.path(), 1);
    assert_eq!(damage, Damage::default());
    let found: Vec<_> = records.iter().map(|r| Placed { start: r.start, end: r.end }).collect();
    assert_eq!(found, placed);
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record.payload, payload(index));
        assert_eq!(record.received_ms, 5);
    }
}

#[test]
fn a_file_cut_at_any_byte_keeps_whole_records() {
    let (folder, placed) = ten();
    let path = file_path(folder.path(), 1);
    let whole = std::fs::read(&path).expect("read");
    for length in 0..=whole.len() {
        std::fs::write(&path, &whole[..length]).expect("write");
        let (records, damage) = read_all(folder.path(), 1);
        let kept = placed.iter().filter(|p| p.end.offset <= length as u64).count();
        assert_eq!(records.len(), kept, "cut at {length}");
        assert_eq!(damage.corrupt_bytes, 0, "cut at {length}");
        let used = placed[..kept].last().map_or(0, |p| p.end.offset);
        let used = if kept == 0 && length >= HEADER_BYTES { HEADER_BYTES as u64 } else { used };
        assert_eq!(damage.torn_bytes, length as u64 - used, "cut at {length}");
    }
}

#[test]
fn a_changed_byte_anywhere_costs_only_its_record() {
    let (folder, placed) = ten();
    let path = file_path(folder.path(), 1);
    let whole = std::fs::read(&path).expect("read");
    for at in 0..whole.len() {
        for change in [1_u8, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= change;
            std::fs::write(&path, &changed).expect("write");
            let (records, damage) = read_all(folder.path(), 1);
            let hit = placed
                .iter()
                .position(|p| p.start.offset <= at as u64 && (at as u64) < p.end.offset);
            let kept: Vec<_> = records.iter().map(|r| r.start).collect();
            let expected: Vec<_> = placed
                .iter()
                .enumerate()
                .filter(|(index, _)| Some(*index) != hit)
                .map(|(_, p)| p.start)
                .collect();
            assert_eq!(kept, expected, "byte {at}");
            assert!(damage != Damage::default(), "byte {at} unreported");
        }
    }
}

#[test]
fn a_record_inside_a_damaged_record_is_not_believed() {
    let folder = tempfile::tempdir().expect("folder");
    let mut writer = Writer::new(Disk::new(), folder.path().to_owned(), 1 << 20, 1);
    append(&mut writer, &[payload(3)]).expect("append");
    let inner = std::fs::read(file_path(folder.path(), 1)).expect("read")[HEADER_BYTES..].to_vec();
    let mut writer = Writer::new(Disk::new(), folder.path().to_owned(), 1 << 20, 2);
    append(&mut writer, &[inner, payload(1)]).expect("append");
    let path = file_path(folder.path(), 2);
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[HEADER_BYTES + 4] ^= 1;
    std::fs::write(&path, &bytes).expect("write");
    let (records, damage) = read_all(folder.path(), 2);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].payload, payload(1));
    assert!(damage.corrupt_bytes > 0);
}

#[test]
fn empty_short_and_foreign_files_are_ordinary_input() {
    let folder = tempfile::tempdir().expect("folder");
    let path = file_path(folder.path(), 9);
    for bytes in [Vec::new(), vec![0; 3], vec![0; 5000], vec![0xd7; 70_000], b"hello".to_vec()] {
        std::fs::write(&path, &bytes).expect("write");
        let (records, damage) = read_all(folder.path(), 9);
        assert!(records.is_empty());
        assert_eq!(damage.corrupt_bytes + damage.torn_bytes, bytes.len() as u64);
    }
}

#[test]
fn records_across_the_read_window_come_back() {
    let folder = tempfile::tempdir().expect("folder");
    let mut writer = Writer::new(Disk::new(), folder.path().to_owned(), 1 << 30, 1);
    let payloads: Vec<Vec<u8>> =
        (0..40).map(|index| vec![index as u8; 90_001 + index * 13_577]).collect();
    let placed = append(&mut writer, &payloads).expect("append").placed;
    let path = file_path(folder.path(), 1);
    let mut bytes = std::fs::read(&path).expect("read");
    let hurt = (placed[20].start.offset + 70_000) as usize;
    bytes[hurt] ^= 4;
    std::fs::write(&path, &bytes).expect("write");
    let (records, damage) = read_all(folder.path(), 1);
    assert_eq!(records.len(), 39);
    assert_eq!(damage.corrupt_bytes, (RECORD_HEAD_BYTES + payloads[20].len()) as u64);
}

#[test]
fn full_files_are_closed_and_names_are_never_used_twice() {
    let folder = tempfile::tempdir().expect("folder");
    let mut writer = Writer::new(Disk::new(), folder.path().to_owned(), 200, 4);
    let files: Vec<u64> = (0..12)
        .map(|index| append(&mut writer, &[payload(index)]).expect("append").placed[0].start.file)
        .collect();
    assert!(files.is_sorted() && files[0] == 4 && *files.last().expect("last") > 5);
    for id in 4..=files[11] {
        let (records, damage) = read_all(folder.path(), id);
        assert_eq!(records.len(), files.iter().filter(|file| **file == id).count());
        assert_eq!(damage, Damage::default());
    }
}

#[test]
fn ack_a_failed_file_is_left_and_its_group_rewritten() {
    for nth in 0..8 {
        let folder = tempfile::tempdir().expect("folder");
        let faults = Faults::default();
        let disk = Disk::with_faults(faults.clone());
        let mut writer = Writer::new(disk, folder.path().to_owned(), 1 << 20, 1);
        let first = append(&mut writer, &[payload(0)]).expect("append").placed[0].start.file;
        faults.fail(nth, 1);
        let group = append(&mut writer, &[payload(1), payload(2)]).expect("second file");
        let reached = !faults.heal();
        let file = group.placed[0].start.file;
        assert_eq!(group.left.is_some(), reached);
        assert_eq!(file > first, reached, "fault {nth}");
        let after = append(&mut writer, &[payload(3)]).expect("append").placed[0].start.file;
        assert_eq!(after, file, "the left file is not used again");
        let (records, _) = read_all(folder.path(), file);
        let payloads: Vec<_> = records.into_iter().map(|record| record.payload).collect();
        assert!(payloads.ends_with(&[payload(1), payload(2), payload(3)]));
    }
}

#[test]
fn ack_two_failures_in_a_row_place_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let faults = Faults::default();
    let disk = Disk::with_faults(faults.clone());
    let mut writer = Writer::new(disk, folder.path().to_owned(), 1 << 20, 1);
    append(&mut writer, &[payload(0)]).expect("append");
    faults.fail(0, 100);
    assert!(append(&mut writer, &[payload(1)]).is_err());
    faults.heal();
    let placed = append(&mut writer, &[payload(2)]).expect("append").placed;
    let (records, _) = read_all(folder.path(), placed[0].start.file);
    assert_eq!(records[0].payload, payload(2));
    assert_eq!(writer.take_left(), vec![1, 2]);
}

#[test]
fn names_are_sixteen_lower_hex_digits() {
    assert_eq!(file_id("00000000000000ff.wal"), Some(255));
    for name in ["ff.wal", "00000000000000FF.wal", "00000000000000ff", "+0000000000000ff.wal"] {
        assert_eq!(file_id(name), None, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_patch_leaves_the_records_it_does_not_touch(
        at in 0_usize..700, patch in proptest::collection::vec(any::<u8>(), 1..120),
    ) {
        let (folder, placed) = ten();
        let path = file_path(folder.path(), 1);
        let mut bytes = std::fs::read(&path).expect("read");
        let at = at % bytes.len();
        let end = (at + patch.len()).min(bytes.len());
        bytes[at..end].copy_from_slice(&patch[..end - at]);
        std::fs::write(&path, &bytes).expect("write");
        let (records, _) = read_all(folder.path(), 1);
        for (index, place) in placed.iter().enumerate() {
            let found = records.iter().find(|record| record.start == place.start);
            let touched = (place.start.offset as usize) < end && at < place.end.offset as usize;
            prop_assert!(touched || found.is_some(), "record {index} lost");
            if let Some(found) = found {
                prop_assert_eq!(&found.payload, &payload(index));
            }
        }
    }
}

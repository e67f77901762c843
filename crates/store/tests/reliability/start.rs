//! Starting with many segments takes little time: no segment is opened before it is asked for.

use std::time::Instant;

use plimsoll_store::disk::Disk;
use plimsoll_store::manifest;

use crate::world::*;

const SEGMENTS: u64 = 10_000;

#[test]
fn a_store_with_ten_thousand_segments_starts_within_two_seconds() {
    let dir = folder();
    let store = open(dir.path());
    append_new(&store, 1..=3);
    wait(store.close()).expect("close");
    let disk = Disk::new();
    let folder = dir.path().join("manifest");
    let mut grown = manifest::read(&disk, &folder).expect("manifest").manifest;
    let first = grown.segments[0].clone();
    let original = dir.path().join("segments").join(first.path());
    for id in first.id + 1..first.id + SEGMENTS {
        let mut entry = first.clone();
        entry.id = id;
        std::fs::hard_link(&original, dir.path().join("segments").join(entry.path()))
            .expect("link");
        grown.segments.push(entry);
    }
    grown.generation += 1;
    grown.next_segment += SEGMENTS;
    manifest::write(&disk, &folder, &dir.path().join("tmp"), &grown).expect("manifest");
    let started = Instant::now();
    let store = open(dir.path());
    let took = started.elapsed();
    assert_eq!(store.status().segments, SEGMENTS);
    println!("figure=start segments={SEGMENTS} took_ms={}", took.as_millis());
    assert!(took.as_secs() < 2, "{took:?}");
}

//! Damaged files: only what they held is missing, the answer says so, and the store starts.

use proptest::prelude::*;

use super::*;

fn flip(path: &Path, at: u64, change: u8) {
    let mut bytes = std::fs::read(path).expect("read");
    bytes[at as usize] ^= change;
    std::fs::write(path, bytes).expect("write");
}

#[tokio::test(flavor = "multi_thread")]
async fn corrupt_a_damaged_wal_record_costs_only_its_frame() {
    let dir = folder();
    let store = open(dir.path());
    let mut ends = Vec::new();
    for n in 1..=6 {
        append_new(&store, n..=n).await;
        ends.push(std::fs::metadata(&files(&dir.path().join("wal"))[0]).expect("wal").len());
    }
    drop(store);
    for (hurt, end) in ends.into_iter().enumerate() {
        let try_dir = folder();
        copy_tree(dir.path(), try_dir.path());
        let wal = files(&try_dir.path().join("wal")).remove(0);
        flip(&wal, end - 10, 0x10);
        let store = open(try_dir.path());
        let lost = hurt as u64 + 1;
        let kept: Vec<_> = (1..=6).filter(|n| *n != lost).collect();
        assert_eq!(frames_in(&store), kept);
        assert!(store.status().corrupt_bytes > 0);
        // The lost frame is taken when it comes again, and the damaged file is kept for a person.
        append_new(&store, lost..=lost).await;
        store.close().await.expect("close");
        let store = open(try_dir.path());
        assert_eq!(frames_in(&store), [1, 2, 3, 4, 5, 6]);
        assert_eq!(store.status().quarantined.len(), 1);
        assert_eq!(store.status().corrupt_bytes, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn corrupt_one_damaged_manifest_costs_nothing() {
    let dir = folder();
    let store = open(dir.path());
    for n in 1..=4 {
        append_new(&store, n..=n).await;
        store.flush().await.expect("flush");
    }
    drop(store);
    for index in 0..6 {
        let try_dir = folder();
        copy_tree(dir.path(), try_dir.path());
        let manifest = files(&try_dir.path().join("manifest")).remove(index);
        flip(&manifest, 40, 1);
        for round in 0..2 {
            let store = open(try_dir.path());
            assert_eq!(frames_in(&store), [1, 2, 3, 4], "manifest {index}");
            let touched = index == 4;
            assert_eq!(store.status().quarantined.len(), usize::from(touched), "{round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn corrupt_without_any_manifest_no_segment_is_deleted() {
    let dir = folder();
    let store = open(dir.path());
    append_new(&store, 1..=4).await;
    store.flush().await.expect("flush");
    append_new(&store, 5..=5).await;
    drop(store);
    let segments = files(&dir.path().join("segments"));
    for manifest in files(&dir.path().join("manifest")) {
        std::fs::write(manifest, "").expect("write");
    }
    let store = open(dir.path());
    let status = store.status();
    assert_eq!(status.orphans_kept, segments.len() as u64);
    assert!(frames_in(&store).contains(&5));
    store.close().await.expect("close");
    let quarantined = files(&dir.path().join("quarantine"));
    let names: Vec<_> = quarantined.iter().map(|path| path.file_name()).collect();
    assert!(segments.iter().all(|path| names.contains(&path.file_name())), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn corrupt_a_cut_segment_is_set_aside_and_named_in_answers() {
    for length in [0, 100] {
        let dir = folder();
        let store = open(dir.path());
        append_new(&store, 1..=2).await;
        store.flush().await.expect("flush");
        append_new(&store, 1000..=1001).await;
        store.close().await.expect("close");
        let segment = files(&dir.path().join("segments")).remove(0);
        let file = std::fs::OpenOptions::new().write(true).open(&segment).expect("open");
        file.set_len(length).expect("cut");
        for _ in 0..2 {
            let store = open(dir.path());
            let (found, warnings) = content(&store, table("container"));
            assert!(!found.is_empty() && warnings.len() == 1, "{warnings:?}");
            let status = store.status();
            assert_eq!((status.lost.len(), status.quarantined.len()), (1, 1));
            assert!(!segment.exists());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn corrupt_a_changed_segment_is_left_out_then_set_aside() {
    let dir = folder();
    let store = open(dir.path());
    append_new(&store, 1..=2).await;
    store.close().await.expect("close");
    let segment = files(&dir.path().join("segments")).remove(0);
    flip(&segment, 30, 0xff);
    let store = open(dir.path());
    let before = content(&store, table("container"));
    assert_eq!(before.1.len(), 1, "{before:?}");
    store.maintain();
    let after = content(&store, table("container"));
    assert_eq!((&after.0, after.1.len()), (&before.0, 1));
    assert_eq!(store.status().quarantined.len(), 1);
    assert!(!segment.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_go_and_unknown_files_stay() {
    let dir = folder();
    let store = open(dir.path());
    append_new(&store, 1..=2).await;
    store.close().await.expect("close");
    let segment = files(&dir.path().join("segments")).remove(0);
    let leftover = segment.with_file_name("00000000000000aa.parquet");
    let foreign = segment.with_file_name("mine.parquet");
    let tmp = dir.path().join("tmp");
    let aside = [tmp.join("00000000000000bb.parquet"), tmp.join("manifest-1.tmp")];
    let unknown = [foreign, tmp.join("notes"), dir.path().join("wal").join("x.wal")];
    for path in aside.iter().chain(&unknown).chain([&leftover]) {
        std::fs::write(path, "x").expect("write");
    }
    let store = open(dir.path());
    assert_eq!(frames_in(&store), [1, 2]);
    assert!(!leftover.exists() && aside.iter().all(|path| !path.exists()));
    assert!(unknown.iter().all(|path| path.exists()));
    // A name that was ever used is not used again.
    append_new(&store, 3..=3).await;
    store.close().await.expect("close");
    assert!(
        files(&dir.path().join("segments"))
            .iter()
            .any(|path| path.ends_with("00000000000000ab.parquet"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn corrupt_any_one_damaged_file_is_survived_and_reported(
        pick: usize, kind in 0_u8..5, at: u64, change in 1_u8..=255,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("runtime");
        let dir = folder();
        runtime.block_on(async {
            let store = open(dir.path());
            append_new(&store, 1..=3).await;
            store.flush().await.expect("flush");
            append_new(&store, 4..=6).await;
        });
        let files: Vec<_> =
            files(dir.path()).into_iter().filter(|path| !path.ends_with("LOCK")).collect();
        let path = &files[pick % files.len()];
        let length = std::fs::metadata(path).expect("file").len();
        match kind {
            0 => flip(path, at % length, change),
            1 => std::fs::write(path, "").expect("empty"),
            2 => std::fs::write(path, vec![0; length as usize]).expect("zeros"),
            3 => {
                let bytes = std::fs::read(path).expect("read");
                std::fs::write(path, &bytes[..(at % length) as usize]).expect("cut");
            }
            _ => {
                let mut bytes = std::fs::read(path).expect("read");
                bytes.extend(std::iter::repeat_n(change, 1 + (at % 5000) as usize));
                std::fs::write(path, bytes).expect("longer");
            }
        }
        let store = open(dir.path());
        let frames = frames_in(&store);
        let (_, warnings) = content(&store, table("container"));
        let status = store.status();
        // A log cut just after a record looks like one whose next record was never written.
        let is_cut_log = kind == 3 && path.extension().is_some_and(|ending| ending == "wal");
        let reported = !warnings.is_empty() || status.corrupt_bytes + status.torn_bytes > 0;
        let reported = reported || is_cut_log;
        prop_assert!(frames.len() == 6 || reported, "{frames:?} {status:?}");
        // All that is missing lies in the one file.
        prop_assert!(frames.len() >= 3, "{frames:?} {path:?}");
    }
}

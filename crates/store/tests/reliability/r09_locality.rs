//! R9: one changed bit in one record of a log costs that record and no other.

use crate::world::*;

#[test]
fn r9_one_bad_record_costs_only_itself() {
    let dir = folder();
    let store = open(dir.path());
    let mut ends = Vec::new();
    let wal = dir.path().join("wal");
    for n in 1..=8 {
        append_new(&store, n..=n);
        let file = files(&wal).pop().expect("log");
        let bytes = std::fs::metadata(&file).expect("log").len();
        ends.push((file.strip_prefix(dir.path()).expect("below").to_owned(), bytes));
    }
    drop(store);
    for (index, (path, end)) in ends.iter().enumerate() {
        let copy = folder();
        copy_tree(dir.path(), copy.path());
        let path = copy.path().join(path);
        let mut bytes = std::fs::read(&path).expect("read");
        bytes[*end as usize - 10] ^= 1;
        std::fs::write(&path, bytes).expect("write");
        let store = open(copy.path());
        let lost = index as u64 + 1;
        let kept: Vec<_> = (1..=8).filter(|n| *n != lost).collect();
        assert_eq!(frames_in(&store), kept, "record {lost} was hit");
        assert!(store.status().corrupt_bytes > 0);
    }
    println!("figure=r9 records=8 lost_per_flip=1");
}

//! R15: one data directory, one writer. `bench/tests/` does the same with two processes.

use plimsoll_model::ErrorClass;
use plimsoll_store::{Store, StoreError};

use crate::world::*;

#[test]
fn r15_a_second_store_is_refused_until_the_first_is_gone() {
    let dir = folder();
    let store = open(dir.path());
    append_new(&store, 1..=3);
    for _ in 0..3 {
        let second = Store::open(options(dir.path()), clock());
        let Err(error @ StoreError::InUse { .. }) = second else {
            panic!("a second store opened");
        };
        assert_eq!(error.class(), ErrorClass::Busy);
        append_new(
            &store,
            10 + frames_in(&store).len() as u64..=10 + frames_in(&store).len() as u64,
        );
    }
    let frames = frames_in(&store);
    drop(store);
    let store = open(dir.path());
    assert_eq!(frames_in(&store), frames);
    // A clone keeps the directory; closing gives it back although clones live.
    let clone = store.clone();
    wait(store.close()).expect("close");
    let third = open(dir.path());
    assert_eq!(frames_in(&third), frames_in(&clone));
}

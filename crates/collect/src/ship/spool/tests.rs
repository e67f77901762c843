//! Crashes, cuts and flipped bits, and how little a day of a hundred containers is.

use std::collections::BTreeSet;

use plimsoll_model::{Batch, BatchBuilder, Subject};
use plimsoll_wire::{FrameId, SenderId};
use proptest::prelude::*;

use super::*;
use crate::usage::{BlkioUsage, ContainerUsage, NetworkUsage};

fn ids(epoch: u64) -> Ids {
    Ids { sender: SenderId([7; 16]), epoch, sequence: 0 }
}

/// A batch of one row whose value is `value`.
fn batch(value: i64) -> Batch {
    let mut builder = BatchBuilder::new(Batch::find_table("container").unwrap());
    builder.row(value * 10_000, &Subject::node("c", "n"), &[]);
    builder.int("pids", Some(value)).unwrap();
    builder.finish().unwrap()
}

fn frame(value: i64, id: FrameId) -> Waiting {
    merge::framed(&batch(value), &mut || id).unwrap()
}

/// The values in some frames, in order, and the identities of the frames.
fn values(frames: &[Waiting]) -> (Vec<i64>, Vec<(u64, u64)>) {
    use arrow_array::cast::AsArray as _;
    use arrow_array::types::Int64Type;
    let (mut values, mut names) = (Vec::new(), Vec::new());
    for frame in frames {
        let (header, batch) = plimsoll_wire::decode(&frame.frame).unwrap();
        names.push((header.id.epoch, header.id.sequence));
        assert_eq!(frame.rows, u64::from(header.rows));
        values.extend(batch.column_named("pids").unwrap().as_primitive::<Int64Type>().values());
    }
    (values, names)
}

/// Everything in a spool, as a server would get it.
fn drain(spool: &mut Spool, ids: &mut Ids) -> (Vec<i64>, Vec<(u64, u64)>) {
    let mut all = Vec::new();
    loop {
        let frames = spool.front(1 << 20, ids).unwrap();
        if frames.is_empty() {
            return values(&all);
        }
        spool.remove(frames.len());
        all.extend(frames);
    }
}

fn records(count: i64) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut ends) = (Vec::new(), vec![0]);
    for value in 0..count {
        record::write(&mut bytes, &frame(value, ids(1).none()));
        ends.push(bytes.len());
    }
    (bytes, ends)
}

#[test]
fn corrupt_a_cut_at_any_byte_costs_only_what_was_cut() {
    let (bytes, ends) = records(4);
    for cut in 0..=bytes.len() {
        let (found, damaged) = record::read(&Bytes::copy_from_slice(&bytes[..cut]));
        let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
        let (values, _) = values(&found);
        assert_eq!(values, (0..i64::try_from(whole).unwrap()).collect::<Vec<_>>(), "cut {cut}");
        assert_eq!(damaged, cut - ends[whole]);
    }
}

#[test]
fn corrupt_a_flip_of_any_bit_costs_only_its_own_record() {
    let (bytes, ends) = records(4);
    for at in 0..bytes.len() {
        for bit in [0, 3, 7] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let (found, damaged) = record::read(&Bytes::from(flipped));
            let hit = ends.iter().filter(|end| **end <= at).count() - 1;
            let expected: Vec<i64> =
                (0..4).filter(|value| usize::try_from(*value).unwrap() != hit).collect();
            assert_eq!(values(&found).0, expected, "byte {at} bit {bit}");
            assert_eq!(damaged, ends[hit + 1] - ends[hit]);
        }
    }
}

#[test]
fn corrupt_a_damaged_sealed_file_is_counted_and_the_rest_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let mut names = ids(1);
    let mut spool = Spool::open(folder.path(), 1 << 20, &mut names).unwrap();
    let frames: Vec<Waiting> = (0..3).map(|value| frame(value, names.next())).collect();
    spool.keep(&frames, false).unwrap();
    let path = folder.path().join(&spool.sealed[0].name);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&path, bytes).unwrap();
    let (found, _) = drain(&mut spool, &mut names);
    assert_eq!(found, [0, 2]);
    assert_eq!(spool.take_lost(), Lost { frames: 1, rows: 1, from_ms: 0, to_ms: 20_000 });
    assert!(spool.is_empty() && fs::read_dir(folder.path()).unwrap().count() <= 1);
}

#[test]
fn limit_past_the_bound_the_oldest_go_and_a_crash_remembers_how_many() {
    let folder = tempfile::tempdir().unwrap();
    let mut names = ids(1);
    let mut spool = Spool::open(folder.path(), 8_000, &mut names).unwrap();
    for value in 0..60 {
        let none = names.none();
        spool.append(&frame(value, none), &mut names, false).unwrap();
        assert!(spool.bytes() <= 8_000 + 2_000);
    }
    spool.sync().unwrap();
    let lost = spool.take_lost();
    assert!(lost.rows > 0 && lost.from_ms == 0, "{lost:?}");
    drop(spool);
    let mut names = ids(2);
    let mut spool = Spool::open(folder.path(), 8_000, &mut names).unwrap();
    assert_eq!(spool.take_lost(), lost, "told by nobody yet");
    spool.lost_was_told();
    let (found, _) = drain(&mut spool, &mut names);
    let first = i64::try_from(lost.rows).unwrap();
    assert_eq!(found, (first..60).collect::<Vec<_>>(), "the oldest are missing and no other");
    assert_eq!(lost.to_ms, (first - 1) * 10_000);
    let mut spool = Spool::open(folder.path(), 8_000, &mut names).unwrap();
    assert_eq!(spool.take_lost(), Lost::default());
}

#[test]
fn a_journal_that_was_sealed_before_the_crash_is_not_sent_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut names = ids(1);
    let mut spool = Spool::open(folder.path(), 1 << 20, &mut names).unwrap();
    let none = names.none();
    spool.append(&frame(5, none), &mut names, false).unwrap();
    spool.sync().unwrap();
    let journal = file::journal_path(folder.path(), 1);
    let before = fs::read(&journal).unwrap();
    spool.seal(&mut names).unwrap();
    // The crash came after the rename and before the removal.
    fs::write(&journal, before).unwrap();
    fs::write(folder.path().join("000000000009.new"), "half").unwrap();
    let mut names = ids(2);
    let mut spool = Spool::open(folder.path(), 1 << 20, &mut names).unwrap();
    assert_eq!(drain(&mut spool, &mut names), (vec![5], vec![(1, 1)]));
}

/// What happens to a spool.
#[derive(Debug, Clone)]
enum Step {
    Append,
    Sync,
    Keep(usize),
    Send(usize),
    /// The process is killed, and the power with it: so many bytes of what is not safe stay.
    Kill(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Append),
        2 => Just(Step::Sync),
        1 => (1_usize..4).prop_map(Step::Keep),
        2 => (1_usize..4).prop_map(Step::Send),
        1 => (0_usize..2_000).prop_map(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// ACK and ONCE: whenever the process is killed, what the spool said to be safe arrives, and
    /// one identity never stands for two contents.
    #[test]
    fn ack_once_kills_lose_nothing_that_was_safe(steps in prop::collection::vec(step(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let mut epoch = 1;
        let mut names = ids(epoch);
        let mut spool = Spool::open(folder.path(), 1 << 30, &mut names).unwrap();
        let (mut next, mut pending) = (0_i64, Vec::new());
        let mut safe = BTreeSet::new();
        let mut arrived = BTreeSet::new();
        let mut contents = std::collections::BTreeMap::new();
        let mut safe_bytes = 0;
        let mut deliver = |frames: &[Waiting]| {
            for frame in frames {
                let (found, id) = values(std::slice::from_ref(frame));
                arrived.extend(found.iter().copied());
                let known = contents.entry(id[0]).or_insert_with(|| found.clone());
                assert_eq!(known, &found);
            }
        };
        for step in steps {
            match step {
                Step::Append => {
                    let none = names.none();
                    spool.append(&frame(next, none), &mut names, false).unwrap();
                    pending.push(next);
                    next += 1;
                }
                Step::Sync => {
                    spool.sync().unwrap();
                    safe.extend(pending.drain(..));
                }
                Step::Keep(count) => {
                    let frames: Vec<_> = (0..count).map(|_| {
                        next += 1;
                        frame(next - 1, names.next())
                    }).collect();
                    spool.keep(&frames, false).unwrap();
                    safe.extend(values(&frames).0);
                }
                Step::Send(count) => {
                    let mut frames = spool.front(1 << 20, &mut names).unwrap();
                    frames.truncate(count);
                    deliver(&frames);
                    spool.remove(frames.len());
                }
                Step::Kill(kept) => {
                    let journal = spool.journal.as_ref().map(|journal| journal.number);
                    drop(spool);
                    if let Some(number) = journal {
                        let path = file::journal_path(folder.path(), number);
                        let bytes = fs::read(&path).unwrap();
                        let cut = (safe_bytes + kept).min(bytes.len());
                        fs::write(&path, &bytes[..cut]).unwrap();
                    }
                    pending.clear();
                    epoch += 1;
                    names = ids(epoch);
                    spool = Spool::open(folder.path(), 1 << 30, &mut names).unwrap();
                }
            }
            let unsafe_bytes: u64 = spool.journal.iter()
                .flat_map(|journal| &journal.unsafe_frames).map(record::bytes_of).sum();
            let bytes = spool.journal.as_ref().map_or(0, |journal| journal.bytes);
            safe_bytes = usize::try_from(bytes - unsafe_bytes).unwrap();
        }
        spool.sync().unwrap();
        safe.extend(pending);
        loop {
            let frames = spool.front(1 << 20, &mut names).unwrap();
            if frames.is_empty() {
                break;
            }
            deliver(&frames);
            spool.remove(frames.len());
        }
        prop_assert!(safe.is_subset(&arrived), "lost {:?}", safe.difference(&arrived));
    }

    /// Merging changes nothing but the order: the same rows come out.
    #[test]
    fn merged_rows_are_the_same_rows(
        order in Just((0..12_i64).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let batches: Vec<Batch> = order.iter().map(|value| batch(*value)).collect();
        let whole = merge::merge(batches[0].table(), &batches).unwrap();
        let times: Vec<i64> = (0..12).map(|value| value * 10_000).collect();
        prop_assert_eq!(whole.times_ms(), &times[..]);
        let one = merge::framed(&whole, &mut || ids(1).none()).unwrap();
        prop_assert_eq!(values(&[one]).0, (0..12).collect::<Vec<_>>());
    }
}

/// Small numbers that look like chance.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// A busy container: about as many columns as a real machine gives, most of them moving.
fn busy(usage: &mut ContainerUsage, dice: &mut Dice) {
    let grow = |place: &mut Option<u64>, by: u64| *place = Some(place.unwrap_or(0) + by);
    let user = 100_000 + dice.below(400_000);
    let system = 20_000 + dice.below(90_000);
    grow(&mut usage.cpu_user_us, user);
    grow(&mut usage.cpu_system_us, system);
    grow(&mut usage.cpu_usage_us, user + system);
    grow(&mut usage.cpu_pressure_some_us, dice.below(5_000));
    grow(&mut usage.cpu_pressure_full_us, dice.below(2_000));
    grow(&mut usage.io_pressure_some_us, if dice.below(4) == 0 { dice.below(900) } else { 0 });
    grow(&mut usage.memory_pgfault, dice.below(3_000));
    let page = 4_096;
    usage.memory_rss_bytes = Some((20_000 + dice.below(600)) * page);
    usage.memory_active_anon_bytes = usage.memory_rss_bytes;
    usage.memory_cache_bytes = Some((9_000 + dice.below(200)) * page);
    usage.memory_inactive_file_bytes = Some((5_000 + dice.below(100)) * page);
    usage.memory_usage_bytes = Some((30_000 + dice.below(800)) * page);
    usage.set_working_set();
    usage.memory_slab_reclaimable_bytes = Some(900_000 + dice.below(50) * 568);
    usage.pids = Some(12 + dice.below(2));
    for place in [
        &mut usage.cpu_periods,
        &mut usage.cpu_throttled_periods,
        &mut usage.cpu_throttled_us,
        &mut usage.memory_pressure_some_us,
        &mut usage.memory_pressure_full_us,
        &mut usage.io_pressure_full_us,
        &mut usage.memory_swap_bytes,
        &mut usage.memory_shmem_bytes,
        &mut usage.memory_mapped_file_bytes,
        &mut usage.memory_dirty_bytes,
        &mut usage.memory_writeback_bytes,
        &mut usage.memory_pgmajfault,
        &mut usage.memory_failcnt,
        &mut usage.oom_kills,
        &mut usage.memory_events_high,
        &mut usage.memory_events_max,
        &mut usage.memory_pgscan,
        &mut usage.memory_pgsteal,
        &mut usage.memory_refault_file,
        &mut usage.memory_refault_anon,
    ] {
        place.get_or_insert(0);
    }
    usage.memory_limit_bytes = Some(512 << 20);
    usage.cpu_limit_nano = Some(500_000_000);
}

/// Ticks of 10 s that fill two journals.
const TICKS: i64 = 160;

/// Bytes that [`TICKS`] of a hundred containers take on disk.
fn two_journals(busy_of_100: u64) -> u64 {
    const START_MS: i64 = 1_700_000_000_000;
    let folder = tempfile::tempdir().unwrap();
    let mut names = ids(1);
    let mut spool = Spool::open(folder.path(), 1 << 30, &mut names).unwrap();
    let mut dice = Dice(9);
    let id = |n: u64| format!("{:064x}", u128::from(n) * 0x9e37_79b9_7f4a_7c15_f39c_0c11);
    let subject = |n: u64| Subject {
        service: format!("service-{}", n / 4).into(),
        container_id: id(n + 1).into(),
        stack: "shop".into(),
        slot: (n % 4).to_string().into(),
        container: format!("shop-service-{}-{}", n / 4, n % 4).into(),
        image: "registry.example.org/shop:1.2".into(),
        ..Subject::node("default", "node-1")
    };
    let subjects: Vec<Subject> = (0..100).map(subject).collect();
    let mut usages = vec![ContainerUsage::default(); 100];
    let mut networks = vec![NetworkUsage::default(); 100];
    let mut disks = vec![BlkioUsage::default(); 100];
    for tick in 0..TICKS {
        let builder = |table: &str| BatchBuilder::new(Batch::find_table(table).unwrap());
        let mut container = builder("container");
        let (mut network, mut blkio) = (builder("container_network"), builder("container_blkio"));
        for (n, subject) in subjects.iter().enumerate() {
            let moves = u64::try_from(n).unwrap() < busy_of_100 || tick == 0;
            let time_ms = START_MS + tick * 10_000 + i64::try_from(n / 3).unwrap();
            let add = |place: &mut Option<u64>, by: u64| {
                *place = Some(place.unwrap_or(0) + if moves { by } else { 0 });
            };
            if moves {
                busy(&mut usages[n], &mut dice);
            }
            container.row(time_ms, subject, &[]);
            container.int("started_at_ms", Some(START_MS)).unwrap();
            container.int("created_at_ms", Some(START_MS)).unwrap();
            container.int("last_seen_s", Some(time_ms / 1_000)).unwrap();
            container.text("state", Some("running")).unwrap();
            container.int("restarts", Some(0)).unwrap();
            usages[n].write(&mut container).unwrap();
            add(&mut networks[n].rx_bytes, dice.below(90_000));
            add(&mut networks[n].tx_bytes, dice.below(90_000));
            add(&mut networks[n].rx_packets, dice.below(300));
            add(&mut networks[n].tx_packets, dice.below(300));
            network.row(time_ms, subject, &["eth0"]);
            networks[n].write(&mut network).unwrap();
            network.int("started_at_ms", Some(START_MS)).unwrap();
            add(&mut disks[n].write_bytes, dice.below(4) / 3 * 4_096);
            add(&mut disks[n].write_ops, dice.below(4) / 3);
            blkio.row(time_ms, subject, &["sda"]);
            disks[n].write(&mut blkio).unwrap();
            blkio.int("started_at_ms", Some(START_MS)).unwrap();
        }
        for batch in [container, network, blkio] {
            let none = names.none();
            let waiting = merge::framed(&batch.finish().unwrap(), &mut || none).unwrap();
            spool.append(&waiting, &mut names, false).unwrap();
        }
    }
    spool.seal(&mut names).unwrap();
    spool.bytes()
}

#[test]
fn a_day_of_a_hundred_containers_fits_64_mib() {
    let day = |busy_of_100: u64| two_journals(busy_of_100) * 24 * 360 / TICKS.unsigned_abs();
    let (mixed, all) = (day(30), day(100));
    assert!(mixed < 24 << 20, "{mixed} bytes a day when 30 are busy");
    assert!(all < 64 << 20, "{all} bytes a day when all are busy");
}

//! The files of a tiny fleet hold the same samples, whichever way they are read.

use std::collections::BTreeMap;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMillisecondType};

use super::budget::Measures;
use super::dataset::{Dataset, Size, prepare};
use super::metric::{METRICS, PREFIX};
use super::requests::RequestReader;
use super::run::{Outcome, Report};
use super::system::Kind;
use super::{budget, table};

/// Values by metric, container id and time.
type Samples = BTreeMap<(String, String, i64), i64>;

const NOW_MS: i64 = 1_795_400_000_000;

fn tiny(folder: &std::path::Path) -> Dataset {
    let size = Size {
        name: "tiny".to_owned(),
        nodes: 5,
        containers_per_node: 3,
        hours: 1,
        metrics: METRICS.len(),
        scrapes_per_request: 2,
        ends_at_midnight: false,
    };
    prepare(&size, folder, NOW_MS).unwrap()
}

fn of_frames(data: &Dataset) -> Samples {
    let mut samples = Samples::new();
    for (_, body) in RequestReader::open(&data.frames()).unwrap() {
        for frame in plimsoll_wire::split(&body.into()) {
            let (header, batch) = plimsoll_wire::decode(&frame.unwrap()).unwrap();
            let subjects = batch.subjects();
            for metric in METRICS.iter().filter(|m| m.table.name() == header.table.name()) {
                let Some(column) = batch.column_named(metric.column) else { continue };
                let column = column.as_primitive::<Int64Type>();
                for (row, time_ms) in batch.times_ms().iter().enumerate() {
                    if column.is_valid(row) {
                        let id = subjects.subject(row).container_id.to_string();
                        let key = (metric.peer_name(), id, *time_ms);
                        assert_eq!(samples.insert(key, column.value(row)), None);
                    }
                }
            }
        }
    }
    samples
}

fn of_columns(data: &Dataset) -> Samples {
    let mut samples = Samples::new();
    let file = std::fs::File::open(data.columns()).unwrap();
    for batch in arrow_ipc::reader::StreamReader::try_new(file, None).unwrap() {
        let batch = batch.unwrap();
        let times = batch.column_by_name("ts").unwrap().as_primitive::<TimestampMillisecondType>();
        let ids = batch.column_by_name("container_id").unwrap().as_dictionary::<Int32Type>();
        let texts = ids.values().as_string::<i32>();
        for metric in METRICS {
            let column = batch.column_by_name(metric.field).unwrap().as_primitive::<Int64Type>();
            for row in (0..batch.num_rows()).filter(|row| column.is_valid(*row)) {
                let id = texts.value(ids.keys().value(row) as usize).to_owned();
                samples.insert((metric.peer_name(), id, times.value(row)), column.value(row));
            }
        }
    }
    samples
}

fn of_lines(data: &Dataset) -> Samples {
    let mut samples = Samples::new();
    for (_, body) in RequestReader::open(&data.lines()).unwrap() {
        for line in std::str::from_utf8(&body).unwrap().lines() {
            let [head, fields, time] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("a line has three parts: {line}");
            };
            let id = head.split(',').find_map(|tag| tag.strip_prefix("container_id=")).unwrap();
            for field in fields.split(',') {
                let (name, value) = field.split_once('=').unwrap();
                let value = value.strip_suffix('i').unwrap().parse().unwrap();
                let key = (format!("{PREFIX}{name}"), id.to_owned(), time.parse().unwrap());
                samples.insert(key, value);
            }
        }
    }
    samples
}

/// A field of a message of Protocol Buffers: its number and its bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            number |= u64::from(byte & 127) << shift;
            if byte < 128 {
                break;
            }
        }
        number
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = match tag & 7 {
            0 => varint(&mut bytes).to_le_bytes().to_vec(),
            kind => {
                let length = if kind == 1 { 8 } else { varint(&mut bytes) as usize };
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                value.to_vec()
            }
        };
        fields.push((tag >> 3, value));
    }
    fields
}

fn of_remote_write(data: &Dataset) -> Samples {
    let mut samples = Samples::new();
    let mut newest: BTreeMap<(String, String), i64> = BTreeMap::new();
    for (_, body) in RequestReader::open(&data.remote_write()).unwrap() {
        let message = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
        for (_, series) in fields(&message) {
            let (mut name, mut id, mut last) = (String::new(), String::new(), String::new());
            for (number, value) in fields(&series) {
                let parts = fields(&value);
                if number == 1 {
                    let text = |at: usize| String::from_utf8(parts[at].1.clone()).unwrap();
                    assert!(last < text(0), "labels are sorted");
                    last = text(0);
                    match last.as_str() {
                        "__name__" => name = text(1),
                        "container_id" => id = text(1),
                        _ => {}
                    }
                } else {
                    let number = |at: usize| <[u8; 8]>::try_from(&parts[at].1[..]).unwrap();
                    let time_ms = i64::from_le_bytes(number(1));
                    let before = newest.insert((name.clone(), id.clone()), time_ms);
                    assert!(before < Some(time_ms), "samples of a series are in order");
                    let value = f64::from_le_bytes(number(0)) as i64;
                    samples.insert((name.clone(), id.clone(), time_ms), value);
                }
            }
        }
    }
    samples
}

#[test]
fn all_files_hold_the_same_samples() {
    let folder = tempfile::tempdir().unwrap();
    let data = tiny(folder.path());
    let frames = of_frames(&data);
    assert_eq!(frames.len() as u64, data.samples);
    assert!(data.samples > 100_000, "{}", data.samples);
    assert!(frames == of_columns(&data), "columns differ");
    assert!(frames == of_lines(&data), "lines differ");
    assert!(frames == of_remote_write(&data), "remote write differs");
    let times = || frames.keys().map(|(_, _, time_ms)| *time_ms);
    assert!(times().min().unwrap() >= data.start_ms && times().max().unwrap() < data.end_ms);
    assert!(frames.keys().any(|(_, id, _)| *id == data.one_container));
}

/// Made once, a data set is kept while it is young enough.
#[test]
fn data_is_kept_for_some_days() {
    let folder = tempfile::tempdir().unwrap();
    let first = tiny(folder.path());
    let day_ms = 86_400_000;
    let again = |now_ms| prepare(&first.size, folder.path(), now_ms).unwrap().end_ms;
    assert_eq!(again(NOW_MS + day_ms), first.end_ms);
    assert_eq!(again(NOW_MS + 30 * day_ms), first.end_ms + 30 * day_ms);
}

/// The table says what is missing and what differs, and ends with the count.
#[test]
fn table_ends_with_the_count() {
    let budgets = budget::read(&crate::scenario::folder().join("budgets.toml")).unwrap();
    let measures = Measures::from([("plimsoll.merged_per_cpu_s".to_owned(), 9e6)]);
    let answered = Outcome::Answered {
        cpu_ms: 12.0,
        wall_ms: 5.0,
        values: 3,
        difference: Some("1 groups missing, 0 more".to_owned()),
    };
    let outcomes = [(Kind::Plimsoll, Outcome::Missing), (Kind::Victoria, answered)];
    let asked = super::run::Asked { id: "Q1", text: "CPU", outcomes: outcomes.into() };
    let report = Report {
        title: "a test".to_owned(),
        versions: Vec::new(),
        rounds: 7,
        verdicts: budgets.iter().map(|one| budget::judge(one, &measures)).collect(),
        measures,
        problems: vec![(Kind::DuckDb, "not there".to_owned())],
        questions: vec![asked],
    };
    let text = table::print(&report);
    assert!(text.contains("| Q1 CPU | missing | missing | 12.0 (5.000) differs |"), "{text}");
    assert!(text.contains("- duckdb: not there"));
    let last = text.lines().last().unwrap().to_owned();
    assert_eq!(last, format!("budgets: 1 met, {} missed", budgets.len() - 1));
}

//! What a fleet's samples cost in CPU time and disk bytes on their way through head and segment.
//!
//! Argument: a folder made by the workload generator (`vals.npy`, `ts.npy`, `present.npy`,
//! `meta.json`): nodes x containers x 24 metrics, one batch per node and scrape. A second argument
//! `trials` also writes every column with every encoding and several levels.
#![expect(clippy::print_stdout, reason = "an example reports to the terminal")]
#![expect(clippy::cast_precision_loss, reason = "numbers are shown, not computed with")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow_schema::Schema;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use plimsoll_model::{Batch, Clock, Filter, Matcher, SystemClock, Table, TimeRange};
use plimsoll_store::head::{Head, SealedHead, SortedRows};
use plimsoll_store::scan::{ScanLimits, ScanRequest, View, scan};
use plimsoll_store::segment::{
    Encoding, EncodingPlan, Resolution, Segment, SegmentMeta, write_with,
};
use plimsoll_wire::{FrameId, SenderId};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// For each of the generator's metrics, the table and column it is.
const COLUMNS: [(&str, &str); 24] = [
    ("container", "cpu_usage_us"),
    ("container", "cpu_user_us"),
    ("container", "cpu_system_us"),
    ("container", "cpu_periods"),
    ("container", "cpu_throttled_periods"),
    ("container", "cpu_throttled_us"),
    ("container", "memory_usage_bytes"),
    ("container", "memory_rss_bytes"),
    ("container", "memory_cache_bytes"),
    ("container", "memory_limit_bytes"),
    ("container", "memory_pgfault"),
    ("container", "memory_pgmajfault"),
    ("container_blkio", "read_bytes"),
    ("container_blkio", "write_bytes"),
    ("container_blkio", "read_ops"),
    ("container_blkio", "write_ops"),
    ("container_network", "rx_bytes"),
    ("container_network", "tx_bytes"),
    ("container_network", "rx_packets"),
    ("container_network", "tx_packets"),
    ("container_network", "rx_errors"),
    ("container_network", "tx_dropped"),
    ("container_network", "rx_dropped"),
    ("container", "pids"),
];
/// Metrics that the generator makes in nanoseconds and the registry keeps in microseconds.
const NANOSECONDS: [usize; 4] = [0, 1, 2, 5];

struct Fleet {
    values: Vec<i64>,
    times: Vec<i64>,
    present: Vec<u8>,
    steps: usize,
    nodes: usize,
    per_node: usize,
    slots: Vec<serde_json::Value>,
}

fn npy(path: &Path) -> Outcome<Vec<u8>> {
    let bytes = std::fs::read(path)?;
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    Ok(bytes[10 + header..].to_vec())
}

fn longs(bytes: &[u8]) -> Vec<i64> {
    bytes.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect()
}

fn load(dir: &Path) -> Outcome<Fleet> {
    let meta: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.join("meta.json"))?)?;
    let size = |name: &str| meta[name].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    Ok(Fleet {
        values: longs(&npy(&dir.join("vals.npy"))?),
        times: longs(&npy(&dir.join("ts.npy"))?),
        present: npy(&dir.join("present.npy"))?,
        steps: size("T"),
        nodes: size("nodes"),
        per_node: size("per_node"),
        slots: meta["slots"].as_array().cloned().unwrap_or_default(),
    })
}

impl Fleet {
    /// One batch per node and scrape with the metrics of `table`.
    fn batches(&self, table: &'static Table) -> Outcome<Vec<Batch>> {
        let mut batches = Vec::new();
        let metrics: Vec<(usize, usize)> = COLUMNS
            .iter()
            .enumerate()
            .filter(|(_, (of, _))| *of == table.name())
            .map(|(m, (_, column))| Some((m, table.column_index(column)?)))
            .collect::<Option<_>>()
            .ok_or("a column is not in the registry")?;
        for step in 0..self.steps {
            for node in 0..self.nodes {
                let slots: Vec<usize> = (node * self.per_node..(node + 1) * self.per_node)
                    .filter(|slot| self.present[slot * self.steps + step] != 0)
                    .collect();
                if !slots.is_empty() {
                    batches.push(self.batch(table, &metrics, node, step, &slots)?);
                }
            }
        }
        Ok(batches)
    }

    fn batch(
        &self,
        table: &'static Table,
        metrics: &[(usize, usize)],
        node: usize,
        step: usize,
        slots: &[usize],
    ) -> Outcome<Batch> {
        let schema = table.schema();
        let mut columns: Vec<(usize, ArrayRef)> = Vec::new();
        let time = self.times[node * self.steps + step];
        let times = TimestampMillisecondArray::from(vec![time; slots.len()]).with_timezone("UTC");
        columns.push((0, Arc::new(times)));
        for name in ["cluster", "node", "stack", "service", "container", "container_id", "image"] {
            let values: Vec<String> =
                slots.iter().map(|slot| self.label(*slot, step, name)).collect();
            let index = table.column_index(name).ok_or("no such label")?;
            columns.push((index, dictionary(&values)));
        }
        for key in table.keys() {
            let values = vec!["eth0".to_owned(); slots.len()];
            columns.push((table.column_index(key).ok_or("no such key")?, dictionary(&values)));
        }
        for (metric, column) in metrics {
            let divide = if NANOSECONDS.contains(metric) { 1_000 } else { 1 };
            let values = slots.iter().map(|slot| {
                self.values[(slot * self.steps + step) * COLUMNS.len() + metric] / divide
            });
            columns.push((*column, Arc::new(Int64Array::from_iter_values(values))));
        }
        columns.sort_by_key(|(index, _)| *index);
        let fields: Vec<_> =
            columns.iter().map(|(index, _)| schema.field(*index).clone()).collect();
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
        Ok(Batch::try_new(table, rows)?)
    }

    fn label(&self, slot: usize, step: usize, name: &str) -> String {
        let slot = &self.slots[slot];
        let life = slot["incs"].as_array().and_then(|lives| {
            let step = u64::try_from(step).ok()?;
            lives.iter().rfind(|life| life["start"].as_u64().is_some_and(|start| start <= step))
        });
        let id = life.and_then(|life| life["id"].as_str()).unwrap_or("");
        match name {
            "cluster" => "default".to_owned(),
            // The engine's ids have 64 digits.
            "container_id" => format!("{:0<64}", id.repeat(5)),
            "image" => {
                let tag = life.and_then(|life| life["tag"].as_str()).unwrap_or("");
                format!("{}:{tag}", slot["image"].as_str().unwrap_or(""))
            }
            name => slot[name].as_str().unwrap_or("").to_owned(),
        }
    }
}

fn dictionary(values: &[String]) -> ArrayRef {
    let mut distinct: Vec<&str> = values.iter().map(String::as_str).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let key = |value: &String| distinct.binary_search(&value.as_str()).ok();
    let keys = values.iter().map(|value| key(value).and_then(|key| i32::try_from(key).ok()));
    let keys: Int32Array = keys.collect();
    Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(StringArray::from(distinct.clone()))))
}

struct Timer(SystemClock);

impl Timer {
    fn ns<T>(&self, work: impl FnOnce() -> T) -> (T, f64) {
        let start = self.0.monotonic();
        let out = work();
        (out, self.0.monotonic().saturating_sub(start).as_nanos() as f64)
    }
}

fn main() -> Outcome<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let dir = args.next().ok_or("which folder?")?;
    let trials = args.next().is_some();
    let fleet = load(&dir)?;
    let out = dir.join("segments");
    std::fs::create_dir_all(&out)?;
    let timer = Timer(SystemClock::new());
    let mut total = (0_u64, 0_u64);
    for name in ["container", "container_network", "container_blkio"] {
        let table = Batch::find_table(name)?;
        let (head, samples) = fill(&timer, &fleet, table)?;
        let sealed = head.seal();
        let segments = flush(&timer, table, &sealed, &out, samples)?;
        let bytes: u64 = segments.iter().map(|segment| segment.meta().bytes).sum();
        total = (total.0 + bytes, total.1 + segments.iter().map(|s| s.meta().samples).sum::<u64>());
        scans(&timer, table, &segments, &sealed)?;
        if trials {
            for rows in sealed.days() {
                trial(&timer, &rows, &out)?;
            }
        }
    }
    println!("all tables: {:.4} bytes per sample", total.0 as f64 / total.1 as f64);
    Ok(())
}

fn fill(timer: &Timer, fleet: &Fleet, table: &'static Table) -> Outcome<(Head, f64)> {
    let batches = fleet.batches(table)?;
    let samples: usize = batches.iter().map(Batch::samples).sum();
    let mut head = Head::new(table);
    let (mut ns, mut decode_ns) = (0.0, 0.0);
    for (batch, sequence) in batches.iter().zip(1..) {
        let id = FrameId { sender: SenderId([7; 16]), epoch: 1, sequence };
        let frame = plimsoll_wire::encode(batch, id)?;
        let (decoded, took) = timer.ns(|| plimsoll_wire::decode(&frame));
        decode_ns += took;
        let (_, batch) = decoded?;
        ns += timer.ns(|| head.push(&batch)).1;
    }
    let samples = samples as f64;
    println!(
        "{}: decode {:.1} ns/sample, push {:.1} ns/sample, {:.0} ns/row; {} rows, {:.1} MB in head",
        table.name(),
        decode_ns / samples,
        ns / samples,
        ns / head.rows() as f64,
        head.rows(),
        head.bytes() as f64 / 1e6
    );
    let (snapshot, ns) = timer.ns(|| head.snapshot());
    println!("  snapshot {:.0} us, {} rows", ns / 1e3, snapshot.rows());
    Ok((head, samples))
}

fn flush(
    timer: &Timer,
    table: &'static Table,
    sealed: &SealedHead,
    out: &Path,
    samples: f64,
) -> Outcome<Vec<Arc<Segment>>> {
    let mut segments = Vec::new();
    let (days, sort_ns) = timer.ns(|| sealed.days().collect::<Vec<SortedRows>>());
    println!("  seal {:.1} ns/sample", sort_ns / samples);
    for rows in days {
        let ((), gather_ns) = timer.ns(|| {
            for metric in 0..table.metrics().len() {
                std::hint::black_box(rows.metric(metric));
            }
        });
        let path = out.join(format!("{}-{}.parquet", table.name(), rows.day()));
        let plan = EncodingPlan::flush(table);
        let (meta, ns) = timer.ns(|| write_with(&rows, Resolution::Raw, &plan, &path));
        let meta = meta?;
        println!(
            "  write {:.1} ns/sample (gathering {:.1}), {} rows, {} series, {:.4} bytes/sample, \
             footer and indexes {} of {} bytes",
            ns / meta.samples as f64,
            gather_ns / meta.samples as f64,
            meta.rows,
            meta.series,
            meta.bytes as f64 / meta.samples as f64,
            meta.bytes - meta.index_offset,
            meta.bytes
        );
        segments.push(Arc::new(Segment::open(&path, meta)?));
    }
    Ok(segments)
}

fn request(table: &'static Table, metrics: Vec<usize>, filter: Filter) -> ScanRequest {
    let limits = ScanLimits::new(u64::MAX, usize::MAX);
    ScanRequest { table, metrics, range: TimeRange::ALL, filter, limits }
}

fn scans(
    timer: &Timer,
    table: &'static Table,
    segments: &[Arc<Segment>],
    sealed: &SealedHead,
) -> Outcome<()> {
    let used = |name: &str| table.metric_index(name);
    let all: Vec<usize> =
        COLUMNS.iter().filter(|(of, _)| *of == table.name()).filter_map(|(_, c)| used(c)).collect();
    let one = all.first().copied().into_iter().collect::<Vec<_>>();
    let view = View { segments: segments.to_vec(), heads: Vec::new() };
    let heads = View { segments: Vec::new(), heads: vec![sealed.snapshot()] };
    let key = scan(&view, &request(table, Vec::new(), Filter::default()))?.series;
    let id = key.get(key.len() / 2).map_or("", |series| &series.key.subject.container_id);
    let single = Filter::new(vec![Matcher::equal("container_id", id)]);
    for (what, view) in [("segments", &view), ("head", &heads)] {
        for (name, metrics, filter) in [
            ("one metric", &one, Filter::default()),
            ("all metrics", &all, Filter::default()),
            ("one metric of one container", &one, single.clone()),
        ] {
            let request = request(table, metrics.clone(), filter);
            repeat(timer, view, &request, &format!("{what}, {name}"))?;
        }
        let mut request = request(table, one.clone(), Filter::default());
        let end = view.segments.iter().map(|segment| segment.meta().end_ms).max();
        let end = end.or(sealed.time_range().map(|range| range.end_ms)).unwrap_or(0);
        request.range = TimeRange::new(end - 300_000, end);
        repeat(timer, view, &request, &format!("{what}, last five minutes of one metric"))?;
        request.metrics.clone_from(&all);
        repeat(timer, view, &request, &format!("{what}, last five minutes of all metrics"))?;
    }
    for (name, metrics) in [("one metric", &one), ("all metrics", &all)] {
        let mut best = f64::MAX;
        for _ in 0..3 {
            let (decoded, ns) = timer.ns(|| plain(table, segments, metrics));
            decoded?;
            best = best.min(ns);
        }
        println!("  plain parquet decode of time and {name}: {:.3} ms", best / 1e6);
    }
    Ok(())
}

fn repeat(timer: &Timer, view: &View, request: &ScanRequest, what: &str) -> Outcome<()> {
    let mut best = f64::MAX;
    let mut rows = 0;
    for _ in 0..3 {
        let (answer, ns) = timer.ns(|| scan(view, request));
        rows = answer?.rows;
        best = best.min(ns);
    }
    println!("  scan {what}: {:.3} ms, {:.1} ns/row", best / 1e6, best / rows as f64);
    Ok(())
}

fn plain(table: &Table, segments: &[Arc<Segment>], metrics: &[usize]) -> Outcome<usize> {
    let mut rows = 0;
    for segment in segments {
        let file = std::fs::File::open(segment.path())?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let columns = metrics.iter().map(|metric| table.metrics_start() + metric).chain([0]);
        let mask = ProjectionMask::leaves(builder.parquet_schema(), columns);
        for batch in builder.with_projection(mask).with_batch_size(65_536).build()? {
            rows += batch?.num_rows();
        }
    }
    Ok(rows)
}

/// Bytes of every used column in a file.
fn column_bytes(path: &Path) -> Outcome<Vec<i64>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path)?)?;
    let metadata = builder.metadata().clone();
    let mut bytes = vec![0; metadata.file_metadata().schema_descr().num_columns()];
    for group in metadata.row_groups() {
        for (total, column) in bytes.iter_mut().zip(group.columns()) {
            *total += column.compressed_size();
        }
    }
    Ok(bytes)
}

fn trial(timer: &Timer, rows: &SortedRows, out: &Path) -> Outcome<()> {
    let table = rows.table();
    let path = out.join("trial.parquet");
    let base = EncodingPlan::flush(table);
    for (page_rows, group_rows) in [
        (5_000, 262_144),
        (10_000, 262_144),
        (20_480, 131_072),
        (65_536, 262_144),
        (262_144, 1 << 20),
    ] {
        let plan = EncodingPlan { page_rows, group_rows, ..base.clone() };
        let meta = write_with(rows, Resolution::Raw, &plan, &path)?;
        println!("  pages {page_rows}, groups {group_rows}: {:.4}", per_sample(&meta));
    }
    for zstd_level in [3, 9, 10, 11, 12, 13, 14, 15] {
        let plan = EncodingPlan { page_rows: 65_536, zstd_level, ..base.clone() };
        let (meta, ns) = timer.ns(|| write_with(rows, Resolution::Raw, &plan, &path));
        let meta = meta?;
        let ns = ns / meta.samples as f64;
        println!("  pages 65536, level {zstd_level}: {:.4}, {ns:.0} ns", per_sample(&meta));
    }
    for level in [3, 12] {
        let mut sizes: Vec<Vec<i64>> = Vec::new();
        let all =
            [Encoding::Delta, Encoding::Dictionary, Encoding::ByteStreamSplit, Encoding::Plain];
        for encoding in all {
            let metrics = vec![encoding; table.metrics().len()];
            let plan = EncodingPlan { metrics, zstd_level: level, ..base.clone() };
            let (meta, ns) = timer.ns(|| write_with(rows, Resolution::Raw, &plan, &path));
            let meta = meta?;
            let size = per_sample(&meta);
            println!("  level {level} {encoding:?}: {size:.4}, {:.0} ns", ns / meta.samples as f64);
            sizes.push(column_bytes(&path)?);
        }
        let columns = table.columns().len();
        let mut best = 0;
        for column in 0..columns {
            let of = |encoding: usize| sizes[encoding][column];
            let least = (0..all.len()).map(of).min().unwrap_or(0);
            best += least;
            let name = table.schema().field(column).name();
            if (level == 3 || level == 12) && least * 1_000 > i64::try_from(rows.rows())? * 10 {
                let sizes = [of(0), of(1), of(2), of(3)].map(|b| b as f64 / rows.rows() as f64);
                println!("    {name}: delta, dictionary, split, plain {sizes:.3?} bytes/row");
            }
        }
        println!("  level {level}, best of each column: {best} bytes of columns");
    }
    Ok(())
}

fn per_sample(meta: &SegmentMeta) -> f64 {
    meta.bytes as f64 / meta.samples as f64
}

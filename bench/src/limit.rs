//! What the machine itself allows: the least work that any store of these columns must do, with
//! the Arrow and Parquet libraries alone.
//!
//! Not here: what Plimsoll pays for the same (`peers::run`).

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampMillisecondType};
use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::peers::requests::RequestReader;

/// Rows that are sorted and encoded together.
const ROWS_AT_ONCE: usize = 4 << 20;

/// CPU seconds of this thread's whole process so far, to the nanosecond.
pub fn cpu_s() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// CPU seconds of: decoding frames with their checksums, writing their bytes and syncing each
/// request, one sort by container and time, one Parquet encoding.
///
/// # Errors
///
/// What cannot be read, decoded or written.
pub fn ingest_cpu_s(requests: &Path, folder: &Path) -> Result<f64, String> {
    let problem = |error: std::io::Error| format!("cannot write {}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(problem)?;
    let mut log = File::create(folder.join("log")).map_err(problem)?;
    let start_s = cpu_s();
    // Batches carry only the columns that they have values of; those of one schema go together.
    let mut waiting: Vec<Vec<RecordBatch>> = Vec::new();
    let mut files = 0;
    for (_, body) in RequestReader::open(requests)? {
        log.write_all(&body).and_then(|()| log.sync_data()).map_err(problem)?;
        for frame in plimsoll_wire::split(&body.into()) {
            let frame = frame.map_err(|error| error.to_string())?;
            let (_, batch) = plimsoll_wire::decode(&frame).map_err(|error| error.to_string())?;
            let rows = batch.rows().clone();
            match waiting.iter_mut().find(|all| all[0].schema_ref() == rows.schema_ref()) {
                Some(all) => all.push(rows),
                None => waiting.push(vec![rows]),
            }
        }
        for batches in &mut waiting {
            if batches.iter().map(RecordBatch::num_rows).sum::<usize>() >= ROWS_AT_ONCE {
                files += 1;
                encode(batches, &folder.join(format!("{files}.parquet")))?;
                batches.clear();
            }
        }
        waiting.retain(|batches| !batches.is_empty());
    }
    for batches in &waiting {
        files += 1;
        encode(batches, &folder.join(format!("{files}.parquet")))?;
    }
    Ok(cpu_s() - start_s)
}

/// Sorts by container and time, and encodes: differences and zstd 1.
fn encode(batches: &[RecordBatch], path: &Path) -> Result<(), String> {
    let text = |error: arrow_schema::ArrowError| error.to_string();
    let Some(first) = batches.first() else { return Ok(()) };
    let all = concat_batches(&first.schema(), batches).map_err(text)?;
    let order = order(&all)?;
    let sorted = take_record_batch(&all, &order).map_err(text)?;
    let level = ZstdLevel::try_new(1).unwrap_or_default();
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::None);
    for field in sorted.schema().fields() {
        if !matches!(field.data_type(), arrow_schema::DataType::Dictionary(..)) {
            let column = parquet::schema::types::ColumnPath::from(field.name().as_str());
            properties = properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
        }
    }
    let problem = |error: parquet::errors::ParquetError| error.to_string();
    let file = File::create(path).map_err(|error| error.to_string())?;
    let mut writer =
        ArrowWriter::try_new(file, sorted.schema(), Some(properties.build())).map_err(problem)?;
    writer.write(&sorted).and_then(|()| writer.close().map(drop)).map_err(problem)
}

fn order(batch: &RecordBatch) -> Result<UInt32Array, String> {
    let column = |name: &str| batch.column_by_name(name).ok_or(format!("no column {name}"));
    let times = column("time")?.as_primitive::<TimestampMillisecondType>();
    let ids = column("container_id")?.as_dictionary::<Int32Type>();
    let texts = ids.values().as_string::<i32>();
    let mut sorted: Vec<&str> = texts.iter().flatten().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let ranks: HashMap<&str, u32> = sorted.iter().zip(0..).map(|(text, n)| (*text, n)).collect();
    let rank_of: Vec<u32> =
        texts.iter().map(|text| ranks.get(text.unwrap_or("")).copied().unwrap_or(0)).collect();
    let mut keys: Vec<(u32, i64, u32)> = ids
        .keys()
        .values()
        .iter()
        .zip(times.values())
        .zip(0..)
        .map(|((key, time), row)| (rank_of[*key as usize], *time, row))
        .collect();
    keys.sort_unstable();
    Ok(UInt32Array::from_iter_values(keys.into_iter().map(|(_, _, row)| row)))
}

/// Decodes columns of Parquet files; gives CPU milliseconds and how many rows there were.
///
/// # Errors
///
/// What cannot be read.
pub fn decode_cpu_ms(files: &[PathBuf], columns: &[&str]) -> Result<(f64, u64), String> {
    let text = |error: parquet::errors::ParquetError| error.to_string();
    let start_s = cpu_s();
    let mut rows = 0;
    for path in files {
        let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(text)?;
        let schema = builder.metadata().file_metadata().schema_descr();
        let mask = ProjectionMask::columns(schema, columns.iter().copied());
        let reader = builder.with_projection(mask).with_batch_size(65_536).build().map_err(text)?;
        for batch in reader {
            rows += batch.map_err(|error| error.to_string())?.num_rows() as u64;
        }
    }
    Ok(((cpu_s() - start_s) * 1e3, rows))
}

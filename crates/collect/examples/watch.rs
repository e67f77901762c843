//! Prints the batches a collector makes, one row a line: what a person checks against the
//! machine's own files. Arguments: address of the engine, interval in seconds, source.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use plimsoll_collect::{CollectOptions, Collector, SourceChoice};
use plimsoll_model::{Batch, SystemClock};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

fn cell(column: &ArrayRef, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    if let Some(ints) = column.as_primitive_opt::<Int64Type>() {
        return Some(ints.value(row).to_string());
    }
    if let Some(floats) = column.as_primitive_opt::<Float64Type>() {
        return Some(floats.value(row).to_string());
    }
    let texts = column.as_dictionary_opt::<Int32Type>()?;
    let texts = texts.downcast_dict::<arrow_array::StringArray>()?;
    Some(texts.values().value(texts.keys().value(row).try_into().ok()?).to_owned())
}

fn print(batch: &Batch) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (row, time_ms) in batch.times_ms().iter().enumerate() {
        write!(out, "{} time={time_ms}", batch.table().name())?;
        let fields = batch.rows().schema();
        for (field, column) in fields.fields().iter().zip(batch.rows().columns()).skip(1) {
            if let Some(text) = cell(column, row) {
                write!(out, " {}={text}", field.name())?;
            }
        }
        writeln!(out)?;
    }
    out.flush()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let docker_host = arguments.next();
    let interval = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(10);
    let source = match arguments.next().as_deref() {
        Some("engine") => SourceChoice::Engine,
        Some("cgroup") => SourceChoice::Cgroup,
        _ => SourceChoice::Auto,
    };
    let options = CollectOptions {
        docker_host,
        interval: Duration::from_secs(interval),
        source,
        ..CollectOptions::default()
    };
    let collector = Collector::connect(options, Arc::new(SystemClock::new())).await?;
    let (out, mut batches) = mpsc::channel(16);
    let stop = CancellationToken::new();
    tokio::spawn(collector.run(out, stop));
    while let Some(batch) = batches.recv().await {
        print(&batch)?;
    }
    Ok(())
}

//! How the columns of one segment are encoded.
//!
//! A flush takes the plan that suits most columns of a kind, rollups one by statistic; a merge of
//! raw rows may try several and keep the smallest. Readers need no plan: a Parquet file says how
//! it is encoded.

use parquet::basic::{Compression, Encoding as ParquetEncoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use plimsoll_model::{Column, ColumnType, Dimension, Table};

/// Encoding of one metric column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Differences, bit-packed. Not for floats.
    Delta,
    /// Each value once, then numbers in runs. The only one for texts.
    Dictionary,
    /// All first bytes, all second bytes, ...
    ByteStreamSplit,
    /// As is.
    Plain,
}

/// Encoding of every column of a segment, and its layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodingPlan {
    /// Of the times.
    pub time: Encoding,
    /// One per metric of the table.
    pub metrics: Vec<Encoding>,
    /// zstd level of every page: 1 to 22.
    pub zstd_level: i32,
    /// Rows per row group, the unit of checksums.
    pub group_rows: usize,
    /// Rows per page, the unit of skipping.
    pub page_rows: usize,
}

/// Rows per row group unless planned otherwise.
const GROUP_ROWS: usize = 262_144;
/// Rows per page unless planned otherwise: each page is compressed alone, so small ones cost bytes
/// (2 % of a fleet at 20,480), large ones cost who reads few series, above all merges: they read
/// every input series by series, and decode a page again for each batch of series that touches it.
const PAGE_ROWS: usize = 16_384;
/// zstd level of rollups: they are a third of the cells of a day and are written twice.
const ROLLUP_LEVEL: i32 = 3;
/// Ends of names of rollup columns whose values are few: almost every row repeats one.
const ROLLUP_FEW: [&str; 4] = ["_count", "_gap_ms", "_resets", "_changes"];
/// Rows handed to an encoder at once; page limits are checked that often.
const WRITE_ROWS: usize = 2_048;
/// Bytes a dictionary may take before a column falls back to plain values.
const DICTIONARY_BYTES_MAX: usize = 4 << 20;
/// Bytes of a page before compression.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// End of names of rollup columns of times: they repeat from series to series and from metric to
/// metric, which zstd finds only where bytes stay in place.
const ROLLUP_TIME: &str = "_time";

impl EncodingPlan {
    /// What a flush uses: quick, and good for counters and gauges alike.
    pub fn flush(table: &Table) -> Self {
        let metrics = table.metrics().iter().map(|metric| match metric.column_type {
            ColumnType::Int => Encoding::Delta,
            ColumnType::Float => Encoding::ByteStreamSplit,
            ColumnType::Text => Encoding::Dictionary,
        });
        Self {
            time: Encoding::Delta,
            metrics: metrics.collect(),
            zstd_level: 1,
            group_rows: GROUP_ROWS,
            page_rows: PAGE_ROWS,
        }
    }

    /// What rollups use, made and merged: their statistics are alike in every table and on every
    /// day, so nothing is tried. Counts and the like come from a dictionary.
    pub fn rollup(table: &Table) -> Self {
        let mut plan = Self::flush(table);
        for (encoding, metric) in plan.metrics.iter_mut().zip(table.metrics()) {
            if ROLLUP_FEW.iter().any(|end| metric.column.ends_with(end)) {
                *encoding = Encoding::Dictionary;
            } else if metric.column.ends_with(ROLLUP_TIME) {
                *encoding = Encoding::ByteStreamSplit;
            }
        }
        plan.zstd_level = ROLLUP_LEVEL;
        plan
    }

    pub(super) fn properties(&self, table: &Table) -> WriterProperties {
        let level = ZstdLevel::try_new(self.zstd_level).unwrap_or_default();
        let mut builder = WriterProperties::builder()
            .set_created_by(format!("plimsoll {}", env!("CARGO_PKG_VERSION")))
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(None)
            .set_data_page_row_count_limit(self.page_rows.max(1))
            .set_data_page_size_limit(PAGE_BYTES_MAX)
            .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
            .set_write_batch_size(WRITE_ROWS)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_sorting_columns(Some(sorting(table)));
        for (index, column) in table.columns().iter().enumerate() {
            let path = ColumnPath::from(table.schema().field(index).name().as_str());
            builder = match column {
                Column::Time => {
                    let builder = builder
                        .set_column_statistics_enabled(path.clone(), EnabledStatistics::Page);
                    match encoding(Some(self.time), Some(ColumnType::Int)) {
                        None => builder.set_column_dictionary_enabled(path, true),
                        Some(encoding) => builder
                            .set_column_dictionary_enabled(path.clone(), false)
                            .set_column_encoding(path, encoding),
                    }
                }
                Column::Dimension(_) | Column::Key(_) => builder
                    .set_column_dictionary_enabled(path.clone(), true)
                    .set_column_statistics_enabled(path, EnabledStatistics::Chunk),
                Column::Metric(metric) => {
                    let column_type = table.metrics().get(*metric).map(|m| m.column_type);
                    match encoding(self.metrics.get(*metric).copied(), column_type) {
                        None => builder.set_column_dictionary_enabled(path, true),
                        Some(encoding) => builder
                            .set_column_dictionary_enabled(path.clone(), false)
                            .set_column_encoding(path, encoding),
                    }
                }
            };
        }
        builder.build()
    }
}

/// `None` is dictionary. What does not fit the type becomes what fits best.
fn encoding(wanted: Option<Encoding>, column_type: Option<ColumnType>) -> Option<ParquetEncoding> {
    match (column_type?, wanted.unwrap_or(Encoding::Plain)) {
        (ColumnType::Text, _) | (_, Encoding::Dictionary) => None,
        (ColumnType::Int, Encoding::Delta) => Some(ParquetEncoding::DELTA_BINARY_PACKED),
        (ColumnType::Float, Encoding::Delta) | (_, Encoding::ByteStreamSplit) => {
            Some(ParquetEncoding::BYTE_STREAM_SPLIT)
        }
        (_, Encoding::Plain) => Some(ParquetEncoding::PLAIN),
    }
}

/// The order of rows, as outside readers want it said.
fn sorting(table: &Table) -> Vec<SortingColumn> {
    const ORDER: [Dimension; 8] = [
        Dimension::Service,
        Dimension::ContainerId,
        Dimension::Cluster,
        Dimension::Node,
        Dimension::Stack,
        Dimension::Slot,
        Dimension::Container,
        Dimension::Image,
    ];
    let dimensions = ORDER.iter().filter_map(|dimension| table.column_index(dimension.name()));
    let keys = table.keys().iter().filter_map(|key| table.column_index(key));
    let columns = dimensions.chain(keys).chain(table.column_index("time"));
    columns
        .filter_map(|column| i32::try_from(column).ok())
        .map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: true })
        .collect()
}

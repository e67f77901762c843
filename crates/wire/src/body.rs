//! The body of a frame: Arrow IPC messages, and the plan by which their columns are read.
//!
//! A body is one Arrow IPC stream: a schema, dictionaries, exactly one record batch, the end mark.
//! What a schema message means for a table is worked out once and kept while the bytes repeat.
//!
//! Keeps true: flatbuffers are verified before use; every message lies inside the body.
//! Not here: turning buffers into arrays (`columns`).

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_buffer::Buffer;
use arrow_ipc::{
    DictionaryBatch, Endianness, Field, Message, MetadataVersion, Precision, TimeUnit, Type,
    root_as_message,
};
use arrow_schema::{DataType, FieldRef, Fields, Schema, SchemaRef};
use plimsoll_model::{BatchError, Table};

use crate::columns::{Columns, Values};
use crate::{FrameError, FrameHeader};

/// Most schemas a decoder remembers; the oldest goes first.
const PLANS_MAX: usize = 64;
/// Marks the start of an encapsulated message.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// How the columns of one schema message are read.
#[derive(Debug)]
struct Plan {
    table_index: usize,
    message_crc: u32,
    message: Vec<u8>,
    values: Vec<Values>,
    schema: SchemaRef,
}

/// The plans of the schemas seen last.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    plans: Vec<Plan>,
    oldest: usize,
}

impl Plans {
    /// Reads the rows of one body.
    pub(crate) fn read(
        &mut self,
        header: &FrameHeader,
        body: &Buffer,
    ) -> Result<RecordBatch, FrameError> {
        let mut messages = Messages { body, at: 0 };
        let schema_message = messages.metadata()?.ok_or(EMPTY)?;
        let plan = self.plan(header.table, schema_message)?;
        let mut dictionaries = Dictionaries::default();
        let rows = usize::try_from(header.rows).unwrap_or(usize::MAX);
        loop {
            let metadata = messages.metadata()?.ok_or(EMPTY)?;
            let message = verified(metadata)?;
            let data = messages.data(message.bodyLength())?;
            if let Some(dictionary) = message.header_as_dictionary_batch() {
                dictionaries.add(dictionary, &data, plan.values.len())?;
                continue;
            }
            let batch = message
                .header_as_record_batch()
                .ok_or(FrameError::Body { what: "a message is neither dictionary nor rows" })?;
            let mut columns = Columns::new(batch, &data, rows)?;
            let arrays = plan
                .values
                .iter()
                .map(|values| columns.column(*values, &dictionaries))
                .collect::<Result<Vec<ArrayRef>, _>>()?;
            columns.end()?;
            messages.end()?;
            return Ok(RecordBatch::try_new(Arc::clone(&plan.schema), arrays)?);
        }
    }

    fn plan(&mut self, table: &'static Table, message: &[u8]) -> Result<&Plan, FrameError> {
        let crc = crc32c::crc32c(message);
        let known = self.plans.iter().position(|plan| {
            plan.message_crc == crc
                && plan.table_index == table.index()
                && plan.message.as_slice() == message
        });
        let index = match known {
            Some(index) => index,
            None => self.keep(Plan::new(table, message, crc)?),
        };
        self.plans.get(index).ok_or(EMPTY)
    }

    fn keep(&mut self, plan: Plan) -> usize {
        if self.plans.len() < PLANS_MAX {
            self.plans.push(plan);
            return self.plans.len().saturating_sub(1);
        }
        let index = self.oldest;
        if let Some(place) = self.plans.get_mut(index) {
            *place = plan;
        }
        self.oldest = index.saturating_add(1).checked_rem(PLANS_MAX).unwrap_or(0);
        index
    }
}

const EMPTY: FrameError = FrameError::Body { what: "it ends before its rows" };

impl Plan {
    fn new(table: &'static Table, metadata: &[u8], crc: u32) -> Result<Self, FrameError> {
        let message = verified(metadata)?;
        let schema = message
            .header_as_schema()
            .filter(|schema| schema.endianness() == Endianness::Little)
            .filter(|_| message.bodyLength() == 0)
            .ok_or(FrameError::Body { what: "it does not start with a schema" })?;
        let fields = schema.fields().ok_or(FrameError::Body { what: "its schema is empty" })?;
        let columns_max = table.columns().len();
        let mut values = Vec::with_capacity(fields.len().min(columns_max));
        let mut kept: Vec<FieldRef> = Vec::with_capacity(fields.len().min(columns_max));
        for field in fields {
            let name = field.name().unwrap_or_default();
            let known = table
                .column_index(name)
                .and_then(|index| table.schema().fields().get(index))
                .ok_or_else(|| BatchError::UnknownColumn {
                    table: table.name().to_owned(),
                    found: name.to_owned(),
                })?;
            let read = values_of(&field, known.data_type()).ok_or_else(|| {
                FrameError::ColumnType { table: table.name(), column: name.to_owned() }
            })?;
            if values.len() >= columns_max {
                return Err(FrameError::Body { what: "it has more columns than its table" });
            }
            values.push(read);
            kept.push(Arc::clone(known));
        }
        let schema = Arc::new(Schema::new(Fields::from(kept)));
        let message = metadata.to_vec();
        Ok(Self { table_index: table.index(), message_crc: crc, message, values, schema })
    }
}

// How a field is read, if it has the type the registry wants.
fn values_of(field: &Field<'_>, wanted: &DataType) -> Option<Values> {
    let dictionary = field.dictionary();
    match wanted {
        DataType::Timestamp(_, _) if dictionary.is_none() => {
            let time = field.type_as_timestamp()?;
            (time.unit() == TimeUnit::MILLISECOND && time.timezone() == Some("UTC"))
                .then_some(Values::Time)
        }
        DataType::Int64 if dictionary.is_none() => {
            let int = field.type_as_int()?;
            (int.bitWidth() == 64 && int.is_signed()).then_some(Values::Int)
        }
        DataType::Float64 if dictionary.is_none() => {
            let float = field.type_as_floating_point()?;
            (float.precision() == Precision::DOUBLE).then_some(Values::Float)
        }
        DataType::Dictionary(_, _) => {
            let dictionary = dictionary?;
            let keys = dictionary.indexType()?;
            let fits = keys.bitWidth() == 32 && keys.is_signed() && field.type_type() == Type::Utf8;
            fits.then_some(Values::Text { dictionary: dictionary.id() })
        }
        _ => None,
    }
}

/// The dictionaries of one body, by id.
#[derive(Debug, Default)]
pub(crate) struct Dictionaries {
    texts: Vec<(i64, Arc<StringArray>)>,
}

impl Dictionaries {
    fn add(
        &mut self,
        dictionary: DictionaryBatch<'_>,
        data: &Buffer,
        dictionaries_max: usize,
    ) -> Result<(), FrameError> {
        if dictionary.isDelta() || self.texts.len() >= dictionaries_max {
            return Err(FrameError::Body { what: "it has more dictionaries than columns" });
        }
        let batch = dictionary.data().ok_or(FrameError::Body { what: "a dictionary is empty" })?;
        let rows = usize::try_from(batch.length())
            .map_err(|_| FrameError::Body { what: "a dictionary has a negative length" })?;
        let mut columns = Columns::new(batch, data, rows)?;
        let texts = columns.texts()?;
        columns.end()?;
        self.texts.push((dictionary.id(), Arc::new(texts)));
        Ok(())
    }

    /// The texts with this id; `None` when the body left them out because no row uses any.
    pub(crate) fn find(&self, id: i64) -> Option<Arc<StringArray>> {
        self.texts.iter().find(|(known, _)| *known == id).map(|(_, texts)| Arc::clone(texts))
    }
}

fn verified(metadata: &[u8]) -> Result<Message<'_>, FrameError> {
    let message = root_as_message(metadata)
        .map_err(|_| FrameError::Body { what: "a message is not a valid flatbuffer" })?;
    if message.version() != MetadataVersion::V5 {
        return Err(FrameError::Body { what: "a message is not of Arrow format version 5" });
    }
    Ok(message)
}

/// Walks the encapsulated messages of a body.
struct Messages<'a> {
    body: &'a Buffer,
    at: usize,
}

impl<'a> Messages<'a> {
    // The metadata of the next message; `None` at the end mark.
    fn metadata(&mut self) -> Result<Option<&'a [u8]>, FrameError> {
        let rest = self.body.as_slice().get(self.at..).unwrap_or_default();
        let (mark, rest) = rest.split_first_chunk::<4>().ok_or(EMPTY)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(EMPTY)?;
        let length = usize::try_from(i32::from_le_bytes(*length))
            .ok()
            .filter(|length| *mark == CONTINUATION && length.is_multiple_of(8))
            .ok_or(FrameError::Body { what: "a message has a wrong start" })?;
        self.at = self.at.saturating_add(8).saturating_add(length);
        if length == 0 {
            return Ok(None);
        }
        let metadata = rest.get(..length).ok_or(EMPTY)?;
        Ok(Some(metadata))
    }

    // The data of the message whose metadata was read last.
    fn data(&mut self, length: i64) -> Result<Buffer, FrameError> {
        let length = usize::try_from(length).map_err(|_| EMPTY)?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.body.len()).ok_or(EMPTY)?;
        let data = self.body.slice_with_length(self.at, length);
        self.at = end;
        Ok(data)
    }

    // Only the end mark may follow, and nothing after it.
    fn end(&mut self) -> Result<(), FrameError> {
        match self.metadata()? {
            None if self.at == self.body.len() => Ok(()),
            _ => Err(FrameError::Body { what: "something stands after its rows" }),
        }
    }
}

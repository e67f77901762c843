//! Laws of frames: what was written is read; what was changed is refused; nothing panics.

use std::sync::LazyLock;

use arrow_array::Array;
use bytes::Bytes;
use plimsoll_model::{Batch, BatchBuilder, ColumnType, ErrorClass, Registry, Subject, Table};
use proptest::prelude::*;

use crate::{
    FrameDecoder, FrameError, FrameId, FrameLimits, SenderId, decode, encode, pack, peek, split,
    stream, unpack,
};

const ID: FrameId = FrameId { sender: SenderId([7; 16]), epoch: 1_700_000_000_000, sequence: 3 };

fn table(name: &str) -> &'static Table {
    Registry::embedded().table(name).expect("table")
}

fn subject(index: usize) -> Subject {
    let mut subject = Subject::node("default", "node-1");
    subject.service = format!("service-{}", index % 5).into();
    subject.container_id = format!("{index:064x}").into();
    subject.container = format!("service-{index}").into();
    subject.image = "registry/app:1".into();
    subject
}

/// Rows with every metric set in some rows and left out in others, from a seed.
fn batch(table: &'static Table, rows: usize, seed: u64) -> Batch {
    let mut builder = BatchBuilder::new(table);
    for row in 0..rows {
        let keys: Vec<String> =
            table.keys().iter().map(|key| format!("{key}{}", row % 3)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let time = 1_700_000_000_000 + i64::try_from(row).expect("row") * 1000;
        builder.row(time, &subject(row % 20), &keys);
        for (index, metric) in table.metrics().iter().enumerate() {
            let mixed = seed.wrapping_mul(31).wrapping_add((row * 131 + index * 17) as u64);
            if mixed.is_multiple_of(5) || seed.wrapping_add(index as u64).is_multiple_of(7) {
                continue;
            }
            let int = (mixed.wrapping_mul(1_000_003) % 1_000_000_007).cast_signed();
            match metric.column_type {
                ColumnType::Int => builder.int(&metric.column, Some(int)),
                ColumnType::Float => builder.float(&metric.column, Some(int as f64 / 7.0)),
                ColumnType::Text => {
                    builder.text(&metric.column, Some(&format!("word {}", int % 9)))
                }
            }
            .expect("metric");
        }
    }
    builder.finish().expect("batch")
}

fn same(left: &Batch, right: &Batch) {
    assert_eq!(left.table().name(), right.table().name());
    assert_eq!(left.rows(), right.rows());
}

/// A small frame with numbers, nulls, texts and keys, so that every byte can be tried.
static SMALL: LazyLock<Vec<u8>> =
    LazyLock::new(|| encode(&batch(table("container_network"), 3, 1), ID).expect("encode"));

/// The frame with another body; its checksum is right.
fn resigned(frame: &[u8], body: &[u8]) -> Vec<u8> {
    let name_bytes = usize::from(frame[6]);
    let mut out = frame[..52 + name_bytes].to_vec();
    out[48..52].copy_from_slice(&u32::try_from(body.len()).expect("length").to_le_bytes());
    out.extend_from_slice(&zstd::bulk::compress(body, 1).expect("compress"));
    resign(out)
}

fn resign(mut out: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(out.len() + 4).expect("length");
    out[8..12].copy_from_slice(&length.to_le_bytes());
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn body_of(frame: &[u8]) -> Vec<u8> {
    let name_bytes = usize::from(frame[6]);
    let bytes = u32::from_le_bytes(frame[48..52].try_into().expect("four"));
    let packed = &frame[52 + name_bytes..frame.len() - 4];
    zstd::bulk::decompress(packed, bytes as usize).expect("decompress")
}

#[test]
fn every_table_comes_back_as_it_went() {
    for table in Registry::embedded().tables() {
        for rows in [0, 1, 2, 7, 8, 9, 64, 120] {
            let batch = batch(table, rows, 11);
            let frame = encode(&batch, ID).expect("encode");
            let (header, back) = decode(&frame).expect("decode");
            same(&batch, &back);
            assert_eq!((header.id, header.frame_bytes), (ID, frame.len()));
            assert_eq!(header.rows as usize, rows);
            let peeked = peek(&frame, &FrameLimits::default()).expect("peek");
            assert_eq!(peeked.table.name(), table.name());
        }
    }
}

#[test]
fn the_body_is_a_plain_arrow_stream() {
    let batch = batch(table("container"), 50, 4);
    let body = body_of(&encode(&batch, ID).expect("encode"));
    let reader = arrow_ipc::reader::StreamReader::try_new(&body[..], None).expect("stream");
    let batches: Vec<_> = reader.collect::<Result<_, _>>().expect("batches");
    assert_eq!(batches, vec![batch.rows().clone()]);
    let stream = stream::arrow_stream(&batches).expect("stream");
    let reader = arrow_ipc::reader::StreamReader::try_new(&stream[..], None).expect("stream");
    assert_eq!(reader.collect::<Result<Vec<_>, _>>().expect("batches"), batches);
}

#[test]
fn a_sliced_batch_comes_back_as_it_went() {
    let whole = batch(table("container"), 40, 9);
    let part = Batch::try_new(whole.table(), whole.rows().slice(13, 17)).expect("slice");
    same(&part, &decode(&encode(&part, ID).expect("encode")).expect("decode").1);
}

#[test]
fn corrupt_every_flipped_bit_is_an_error() {
    let mut frame = SMALL.clone();
    for at in 0..frame.len() {
        for bit in 0..8 {
            frame[at] ^= 1 << bit;
            assert!(decode(&frame).is_err(), "byte {at} bit {bit}");
            assert!(peek(&frame, &FrameLimits::default()).is_err(), "byte {at} bit {bit}");
            frame[at] ^= 1 << bit;
        }
    }
    decode(&frame).expect("unchanged again");
}

#[test]
fn corrupt_every_truncation_and_extension_is_an_error() {
    let frame = SMALL.clone();
    for length in 0..frame.len() {
        assert!(decode(&frame[..length]).is_err(), "cut at {length}");
    }
    let mut longer = frame.clone();
    longer.push(0);
    assert!(matches!(decode(&longer), Err(FrameError::Trailing { bytes: 1 })));
}

#[test]
fn hostile_every_changed_body_byte_is_an_answer_not_a_panic() {
    let body = body_of(&SMALL);
    let mut decoder = FrameDecoder::new(FrameLimits::default()).expect("decoder");
    for at in 0..body.len() {
        for change in [0x01_u8, 0x80, 0xff, 0x7f] {
            let mut changed = body.clone();
            changed[at] ^= change;
            if let Ok((_, batch)) = decoder.decode(&resigned(&SMALL, &changed)) {
                // What is accepted can be read to the last value.
                let text = format!("{:?}", batch.rows());
                assert!(!text.is_empty());
            }
        }
    }
}

#[test]
fn hostile_every_cut_body_is_an_error() {
    let body = body_of(&SMALL);
    for length in 0..body.len() {
        assert!(decode(&resigned(&SMALL, &body[..length])).is_err(), "cut at {length}");
    }
}

#[test]
fn limit_sizes_are_checked_before_memory_is_taken() {
    let mut frame = SMALL[..SMALL.len() - 4].to_vec();
    frame[48..52].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = decode(&resign(frame.clone())).expect_err("too large");
    assert_eq!(error.class(), ErrorClass::Limited);
    frame[48..52].copy_from_slice(&(20_u32 << 20).to_le_bytes());
    assert!(matches!(decode(&resign(frame)), Err(FrameError::Decompress { .. })));
    let limits = FrameLimits { rows_max: 2, ..FrameLimits::default() };
    let error = peek(&SMALL, &limits).expect_err("too many rows");
    assert_eq!(error.class(), ErrorClass::Limited);
}

#[test]
fn unknown_tables_and_columns_are_named() {
    let mut frame = SMALL[..SMALL.len() - 4].to_vec();
    frame[52] = b'x';
    let error = decode(&resign(frame)).expect_err("unknown table");
    assert_eq!(error.class(), ErrorClass::Invalid);
    assert!(plimsoll_model::chain(&error).contains("xontainer_network"), "{error}");
    // A body of another table under this table's name.
    let other = body_of(&encode(&batch(table("node"), 2, 1), ID).expect("encode"));
    let error = decode(&resigned(&SMALL, &other)).expect_err("foreign body");
    assert!(plimsoll_model::chain(&error).contains("has no column"), "{error:?}");
}

#[test]
fn a_decoder_does_not_mix_up_schemas_it_remembers() {
    let mut decoder = FrameDecoder::new(FrameLimits::default()).expect("decoder");
    for round in 0..3 {
        for seed in 0..90 {
            let batch = batch(table("container"), 4, seed);
            let frame = encode(&batch, ID).expect("encode");
            let (_, back) = decoder.decode(&frame).expect("decode");
            same(&batch, &back);
        }
        assert!(round < 3);
    }
}

#[test]
fn split_cuts_what_was_joined() {
    let frames: Vec<Vec<u8>> =
        (1..5).map(|rows| encode(&batch(table("node"), rows, 2), ID).expect("encode")).collect();
    let mut joined = Bytes::from(frames.concat());
    let cut: Vec<Bytes> = split(&joined).collect::<Result<_, _>>().expect("split");
    assert_eq!(cut, frames);
    joined.truncate(joined.len() - 1);
    let cut: Vec<_> = split(&joined).collect();
    assert_eq!(cut.len(), 4);
    assert!(cut[3].is_err());
    assert_eq!(split(&Bytes::new()).count(), 0);
    let junk: Vec<_> = split(&Bytes::from_static(b"not a frame")).collect();
    assert!(junk.len() == 1 && junk[0].is_err());
}

#[test]
fn sender_ids_are_32_digits() {
    let id = SenderId([0x0f; 16]);
    assert_eq!(id.to_string(), "0f".repeat(16));
    assert_eq!(SenderId::from_hex(&id.to_string()), Some(id));
    assert_eq!(SenderId::from_hex("+f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"), None);
}

#[test]
fn packed_bytes_come_back_or_are_refused() {
    let bytes: Vec<u8> = (0..5000_u32).flat_map(|n| (n % 77).to_le_bytes()).collect();
    let packed = pack(&bytes).expect("pack");
    assert!(packed.len() < bytes.len() / 4);
    assert_eq!(unpack(&packed, bytes.len()).expect("unpack"), bytes);
    assert_eq!(
        unpack(&packed, bytes.len() - 1).expect_err("too large").class(),
        ErrorClass::Limited
    );
    for length in 0..packed.len() {
        assert!(unpack(&packed[..length], bytes.len()).is_err(), "cut at {length}");
    }
    assert_eq!(unpack(&pack(&[]).expect("pack"), 0).expect("unpack"), Vec::<u8>::new());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_batch_comes_back_as_it_went(index in 0_usize..10, rows in 0_usize..130, seed: u64) {
        let table = &Registry::embedded().tables()[index];
        let batch = batch(table, rows, seed >> 8);
        let (_, back) = decode(&encode(&batch, ID).expect("encode")).expect("decode");
        same(&batch, &back);
    }

    #[test]
    fn hostile_any_bytes_are_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(decode(&bytes).is_err());
        let signed = resigned(&SMALL, &bytes);
        prop_assert!(decode(&signed).is_err());
    }

    #[test]
    fn hostile_patched_bodies_are_an_answer(
        at in 0_usize..4000, word: u64, width in 1_usize..9,
    ) {
        let mut body = body_of(&SMALL);
        let at = at % (body.len() - 8);
        body[at..at + width].copy_from_slice(&word.to_le_bytes()[..width]);
        if let Ok((_, batch)) = decode(&resigned(&SMALL, &body)) {
            prop_assert!(batch.rows().columns().iter().all(|column| column.len() == 3));
            let text = format!("{:?}", batch.rows());
            prop_assert!(!text.is_empty());
        }
    }
}

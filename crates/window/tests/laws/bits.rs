//! Columns and their bitmaps refuse slices that do not fit together.

use plimsoll_window::{Bits, ColumnError, CounterColumn, GaugeColumn};

#[test]
fn slices_of_different_length_are_not_a_column() {
    let (three, two) = ([1_i64, 2, 3], [1_i64, 2]);
    let length = |field, found| Some(ColumnError::Length { field, rows: 3, found });
    assert_eq!(CounterColumn::new(&three, &two, None, None).err(), length("values", 2));
    assert_eq!(CounterColumn::new(&three, &three, None, Some(&two)).err(), length("epochs", 2));
    let bits = Bits::new(&[0xff], 4, 4).unwrap();
    let found = CounterColumn::new(&three, &three, Some(bits), None).err();
    assert_eq!(found, length("validity bits", 4));
    assert_eq!(GaugeColumn::new(&three, &[0.5, 0.5], None).err(), length("values", 2));
}

#[test]
fn a_bitmap_ends_inside_its_bytes() {
    let short = |bytes, offset, bits| Some(ColumnError::Bitmap { bytes, offset, bits });
    assert!(Bits::new(&[0, 0], 7, 9).is_ok());
    assert_eq!(Bits::new(&[0, 0], 8, 9).err(), short(2, 8, 9));
    assert_eq!(Bits::new(&[0], usize::MAX, 2).err(), short(1, usize::MAX, 2));
    assert!(Bits::new(&[], 0, 0).is_ok_and(|bits| bits.is_empty()));
}

//! The constants of the buckets, and bytes that are whole but wrong.

use super::*;

#[test]
fn the_constants_belong_together() {
    let accuracy = 0.009_99_f64;
    assert!((GAMMA - (1.0 + accuracy) / (1.0 - accuracy)).abs() < 1e-15);
    assert!((GAMMA_LN - GAMMA.ln()).abs() < 1e-15);
    assert_eq!(KEY_MIN, number::to_i32((SMALLEST.ln() / GAMMA_LN).ceil()));
    assert_eq!(KEY_MAX, number::to_i32((1e19_f64.ln() / GAMMA_LN).ceil()));
    let per_side = usize::try_from(KEY_MAX - KEY_MIN + 1).unwrap();
    assert_eq!(Sketch::BUCKETS_MAX, 2 * per_side);
}

#[test]
fn every_bucket_answers_within_its_error() {
    for key in KEY_MIN..=KEY_MAX {
        let upper = (f64::from(key) * GAMMA_LN).exp();
        for inside in [upper / GAMMA * 1.000_000_1, upper * 0.999_999_9] {
            let answered = value_of(key_of(inside.max(SMALLEST)));
            assert!((answered - inside).abs() <= Sketch::RELATIVE_ERROR * inside, "{key} {inside}");
        }
    }
}

#[test]
fn bytes_with_a_true_checksum_and_false_content_are_refused() {
    let sealed = |body: &[u8]| {
        let mut bytes = body.to_vec();
        bytes.extend_from_slice(&crc32c::crc32c(body).to_le_bytes());
        bytes
    };
    let bounds = |min: f64, max: f64| [min.to_le_bytes(), max.to_le_bytes()].concat();
    let one = |buckets: u8, min: f64, max: f64, rest: &[u8]| {
        sealed(&[&[1, 0, 0, buckets][..], &bounds(min, max), rest].concat())
    };
    // The bucket of 1.0 is key 0, which is 1037 past the first: 0x8d 0x08 as a varint.
    let good = one(1, 1.0, 1.0, &[0x8d, 0x08, 5]);
    assert_eq!(Sketch::from_bytes(&good).map(|sketch| sketch.count()), Ok(5));
    let field = |field| Err(SketchError::Field { field });
    let cases = [
        (sealed(&[2, 0, 0, 0]), Err(SketchError::Version { found: 2 })),
        (sealed(&[1, 0x80, 0, 0, 0]), field("zeros")),
        (sealed(&[1, 0, 0, 0, 9]), field("end")),
        (one(1, 1.0, 1.0, &[0x8d, 0x08, 0]), field("buckets")),
        (one(2, 1.0, 1.0, &[0x8d, 0x08, 5, 0, 1]), field("buckets")),
        (one(1, 1.0, 1.0, &[0xff, 0xff, 3, 5]), field("buckets")),
        (one(9, 1.0, 1.0, &[0x8d, 0x08, 5]), field("buckets")),
        (one(1, 2.0, 1.0, &[0x8d, 0x08, 5]), field("min and max")),
        (one(1, f64::NAN, 1.0, &[0x8d, 0x08, 5]), field("min and max")),
        (one(1, 1.0, 9.0, &[0x8d, 0x08, 5]), field("min and max")),
        (one(1, -1.0, 1.0, &[0x8d, 0x08, 5]), field("min and max")),
    ];
    for (bytes, expected) in cases {
        assert_eq!(Sketch::from_bytes(&bytes), expected, "{bytes:?}");
    }
    let huge = sealed(&[1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]);
    assert!(Sketch::from_bytes(&huge).is_err());
}

//! Any column through every coder that suits it, and any bytes as a column: what was written is read
//! back, and no bytes make more values than were asked for.
#![no_main]

use riverwatts_shared::bytes::{Reader, Writer};
use riverwatts_shared::coder::{decode, decode_v1, encode};

libfuzzer_sys::fuzz_target!(|input: (Vec<i64>, u8, Vec<u8>, u16)| {
    let (steps, shift, bytes, count) = input;
    // Steps of every size, summed up: columns that models can foresee.
    let mut value = 0i64;
    let values: Vec<i64> = steps
        .iter()
        .map(|step| {
            value = value.wrapping_add(step >> (shift % 64));
            value
        })
        .collect();
    if !values.is_empty() {
        let mut writer = Writer::default();
        encode(&values, &mut writer);
        let written = writer.into_bytes();
        let mut reader = Reader::new(&written);
        assert_eq!(decode(&mut reader, values.len()), Ok(values));
        assert!(reader.is_empty());
    }
    let count = usize::from(count).max(1);
    for decode in [decode, decode_v1] {
        if let Ok(values) = decode(&mut Reader::new(&bytes), count) {
            assert_eq!(values.len(), count);
        }
    }
});

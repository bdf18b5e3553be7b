//! Any bytes as a segment: no panic, and what was understood is written and read back the same.
#![no_main]

use riverwatts_shared::segment::Segment;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(segment) = Segment::decode(bytes) {
        assert_eq!(Segment::decode(&segment.encode()), Ok(segment.clone()));
        for row in 0..segment.rows().min(100) {
            let _ = segment.reading(row);
        }
    }
});

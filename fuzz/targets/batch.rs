//! Any bytes as a batch: no panic, and what was understood is written and read back the same.
#![no_main]

use riverwatts_shared::batch::Batch;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(batch) = Batch::decode(bytes) {
        assert_eq!(Batch::decode(&batch.encode()), Ok(batch));
    }
});

//! Any bytes as a batch, with and without the checksum that they should have: no panic, and what was
//! understood is written and read back the same.
#![no_main]

use riverwatts_shared::batch::Batch;
use riverwatts_shared::bytes::with_sum;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for bytes in [bytes.to_vec(), with_sum(bytes.to_vec())] {
        if let Ok(batch) = Batch::decode(&bytes) {
            assert_eq!(Batch::decode(&batch.encode()), Ok(batch));
        }
    }
});

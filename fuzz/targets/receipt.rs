//! Any bytes, with the checksum that they should have, as a receipt in its short form: no panic, and what was
//! understood is written and read back the same.
#![no_main]

use riverwatts_shared::bytes::with_sum;
use riverwatts_shared::receipt::Receipt;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Receipt::from_short(bytes);
    if let Ok((receipt, at)) = Receipt::from_short(&with_sum(bytes.to_vec())) {
        assert_eq!(Receipt::from_short(&receipt.to_short(at)), Ok((receipt, at)));
    }
});

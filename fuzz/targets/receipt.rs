//! Any bytes as a receipt in its short form: no panic, and what was understood is written and read back the same.
#![no_main]

use riverwatts_shared::receipt::Receipt;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(receipt) = Receipt::from_short(bytes) {
        assert_eq!(Receipt::from_short(&receipt.to_short()), Ok(receipt));
    }
});

//! Any text as a device profile: a profile or a list of problems, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(problems) = riverwatts_shared::profile::parse("any.toml", text) {
        assert!(!problems.is_empty());
    }
});

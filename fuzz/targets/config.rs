//! Any text as `edge.toml`, with settings above it: a configuration or a list of problems, never a panic.
//! Behind a line `--` stand settings of arguments (`panel.listen=…`) and of the environment (`RIVERWATTS_…=…`).
#![no_main]

use std::path::Path;

#[allow(dead_code, unused_imports, reason = "the gateway's own files, of which the fuzzer needs a part")]
#[path = "../../edge/src/config/mod.rs"]
mod config;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (text, above) = text.split_once("\n--\n").unwrap_or((text, ""));
    let above = above.lines().filter_map(|line| line.split_once('='));
    let above = above.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (variables, arguments) = above.partition::<Vec<_>, _>(|(name, _)| name.starts_with("RIVERWATTS_"));
    let overrides = config::Overrides::new(variables, arguments);
    match config::parse(text, "edge.toml", Path::new("nowhere"), &overrides) {
        Ok(config) => {
            for device in &config.devices {
                assert!(device.bus < config.buses.len());
                let _ = (config.timeout(device), config.quiet(device));
            }
        }
        Err(problems) => assert!(problems.iter().all(|problem| !problem.remedy.is_empty()) && !problems.is_empty()),
    }
});

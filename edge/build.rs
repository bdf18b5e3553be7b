//! Tells the program when it was built (no clock that is right says an earlier time), and makes the
//! page's files part of it.

use std::time::{SystemTime, UNIX_EPOCH};

use riverwatts_assets::build::Sources;

fn main() {
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse::<u64>().ok());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    println!("cargo::rustc-env=RIVERWATTS_BUILT_S={}", given.unwrap_or_else(now));
    let views = [
        ("/", "pages/site.js"),
        ("/devices", "pages/devices.js"),
        ("/devices/{id}", "pages/device.js"),
        ("/buses", "pages/buses.js"),
        ("/link", "pages/link.js"),
        ("/clock", "pages/clock.js"),
        ("/dead-letters", "pages/dead-letters.js"),
    ];
    Sources { folders: &["../shared/web", "web"], entry: "panel.js", views: &views }.embed();
}

//! Rebuilds when a migration is added (`sqlx::migrate!` embeds the folders), and makes the pages'
//! files part of the program.

use riverwatts_assets::build::Sources;

/// Pages, and what they import when their address is asked for.
const VIEWS: &[(&str, &str)] =
    &[("/", "pages/fleet.js"), ("/sites/{id}", "pages/site.js"), ("/devices/{id}", "pages/device.js")];

fn main() {
    println!("cargo::rerun-if-changed=migrations");
    Sources { folders: &["../shared/web", "web"], entry: "main.js", views: VIEWS }.embed();
}

//! Rebuilds when a migration is added (`sqlx::migrate!` embeds the folders), and makes the pages'
//! files part of the program.

use riverwatts_assets::build::Sources;

fn main() {
    println!("cargo::rerun-if-changed=migrations");
    Sources { folders: &["../shared/web", "web"], entry: "main.js", views: &[] }.embed();
}

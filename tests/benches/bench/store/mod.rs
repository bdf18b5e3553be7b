//! What a gateway's store does to its disk, to the link and to its own memory, also after a month
//! without the cloud.

mod disk;
mod drain;
mod feed;
mod offline;

use jiff::Timestamp;
use riverwatts_shared::time::UtcMs;

use crate::report::Report;
use crate::wire;

pub use offline::{STORE, store};

/// All of it.
pub async fn measure(report: &mut Report) {
    wire::measure(report, ["store.wire_bytes_per_reading_60s", "store.wire_bytes_per_reading_600s"]);
    let now = UtcMs::from(Timestamp::now());
    disk::measure(report, now).await;
    let folder = tempfile::tempdir().unwrap();
    offline::measure(report, &folder.path().join("store"), now).await;
    drain::measure(report, folder.path()).await;
}

//! What a gateway's store does to its disk, to the link and to its own memory, also after a month
//! without the cloud.

mod disk;
mod drain;
mod feed;
mod offline;

use jiff::Timestamp;
use riverwatts_shared::time::UtcMs;

use crate::report::{Better, Report};
use crate::socket;

pub use offline::{STORE, store};

/// All of it.
pub async fn measure(report: &mut Report) {
    measure_wire(report).await;
    let now = UtcMs::from(Timestamp::now());
    disk::measure(report, now).await;
    let folder = tempfile::tempdir().unwrap();
    offline::measure(report, &folder.path().join("store"), now).await;
    drain::measure(report, folder.path()).await;
}

/// What HTTP carries for one reading, when uploads come each minute and each ten.
async fn measure_wire(report: &mut Report) {
    for (name, session_s, interval_s, target) in
        [("store.wire_bytes_per_reading_60s", 3_600, 60, 8.4), ("store.wire_bytes_per_reading_600s", 14_400, 600, 6.6)]
    {
        let carried = socket::carry(session_s, interval_s).await;
        let figure = report.add(name, carried.http, "B/reading", Better::Lower);
        figure.target = Some(target);
        figure.runs = session_s / interval_s;
        figure.beside.insert("bodies", carried.bodies);
        figure.beside.insert("with TLS", carried.tls);
    }
}

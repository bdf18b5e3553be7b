//! Disks that are full, read-only, slow or broken, in the midst of the work and at the start: the site
//! is polled and seen all the same, and when the disk is mended nothing is missing.

use std::time::Duration;

use riverwatts_tests::broken_disk::{BrokenDisk, Fault};
use riverwatts_tests::deadline::{SOON, until};
use riverwatts_tests::reading::missing_counts;
use riverwatts_tests::river::{River, device};
use serde_json::Value;

const FAULTS: [Fault; 4] = [Fault::Full, Fault::ReadOnly, Fault::Broken, Fault::Slow(Duration::from_secs(7))];
/// Readings that a device gathers in memory meanwhile.
const GATHERED: u64 = 40;

fn store(site: &Value) -> &Value {
    site["parts"].as_array().unwrap().iter().find(|part| part["name"] == "store").unwrap()
}

/// The panel tells of the fault, the devices are polled in their rhythm and seen, and memory fills.
async fn assert_lives(river: &River, fault: Fault) {
    let polls = river.gateway.unit(&device(1), "polls").await;
    until(SOON, async || {
        let site = river.gateway.panel("/api/site").await;
        let told = site["store_error"].is_string() && store(&site)["condition"] == "failure";
        let waits = site["unflushed_readings"].as_u64().unwrap() >= 2 * GATHERED;
        if told && waits { Ok(()) } else { Err(format!("{fault:?}: {site}")) }
    })
    .await;
    let polled = river.gateway.unit(&device(1), "polls").await - polls;
    assert!(polled + 10 >= GATHERED, "{fault:?}: {polled} polls");
    for key in ["dropped", "lost"] {
        assert_eq!(river.gateway.unit(&device(1), key).await, 0, "{fault:?}: {key}");
    }
    let devices = river.gateway.panel("/api/devices").await;
    for device in devices["devices"].as_array().unwrap() {
        assert!(device["age_s"].as_f64().unwrap() < 2.0, "{fault:?}: {device}");
    }
    assert_eq!(river.gateway.metrics().await["riverwatts_edge_store_failing"], 1.0);
}

/// Stores go on without a restart, and everything that was polled arrives once.
async fn assert_mends(river: &River, fault: Fault) {
    until(SOON, async || {
        let site = river.gateway.panel("/api/site").await;
        let stored = site["store_error"].is_null() && site["unflushed_readings"].as_u64().unwrap() < 20;
        if stored { Ok(()) } else { Err(format!("{fault:?}: {site}")) }
    })
    .await;
    river.run_dry().await;
    for points in river.assert_complete().await {
        assert_eq!(missing_counts(&points), 0, "{fault:?}: polls that were answered and are not there");
    }
    for unit in [1, 2] {
        let device_id = river.cloud.device(&river.site_id, &device(unit)).await;
        assert_eq!(river.cloud.gaps(&device_id).await, [], "{fault:?}: nothing was lost");
    }
}

#[tokio::test]
async fn a_disk_that_fails_while_it_is_used_costs_nothing_once_it_is_mended() {
    for fault in FAULTS {
        let mut river = River::new(&[1, 2], "100ms").await;
        let disk = BrokenDisk::default();
        river.gateway.set_disk(&disk);
        river.gateway.start().await;
        river.flows(1).await;
        disk.fails(fault);
        assert_lives(&river, fault).await;
        disk.is_mended();
        assert_mends(&river, fault).await;
        river.gateway.stop().await;
    }
}

#[tokio::test]
async fn a_disk_that_fails_at_the_start_delays_nothing_but_the_store() {
    for fault in FAULTS {
        let mut river = River::new(&[1, 2], "100ms").await;
        let disk = BrokenDisk::default();
        river.gateway.set_disk(&disk);
        disk.fails(fault);
        river.gateway.start().await;
        assert_lives(&river, fault).await;
        disk.is_mended();
        assert_mends(&river, fault).await;
        river.gateway.stop().await;
    }
}

//! The independent count of `count.py`: what devices said, what panel and cloud have.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::cloud::Cloud;
use crate::gateway::Gateway;
use crate::place::{python, repository};
use crate::program::{command, errand};

/// What can be compared of the readings of one device.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Account {
    /// How many.
    pub number: u64,
    /// Time of the first, in UTC ms.
    pub first: Option<i64>,
    /// Time of the last.
    pub last: Option<i64>,
    /// Of all values.
    pub sum: String,
    /// Over times and values.
    pub hash: String,
}

/// What is missing of what a counter said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Lost {
    /// Readings in the cloud.
    pub number: u64,
    /// Of these, how many the device never said.
    pub never_said: u64,
    /// How many came twice.
    pub doubled: u64,
    /// How many did not come, between the first and the last that did.
    pub missing: u64,
    /// The most that are missing between two that came.
    pub most: u64,
    /// How many are missing where no gap stands.
    pub untold: u64,
    /// Furthest that a time is from the device's own.
    pub off_ms: u64,
    /// Gaps in the cloud.
    pub gaps: u64,
}

/// By key of the device.
pub type ByDevice<T> = BTreeMap<String, T>;

/// What the lines of a record say: device, ms, and `metric=value` as often as wanted, between tabulators.
pub async fn in_record(file: &Path) -> ByDevice<Account> {
    count(&["record", &file.display().to_string()]).await
}

/// What a gateway's panel has of these devices: the newest thousand readings of each.
pub async fn in_panel(gateway: &Gateway, devices: &[String]) -> ByDevice<Account> {
    let url = format!("http://127.0.0.1:{}", gateway.panel_port());
    let arguments = ["panel", &url].into_iter().chain(devices.iter().map(String::as_str));
    count(&arguments.collect::<Vec<_>>()).await
}

/// What the cloud has of a site.
pub async fn in_cloud(cloud: &Cloud, site_id: &str) -> ByDevice<Account> {
    count(&["cloud", &cloud.url(), token(cloud), site_id]).await
}

/// Of that, the newest thousand readings of each device.
pub async fn newest_in_cloud(cloud: &Cloud, site_id: &str) -> ByDevice<Account> {
    count(&["newest", &cloud.url(), token(cloud), site_id]).await
}

/// What is missing in the cloud of what counters said.
pub async fn lost(said: &ByDevice<Vec<(u64, i64)>>, cloud: &Cloud, site_id: &str) -> ByDevice<Lost> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serde_json::to_vec(said).unwrap()).unwrap();
    count(&["lost", &file.path().display().to_string(), &cloud.url(), token(cloud), site_id]).await
}

fn token(cloud: &Cloud) -> &str {
    cloud.admin().token().expect("the admin is signed in")
}

async fn count<T: for<'a> Deserialize<'a>>(arguments: &[&str]) -> ByDevice<T> {
    let mut count = command(&python());
    count.arg(repository("tests/count.py")).args(arguments);
    let counted = errand(count, "").await;
    assert!(counted.status.success(), "count.py {arguments:?}: {}", String::from_utf8_lossy(&counted.stderr));
    serde_json::from_slice(&counted.stdout).unwrap()
}

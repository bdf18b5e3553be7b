//! A whole river: devices that count their answers, a gateway, a link, a cloud.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::cloud::Cloud;
use crate::deadline::until;
use crate::edge_toml::EdgeToml;
use crate::gateway::Gateway;
use crate::link::Link;
use crate::modbus::ModbusServer;
use crate::reading::{Point, assert_same, assert_true};

/// How far a reading's time may be from the server's own, on one machine.
pub const TOLERANCE_MS: i64 = 1_500;
/// Time for everything that waits at the gateway to arrive.
const SETTLED_WITHIN: Duration = Duration::from_secs(40);

/// All of it; the gateway is enrolled and does not run yet.
#[derive(Debug)]
pub struct River {
    /// Answers for every unit.
    pub server: ModbusServer,
    /// Reads them.
    pub gateway: Gateway,
    /// Its way to the cloud.
    pub link: Link,
    /// The cloud.
    pub cloud: Cloud,
    /// Its only site.
    pub site_id: String,
    /// What the gateway runs with.
    pub toml: EdgeToml,
    units: Vec<u8>,
}

impl River {
    /// One device per unit, called `counter-<unit>`, on one TCP bus.
    pub async fn new(units: &[u8], interval: &str) -> River {
        Self::with(units, interval, Gateway::new).await
    }

    /// The same with a gateway of another make.
    pub async fn with(units: &[u8], interval: &str, make: impl FnOnce(&EdgeToml) -> Gateway) -> River {
        let cloud = Cloud::start().await;
        let link = Link::to(cloud.port()).await;
        let server = ModbusServer::tcp(units).await;
        let mut toml = EdgeToml::new(link.url()).tcp("lan", server.address());
        for &unit in units {
            server.count(unit).await;
            toml = toml.device(&device(unit), "lan", unit, "counter", interval);
        }
        let site_id = cloud.site("Tanana").await;
        let gateway = make(&toml);
        gateway.enroll(link.url(), &cloud.gateway(&site_id).await.1).await;
        River { server, gateway, link, cloud, site_id, toml, units: units.to_vec() }
    }

    /// What the cloud has of a unit, oldest first; nothing while it does not know the device.
    pub async fn in_cloud(&self, unit: u8) -> Vec<Point> {
        match self.cloud.devices(&self.site_id).await.get(&device(unit)) {
            Some(id) => Point::all(&self.cloud.readings(id).await),
            None => Vec::new(),
        }
    }

    /// What every unit's counter said, and when, by key: the devices' own record.
    pub async fn said(&self) -> BTreeMap<String, Vec<(u64, i64)>> {
        let mut said = BTreeMap::new();
        for &unit in &self.units {
            let served = self.server.served(unit).await;
            said.insert(device(unit), served.iter().map(|served| (served.number, served.at.0)).collect());
        }
        said
    }

    /// What the gateway's store has of a unit, oldest first, as far as it has a time.
    pub async fn at_gateway(&self, unit: u8) -> Vec<Point> {
        Point::all(&self.gateway.readings(&device(unit)).await)
    }

    /// Waits until every unit has at least `count` readings in the cloud.
    pub async fn flows(&self, count: usize) {
        for &unit in &self.units {
            until(SETTLED_WITHIN, async || {
                let found = self.in_cloud(unit).await.len();
                if found >= count { Ok(()) } else { Err(format!("{found} readings of unit {unit} in the cloud")) }
            })
            .await;
        }
    }

    /// Ends polling by silencing every unit, and waits until the gateway has nothing left to send.
    pub async fn run_dry(&self) {
        for &unit in &self.units {
            self.server.silence(unit, true).await;
        }
        let own: Vec<Value> = self.units.iter().map(|&unit| device(unit).into()).collect();
        until(SETTLED_WITHIN, async || {
            // The last answer may still be on its way to the store: a unit that was asked in vain gave it before.
            let buses = self.gateway.panel("/api/buses").await;
            let mut units = buses["buses"].as_array().unwrap().iter().flat_map(|bus| bus["units"].as_array().unwrap());
            if units.any(|unit| own.contains(&unit["device"]) && unit["silences"] == 0) {
                return Err(format!("units are still heard: {buses}"));
            }
            let site = self.gateway.panel("/api/site").await;
            match (site["unflushed_readings"].as_u64(), self.gateway.backlog().await) {
                (Some(0), 0) => Ok(()),
                left => {
                    Err(format!("{left:?} readings wait at the gateway: {}", self.gateway.panel("/api/link").await))
                }
            }
        })
        .await;
    }

    /// Once all has run dry: cloud and gateway have the same readings of every unit, each once, and
    /// each as it was served. Gives what there is of each unit.
    ///
    /// # Panics
    /// With the readings that are missing, doubled or wrong.
    pub async fn assert_complete(&self) -> Vec<Vec<Point>> {
        let mut all = Vec::new();
        for &unit in &self.units {
            let (gateway, cloud) = (self.at_gateway(unit).await, self.in_cloud(unit).await);
            assert!(!gateway.is_empty(), "no readings of unit {unit}");
            assert_same(&gateway, &cloud);
            assert_true(&cloud, &self.server.served(unit).await, TOLERANCE_MS);
            all.push(cloud);
        }
        all
    }
}

/// The key of a unit's device.
pub fn device(unit: u8) -> String {
    format!("counter-{unit}")
}

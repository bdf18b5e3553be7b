//! A whole site for tests that see it through a browser: the demo's five devices, a gateway with its
//! panel, a link that can be cut, the cloud with one person of each role; and further boxes.

use riverwatts_shared::words::UserRole;
use serde_json::{Value, json};

use crate::cloud::{ADMIN, Cloud, PASSWORD};
use crate::deadline::{SOON, until};
use crate::edge_toml::EdgeToml;
use crate::gateway::{self, Gateway};
use crate::link::{Link, Mode};
use crate::modbus::{ModbusServer, Table};
use crate::refusal::refuse;
use crate::virtual_devices::VirtualDevices;

/// The demo's devices, each with its profile and how often it is read.
const DEVICES: [(&str, &str, &str); 5] = [
    ("turbine-1", "sunspec-inverter", "1s"),
    ("meter-1", "eastron-sdm630", "2s"),
    ("vibration-1", "banner-qm42vt2", "1s"),
    ("radar-1", "ott-svr100", "1s"),
    ("battery-1", "victron-gx", "1s"),
];
/// The device that can be silenced.
const METER: &str = "meter-1";
/// The device whose readings can be refused.
const REFUSED: &str = "turbine-1";
/// What the serial number of a further box's device says, where its profile has one.
const SERIAL_NUMBER: &str = "<img src=x onerror=alert(1)>";
const SERIAL_NUMBER_AT: u16 = 20;

/// Everything of it runs until it is dropped.
#[derive(Debug)]
pub struct Stage {
    gateway: Gateway,
    link: Link,
    meter: Link,
    boxes: Vec<(Gateway, ModbusServer)>,
    cloud: Cloud,
    told: Value,
    _devices: VirtualDevices,
}

impl Stage {
    /// All of it, with further settings of the cloud; readings arrive there.
    pub async fn set(settings: &[(String, String)]) -> Stage {
        let (mut cloud, devices) = (Cloud::start().await, VirtualDevices::start(&[]).await);
        if !settings.is_empty() {
            settings.iter().for_each(|(name, value)| cloud.set(name, value));
            cloud.stop().await;
            cloud.start_again().await;
        }
        let link = Link::to(cloud.port()).await;
        let place = |id: &str| devices.places().iter().find(|place| place.id == id).expect("the demo has it");
        let port = place(METER).address.rsplit(':').next().and_then(|port| port.parse().ok());
        let meter = Link::to(port.expect("a TCP address ends with its port")).await;
        let mut toml = EdgeToml::new(link.url()).named("Demo River");
        for (id, profile, interval) in DEVICES {
            let place = place(id);
            let address = if id == METER { meter.url().trim_start_matches("http://") } else { &place.address };
            toml = toml.tcp(&format!("{id}-bus"), address);
            toml = toml.device(id, &format!("{id}-bus"), place.unit, profile, interval);
        }
        let (site_id, other_id) = (cloud.site("Demo River").await, cloud.site("Another River").await);
        let mut gateway = Gateway::new(&toml);
        gateway.enroll(link.url(), &cloud.gateway(&site_id).await.1).await;
        gateway.set_password().await;
        gateway.start().await;
        until(SOON, async || {
            let latest = cloud.admin().get(&format!("/readings/latest?site_id={site_id}")).await.ok();
            let count = latest["readings"].as_array().map_or(0, Vec::len);
            if count == DEVICES.len() { Ok(()) } else { Err(format!("readings of {count} devices")) }
        })
        .await;
        let mut people = json!({"admin": ADMIN});
        for role in [UserRole::Technician, UserRole::Viewer, UserRole::Customer] {
            let person = cloud.person(role).await;
            match role {
                UserRole::Customer => cloud.subscribe(&site_id, &person).await,
                _ => cloud.add_member(&site_id, &person).await,
            }
            people[role.to_string()] = json!(person.email);
        }
        let told = json!({
            "cloud": cloud.url(), "panel": address(&gateway), "people": people, "password": PASSWORD,
            "panel_password": gateway::PASSWORD,
            "site": {"id": site_id, "name": "Demo River"}, "other": {"id": other_id, "name": "Another River"},
            "devices": cloud.devices(&site_id).await,
        });
        Stage { gateway, link, meter, boxes: Vec::new(), cloud, told, _devices: devices }
    }

    /// Addresses, sign-ins, ids.
    pub fn told(&self) -> &Value {
        &self.told
    }

    /// The cloud.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// Carries out an order, as `riverwatts-stage` lists them; the answer.
    ///
    /// # Panics
    /// At what is no order.
    pub async fn obey(&mut self, order: &Value) -> Value {
        let on = order["on"] == true;
        match order["do"].as_str() {
            Some("silence") => self.meter.set(if on { Mode::BlackHole } else { Mode::Pass }),
            Some("cut") => self.link.set(if on { Mode::Refuse } else { Mode::Pass }),
            Some("box") => {
                let text = |key: &str| order[key].as_str().unwrap_or_else(|| panic!("no `{key}` in {order}"));
                return json!({"panel": self.further_box(text("code"), text("name"), text("profile")).await});
            }
            Some("refuse") => {
                let id = self.told["devices"][REFUSED].as_str().expect("the cloud knows it");
                let count = order["count"].as_u64().expect("how many") as usize;
                refuse(&self.gateway, &self.link, &self.cloud, (REFUSED, id), count).await;
            }
            Some("stop") => self.gateway.stop().await,
            Some("start") => self.gateway.start().await,
            _ => panic!("no order: {order}"),
        }
        Value::Null
    }

    /// A further gateway with one device that counts its answers; the address of its panel.
    async fn further_box(&mut self, code: &str, name: &str, profile: &str) -> String {
        let server = ModbusServer::tcp(&[1]).await;
        server.count(1).await;
        let words: Vec<u16> =
            SERIAL_NUMBER.as_bytes().chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        server.set(1, Table::Holding, SERIAL_NUMBER_AT, &words).await;
        let toml = EdgeToml::new(&self.cloud.url()).named(name).tcp("lan", server.address());
        let mut gateway = Gateway::new(&toml.device("counter-1", "lan", 1, profile, "1s"));
        gateway.enroll(&self.cloud.url(), code).await;
        gateway.start().await;
        let panel = address(&gateway);
        self.boxes.push((gateway, server));
        panel
    }
}

fn address(gateway: &Gateway) -> String {
    format!("http://127.0.0.1:{}", gateway.panel_port())
}

//! The cloud on a port and in a folder of its own, with what people make of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::UserRole;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::Api;
use crate::deadline::{SOON, until};
use crate::last_write::LastWrite;
use crate::place::{free_port, program};
use crate::program::{Program, command, errand};
use crate::wall_clock::WallClock;

/// Password of everybody.
pub const PASSWORD: &str = "a password of the tests";
/// Signs the access tokens, so that a test can forge and backdate them.
pub const JWT_SECRET: &str = "the secret of the suites, known to all of them";
/// Whom every cloud has from its start.
pub const ADMIN: &str = "admin@example.org";

/// A cloud.
#[derive(Debug)]
pub struct Cloud {
    folder: TempDir,
    port: u16,
    program: Option<Program>,
    last_write: Option<LastWrite>,
    wall_clock: Option<WallClock>,
    settings: Vec<(String, String)>,
    admin: Api,
}

/// A signed-in person.
#[derive(Debug, Clone)]
pub struct Person {
    /// Id of the account.
    pub id: String,
    /// What they sign in with.
    pub email: String,
    /// What they see.
    pub api: Api,
}

/// An enrolled gateway, without the box.
#[derive(Debug, Clone)]
pub struct GatewayAccount {
    /// Its id.
    pub id: String,
    /// What it sees.
    pub api: Api,
}

impl Cloud {
    /// A new one, with an admin.
    pub async fn start() -> Cloud {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let admin = Api::anonymous(&format!("http://127.0.0.1:{port}"));
        let (last_write, wall_clock, settings) = (None, None, Vec::new());
        let mut cloud = Cloud { folder, port, program: None, last_write, wall_clock, settings, admin };
        let mut create_admin = command(&program("riverwatts-cloud"));
        create_admin.args(["create-admin", "--email", ADMIN, "--password-stdin", "--data"]).arg(cloud.data());
        let created = errand(create_admin, &format!("{PASSWORD}\n")).await;
        assert!(created.status.success(), "create-admin: {}", String::from_utf8_lossy(&created.stderr));
        cloud.start_again().await;
        cloud.admin = cloud.anonymous().signed_in(ADMIN, PASSWORD).await;
        cloud
    }

    /// Starts it where it was, after its end.
    pub async fn start_again(&mut self) {
        assert!(self.program.is_none(), "the cloud runs");
        let mut serve = command(&program("riverwatts-cloud"));
        serve.args(["serve", "--data"]).arg(self.data()).env("PORT", self.port.to_string());
        serve.env("JWT_SECRET", JWT_SECRET).env("REGISTRATION", "on");
        serve.envs(self.settings.iter().cloned());
        if let Some(last_write) = &self.last_write {
            last_write.apply(&mut serve);
        }
        if let Some(wall_clock) = &self.wall_clock {
            wall_clock.apply(&mut serve);
        }
        let mut program = Program::start(serve, &self.folder.path().join("cloud.log"));
        let ready = format!("{}/readyz", self.url());
        let http = crate::api::http_client();
        until(SOON, async || {
            assert!(!program.has_ended(), "the cloud ended: {}", program.log());
            let answer = http.get(&ready).send().await.map_err(|error| error.to_string())?;
            if answer.status().is_success() { Ok(()) } else { Err(answer.status().to_string()) }
        })
        .await;
        self.program = Some(program);
    }

    /// Sets a variable of its environment, from the next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Lets it die at a write, from the next start on.
    pub fn set_last_write(&mut self, last_write: &LastWrite) {
        self.last_write = Some(last_write.clone());
    }

    /// Gives it a wall clock of its own, from the next start on.
    pub fn set_wall_clock(&mut self, wall_clock: &WallClock) {
        self.wall_clock = Some(wall_clock.clone());
    }

    /// Waits until it has died by itself.
    pub async fn died(&mut self) {
        self.program.take().expect("the cloud runs").died().await;
    }

    /// SIGTERM.
    pub async fn stop(&mut self) {
        self.program.take().expect("the cloud runs").stop().await;
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        self.program.take().expect("the cloud runs").kill().await;
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it does not run.
    pub fn id(&self) -> u32 {
        self.program.as_ref().expect("the cloud runs").id()
    }

    /// Its files.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its numbers, as Prometheus reads them.
    pub async fn metrics(&self) -> String {
        let answer = crate::api::http_client().get(format!("{}/metrics", self.url())).send().await;
        answer.unwrap().text().await.unwrap()
    }

    /// Nobody.
    pub fn anonymous(&self) -> Api {
        Api::anonymous(&self.url())
    }

    /// The first admin.
    pub fn admin(&self) -> &Api {
        &self.admin
    }

    /// A new site; its id.
    pub async fn site(&self, name: &str) -> String {
        let site = json!({
            "name": name, "region": "Alaska", "river_name": "Tanana", "latitude": 64.5, "longitude": -149.1,
            "capacity_kw": 25.0, "timezone": "America/Anchorage", "currency": "USD",
        });
        id_of(&self.admin.post("/sites", &site).await.ok())
    }

    /// A new account of this role, signed in; it sees nothing yet.
    pub async fn person(&self, role: UserRole) -> Person {
        let email = format!("{role}-{}@example.org", uuid::Uuid::new_v4().simple());
        let account = json!({
            "email": email, "password": PASSWORD, "first_name": "Ada", "last_name": "River", "role": role,
        });
        let id = id_of(&self.admin.post("/users", &account).await.ok());
        let api = self.anonymous().signed_in(&email, PASSWORD).await;
        Person { id, email, api }
    }

    /// Lets a technician or viewer see a site.
    pub async fn add_member(&self, site_id: &str, person: &Person) {
        self.admin.post(&format!("/sites/{site_id}/members"), &json!({"user_id": person.id})).await.ok();
    }

    /// Lets a customer see a site.
    pub async fn subscribe(&self, site_id: &str, person: &Person) {
        self.admin.post("/subscriptions", &json!({"user_id": person.id, "site_id": site_id})).await.ok();
    }

    /// A new gateway of a site; its id and its enrollment code.
    pub async fn gateway(&self, site_id: &str) -> (String, String) {
        let made = self.admin.post("/gateways", &json!({"site_id": site_id, "name": "Gateway"})).await.ok();
        (id_of(&made), made["enrollment_code"].as_str().unwrap().to_owned())
    }

    /// A new gateway of a site, enrolled without a box.
    pub async fn enrolled_gateway(&self, site_id: &str) -> GatewayAccount {
        let (id, code) = self.gateway(site_id).await;
        let enrolled = self.anonymous().post("/gateways/enroll", &json!({"code": code})).await.ok();
        GatewayAccount { id, api: self.anonymous().with_token(enrolled["credential"].as_str().unwrap()) }
    }

    /// The ids of a site's devices by their keys.
    pub async fn devices(&self, site_id: &str) -> BTreeMap<String, String> {
        let devices = self.admin.list(&format!("/devices?site_id={site_id}"), "devices").await;
        devices.iter().map(|device| (device["key"].as_str().unwrap().to_owned(), id_of(device))).collect()
    }

    /// The id of the device with this key, once the cloud knows it.
    pub async fn device(&self, site_id: &str, key: &str) -> String {
        until(SOON, async || self.devices(site_id).await.remove(key).ok_or(format!("no device {key}"))).await
    }

    /// Every reading of a device, oldest first.
    pub async fn readings(&self, device_id: &str) -> Vec<Value> {
        self.admin.list(&format!("/devices/{device_id}/readings?order=asc&limit=1000"), "readings").await
    }

    /// Every gap of a device, with its reason and its span.
    pub async fn gaps(&self, device_id: &str) -> Vec<(String, UtcMs, UtcMs)> {
        let gaps = self.admin.list(&format!("/devices/{device_id}/gaps?limit=1000"), "gaps").await;
        let time = |gap: &Value, key: &str| gap[key].as_str().unwrap().parse().unwrap();
        gaps.iter()
            .map(|gap| (gap["reason"].as_str().unwrap().to_owned(), time(gap, "from"), time(gap, "to")))
            .collect()
    }
}

fn id_of(thing: &Value) -> String {
    thing["id"].as_str().unwrap_or_else(|| panic!("no id: {thing}")).to_owned()
}

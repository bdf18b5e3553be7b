//! The cloud of the demo: its start, and its set-up over the public API, as a person would do it.

use std::collections::HashSet;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use riverwatts_shared::time::UtcMs;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::PASSWORD;
use super::child::{Child, ChildError, command, errand};
use super::folder::Folder;
use super::programs::Programs;
use crate::devices::SITE_DEVICES;

const ADMIN: &str = "admin@demo.riverwatts.example";
const SITE: &str = "Demo River";
/// The other sign-ins: role, first name; the address begins with the role.
const PEOPLE: [(&str, &str); 3] = [("technician", "Tess"), ("viewer", "Vic"), ("customer", "Carla")];
/// How long the cloud may take to answer at all.
const START_MAX: Duration = Duration::from_secs(30);
/// How long the first readings may take from the buses to the answer.
const FIRST_READINGS_MAX: Duration = Duration::from_secs(60);
/// Pause between two questions of the same kind.
const PAUSE: Duration = Duration::from_millis(200);
/// How long one request may take.
const REQUEST_MAX: Duration = Duration::from_secs(15);

/// The cloud did not do what its public API promises.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// No answer that could be understood.
    #[error("cloud: no answer")]
    Http(#[from] reqwest::Error),
    /// Another answer than expected.
    #[error("cloud: {request} answered {status}: {body}")]
    Answer { request: String, status: StatusCode, body: String },
    /// An answer without something that the contract names.
    #[error("cloud: {request} answered without `{missing}`: {body}")]
    Shape { request: String, missing: &'static str, body: String },
    /// It never became ready.
    #[error("cloud: not ready within {} s", START_MAX.as_secs())]
    NotReady,
    /// Readings of some devices did not arrive.
    #[error("cloud: readings of {found} of {expected} devices within {} s; see logs/edge.log", FIRST_READINGS_MAX.as_secs())]
    NoReadings { found: usize, expected: usize },
}

/// E-mail addresses of all the demo's people, the admin first.
pub fn sign_ins() -> impl Iterator<Item = String> {
    std::iter::once(ADMIN.to_owned()).chain(PEOPLE.iter().map(|(role, _)| email(role)))
}

fn email(role: &str) -> String {
    format!("{role}@demo.riverwatts.example")
}

/// Makes the first admin. An account that an earlier run made is no failure here: signing in will tell.
pub async fn create_admin(programs: &Programs, folder: &Folder) -> Result<(), ChildError> {
    if folder.story().enrolled {
        return Ok(());
    }
    let mut command = command(&programs.cloud);
    command.args(["create-admin", "--email", ADMIN, "--password-stdin", "--data"]).arg(folder.path().join("cloud"));
    let password = format!("{PASSWORD}\n");
    let made = errand("riverwatts-cloud create-admin", command, &password, folder.log("create-admin"));
    match made.await {
        Err(error @ ChildError::Ended { .. }) => {
            tracing::warn!(%error, "no new admin");
            Ok(())
        }
        other => other,
    }
}

/// Starts the cloud.
pub fn start(programs: &Programs, folder: &Folder, port: u16) -> Result<Child, ChildError> {
    let mut command = command(&programs.cloud);
    command.args(["serve", "--data"]).arg(folder.path().join("cloud")).env("PORT", port.to_string());
    command.env("REGISTRATION", "on");
    Child::start("riverwatts-cloud", command, folder.log("cloud"))
}

/// The public API, signed in as the admin.
#[derive(Debug)]
pub struct Cloud {
    http: reqwest::Client,
    address: String,
    token: String,
}

impl Cloud {
    /// Waits until the cloud is ready, and signs in.
    pub async fn signed_in(address: &str) -> Result<Cloud, CloudError> {
        let http = reqwest::Client::builder().no_proxy().timeout(REQUEST_MAX).build()?;
        let mut cloud = Cloud { http, address: address.to_owned(), token: String::new() };
        let late = Instant::now() + START_MAX;
        while !cloud.is_ready().await {
            if Instant::now() > late {
                return Err(CloudError::NotReady);
            }
            sleep(PAUSE).await;
        }
        let answer = cloud.post("/auth/login", &json!({ "email": ADMIN, "password": PASSWORD })).await?;
        cloud.token = answer.text("access_token")?;
        Ok(cloud)
    }

    /// The demo's site with its people; what is there already stays. Returns the site's id.
    pub async fn prepare_site(&self) -> Result<String, CloudError> {
        let site_id = match self.find("sites", "name", SITE).await? {
            Some(id) => id,
            None => self.post("/sites", &new_site()).await?.text("id")?,
        };
        for (role, first_name) in PEOPLE {
            let email = email(role);
            let user_id = match self.find("users", "email", &email).await? {
                Some(id) => id,
                None => self.post("/users", &new_user(&email, role, first_name)).await?.text("id")?,
            };
            if role == "customer" {
                if self.find("subscriptions", "user_id", &user_id).await?.is_none() {
                    self.post("/subscriptions", &new_subscription(&user_id, &site_id)).await?;
                }
            } else {
                self.post_once(&format!("/sites/{site_id}/members"), &json!({ "user_id": user_id })).await?;
            }
        }
        Ok(site_id)
    }

    /// A new gateway of the site, as the code that it enrolls with.
    pub async fn enrollment_code(&self, site_id: &str) -> Result<String, CloudError> {
        let gateway = json!({ "site_id": site_id, "name": "Demo gateway" });
        self.post("/gateways", &gateway).await?.text("enrollment_code")
    }

    /// Waits until the newest reading of `devices` devices is younger than `since`.
    pub async fn first_readings(&self, site_id: &str, devices: usize, since: UtcMs) -> Result<(), CloudError> {
        let late = Instant::now() + FIRST_READINGS_MAX;
        loop {
            let latest = self.get(&format!("/readings/latest?site_id={site_id}")).await?;
            let fresh: HashSet<String> = latest
                .list("readings")?
                .iter()
                .filter(|reading| reading["timestamp"].as_str().and_then(|t| t.parse().ok()) >= Some(since))
                .filter_map(|reading| reading["device_id"].as_str().map(str::to_owned))
                .collect();
            if fresh.len() >= devices {
                return Ok(());
            }
            if Instant::now() > late {
                return Err(CloudError::NoReadings { found: fresh.len(), expected: devices });
            }
            sleep(PAUSE).await;
        }
    }

    /// Gives the devices names that say that they are virtual; a name that somebody gave stays.
    pub async fn name_devices(&self, site_id: &str) -> Result<(), CloudError> {
        let devices = self.get(&format!("/devices?site_id={site_id}&limit=1000")).await?;
        for device in devices.list("devices")? {
            let kind = SITE_DEVICES.into_iter().find(|kind| device["key"].as_str() == Some(&kind.id()));
            if let Some(kind) = kind.filter(|_| device["device_name"] == device["key"]) {
                let path = format!("/devices/{}", device["id"].as_str().unwrap_or_default());
                self.ask(Method::PUT, &path, Some(&json!({ "device_name": kind.title() }))).await?.successful()?;
            }
        }
        Ok(())
    }

    async fn is_ready(&self) -> bool {
        let ready = self.http.get(format!("{}/readyz", self.address)).send().await;
        ready.is_ok_and(|answer| answer.status().is_success())
    }

    /// The id of the thing in a list whose `field` is `value`.
    async fn find(&self, noun: &'static str, field: &str, value: &str) -> Result<Option<String>, CloudError> {
        let listed = self.get(&format!("/{noun}?limit=1000")).await?.list(noun)?;
        let found = listed.iter().find(|thing| thing[field].as_str() == Some(value));
        Ok(found.and_then(|thing| thing["id"].as_str().map(str::to_owned)))
    }

    async fn get(&self, path: &str) -> Result<Answer, CloudError> {
        self.ask(Method::GET, path, None).await?.successful()
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Answer, CloudError> {
        self.ask(Method::POST, path, Some(body)).await?.successful()
    }

    /// Like `post`, where it is no failure that the thing is there already.
    async fn post_once(&self, path: &str, body: &Value) -> Result<(), CloudError> {
        let answer = self.ask(Method::POST, path, Some(body)).await?;
        if answer.status == StatusCode::CONFLICT { Ok(()) } else { answer.successful().map(|_| ()) }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, CloudError> {
        let request = format!("{method} {path}");
        let mut asking = self.http.request(method, format!("{}/api/v1{path}", self.address));
        if !self.token.is_empty() {
            asking = asking.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            asking = asking.json(body);
        }
        let answer = asking.send().await?;
        Ok(Answer { request, status: answer.status(), body: answer.text().await? })
    }
}

fn new_site() -> Value {
    json!({
        "name": SITE,
        "region": "Nenana, Alaska",
        "river_name": "Tanana",
        "latitude": 64.5649,
        "longitude": -149.094,
        "elevation": 110.0,
        "capacity_kw": 25.0,
        "timezone": "America/Anchorage",
        "currency": "USD",
        "metadata": {
            "virtual": true,
            "description": "A virtual site: the measured discharge of the Tanana, everything else computed.",
        },
    })
}

fn new_user(email: &str, role: &str, first_name: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "first_name": first_name, "last_name": "Demo", "role": role })
}

fn new_subscription(user_id: &str, site_id: &str) -> Value {
    json!({ "user_id": user_id, "site_id": site_id, "subscription_type": "basic", "start_date": "2026-01-01" })
}

/// An answer, with the request that it belongs to for error messages.
#[derive(Debug)]
struct Answer {
    request: String,
    status: StatusCode,
    body: String,
}

impl Answer {
    fn successful(self) -> Result<Answer, CloudError> {
        if self.status.is_success() {
            Ok(self)
        } else {
            Err(CloudError::Answer { request: self.request, status: self.status, body: self.body })
        }
    }

    fn text(&self, field: &'static str) -> Result<String, CloudError> {
        self.json()[field].as_str().map(str::to_owned).ok_or_else(|| self.without(field))
    }

    fn list(&self, noun: &'static str) -> Result<Vec<Value>, CloudError> {
        self.json()[noun].as_array().cloned().ok_or_else(|| self.without(noun))
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    fn without(&self, missing: &'static str) -> CloudError {
        CloudError::Shape { request: self.request.clone(), missing, body: self.body.clone() }
    }
}

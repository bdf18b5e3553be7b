//! A cloud with one of everything, what a good request to it looks like, and all that is stored.

use riverwatts_shared::batch::{Batch, Item};
use riverwatts_shared::configuration;
use riverwatts_shared::words::UserRole;
use riverwatts_tests::batches::{announcement, batch, reading, recent, segment};
use riverwatts_tests::cloud::{Cloud, GatewayAccount, Person};
use serde_json::{Map, Value, json};

use super::endpoints::{Field, Kind};

/// What the gateway is set to.
const CONFIGURATION: &str = "[site]\nkey = \"tanana\"\n";

/// A cloud with one of everything.
#[derive(Debug)]
pub struct Rig {
    pub cloud: Cloud,
    pub site_id: String,
    pub device_id: String,
    pub gateway: GatewayAccount,
    pub subscription_id: String,
    pub technician: Person,
    pub viewer: Person,
    pub customer: Person,
}

impl Rig {
    pub async fn new() -> Rig {
        let cloud = Cloud::start().await;
        let site_id = cloud.site("Tanana").await;
        let gateway = cloud.enrolled_gateway(&site_id).await;
        let technician = cloud.person(UserRole::Technician).await;
        let viewer = cloud.person(UserRole::Viewer).await;
        let customer = cloud.person(UserRole::Customer).await;
        cloud.add_member(&site_id, &technician).await;
        cloud.subscribe(&site_id, &customer).await;
        let subscriptions = cloud.admin().get("/subscriptions").await.ok();
        let subscription_id = subscriptions["subscriptions"][0]["id"].as_str().unwrap().to_owned();
        gateway.api.send_batch(&first_batch()).await.ok();
        let device_id = cloud.device(&site_id, "turbine-1").await;
        Rig { cloud, site_id, device_id, gateway, subscription_id, technician, viewer, customer }
    }

    /// The path with the ids of what there is.
    pub fn fill(&self, path: &str) -> String {
        let id = match path.split('/').nth(1).unwrap() {
            "users" => &self.customer.id,
            "sites" => &self.site_id,
            "subscriptions" => &self.subscription_id,
            "devices" => &self.device_id,
            _ => &self.gateway.id,
        };
        path.replace("{id}", id)
            .replace("{user_id}", &self.technician.id)
            .replace("{version}", &configuration::version(CONFIGURATION).to_string())
    }

    /// A body that would be taken.
    pub fn good_body(&self, fields: &[Field]) -> Map<String, Value> {
        fields.iter().map(|field| (field.name.to_owned(), self.good(field.kind))).collect()
    }

    fn good(&self, kind: Kind) -> Value {
        match kind {
            Kind::Text(_) => json!("Some text"),
            Kind::Secret | Kind::Password => json!("something secret"),
            Kind::Email => json!("new@example.org"),
            Kind::Site => json!(self.site_id),
            Kind::User => json!(self.viewer.id),
            Kind::Gateway => json!(self.gateway.id),
            Kind::Device => json!(self.device_id),
            Kind::Time(time) => json!(time),
            Kind::Word(word) => json!(word),
            Kind::Number(..) => json!(1.5),
            Kind::Flag => json!(true),
            Kind::Object => json!({"note": "some"}),
            Kind::Date => json!("2026-01-01"),
            Kind::Zone => json!("America/Anchorage"),
            Kind::Currency => json!("USD"),
            Kind::Key => json!("turbine-9"),
        }
    }

    /// All that is stored, as an admin sees it.
    pub async fn everything(&self) -> Value {
        let admin = self.cloud.admin();
        let mut all = Map::new();
        for noun in ["users", "sites", "subscriptions", "devices", "gateways"] {
            let mut rows = admin.list(&format!("/{noun}?limit=1000"), noun).await;
            for row in rows.iter_mut().filter_map(Value::as_object_mut) {
                // A refused caller was there all the same.
                row.retain(|field, _| !["last_login", "last_seen_at", "link"].contains(&field.as_str()));
            }
            for row in &rows {
                let id = row["id"].as_str().unwrap();
                if noun == "devices" {
                    all.insert(format!("readings of {id}"), json!(self.cloud.readings(id).await));
                    all.insert(format!("gaps of {id}"), json!(self.cloud.gaps(id).await.len()));
                } else if noun == "sites" {
                    let members = admin.list(&format!("/sites/{id}/members?limit=1000"), "members").await;
                    all.insert(format!("members of {id}"), json!(members));
                }
            }
            all.insert(noun.to_owned(), json!(rows));
        }
        all.insert("latest".to_owned(), admin.get("/readings/latest").await.ok());
        Value::Object(all)
    }

    /// Nothing was stored, changed or removed since.
    #[track_caller]
    pub fn assert_unchanged(before: &Value, after: &Value) {
        for (key, was) in before.as_object().unwrap() {
            assert_eq!(&after[key], was, "{key} changed");
        }
        assert_eq!(after.as_object().unwrap().len(), before.as_object().unwrap().len(), "something is new");
    }
}

fn first_batch() -> Batch {
    let readings = segment("turbine-1", &[reading(recent(), 1_000_000)]);
    batch(vec![announcement("turbine-1"), readings, Item::Configuration(CONFIGURATION.to_owned())])
}

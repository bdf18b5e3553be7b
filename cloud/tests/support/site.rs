//! A site and its gateways, for tests of what gateways send.

use riverwatts_cloud::db::Db;
use riverwatts_cloud::db::column::Object;
use riverwatts_cloud::store::gateways::{self, Gateway};
use riverwatts_cloud::store::sites::NewSite;
use riverwatts_shared::time::UtcMs;
use uuid::Uuid;

/// When everything was made.
pub const NOW: UtcMs = UtcMs(1_795_508_130_000);

pub fn new_site() -> NewSite {
    NewSite {
        name: "One".to_owned(),
        region: "Alaska".to_owned(),
        river_name: "Tanana".to_owned(),
        latitude: 64.5,
        longitude: -149.1,
        elevation: None,
        water_depth: None,
        flow_rate: None,
        capacity_kw: 25.0,
        installation_date: None,
        status: None,
        timezone: "America/Anchorage".to_owned(),
        currency: "USD".to_owned(),
        metadata: Object::default(),
    }
}

pub async fn gateway(db: &Db, site_id: Uuid, name: &str) -> Gateway {
    gateways::create(db, site_id, name, name, NOW).await.unwrap();
    gateways::enroll(db, name, &format!("credential {name}"), NOW).await.unwrap().unwrap()
}

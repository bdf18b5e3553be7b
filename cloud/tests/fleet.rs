//! Sites at a glance, against sums made by hand: links, freshness, and the energy of calendar days.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[path = "support/site.rs"]
mod site;

use std::collections::BTreeMap;

use riverwatts_cloud::db::Db;
use riverwatts_cloud::db::column::Object;
use riverwatts_cloud::db::migrate::migrate;
use riverwatts_cloud::fleet::{SiteSummary, summaries};
use riverwatts_cloud::presence::Presence;
use riverwatts_cloud::readings::{Readings, Rows};
use riverwatts_cloud::store::gateways::{self, Gateway};
use riverwatts_cloud::store::sites::{self, NewSite};
use riverwatts_cloud::store::users::{self, NewUser};
use riverwatts_cloud::store::{Sight, devices, members};
use riverwatts_shared::batch::Announcement;
use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::{Reading, Value};
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::{DeviceType, Quality, SiteLink, UserRole};
use site::{NOW, gateway, new_site};
use uuid::Uuid;

const HOUR_MS: i64 = 3_600_000;
const GAP_MS: i64 = 120_000;

/// A cloud without its HTTP side.
struct Cloud {
    _folder: tempfile::TempDir,
    db: Db,
    readings: Readings,
    presence: Presence,
    admin: Uuid,
    numbers: BTreeMap<(Uuid, &'static str), i64>,
}

impl Cloud {
    async fn new() -> Cloud {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open_sqlite(folder.path()).await.unwrap();
        migrate(&db).await.unwrap();
        let readings = Readings::open_sqlite(folder.path()).unwrap();
        let presence = Presence::open(&db, NOW).await.unwrap();
        let admin = user(&db, UserRole::Admin).await;
        Cloud { _folder: folder, db, readings, presence, admin, numbers: BTreeMap::new() }
    }

    /// A site in this zone, with a gateway that announced these devices, polled each minute.
    async fn site(&mut self, timezone: &str, keys: &[(&'static str, DeviceType)]) -> (Uuid, Gateway) {
        let new = NewSite { timezone: timezone.to_owned(), ..new_site() };
        let site_id = sites::create(&self.db, &new, NOW).await.unwrap().id;
        let gateway = gateway(&self.db, site_id, &format!("of {site_id}")).await;
        for &(key, device_type) in keys {
            let announcement = Announcement {
                key: key.to_owned(),
                device_type: Some(device_type),
                interval_ms: Some(60_000),
                ..Announcement::default()
            };
            let announced = devices::announce(&self.db, &gateway, &[announcement], NOW).await.unwrap();
            self.numbers.insert((site_id, key), announced.devices[0].number);
        }
        (site_id, gateway)
    }

    async fn write(&self, site_id: Uuid, key: &'static str, readings: &[Reading]) {
        let number = self.numbers[&(site_id, key)];
        let rows = Rows::new(Segment::from_readings(readings), NOW, 0).of_device(number, GAP_MS);
        assert_eq!(self.readings.write(vec![rows]).await.unwrap()[0].1.accepted, readings.len() as u64);
    }

    async fn seen_by(&self, user_id: Uuid, now: UtcMs) -> Vec<SiteSummary> {
        summaries(&self.db, &self.readings, &self.presence, Sight::of(user_id), now).await.unwrap()
    }

    async fn of(&self, site_id: Uuid, now: UtcMs) -> SiteSummary {
        let all = self.seen_by(self.admin, now).await;
        all.into_iter().find(|summary| summary.site_id == site_id).unwrap()
    }
}

async fn user(db: &Db, role: UserRole) -> Uuid {
    let new = NewUser {
        email: format!("{role}@example.org"),
        password_hash: "$hash".to_owned(),
        first_name: "A".to_owned(),
        last_name: "B".to_owned(),
        role,
        is_active: true,
        email_verified: true,
        created_by: None,
        metadata: Object::default(),
    };
    users::create(db, &new, NOW).await.unwrap().id
}

const TURBINE: (&str, DeviceType) = ("turbine-1", DeviceType::Turbine);
const OTHER_TURBINE: (&str, DeviceType) = ("turbine-2", DeviceType::Turbine);
const METER: (&str, DeviceType) = ("meter-1", DeviceType::Sensor);

/// Each minute of `[from, to]`, so many kW.
fn power(from: UtcMs, to: UtcMs, kw: i64) -> Vec<Reading> {
    each_minute(from, to, |_| vec![Value::ok(Metric::POWER, kw * 1_000_000)])
}

/// Each minute of `[from, to]`, what `values` gives for it.
fn each_minute(from: UtcMs, to: UtcMs, values: impl Fn(UtcMs) -> Vec<Value>) -> Vec<Reading> {
    let times = (0..=to.since_ms(from) / 60_000).map(|minute| from.plus_ms(minute * 60_000));
    times.map(|time| Reading { time, values: values(time) }).collect()
}

fn at(text: &str) -> UtcMs {
    text.parse().unwrap()
}

#[tokio::test]
async fn today_is_the_calendar_day_of_the_site_also_when_the_clock_changes() {
    let mut cloud = Cloud::new().await;
    let mut sites = Vec::new();
    for timezone in ["America/Anchorage", "Asia/Kathmandu", "UTC"] {
        sites.push(cloud.site(timezone, &[TURBINE]).await.0);
    }
    let begin = at("2026-03-08T06:00:00Z");
    let mut next = begin;
    // In Anchorage the day begins at 09:00Z and lasts 23 hours, in Kathmandu at 18:15Z.
    for (now, minutes) in [
        ("2026-03-08T08:59:00Z", [179, 179, 179]),
        ("2026-03-08T09:00:00Z", [0, 180, 180]),
        ("2026-03-08T18:00:00Z", [9 * 60, 12 * 60, 12 * 60]),
        ("2026-03-09T00:00:00Z", [15 * 60, 5 * 60 + 45, 0]),
        ("2026-03-09T07:59:00Z", [23 * 60 - 1, 13 * 60 + 44, 8 * 60 - 1]),
        ("2026-03-09T08:00:00Z", [0, 13 * 60 + 45, 8 * 60]),
    ] {
        let now = at(now);
        for (site_id, minutes) in sites.iter().zip(minutes) {
            cloud.write(*site_id, "turbine-1", &power(next, now, 2)).await;
            let summary = cloud.of(*site_id, now).await;
            let expected = (minutes > 0).then(|| (2_000.0 * f64::from(minutes) / 60.0).round() / 1_000.0);
            assert_eq!(summary.energy_today_kwh, expected, "{now}");
            let is_whole = minutes > 0 && now.since_ms(begin) > i64::from(minutes) * 60_000;
            assert_eq!(summary.coverage_today == 1.0, is_whole, "{now}: {}", summary.coverage_today);
        }
        next = now.plus_ms(60_000);
    }
}

#[tokio::test]
async fn energy_is_what_counters_advanced_else_what_power_comes_to_and_turbines_only() {
    let mut cloud = Cloud::new().await;
    let (site_id, _) = cloud.site("UTC", &[TURBINE, OTHER_TURBINE, METER, ("battery-1", DeviceType::Battery)]).await;
    let (empty, _) = cloud.site("UTC", &[METER]).await;
    let day = at("2026-11-24T00:00:00Z");
    let now = day.plus_ms(4 * HOUR_MS);
    // It advances 50 Wh a minute, begins again from 0 after two hours, and falls by 1 Wh in the third.
    let counter = |time: UtcMs| match time.since_ms(day) / 60_000 {
        180 => 2_949,
        minute @ ..120 => 900_000 + 50 * minute,
        minute => 50 * (minute - 120),
    };
    let values = |time| vec![Value::ok(Metric::POWER, 77_000_000), Value::ok(Metric::ENERGY, counter(time))];
    cloud.write(site_id, "turbine-1", &each_minute(day.plus_ms(-HOUR_MS), now, values)).await;
    // Half the day only, and one value of it cannot be.
    let mut half = power(day.plus_ms(2 * HOUR_MS), now, 5);
    half[60].values[0].quality = Quality::Range;
    half[60].values[0].value = Some(9_000_000_000);
    cloud.write(site_id, "turbine-2", &half).await;
    for key in ["meter-1", "battery-1"] {
        cloud.write(site_id, key, &power(day, now, 1_000)).await;
    }
    cloud.write(empty, "meter-1", &power(day, now, 1_000)).await;

    let summary = cloud.of(site_id, now).await;
    // 119 steps before the fall, then 120 after it, and 10 kWh of the other.
    assert_eq!(summary.energy_today_kwh, Some((50.0 * 119.0 + 50.0 * 120.0) / 1_000.0 + 10.0));
    assert_eq!(summary.power_kw, Some(82.0));
    assert_eq!(summary.coverage_today, 0.75);
    assert_eq!((summary.devices, summary.devices_fresh), (4, 4));
    let summary = cloud.of(empty, now).await;
    assert_eq!((summary.power_kw, summary.energy_today_kwh, summary.coverage_today), (None, None, 0.0));
    assert_eq!((summary.devices, summary.devices_fresh, summary.newest_at), (1, 1, Some(now)));
}

#[tokio::test]
async fn a_dead_turbine_gives_no_power_and_keeps_its_energy() {
    let mut cloud = Cloud::new().await;
    let (site_id, gateway) = cloud.site("UTC", &[TURBINE, OTHER_TURBINE]).await;
    let day = at("2026-11-24T00:00:00Z");
    let last = day.plus_ms(HOUR_MS);
    cloud.write(site_id, "turbine-1", &power(day, last, 6)).await;
    let summary = cloud.of(site_id, last.plus_ms(60_000)).await;
    assert_eq!((summary.power_kw, summary.devices_fresh), (Some(6.0), 1));
    // Three intervals of a minute, and the pause of a gateway that uploads each half minute.
    [0, 30_000].iter().for_each(|&ms| cloud.presence.hear(&gateway, last.plus_ms(ms)));
    let summary = cloud.of(site_id, last.plus_ms(209_999)).await;
    assert_eq!((summary.power_kw, summary.devices_fresh), (Some(6.0), 1));
    let summary = cloud.of(site_id, last.plus_ms(210_000)).await;
    assert_eq!((summary.power_kw, summary.devices_fresh), (None, 0));
    let summary = cloud.of(site_id, day.plus_ms(4 * HOUR_MS)).await;
    assert_eq!((summary.energy_today_kwh, summary.coverage_today), (Some(6.0), 0.125));
    assert_eq!((summary.devices, summary.newest_at), (2, Some(last)));
    // Doubted power is not added up.
    let mut doubted = power(day.plus_ms(4 * HOUR_MS), day.plus_ms(4 * HOUR_MS), 6);
    doubted[0].values[0].quality = Quality::Stuck;
    cloud.write(site_id, "turbine-2", &doubted).await;
    let summary = cloud.of(site_id, day.plus_ms(4 * HOUR_MS)).await;
    assert_eq!((summary.power_kw, summary.devices_fresh), (None, 1));
}

#[tokio::test]
async fn a_site_has_the_best_link_of_its_active_gateways_and_is_shown_to_those_who_see_it() {
    let mut cloud = Cloud::new().await;
    let (first, box_1) = cloud.site("UTC", &[]).await;
    let box_2 = gateway(&cloud.db, first, "second").await;
    let bare = sites::create(&cloud.db, &new_site(), NOW).await.unwrap().id;
    let all = cloud.seen_by(cloud.admin, NOW).await;
    let links: Vec<(Uuid, SiteLink)> = all.iter().map(|summary| (summary.site_id, summary.link)).collect();
    assert_eq!(links, [(first, SiteLink::Never), (bare, SiteLink::None)]);

    cloud.presence.hear(&box_1, NOW);
    let summary = cloud.of(first, NOW).await;
    assert_eq!((summary.link, summary.last_seen_at), (SiteLink::Connected, Some(NOW)));
    cloud.presence.hear(&box_2, NOW.plus_ms(5_000));
    let summary = cloud.of(first, NOW).await;
    assert_eq!((summary.link, summary.last_seen_at), (SiteLink::Connected, Some(NOW.plus_ms(5_000))));
    gateways::revoke(&cloud.db, box_2.id, NOW).await.unwrap().unwrap();
    let summary = cloud.of(first, NOW).await;
    assert_eq!((summary.link, summary.last_seen_at), (SiteLink::Connected, Some(NOW)));
    cloud.presence.end(box_1.id);
    assert_eq!(cloud.of(first, NOW).await.link, SiteLink::Lost);

    let viewer = user(&cloud.db, UserRole::Viewer).await;
    assert_eq!(cloud.seen_by(viewer, NOW).await, []);
    members::add(&cloud.db, bare, viewer, NOW).await.unwrap();
    let seen = cloud.seen_by(viewer, NOW).await;
    assert_eq!(seen.iter().map(|summary| summary.site_id).collect::<Vec<_>>(), [bare]);
}

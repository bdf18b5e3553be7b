//! The tables that are there once: `[site]`, `[cloud]`, `[store]`, `[upload]`, `[panel]`, `[mqtt]`.

use std::net::SocketAddr;
use std::time::Duration;

use super::hours::hours;
use super::read::{Raw, Section, Wrong, duration, filled, flag, id, integer, text, texts, wrong};
use super::{Cloud, DataPlan, Mqtt, Panel, Site, Store, Upload};

/// Where the store stands unless the file says otherwise.
const STORE_DIR: &str = "/var/lib/riverwatts-edge";
/// Where the panel listens unless the file says otherwise: this machine only.
const PANEL_LISTEN: &str = "127.0.0.1:8080";
/// Least and most of `store.max_bytes`: below, not even the journal fits.
const STORE_BYTES: std::ops::RangeInclusive<i64> = 16 << 20..=1 << 46;
/// Default of `store.max_bytes`: years of readings of a usual site.
const STORE_BYTES_DEFAULT: u64 = 4 << 30;
/// Least and most of `store.keep_free`.
const KEEP_FREE: std::ops::RangeInclusive<i64> = 0..=1 << 46;
/// Default of `store.card_endurance_tb`: what a plain card of 16 GB bears, 600 times itself.
const CARD_ENDURANCE_TB: u64 = 10;
/// Most of `upload.plan_mb`.
pub(super) const PLAN_MB_MAX: i64 = 100_000_000;
/// A megabyte of a bill.
const MB: u64 = 1_000_000;
const TB: u64 = 1_000_000_000_000;

pub(super) struct Settings {
    pub(super) site: Site,
    pub(super) cloud: Cloud,
    pub(super) store: Store,
    pub(super) upload: Upload,
    pub(super) panel: Panel,
    pub(super) mqtt: Mqtt,
}

pub(super) fn read(root: &mut Section<'_>) -> Settings {
    Settings {
        site: site(root.section("site")),
        cloud: cloud(root.section("cloud")),
        store: store(root.section("store")),
        upload: upload(root.section("upload")),
        panel: panel(root.section("panel")),
        mqtt: mqtt(root.section("mqtt")),
    }
}

fn site(mut section: Section<'_>) -> Site {
    let site = Site {
        key: section.setting("key", id).unwrap_or_else(|| "site".to_owned()),
        name: section.setting("name", filled).unwrap_or_else(|| "Site".to_owned()),
        timezone: section.setting("timezone", timezone).unwrap_or_else(|| "UTC".to_owned()),
    };
    section.finish();
    site
}

fn timezone(raw: Raw<'_>) -> Result<String, Wrong> {
    let name = filled(raw)?;
    match jiff::tz::TimeZone::get(&name) {
        Ok(_) => Ok(name),
        Err(_) => Err(wrong(format!("`{name}` is no time zone"), "take an IANA name like America/Anchorage")),
    }
}

fn cloud(mut section: Section<'_>) -> Cloud {
    let cloud = Cloud { url: section.setting("url", url).flatten(), ca: section.path("ca") };
    section.finish();
    cloud
}

/// Checks the base address of a cloud; an empty one is none.
fn url(raw: Raw<'_>) -> Result<Option<String>, Wrong> {
    let url = text(raw)?;
    let url = url.trim_end_matches('/');
    if url.is_empty() {
        return Ok(None);
    }
    match cloud_url(url) {
        Some(url) => Ok(Some(url)),
        None => Err(wrong(format!("`{url}` is no address of a cloud"), "write it like https://cloud.example")),
    }
}

/// The base address of a cloud, without a trailing `/`; `None` when the text is none.
pub fn cloud_url(text: &str) -> Option<String> {
    let url = text.trim_end_matches('/');
    let parsed = reqwest::Url::parse(url).ok()?;
    (matches!(parsed.scheme(), "https" | "http") && parsed.has_host()).then(|| url.to_owned())
}

fn store(mut section: Section<'_>) -> Store {
    let flush = Duration::from_millis(100)..=Duration::from_secs(600);
    let store = Store {
        dir: section.path("dir").unwrap_or_else(|| STORE_DIR.into()),
        flush: section.setting("flush", |raw| duration(raw, flush)).unwrap_or(Duration::from_secs(10)),
        max_bytes: section
            .setting("max_bytes", |raw| integer(raw, STORE_BYTES))
            .map_or(STORE_BYTES_DEFAULT, i64::cast_unsigned),
        keep_free: section.setting("keep_free", |raw| integer(raw, KEEP_FREE)).map(i64::cast_unsigned),
        card_endurance_bytes: TB
            * section
                .setting("card_endurance_tb", |raw| integer(raw, 1..=100_000))
                .map_or(CARD_ENDURANCE_TB, i64::cast_unsigned),
    };
    section.finish();
    store
}

fn upload(mut section: Section<'_>) -> Upload {
    let range = Duration::from_secs(1)..=Duration::from_secs(86_400);
    let metered = section.setting("metered", flag).unwrap_or(false);
    let every = section.setting("every", |raw| duration(raw, range));
    let bandwidth = section.setting("bandwidth", |raw| integer(raw, 0..=i64::MAX)).map_or(0, i64::cast_unsigned);
    let backlog_hours = section.setting("backlog_hours", hours).unwrap_or_default();
    let plan_mb = section.setting("plan_mb", |raw| integer(raw, 0..=PLAN_MB_MAX)).map_or(0, i64::cast_unsigned);
    // Every month has a 28th.
    let plan_day = section.setting("plan_day", |raw| integer(raw, 1..=28)).unwrap_or(1);
    section.finish();
    Upload {
        every: every.unwrap_or(if metered { Upload::EVERY_METERED } else { Upload::EVERY }),
        metered,
        bandwidth_bytes_per_s: (bandwidth > 0).then_some(bandwidth),
        backlog_hours,
        plan: (plan_mb > 0).then_some(DataPlan { limit_bytes: plan_mb * MB, first_day: plan_day as i8 }),
    }
}

fn panel(mut section: Section<'_>) -> Panel {
    let listen = section.setting("listen", listen);
    let hosts = section.setting("hosts", hosts).unwrap_or_default();
    section.finish();
    Panel { listen: listen.unwrap_or_else(|| PANEL_LISTEN.parse().ok()), hosts }
}

/// Names as a browser sends them, without scheme and port.
fn hosts(raw: Raw<'_>) -> Result<Vec<String>, Wrong> {
    let names = texts(raw)?;
    let well_formed = |name: &String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    match names.iter().find(|name| !well_formed(name)) {
        Some(name) => {
            let remedy = "write it like [\"gateway.river.example\"], without http:// and port";
            Err(wrong(format!("`{name}` is no name of a host"), remedy))
        }
        None => Ok(names),
    }
}

fn mqtt(mut section: Section<'_>) -> Mqtt {
    let mqtt = Mqtt {
        listen: section.setting("listen", listen).flatten(),
        anonymous_read: section.setting("anonymous_read", flag).unwrap_or(false),
    };
    section.finish();
    mqtt
}

/// An address to listen at; an empty one is none.
fn listen(raw: Raw<'_>) -> Result<Option<SocketAddr>, Wrong> {
    let address = text(raw)?;
    if address.is_empty() {
        return Ok(None);
    }
    address.parse().map(Some).map_err(|_| {
        wrong(format!("`{address}` is no address to listen at"), "write it like 127.0.0.1:8080 or 0.0.0.0:8080")
    })
}

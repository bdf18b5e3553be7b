//! The bodies of the API.

use std::collections::BTreeMap;
use std::time::Duration;

use riverwatts_shared::metric::{CANONICAL, Metric};
use riverwatts_shared::reading::{Reading, Value};
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Quality;
use serde_json::{Map, Number, Value as Json, json};

use super::{Panel, clock, conditions, traffic};
use crate::bus;
use crate::bus::status::{BusState, Outcome, UnitState};
use crate::config::{Config, Device, Link, Rts};
use crate::store::WriteRow;

/// A value is stale when it is older than so many intervals.
const STALE_INTERVALS: u32 = 3;
/// What a technician looks at first, where a device has it.
const MAIN: &[&str] = &[
    "power_output_kw",
    "battery_level_percent",
    "water_speed_mps",
    "vibration_level",
    "water_level_m",
    "water_flow_rate",
    "rotor_rpm",
    "voltage_v",
    "temperature_c",
    "current_a",
    "frequency_hz",
    "energy_kwh",
];
/// How many values those are, of one device.
const MAIN_VALUES: usize = 4;

pub(super) fn site(panel: &Panel) -> Json {
    let site = &panel.config.site;
    let finding = panel.find();
    let store = panel.figures.store();
    let ill = panel.config.devices.iter().zip(0u16..).filter(|(device, number)| {
        let age = panel.figures.latest(*number).map(|latest| panel.clock.monotonic().saturating_sub(latest.monotonic));
        age.is_none_or(|age| age > stale_after(device))
    });
    let ill: Vec<&str> = ill.map(|(device, _)| device.id.as_str()).collect();
    let parts = [
        conditions::of_polling(finding, panel.config.devices.len(), &ill),
        conditions::of_store(finding, &store),
        clock::condition(&panel.figures.clock()),
        conditions::of_cloud(panel.config.cloud.url.is_some(), &panel.figures.link(), &store, &site.timezone),
    ];
    let parts = parts.map(
        |part| json!({"name": part.name, "condition": part.condition, "state": part.state, "remedy": part.remedy}),
    );
    json!({
        "key": site.key,
        "name": site.name,
        "timezone": site.timezone,
        "version": env!("CARGO_PKG_VERSION"),
        "time": panel.figures.now(),
        "polling": finding.polling,
        "storing": finding.storing,
        "parts": parts,
        "unflushed_readings": store.unflushed_readings,
        "dead_letters": store.dead_letters,
        "store_error": store.error,
        "store_full": store.full,
        "bytes_written": store.written.this_run,
        "bytes_written_today": store.written.today,
        "bytes_written_a_day": store.written.a_day,
        "card_life_days": store.card_life_days(),
        "devices": panel.config.devices.len(),
        "buses": panel.config.buses.len(),
    })
}

pub(super) fn devices(panel: &Panel) -> Json {
    let now = panel.clock.monotonic();
    let buses: Vec<BusState> = panel.buses.iter().map(|bus| bus.get()).collect();
    let devices = panel.config.devices.iter().zip(0u16..).map(|(device, number)| {
        let unit = buses[device.bus].units.iter().find(|unit| unit.device == number).cloned().unwrap_or_default();
        device_body(panel, device, number, &unit, now)
    });
    json!({"devices": devices.collect::<Vec<_>>(), "next_cursor": null})
}

fn device_body(panel: &Panel, device: &Device, number: u16, unit: &UnitState, now: Duration) -> Json {
    let latest = panel.figures.latest(number);
    let age = latest.as_ref().map(|latest| now.saturating_sub(latest.monotonic));
    let stale = age.is_none_or(|age| age > stale_after(device));
    let said: BTreeMap<String, &String> = unit
        .identity
        .iter()
        .filter_map(|(field, text)| Some((serde_json::to_value(field).ok()?.as_str()?.to_owned(), text)))
        .collect();
    let (condition, state) = conditions::of_device(unit, age, stale);
    let values = latest.as_ref().map_or(&[][..], |latest| &latest.values);
    json!({
        "id": device.id,
        "bus": panel.config.buses[device.bus].id,
        "unit": device.unit,
        "profile": device.profile.name,
        "confidence": device.profile.confidence,
        "device_type": device.profile.device,
        "manufacturer": said.get("manufacturer").copied().unwrap_or(&device.profile.manufacturer),
        "model": said.get("model").copied().unwrap_or(&device.profile.model),
        "identity": said,
        "interval_s": device.interval.as_secs_f64(),
        "condition": condition,
        "state": state,
        "stale": stale,
        "age_s": age.map(|age| age.as_secs_f64()),
        "timestamp": latest.as_ref().and_then(|latest| latest.time),
        "main": main_values(values),
        "values": values.iter().map(value).collect::<Vec<_>>(),
    })
}

pub(super) fn write(row: &WriteRow) -> Json {
    json!({
        "number": row.number,
        "timestamp": row.time_ms.map(UtcMs),
        "who": row.who,
        "device": row.device,
        "write": row.name,
        "old": row.old,
        "value": row.value,
        "outcome": row.outcome.as_deref().unwrap_or("unknown"),
        "reason": row.words,
    })
}

/// From which age on a device's values are stale.
pub(super) fn stale_after(device: &Device) -> Duration {
    bus::period(device) * STALE_INTERVALS
}

/// Names of the values that stand for a device: those of [`MAIN`], then whatever else it has.
fn main_values(values: &[Value]) -> Vec<&'static str> {
    let has = |name: &&&str| values.iter().any(|value| value.metric.name() == **name);
    let known = MAIN.iter().filter(has).copied();
    let others = values.iter().map(|value| value.metric.name()).filter(|name| !MAIN.contains(name));
    known.chain(others).take(MAIN_VALUES).collect()
}

fn value(value: &Value) -> Json {
    let info = value.metric.info();
    json!({
        "metric": info.name,
        "unit": info.unit,
        "value": value.value.and_then(|stored| number(value.metric, stored)),
        "quality": value.quality,
    })
}

/// In the metric's unit, in shortest form: `36`, not `36.0`.
pub(super) fn number(metric: Metric, stored: i64) -> Option<Number> {
    let whole = 10i64.pow(u32::from(metric.info().exponent.unsigned_abs()));
    if stored % whole == 0 { Some((stored / whole).into()) } else { Number::from_f64(metric.to_unit(stored)) }
}

/// A reading in the form of the cloud's API; ids are the cloud's to give.
pub(super) fn reading(reading: &Reading) -> Json {
    let mut body = Map::new();
    body.insert("id".to_owned(), Json::Null);
    body.insert("device_id".to_owned(), Json::Null);
    body.insert("timestamp".to_owned(), json!(reading.time));
    for column in 0..CANONICAL {
        body.insert(Metric::canonical(column).name().to_owned(), Json::Null);
    }
    let (mut extra, mut quality) = (Map::new(), Map::new());
    for value in &reading.values {
        let number = value.value.and_then(|stored| number(value.metric, stored)).map_or(Json::Null, Json::Number);
        let place = if value.metric.canonical_column().is_some() { &mut body } else { &mut extra };
        place.insert(value.metric.name().to_owned(), number);
        if value.quality != Quality::Ok {
            quality.insert(value.metric.name().to_owned(), json!(value.quality));
        }
    }
    body.insert("extra".to_owned(), extra.into());
    body.insert("quality".to_owned(), quality.into());
    body.insert("created_at".to_owned(), Json::Null);
    body.into()
}

pub(super) fn buses(panel: &Panel) -> Json {
    let now = panel.clock.monotonic();
    let bodies = panel.config.buses.iter().zip(&panel.buses).map(|(bus, status)| {
        let state = status.get();
        let (condition, words) = conditions::of_bus(&state);
        let unit = |unit: &UnitState| unit_body(&panel.config, unit, state.connected, now);
        json!({
            "id": bus.id,
            "kind": bus.link.word(),
            "target": bus.link.target(),
            "condition": condition,
            "state": words,
            "connected": state.connected,
            "connections": state.connections,
            "refused_connections": state.refused_connections,
            "load": thousandths(state.load),
            "planned_load": thousandths(state.planned_load),
            "late": state.strays.late,
            "foreign": state.strays.foreign,
            "stray_bytes": state.strays.bytes,
            "last_error": state.last_error,
            "troubles": conditions::troubles(&state),
            "units": state.units.iter().map(unit).collect::<Vec<_>>(),
        })
    });
    json!({"buses": bodies.collect::<Vec<_>>(), "next_cursor": null})
}

fn thousandths(ratio: f64) -> f64 {
    (ratio * 1_000.0).round() / 1_000.0
}

fn unit_body(config: &Config, unit: &UnitState, connected: bool, now: Duration) -> Json {
    let age = |at: Option<Duration>| at.map(|at| now.saturating_sub(at).as_secs_f64());
    let refused = unit.refused.iter().map(|refused| {
        json!({"names": refused.names, "function": refused.function, "start": refused.start, "count": refused.count})
    });
    let (condition, state) = conditions::of_unit(unit, connected, now);
    let mut body = json!({
        "condition": condition,
        "state": state,
        "device": config.devices.get(usize::from(unit.device)).map(|device| &device.id),
        "unit": unit.unit,
        "polls": unit.polls(),
        "overruns": unit.overruns,
        "dropped": unit.dropped,
        "retries": unit.retries,
        "silences": unit.failures,
        "asked_again_in_s": unit.next_at.map(|at| at.saturating_sub(now).as_secs_f64()),
        "round_trip_ms": (unit.round_trip.as_secs_f64() * 10_000.0).round() / 10.0,
        "last_ok_age_s": age(unit.last_ok_at),
        "last_error": unit.last_error,
        "last_error_age_s": age(unit.last_error_at),
        "refused_registers": refused.collect::<Vec<_>>(),
        "errors": conditions::errors(unit),
    });
    for outcome in Outcome::ALL {
        body[outcome.word()] = unit.count(outcome).into();
    }
    body
}

pub(super) fn link(panel: &Panel) -> Json {
    let link = panel.figures.link();
    let store = panel.figures.store();
    let now = panel.clock.monotonic();
    let zone = &panel.config.site.timezone;
    let (condition, state) = conditions::of_link(&link);
    json!({
        "enrolled": link.enrolled,
        "url": link.url.as_deref().map(without_secrets),
        "condition": condition,
        "state": state,
        "next": conditions::next_of_link(condition, link.backlog_waits, zone),
        "error": link.error,
        "waiting": link.waiting,
        "last_receipt_age_s": link.last_receipt_at.map(|at| now.saturating_sub(at).as_secs_f64()),
        "backlog_readings": store.backlog_readings,
        "oldest_unsent_seconds": store.oldest_unsent.map(|age| age.as_secs_f64()),
        "backlog_waits": link.backlog_waits.map(|wait| traffic::waits(wait, zone)),
        "plan": link.plan.map(|usage| traffic::plan(&usage, zone)),
        "traffic": traffic::days(&store.traffic),
        "time": panel.figures.now().map(|time: UtcMs| time.to_string()),
    })
}

/// What runs, in the shape of `edge.toml`.
pub(super) fn config(config: &Config) -> Json {
    let seconds = |duration: Duration| duration.as_secs_f64();
    let buses = config.buses.iter().map(|bus| {
        let mut body = json!({
            "id": bus.id,
            "kind": bus.link.word(),
            "timeout_s": bus.timeout.map(seconds),
            "quiet_s": seconds(bus.quiet),
            "gap_s": seconds(bus.gap),
        });
        match &bus.link {
            Link::Tcp { address } | Link::RtuTcp { address } => body["address"] = json!(address),
            Link::Rtu(serial) => {
                body["port"] = json!(serial.port);
                body["baud"] = json!(serial.baud);
                body["parity"] = json!(serial.parity);
                body["stop_bits"] = json!(serial.stop_bits);
                body["rs485_rts"] = match serial.rs485_rts {
                    Rts::Unused => false.into(),
                    Rts::Talk => true.into(),
                    Rts::Inverted => "inverted".into(),
                };
            }
        }
        body
    });
    let devices = config.devices.iter().map(|device| {
        json!({
            "id": device.id,
            "bus": config.buses[device.bus].id,
            "unit": device.unit,
            "profile": device.profile.name,
            "interval_s": seconds(device.interval),
            "slow_interval_s": seconds(device.slow_interval),
            "priority": device.priority,
            "retries": config.retries(device),
            "timeout_s": seconds(config.timeout(device)),
            "quiet_s": seconds(config.quiet(device)),
            "rated": {
                "power_w": device.rated.power_w,
                "rpm": device.rated.rpm,
                "voltage_v": device.rated.voltage_v,
                "cut_in_mps": device.rated.cut_in_mps,
            },
        })
    });
    json!({
        "profiles": config.profiles,
        "site": {"key": config.site.key, "name": config.site.name, "timezone": config.site.timezone},
        "cloud": {"url": config.cloud.url.as_deref().map(without_secrets), "ca": config.cloud.ca},
        "store": {
            "dir": config.store.dir,
            "flush_s": seconds(config.store.flush),
            "max_bytes": config.store.max_bytes,
            "keep_free": config.store.keep_free,
        },
        "upload": {
            "every_s": seconds(config.upload.every),
            "metered": config.upload.metered,
            "bandwidth": config.upload.bandwidth_bytes_per_s,
            "backlog_hours": config.upload.backlog_hours.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "plan_mb": config.upload.plan.map_or(0, |plan| plan.limit_bytes / 1_000_000),
            "plan_day": config.upload.plan.map(|plan| plan.first_day),
        },
        "panel": {"listen": config.panel.listen, "hosts": config.panel.hosts},
        "mqtt": {"listen": config.mqtt.listen, "anonymous_read": config.mqtt.anonymous_read},
        "buses": buses.collect::<Vec<_>>(),
        "devices": devices.collect::<Vec<_>>(),
    })
}

/// An address without the name and password that it may carry.
fn without_secrets(url: &str) -> String {
    match reqwest::Url::parse(url) {
        Ok(mut parsed) => {
            // Refused only for addresses without a host, which carry no secret.
            let _ = parsed.set_password(None);
            let _ = parsed.set_username("");
            parsed.set_query(None);
            parsed.to_string()
        }
        Err(_) => String::new(),
    }
}

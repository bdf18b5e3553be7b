//! `status`: asks the running gateway's panel, since only it knows what is in memory.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::Config;
use crate::panel::life;

/// How long the panel may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer of the panel, in bytes.
const ANSWER_MAX: u64 = 8 << 20;

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Nobody to ask.
    #[error("the panel is off, and status asks it; set panel.listen in the configuration")]
    NoPanel,
    /// It does not run.
    #[error("the gateway is not running: nothing answers at {address}; start it with `riverwatts-edge run`")]
    NotRunning {
        /// Where the panel should be.
        address: SocketAddr,
    },
    /// Something else answers there.
    #[error("what answers at {address} is no gateway's panel: {cause}")]
    Strange {
        /// Where it was asked.
        address: SocketAddr,
        /// What was wrong.
        cause: String,
    },
}

/// `{site, devices, buses, link}` of the running gateway.
///
/// # Errors
/// When it does not run, or has no panel.
pub async fn ask(config: &Config) -> Result<Value, StatusError> {
    let address = reachable(config.panel.listen.ok_or(StatusError::NoPanel)?);
    let strange = |error: &dyn std::fmt::Display| StatusError::Strange { address, cause: error.to_string() };
    let http = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build().map_err(|error| strange(&error))?;
    let mut status = json!({});
    for part in ["site", "devices", "buses", "link"] {
        let asked = http.get(format!("http://{address}/api/{part}")).send().await;
        let answer = asked.and_then(reqwest::Response::error_for_status).map_err(|error| match error.is_connect() {
            true => StatusError::NotRunning { address },
            false => strange(&error),
        })?;
        if answer.content_length().is_some_and(|length| length > ANSWER_MAX) {
            return Err(strange(&"its answer is too long"));
        }
        let mut body: Value = answer.json().await.map_err(|error| strange(&error))?;
        status[part] = match body.get_mut(part) {
            Some(list) => list.take(),
            None => body,
        };
    }
    Ok(status)
}

/// The status for a person.
pub fn told(status: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let list = |key: &str| status[key].as_array().cloned().unwrap_or_default();
    let mut told = String::new();
    let (site, link) = (&status["site"], &status["link"]);
    let time = site["time"].as_str().unwrap_or("clock not trusted yet");
    let mut line = |line: String| writeln!(told, "{line}").expect("a String takes everything");
    line(format!("{} ({}), version {}, {time}", text(&site["name"]), text(&site["key"]), text(&site["version"])));
    let oldest = link["oldest_unsent_seconds"].as_f64().map(|age| format!(", the oldest for {}", duration(age)));
    let until = link["backlog_waits"]["meaning"].as_str().map(|until| format!(", the backlog {until}"));
    let waits = format!(
        "{} readings wait{}{}",
        link["backlog_readings"],
        oldest.unwrap_or_default(),
        until.unwrap_or_default()
    );
    let refused = site["dead_letters"].as_u64().filter(|&letters| letters > 0);
    let refused = refused.map(|letters| format!(", {letters} were refused and rest here"));
    line(format!("cloud: {}, {waits}{}", text(&link["state"]), refused.unwrap_or_default()));
    if let Some(meaning) = link["plan"]["meaning"].as_str() {
        line(format!("plan: {meaning}"));
    }
    if let Some(error) = site["store_error"].as_str() {
        line(format!("store: {error}; {} readings are in memory only", site["unflushed_readings"]));
    }
    if let Some(full) = site["store_full"].as_str() {
        line(format!("store: full: {full}"));
    }
    if let Some(today) = site["bytes_written_today"].as_u64() {
        let lasts = site["card_life_days"].as_u64().map(|days| format!("; a card lasts {} at this rate", life(days)));
        line(format!("card: {:.1} MB written today{}", today as f64 / 1e6, lasts.unwrap_or_default()));
    }
    for bus in list("buses") {
        let load = bus["load"].as_f64().unwrap_or_default() * 100.0;
        line(format!("bus {}: {}, {load:.0} % busy", text(&bus["id"]), text(&bus["state"])));
    }
    for device in list("devices") {
        let age = device["age_s"].as_f64().map_or("never".to_owned(), |age| format!("{age:.1} s ago"));
        line(format!("device {}: {}, last reading {age}", text(&device["id"]), text(&device["state"])));
        for value in device["values"].as_array().into_iter().flatten() {
            let shown = if value["value"].is_null() { "-".to_owned() } else { value["value"].to_string() };
            let doubt = value["quality"].as_str().filter(|word| *word != "ok").map(|word| format!("  ({word})"));
            let (metric, unit) = (text(&value["metric"]), text(&value["unit"]));
            line(format!("  {metric:32} {shown:>14} {unit}{}", doubt.unwrap_or_default()));
        }
    }
    told.truncate(told.trim_end().len());
    told
}

/// Seconds as a person says them.
fn duration(seconds: f64) -> String {
    match seconds {
        ..120.0 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.0} h", seconds / 3_600.0),
        _ => format!("{:.0} days", seconds / 86_400.0),
    }
}

/// Where a panel that listens at `listen` is reached from this machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Overrides, parse};

    #[test]
    fn a_panel_for_everyone_is_asked_on_loopback() {
        for (listen, asked) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("192.168.1.2:8080", "192.168.1.2:8080")]
        {
            assert_eq!(reachable(listen.parse().unwrap()), asked.parse().unwrap());
        }
    }

    #[test]
    fn the_backlog_is_told_with_its_age() {
        let status = |oldest: Value, letters: u64, error: Value| {
            told(&json!({
                "site": {"dead_letters": letters, "store_error": error, "unflushed_readings": 9},
                "link": {"state": "connected", "backlog_readings": 42, "oldest_unsent_seconds": oldest},
            }))
        };
        assert!(status(json!(null), 0, json!(null)).ends_with("cloud: connected, 42 readings wait"));
        assert!(status(json!(7.4), 0, json!(null)).ends_with("42 readings wait, the oldest for 7 s"));
        assert!(status(json!(7_300.0), 3, json!(null)).ends_with("for 2 h, 3 were refused and rest here"));
        assert!(
            status(json!(7.4), 0, json!("the disk is full")).ends_with("disk is full; 9 readings are in memory only")
        );
    }

    #[test]
    fn the_data_plan_and_what_waits_for_it_are_told() {
        let link = json!({
            "state": "connected",
            "backlog_readings": 42,
            "backlog_waits": {"meaning": "until 22:00"},
            "plan": {"meaning": "20 % of the data plan is used; it will do until 15 December"},
        });
        let told = told(&json!({"site": {}, "link": link}));
        let expected = "cloud: connected, 42 readings wait, the backlog until 22:00\nplan: 20 % of the data plan is used; it will do until 15 December";
        assert!(told.ends_with(expected), "{told}");
    }

    #[test]
    fn the_cards_wear_is_told_with_what_it_means() {
        let status = |days: Value| told(&json!({"site": {"bytes_written_today": 76_400_000, "card_life_days": days}}));
        assert!(status(json!(null)).ends_with("card: 76.4 MB written today"));
        assert!(status(json!(4_000)).ends_with("76.4 MB written today; a card lasts 10 years at this rate"));
        assert!(status(json!(1)).ends_with("a card lasts 1 day at this rate"));
    }

    #[tokio::test]
    async fn a_gateway_that_is_not_running_is_told_so() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let read = |listen: &str| {
            parse(&format!("[panel]\nlisten = \"{listen}\"\n"), "f", Path::new(""), &Overrides::default()).unwrap()
        };
        let error = ask(&read(&free.to_string())).await.unwrap_err();
        assert!(matches!(error, StatusError::NotRunning { .. }), "{error}");
        assert!(matches!(ask(&read("")).await.unwrap_err(), StatusError::NoPanel));
    }
}

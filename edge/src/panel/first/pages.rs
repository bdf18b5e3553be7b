//! The pages that show how the site is.

use riverwatts_assets::escape;
use serde_json::Value as Json;

use super::markup::{
    badge, device_age, device_badge, each, head, labelled, list, main_values, number, plain, quality, table, text,
    trouble,
};
use crate::panel::words::{self, age, counted, duration, label};

/// Below this load, a tenth of a per cent tells something.
const FINE_BELOW: f64 = 0.1;

pub(super) fn site_page(site: &Json, devices: &[Json]) -> String {
    let parts = each(list(&site["parts"]), |part| {
        let (kind, word) = match part["condition"].as_str() {
            Some("ok") => ("good", "well"),
            Some("warning") => ("warn", "attention"),
            _ => ("bad", "failure"),
        };
        let title = match part["name"].as_str() {
            Some("devices") => "<a href=\"/devices\">Devices</a>",
            Some("store") if site["dead_letters"] != 0 => "<a href=\"/dead-letters\">Storing</a>",
            Some("store") => "Storing",
            Some("clock") => "<a href=\"/clock\">Clock</a>",
            _ => "<a href=\"/link\">Cloud</a>",
        };
        let remedy = match text(part, "remedy") {
            none if none.is_empty() => none,
            remedy => format!("<p class=\"soft\">{remedy}</p>"),
        };
        let badge = badge(kind, word);
        format!("<li class=\"card part {kind}\"><h2>{title}</h2>{badge}<p>{}</p>{remedy}</li>", text(part, "state"))
    });
    let cards = each(devices, |device| {
        let id = text(device, "id");
        let late = if device["stale"] == true { " late" } else { "" };
        format!(
            "<article class=\"card{late}\"><div class=\"card-head\"><h2><a href=\"/devices/{id}\">{id}</a></h2>{}</div>\
             {}{}</article>",
            device_age(device),
            trouble(device),
            main_values(device),
        )
    });
    format!("{}<ul class=\"parts\">{parts}</ul><div class=\"grid device\">{cards}</div>", head(&text(site, "name"), ""))
}

pub(super) fn devices_page(devices: &[Json]) -> String {
    let rows = devices.iter().map(|device| {
        let (id, bus) = (text(device, "id"), text(device, "bus"));
        let first = list(&device["values"]).iter().find(|value| value["metric"] == device["main"][0]);
        let reads = first.map(|value| {
            let stale = if device["stale"] == true { " stale" } else { "" };
            format!(
                "<span class=\"value m{stale}\"><span class=\"value-figure\">{}</span> <span class=\"value-about\">{}{}</span></span>",
                number(value),
                quality(value),
                device_age(device)
            )
        });
        vec![
            format!("<a href=\"/devices/{id}\">{id}</a>"),
            device_badge(device),
            reads.unwrap_or_default(),
            format!("{} {}", text(device, "manufacturer"), text(device, "model")),
            format!("<a href=\"/buses\">{bus}</a>, unit {}", device["unit"]),
        ]
    });
    let labels = ["Device", "State", "Reads", "What it is", "Bus and unit"];
    head("Devices", "") + &table("Devices of this site", &labels, rows)
}

pub(super) fn device_page(devices: &[Json], id: &str) -> String {
    let Some(device) = devices.iter().find(|device| device["id"] == *id) else {
        return "<h1>Not found</h1><p>There is no such device at this site. <a href=\"/devices\">All devices</a></p>"
            .to_owned();
    };
    let values = list(&device["values"]);
    let rows = each(values, |value| {
        let name = escape(&label(value["metric"].as_str().unwrap_or_default()));
        let quality = Some(quality(value)).filter(|badge| !badge.is_empty());
        let quality = quality.unwrap_or_else(|| "<span class=\"soft\">ok</span>".to_owned());
        let number = number(value);
        format!(
            "<tr><th scope=\"row\">{name}</th><td class=\"number\"><b class=\"value-figure\">{number}</b></td><td>{quality}</td></tr>"
        )
    });
    let now = if values.is_empty() {
        "<div class=\"card\"><p>No values yet.</p></div>".to_owned()
    } else {
        format!(
            "<div class=\"card device\"><h2 class=\"unseen\">Main values</h2>{}</div><div class=\"card\">\
             <table class=\"figures\"><caption class=\"unseen\">All values</caption><thead><tr><th scope=\"col\">Value</th>\
             <th scope=\"col\" class=\"number\">Now</th><th scope=\"col\">Quality</th></tr></thead>\
             <tbody>{rows}</tbody></table></div>",
            main_values(device)
        )
    };
    let late = if device["stale"] == true { " late" } else { "" };
    let about = device_badge(device) + &device_age(device);
    format!(
        "{}{}<div class=\"sides\"><section class=\"stack{late}\">{now}</section><div class=\"stack\"></div></div>",
        head(&text(device, "id"), &about),
        trouble(device),
    )
}

pub(super) fn buses_page(buses: &[Json]) -> String {
    let cards = each(buses, |bus| {
        let (kind, word) = match bus["condition"].as_str() {
            Some("ok") => ("good", "well"),
            Some("partly") => ("warn", "partly silent"),
            Some("silent") => ("bad", "silent"),
            Some("lost") => ("bad", "not connected"),
            Some("waiting") => ("quiet", "connecting"),
            _ => ("quiet", "empty"),
        };
        let rows = list(&bus["units"]).iter().map(|unit| {
            let device = text(unit, "device");
            let state = badge(unit_kind(unit), &text(unit, "state"));
            let answer = unit["last_ok_age_s"].as_f64().map_or_else(|| "never".to_owned(), age);
            vec![
                format!("<a href=\"/devices/{device}\">{device}</a>"),
                unit["unit"].to_string(),
                state,
                format!("{} of {}", plain(&unit["ok"], 0), plain(&unit["polls"], 0)),
                if unit["ok"] == 0 {
                    "–".to_owned()
                } else {
                    format!("{}\u{a0}ms", plain(&unit["round_trip_ms"], 1))
                },
                format!("<time class=\"age\">{answer}</time>"),
            ]
        });
        let labels = ["Device", "#Unit", "State", "#Answered polls", "#Round trip", "Last answer"];
        let wire = match bus["kind"].as_str() {
            Some("tcp") => "Modbus TCP",
            Some("rtu") => "serial line (Modbus RTU)",
            _ => "Modbus RTU over TCP",
        };
        let share = |key: &str| {
            let ratio = bus[key].as_f64().unwrap_or_default();
            format!("{}\u{a0}%", words::number(ratio * 100.0, usize::from(ratio < FINE_BELOW)))
        };
        format!(
            "<section class=\"card\"><div class=\"card-head\"><h2>{}</h2>{}</div><p{}>{}</p><p class=\"soft\">{wire}, \
             <span class=\"mono\">{}</span></p><div class=\"load\"><span>Load</span><meter min=\"0\" max=\"1\" high=\"0.8\" \
             optimum=\"0\" value=\"{}\"></meter><b>{}</b><span class=\"soft\">planned {}</span></div>{}{}</section>",
            text(bus, "id"),
            badge(kind, word),
            if kind == "bad" { " class=\"trouble\"" } else { "" },
            text(bus, "state"),
            text(bus, "target"),
            bus["load"],
            share("load"),
            share("planned_load"),
            table("Devices on this bus", &labels, rows),
            remedies(list(&bus["troubles"]), list(&bus["units"])),
        )
    });
    format!("{}<div class=\"stack\">{cards}</div>", head("Buses", ""))
}

fn unit_kind(unit: &Json) -> &'static str {
    match unit["condition"].as_str() {
        Some("ok") => "good",
        Some("waiting") => "quiet",
        _ => "bad",
    }
}

fn remedies(troubles: &[Json], units: &[Json]) -> String {
    let troubles = each(troubles, |trouble| {
        format!("<li><strong>{}</strong>: {}.</li>", text(trouble, "meaning"), text(trouble, "remedy"))
    });
    let items = each(units, |unit| {
        let device = text(unit, "device");
        let errors = each(list(&unit["errors"]), |error| {
            let times = counted(error["count"].as_u64().unwrap_or_default(), "time");
            let (meaning, remedy) = (text(error, "meaning"), text(error, "remedy"));
            format!("<li><strong>{device}: {meaning}</strong>, {times} since the start: {remedy}.</li>")
        });
        let last = unit["last_error_age_s"].as_f64().map(|seconds| {
            format!(
                "<li class=\"soft\">{device}, last error <time class=\"age\">{}</time>: {}</li>",
                age(seconds),
                text(unit, "last_error")
            )
        });
        let names = each(list(&unit["refused_registers"]), |refused| {
            each(list(&refused["names"]), |name| {
                format!(" <span class=\"mono\">{}</span>", escape(name.as_str().unwrap_or_default()))
            })
        });
        let refused = if names.is_empty() {
            names
        } else {
            format!(
                "<li><strong>{device}: refuses</strong>{names}, left out: check that the profile fits the device.</li>"
            )
        };
        errors + &last.unwrap_or_default() + &refused
    });
    let items = troubles + &items;
    if items.is_empty() { items } else { format!("<ul class=\"remedies\">{items}</ul>") }
}

pub(super) fn link_page(site: &Json, link: &Json) -> String {
    let (kind, word) = match link["condition"].as_str() {
        Some("ok") => ("good", "connected"),
        Some("held") => ("warn", "readings held"),
        Some("lost") => ("bad", "link lost"),
        Some("waiting") => ("quiet", "not tried yet"),
        _ => ("quiet", "not enrolled"),
    };
    let receipt = link["last_receipt_age_s"].as_f64().map_or_else(|| "never".to_owned(), age);
    let values = [
        ("Readings that wait", plain(&link["backlog_readings"], 0)),
        ("The oldest waits for", link["oldest_unsent_seconds"].as_f64().map_or_else(|| "–".to_owned(), duration)),
        ("Last receipt", receipt),
        ("Refused, resting here", plain(&site["dead_letters"], 0)),
    ];
    let values: String = values.iter().map(|(name, shown)| labelled(name, shown, "")).collect();
    let plan = match text(&link["plan"], "meaning") {
        none if none.is_empty() => none,
        meaning => format!("<section class=\"card\"><h2 class=\"side-head\">Data plan</h2><p>{meaning}</p></section>"),
    };
    let refused = match site["dead_letters"].as_u64() {
        None | Some(0) => "",
        Some(_) => "<p><a href=\"/dead-letters\">Look at the refused readings</a></p>",
    };
    format!(
        "{}<div class=\"stack\"><section class=\"card\"><p{}>{}</p><p><strong>What happens next:</strong> {}</p></section>\
         <section class=\"card\"><h2 class=\"unseen\">Backlog</h2><div class=\"values\">{values}</div>{refused}</section>{plan}</div>",
        head("Cloud link", &badge(kind, word)),
        if kind == "bad" { " class=\"trouble\"" } else { "" },
        text(link, "state"),
        text(link, "next"),
    )
}

//! The pages on which something can be changed: the clock, refused readings. Buttons wait for the scripts.

use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::markup::{badge, each, head, labelled, list, table, text};
use crate::panel::words::{counted, duration};

const TIME: &str = "%H:%M:%S";
const DATE: &str = "%-d %b %Y";
const FULL: &str = "%-d %b %Y, %H:%M:%S";

/// A time as the scripts write it.
fn at(time: &Json, site: &Json, shape: &str) -> String {
    let time = time.as_str().and_then(|time| time.parse::<jiff::Timestamp>().ok());
    let zone = site["timezone"].as_str().and_then(|zone| TimeZone::get(zone).ok()).unwrap_or(TimeZone::UTC);
    time.map_or_else(|| "–".to_owned(), |time| time.to_zoned(zone).strftime(shape).to_string())
}

/// A word of programs as people read it, fit for HTML.
fn spaced(json: &Json, key: &str) -> String {
    match json[key].as_str() {
        Some(_) => text(json, key).replace('_', " "),
        None => "–".to_owned(),
    }
}

fn buttons(words: &[&str]) -> String {
    let button = |words: &&str| format!("<button type=\"button\" class=\"button\" disabled>{words}</button>");
    format!("<div class=\"form-actions\">{}</div>", words.iter().map(button).collect::<String>())
}

pub(super) fn clock_page(site: &Json, clock: Option<&Json>) -> String {
    let Some(clock) = clock else { return head("Clock", "") };
    let (trusted, well) = (clock["trusted"] == true, clock["condition"] == "ok");
    let word = badge(if well { "good" } else { "warn" }, if trusted { "trusted" } else { "not trusted" });
    let none = || "–".to_owned();
    let (time, date) = if trusted {
        (at(&clock["time"], site, TIME), at(&clock["time"], site, DATE))
    } else {
        (none(), String::new())
    };
    let off = clock["uncertainty_s"]
        .as_f64()
        .map(|seconds| if seconds == 0.0 { "under 2 s".to_owned() } else { duration(seconds) });
    let values = labelled("Time at the site", &time, &date)
        + &labelled("On the word of", &spaced(clock, "source"), "")
        + &labelled("At most off", &off.unwrap_or_else(none), "");
    let remedy = match text(clock, "remedy") {
        none if none.is_empty() => none,
        remedy => format!("<p><strong>What to do:</strong> {remedy}.</p>"),
    };
    let jumps = list(&clock["jumps"]).iter().map(|jump| {
        let by = jump["by_ms"].as_f64().unwrap_or_default();
        let when = match &jump["timestamp"] {
            Json::Null => {
                let after = jump["monotonic_ms"].as_f64().unwrap_or_default() / 1_000.0;
                format!("{} after start {}", duration(after), jump["boot"])
            }
            time => at(time, site, FULL),
        };
        let sign = if by < 0.0 { "−" } else { "+" };
        vec![
            when,
            format!("{sign}{}", duration(by.abs() / 1_000.0)),
            spaced(jump, "source"),
            if jump["how"] == "slewed" { "slowly, no time twice" } else { "at once" }.to_owned(),
        ]
    });
    let ledger = if jumps.len() == 0 {
        String::new()
    } else {
        let labels = ["When", "#By", "On the word of", "How"];
        let table = table("Corrections of the clock, newest first", &labels, jumps);
        format!("<section><h2 class=\"side-head\">Corrections</h2>{table}</section>")
    };
    format!(
        "{}<div class=\"stack\"><section class=\"card upkeep\"><h2 class=\"unseen\">What the gateway believes</h2>\
         <div class=\"values\">{values}</div><p class=\"{}\">{}</p>{remedy}</section>\
         <section class=\"card upkeep\"><h2>The clock of this device</h2><p>\u{a0}</p><p class=\"soft\">Where there is neither a time \
         server nor the cloud, a phone's clock can stand in for them.</p>{}</section>{ledger}</div>",
        head("Clock", &word),
        if well { "soft" } else { "trouble" },
        text(clock, "state"),
        buttons(&["Take its time …"]),
    )
}

pub(super) fn dead_letters_page(site: &Json, answer: Option<&Json>) -> String {
    let head = head("Refused readings", "");
    let groups = answer.map_or(&[][..], |answer| list(&answer["groups"]));
    if groups.is_empty() {
        return head;
    }
    let count = |group: &Json| group["count"].as_u64().unwrap_or_default();
    let total = counted(groups.iter().map(count).sum(), "reading");
    let cards = each(groups, |group| {
        let (from, to) = (at(&group["from"], site, FULL), at(&group["to"], site, FULL));
        let taken = if group["from"] == group["to"] { from } else { format!("{from} to {to}") };
        format!(
            "<section class=\"card upkeep\"><h2>{}: {}</h2><p class=\"trouble\">{}.</p><p><strong>What to do:</strong> {}.</p>\
             <dl class=\"pairs\"><dt>Taken</dt><dd>{taken}</dd><dt>The cloud said</dt><dd>{}: {}</dd></dl>{}</section>",
            text(group, "device"),
            counted(count(group), "reading"),
            text(group, "meaning"),
            text(group, "remedy"),
            spaced(group, "code"),
            text(group, "message"),
            buttons(&["Send again …", "Discard …"]),
        )
    });
    let all = if groups.len() > 1 { buttons(&["Send all again …", "Discard all …"]) } else { String::new() };
    format!(
        "{head}<div class=\"stack\"><section class=\"card upkeep\"><p>The cloud refused {total}. They rest here and hold up nothing: \
         newer readings go on.</p>{all}</section>{cards}</div>"
    )
}

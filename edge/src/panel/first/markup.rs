//! Pieces of a page, as the kit's components draw them (`kit/value.js`, `kit/table.js`).

use riverwatts_assets::escape;
use serde_json::Value as Json;

use crate::panel::words::{self, age, figure, label, unit};

pub(super) fn list(json: &Json) -> &[Json] {
    json.as_array().map_or(&[], Vec::as_slice)
}

/// A text of a body, fit for HTML.
pub(super) fn text(json: &Json, key: &str) -> String {
    escape(json[key].as_str().unwrap_or_default())
}

pub(super) fn each<'j>(items: impl IntoIterator<Item = &'j Json>, write: impl Fn(&Json) -> String) -> String {
    items.into_iter().map(write).collect()
}

pub(super) fn head(title: &str, rest: &str) -> String {
    format!("<div class=\"page-head\"><h1>{title}</h1>{rest}</div>")
}

/// `good`, `warn`, `bad` or `quiet`, each of its own shape.
pub(super) fn badge(kind: &str, word: &str) -> String {
    let path = match kind {
        "good" => "M2 5.5 4.2 8 8.5 2.5",
        "warn" => "M5 1.5 9 8.5H1Z",
        "bad" => "M2 2 8 8M8 2 2 8",
        _ => "M2 5h6",
    };
    format!(
        "<span class=\"badge {kind}\"><svg class=\"glyph\" viewBox=\"0 0 10 10\" width=\"10\" height=\"10\" \
         aria-hidden=\"true\"><path d=\"{path}\"></path></svg>{word}</span>"
    )
}

pub(super) fn trouble(device: &Json) -> String {
    if device["condition"] == "ok" {
        String::new()
    } else {
        format!("<p class=\"trouble\">{}</p>", text(device, "state"))
    }
}

pub(super) fn device_age(device: &Json) -> String {
    let Some(told) = device["age_s"].as_f64().map(age) else {
        return "<span class=\"age\">never</span>".to_owned();
    };
    if device["stale"] == true {
        format!("<time class=\"age stale\"><span class=\"struck\">stale</span> {told}</time>")
    } else {
        format!("<time class=\"age\">{told}</time>")
    }
}

pub(super) fn main_values(device: &Json) -> String {
    let values = list(&device["main"]).iter().filter_map(|metric| {
        let value = list(&device["values"]).iter().find(|value| value["metric"] == *metric)?;
        Some(labelled(&label(value["metric"].as_str()?), &number(value), &quality(value)))
    });
    format!("<div class=\"values\">{}</div>", values.collect::<String>())
}

/// A number or a word, large, below its name; the name comes from a person's profile.
pub(super) fn labelled(name: &str, shown: &str, about: &str) -> String {
    let about = if about.is_empty() { String::new() } else { format!("<span class=\"value-about\">{about}</span>") };
    let name = escape(name);
    format!(
        "<span class=\"value l labelled\"><span class=\"value-label\">{name} </span><span class=\"value-figure\">{shown}\
         </span> {about}</span>"
    )
}

pub(super) fn number(value: &Json) -> String {
    let metric = value["metric"].as_str().unwrap_or_default();
    match (value["value"].as_f64(), unit(metric)) {
        (None, _) => "–".to_owned(),
        (Some(number), "") => figure(metric, number),
        (Some(number), unit) => format!("{}<span class=\"unit\">\u{a0}{unit}</span>", figure(metric, number)),
    }
}

/// A number that belongs to no metric.
pub(super) fn plain(json: &Json, decimals: usize) -> String {
    words::number(json.as_f64().unwrap_or_default(), decimals)
}

pub(super) fn quality(value: &Json) -> String {
    match value["quality"].as_str() {
        Some("ok") | None => String::new(),
        Some(word) => badge("warn", &word.replace('_', " ")),
    }
}

pub(super) fn device_badge(device: &Json) -> String {
    let (kind, word) = match device["condition"].as_str() {
        Some("ok") => ("good", "answers"),
        Some("stale") => ("warn", "late"),
        Some("silent") => ("bad", "silent"),
        Some("never") => ("bad", "never reached"),
        _ => ("quiet", "not asked yet"),
    };
    badge(kind, word)
}

/// A table as the kit draws it: the first column names the row; `#` before a label is for numbers.
pub(super) fn table(caption: &str, labels: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let class = |label: &str| if label.starts_with('#') { " class=\"number\"" } else { "" };
    let name = |label: &str| label.trim_start_matches('#').to_owned();
    let titles: String = labels
        .iter()
        .map(|label| format!("<th role=\"columnheader\" scope=\"col\"{}>{}</th>", class(label), name(label)))
        .collect();
    let row = |cells: Vec<String>| -> String {
        let cells = cells.iter().zip(labels).enumerate().map(|(place, (cell, label))| match place {
            0 => format!("<th role=\"rowheader\" scope=\"row\"><span class=\"cell\">{cell}</span></th>"),
            _ => format!(
                "<td role=\"cell\"{}><span class=\"cell-label\" aria-hidden=\"true\">{}</span><span class=\"cell\">{cell}</span></td>",
                class(label),
                name(label)
            ),
        });
        format!("<tr role=\"row\">{}</tr>", cells.collect::<String>())
    };
    format!(
        "<div class=\"table-box\"><table class=\"table\" role=\"table\"><caption class=\"unseen\">{caption}</caption>\
         <thead role=\"rowgroup\"><tr role=\"row\">{titles}</tr></thead><tbody role=\"rowgroup\">{}</tbody></table></div>",
        rows.map(row).collect::<String>()
    )
}

//! What the page holds before any script ran: the latest values as a table for people, and the
//! answers that its scripts would ask for first.

use riverwatts_assets::{escape, first_values};
use serde_json::{Value as Json, json};

use super::{Panel, bodies};

/// HTML for the page's place of first values.
pub(super) fn write(panel: &Panel) -> String {
    let devices = bodies::devices(panel);
    let tables: String = devices["devices"].as_array().into_iter().flatten().map(device).collect();
    let answers = json!({"answers": {
        "/api/site": bodies::site(panel),
        "/api/devices": devices,
        "/api/buses": bodies::buses(panel),
        "/api/link": bodies::link(panel),
    }});
    tables + &first_values(&answers.to_string())
}

fn device(device: &Json) -> String {
    let text = |key: &str| escape(device[key].as_str().unwrap_or_default());
    let age = device["age_s"].as_f64().map_or_else(|| "never".to_owned(), |seconds| format!("{seconds:.0} s ago"));
    let rows: String = device["values"].as_array().into_iter().flatten().map(row).collect();
    format!(
        "<article class=\"card{}\"><div><h3>{}</h3><span class=\"chip\">{age}</span></div>\
         <p class=\"quiet\">{} {} · {}</p><table><tbody>{rows}</tbody></table></article>",
        if device["stale"] == true { " stale" } else { "" },
        text("id"),
        text("manufacturer"),
        text("model"),
        text("state"),
    )
}

fn row(value: &Json) -> String {
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    let number = if value["value"].is_null() { "–".to_owned() } else { value["value"].to_string() };
    let doubt = match text("quality") {
        "ok" => String::new(),
        quality => format!(" ({})", quality.replace('_', " ")),
    };
    format!(
        "<tr><th scope=\"row\">{}</th><td>{number} {}{doubt}</td></tr>",
        escape(text("metric")),
        escape(text("unit"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_says_of_itself_is_text() {
        let hostile = "</td><img src=x onerror=alert(1)>";
        let html = device(&json!({
            "id": hostile, "manufacturer": hostile, "model": hostile, "state": format!("silent: {hostile}"),
            "stale": true, "age_s": null,
            "values": [{"metric": hostile, "unit": hostile, "value": null, "quality": "sentinel"}],
        }));
        assert!(!html.contains("<img"), "{html}");
        assert_eq!(html.matches("&lt;img src=x onerror=alert(1)&gt;").count(), 6, "{html}");
        assert!(
            html.contains("<td>– &lt;/td&gt;") && html.contains("(sentinel)") && html.contains(">never<"),
            "{html}"
        );
    }
}

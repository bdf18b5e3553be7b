//! What a page holds before any script ran: the same as the scripts draw, for people, and the answers
//! that they would ask for first. They then take over what stands there, so nothing moves.

mod markup;
mod pages;
mod upkeep;

use markup::list;
use pages::{buses_page, device_page, devices_page, link_page, site_page};
use riverwatts_assets::first_values;
use serde_json::{Value, json};
use upkeep::{clock_page, dead_letters_page};

use super::{Panel, bodies, clock, dead_letters, read};

/// What only one page shows, with the address that gives it, where it can be had now.
pub(super) async fn own(panel: &Panel, route: &str) -> Option<(&'static str, Value)> {
    match route {
        "/clock" => read(panel, clock::body).await.ok().map(|body| ("/api/clock", body)),
        "/dead-letters" => {
            let groups = read(panel, |figures| figures.dead_letter_groups()).await.ok()?;
            Some(("/api/dead-letters/groups", dead_letters::groups_body(&groups)))
        }
        _ => None,
    }
}

/// HTML for the page's place of first values, at a route and, for that of a device, a path.
pub(super) fn write(panel: &Panel, route: &str, path: &str, own: Option<(&'static str, Value)>) -> String {
    let (site, devices) = (bodies::site(panel), bodies::devices(panel));
    let (buses, link) = (bodies::buses(panel), bodies::link(panel));
    let page = match route {
        "/devices" => devices_page(list(&devices["devices"])),
        "/devices/{id}" => device_page(list(&devices["devices"]), path.rsplit('/').next().unwrap_or_default()),
        "/buses" => buses_page(list(&buses["buses"])),
        "/link" => link_page(&site, &link),
        "/clock" => clock_page(&site, own.as_ref().map(|(_, body)| body)),
        "/dead-letters" => dead_letters_page(&site, own.as_ref().map(|(_, body)| body)),
        _ => site_page(&site, list(&devices["devices"])),
    };
    let mut answers = json!({"/api/site": site, "/api/devices": devices, "/api/buses": buses, "/api/link": link});
    if let Some((path, body)) = own {
        answers[path] = body;
    }
    let answers = json!({"answers": answers});
    format!("<div class=\"page\">{page}</div>{}", first_values(&answers.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_or_a_bus_says_of_itself_is_text() {
        let hostile = "</td><img src=x onerror=alert(1)>";
        let device = json!({
            "id": hostile, "bus": hostile, "manufacturer": hostile, "model": hostile, "stale": true, "age_s": null, "unit": 1,
            "condition": "silent", "state": format!("silent: {hostile}"), "main": ["x_a<img>"],
            "values": [{"metric": "x_a<img>", "value": null, "quality": "sentinel"}],
        });
        let unit = json!({
            "device": hostile, "condition": "silent", "state": hostile, "polls": 3, "ok": 1, "last_error": hostile, "last_error_age_s": 3.0,
            "errors": [{"outcome": "timeout", "count": 2, "meaning": "no answer", "remedy": "check power"}],
        });
        let bus = json!({"id": hostile, "target": hostile, "state": hostile, "condition": "lost", "units": [unit]});
        let site = json!({"name": hostile, "parts": [{"name": "store", "condition": "failure", "state": hostile, "remedy": ""}]});
        let link = json!({"state": hostile, "next": "", "condition": "lost"});
        let group = json!({
            "device": hostile, "code": hostile, "count": 3, "from": hostile, "to": hostile, "message": hostile, "meaning": hostile,
            "remedy": hostile,
        });
        let refused = json!({"groups": [group]});
        let jump =
            json!({"timestamp": null, "monotonic_ms": 5, "boot": 1, "by_ms": -600, "how": hostile, "source": hostile});
        let clock = json!({"trusted": true, "source": hostile, "state": hostile, "remedy": hostile, "jumps": [jump]});
        let devices = [device];
        for (page, times) in [
            (site_page(&site, &devices), 5),
            (devices_page(&devices), 5),
            (device_page(&devices, hostile), 2),
            (buses_page(&[bus]), 9),
            (link_page(&site, &link), 1),
            (dead_letters_page(&site, Some(&refused)), 5),
            (clock_page(&site, Some(&clock)), 4),
        ] {
            assert!(!page.contains("<img"), "{page}");
            assert_eq!(page.matches("&lt;img src=x onerror=alert(1)&gt;").count(), times, "{page}");
        }
        let page = device_page(&devices, hostile);
        assert!(
            page.contains(">–</b>")
                && page.contains("sentinel</span>")
                && page.contains("<span class=\"age\">never</span>"),
            "{page}"
        );
    }

    #[test]
    fn a_page_of_a_device_that_is_not_there_says_so() {
        assert!(device_page(&[], "ghost").starts_with("<h1>Not found</h1>"));
    }
}

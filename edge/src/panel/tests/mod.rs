//! The panel through HTTP, with figures of the tests' own.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use site::{CONFIG, Client, Crowd};

mod doors;
mod site;

#[tokio::test]
async fn silent_connections_give_their_places_back() {
    let client = Client::start().await;
    let address = client.base.strip_prefix("http://").unwrap().to_owned();
    let mut silent = Vec::new();
    for _ in 0..listener::CONNECTIONS_MAX {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    let mut waiting = TcpStream::connect(&address).await.unwrap();
    waiting.write_all(b"GET /api/site HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut byte = [0];
    tokio::select! {
        biased;
        _ = waiting.read(&mut byte) => panic!("one connection more than there are places is served"),
        () = async { for _ in 0..1_000 { tokio::task::yield_now().await } } => {}
    }
    // With nothing else to do, time passes at once.
    tokio::time::pause();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(silent[0].read(&mut byte).await.unwrap(), 0);
}

#[tokio::test]
async fn devices_show_values_units_age_and_quality() {
    let client = Client::start().await;
    let (_, body) = client.get("/api/devices").await;
    let device = &body["devices"][0];
    assert_eq!(device["id"], "meter-1");
    assert_eq!((&device["age_s"], &device["stale"], &device["state"]), (&json!(3.0), &json!(false), &json!("answers")));
    assert_eq!(device["timestamp"], "1970-01-01T00:00:01.000Z");
    assert_eq!(
        device["values"][0],
        json!({"metric": "power_output_kw", "unit": "kW", "value": 12.345, "quality": "ok"})
    );
    assert_eq!(device["values"][1]["quality"], "range");
    assert_eq!(device["main"], json!(["power_output_kw", "x_odd"]));
    let never = &body["devices"][1];
    assert_eq!(
        (&never["state"], &never["stale"], &never["age_s"]),
        (&json!("not asked yet"), &json!(true), &Value::Null)
    );
}

#[tokio::test]
async fn a_value_is_stale_after_three_intervals() {
    let client = Client::start().await;
    client.clock.advance(Duration::from_secs(3));
    assert_eq!(client.get("/api/devices").await.1["devices"][0]["stale"], false);
    client.clock.advance(Duration::from_millis(1));
    assert_eq!(client.get("/api/devices").await.1["devices"][0]["stale"], true);
}

#[tokio::test]
async fn history_has_the_form_of_the_cloud_and_a_limit() {
    let client = Client::start().await;
    let (_, body) = client.get("/api/devices/meter-1/readings").await;
    assert_eq!(body["readings"].as_array().unwrap().len(), HISTORY_DEFAULT);
    let reading = &body["readings"][0];
    assert_eq!(reading["timestamp"], "1970-01-01T00:01:00.000Z");
    assert_eq!((&reading["power_output_kw"], &reading["voltage_v"]), (&json!(12.345), &Value::Null));
    assert_eq!((&reading["extra"], &reading["quality"]), (&json!({"x_odd": 2.5}), &json!({"x_odd": "range"})));
    assert_eq!(client.get("/api/devices/meter-1/readings?limit=3").await.1["readings"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn every_refusal_has_the_one_shape() {
    let client = Client::start().await;
    for (path, status, code) in [
        ("/nothing", 404, "RESOURCE_NOT_FOUND"),
        ("/api/devices/ghost/readings", 404, "RESOURCE_NOT_FOUND"),
        ("/api/devices/meter-1/readings?limit=0", 422, "VALIDATION_ERROR"),
        ("/api/devices/meter-1/readings?limit=1001", 422, "VALIDATION_ERROR"),
        ("/api/devices/meter-1/readings?order=up", 422, "VALIDATION_ERROR"),
        ("/api/devices/meter-2/readings", 500, "INTERNAL_ERROR"),
    ] {
        let (found, body) = client.get(path).await;
        assert_eq!((found, body["error"]["code"].as_str()), (status, Some(code)), "{path}");
        assert_eq!(body["error"]["details"].is_array(), status == 422, "{path}");
        assert!(body["error"]["request_id"].is_string(), "{path}");
        assert!(!body.to_string().contains("fire"), "causes are not shown");
    }
    let answer = client.http.post(format!("{}/api/devices", client.base)).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["allow"].to_str().unwrap()), (405, "GET,HEAD"));
    assert_eq!(answer.json::<Value>().await.unwrap()["error"]["code"], "VALIDATION_ERROR");
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let client = Client::start().await;
    for path in ["/api/config", "/api/link", "/api/site", "/metrics"] {
        let (_, body) = client.text(path).await;
        assert!(!body.contains("hush"), "{path}: {body}");
    }
    assert_eq!(client.get("/api/config").await.1["cloud"]["url"], "https://cloud.example/base");
    assert_eq!(client.get("/api/link").await.1["backlog_readings"], 42);
}

#[tokio::test]
async fn the_link_tells_its_plan_what_waits_and_what_the_days_carried() {
    let client = Client::start().await;
    let (_, body) = client.get("/api/link").await;
    let plan = &body["plan"];
    assert_eq!((&plan["limit_bytes"], &plan["used_bytes"]), (&json!(500_000_000), &json!(414_000_000)));
    assert_eq!((&plan["forecast_bytes"], &plan["state"]), (&json!(612_000_000), &json!("warning")));
    assert_eq!((&plan["period_start"], &plan["period_end"]), (&json!(UtcMs(0)), &json!(UtcMs(30 * 86_400_000))));
    let waits = json!({"reason": "hours", "until": "1970-01-01T22:00:00.000Z", "meaning": "until 22:00"});
    assert_eq!(body["backlog_waits"], waits);
    assert_eq!(body["traffic"], json!([{"day": "1970-01-01", "sent_bytes": 800, "received_bytes": 70}]));
    let (_, site) = client.get("/api/site").await;
    let cloud = &site["parts"][3];
    assert_eq!(cloud["condition"], "warning");
    assert!(cloud["state"].as_str().unwrap().ends_with("612 MB are needed until 31 January"), "{cloud}");
}

#[tokio::test]
async fn the_clock_tells_whom_it_believes_and_each_correction() {
    let (status, body) = Client::start().await.get("/api/clock").await;
    assert_eq!((status, &body["trusted"], &body["source"]), (200, &json!(true), &json!("cloud")));
    assert_eq!((&body["distrusted"], &body["distrust_ms"]), (&Value::Null, &Value::Null));
    let told = |n: usize| ["timestamp", "by_ms", "how", "source"].map(|key| body["jumps"][n][key].clone());
    assert_eq!(told(0), [json!("1970-01-01T00:00:02.000Z"), json!(-500), json!("slewed"), json!("cloud")]);
    assert_eq!(told(1), [Value::Null, json!(500), json!("stepped"), json!("cloud")]);
}

#[tokio::test]
async fn attempts_to_write_are_listed_and_nothing_is_written_through_the_panel() {
    let client = Client::start().await;
    let (status, body) = client.get("/api/writes?limit=2").await;
    assert_eq!((status, body["writes"].as_array().map(Vec::len)), (200, Some(2)));
    let newest = &body["writes"][0];
    assert_eq!((&newest["outcome"], &newest["timestamp"]), (&json!("unknown"), &json!("1970-01-01T00:00:01.000Z")));
    assert_eq!([&newest["who"], &newest["device"], &newest["write"]], ["root for maria", "relay-1", "relay_1"]);
    assert_eq!(body["writes"][1]["outcome"], "done");
    let client_of = |method: reqwest::Method| client.http.request(method, format!("{}/api/writes", client.base));
    for method in [reqwest::Method::POST, reqwest::Method::PUT, reqwest::Method::DELETE, reqwest::Method::PATCH] {
        assert_eq!(client_of(method).send().await.unwrap().status(), 405);
    }
}

#[tokio::test]
async fn the_page_may_run_and_show_only_what_it_came_with() {
    let client = Client::start().await;
    let (policy, page) = client.text("/").await;
    assert!(policy.starts_with("default-src 'none'; style-src 'self' 'sha256-"), "{policy}");
    assert!(page.contains("<style>") && !policy.contains("unsafe"), "{policy}");
}

#[tokio::test]
async fn the_first_answer_holds_the_values_and_every_name_is_text() {
    let client = Client::start().await;
    let name = "&lt;script&gt;alert(1)&lt;/script&gt;";
    for (path, shown) in [
        ("/", name),
        ("/", "<span class=\"value-label\">Power </span><span class=\"value-figure\">12.35<span class=\"unit\">"),
        ("/", "meter-2 does not answer"),
        ("/devices", "<a href=\"/devices/meter-1\">meter-1</a>"),
        ("/devices/meter-1", "<th scope=\"row\">Odd</th><td class=\"number\"><b class=\"value-figure\">2.500</b></td>"),
        ("/devices/meter-1", "range</span>"),
        ("/devices/%3Cb%3E", "<h1>Not found</h1>"),
        ("/buses", "<span class=\"mono\">10.0.0.1"),
        ("/link", "42"),
        ("/link", "82 % of the data plan is used; at this rate 612 MB are needed until 31 January"),
        ("/clock", "<h2>The clock of this device</h2>"),
        ("/dead-letters", "<h2>meter-2: 2,000 readings</h2>"),
        ("/dead-letters", "conflict: &lt;img src=x&gt;"),
    ] {
        let (_, page) = client.text(path).await;
        let (html, first) = page.split_once("<script type=\"application/json\" id=\"first\">").unwrap();
        assert!(html.contains(shown), "{path} shows no {shown}: {html}");
        let first: Value = serde_json::from_str(first.split_once("</script>").unwrap().0).unwrap();
        for (address, key) in [("/api/site", "name"), ("/api/buses", "buses"), ("/api/link", "state")] {
            assert!(!first["answers"][address][key].is_null(), "{path}: {first}");
        }
        assert_eq!(first["answers"]["/api/devices"], client.get("/api/devices").await.1, "{path}");
        assert_eq!(first["answers"]["/api/site"]["name"], "<script>alert(1)</script>");
        assert!(!page.contains("<script>alert"), "{path}: {page}");
        assert!(!page.contains("hush"), "{path}: {page}");
    }
}

#[tokio::test]
async fn the_site_tells_which_part_of_the_work_is_in_trouble() {
    let client = Client::start().await;
    let parts = async || client.get("/api/site").await.1["parts"].clone();
    let told = parts().await;
    let pairs: Vec<_> = told.as_array().unwrap().iter().map(|part| (&part["name"], &part["condition"])).collect();
    let expect = json!(["devices", "warning", "store", "ok", "clock", "ok", "cloud", "warning"]);
    assert_eq!(json!(pairs.iter().flat_map(|(name, condition)| [name, condition]).collect::<Vec<_>>()), expect);
    assert_eq!(told[0]["state"], "meter-2 does not answer");
    assert_eq!(told[1]["state"], "8.0 KiB written today; a card lasts 27 years at this rate");
    let waits = "not tried yet; 42 readings wait here, the oldest for 7 s; 82 % of the data plan is used";
    assert!(told[3]["state"].as_str().unwrap().starts_with(waits), "{}", told[3]);
    client.clock.advance(Duration::from_secs(120));
    let told = parts().await;
    assert_eq!((&told[0]["condition"], &told[0]["state"]), (&json!("failure"), &json!("polling stands still")));
}

#[tokio::test]
async fn the_history_of_hours_is_a_few_windows() {
    let client = Client::start().await;
    let (_, body) = client
        .get("/api/devices/meter-1/readings/aggregated?metric=power_output_kw&from=1970-01-01T00:00:59.990Z&to=1970-01-01T00%3A01%3A03Z&points=1")
        .await;
    let buckets = body["buckets"].as_array().unwrap();
    assert_eq!(buckets.len(), 1, "{body}");
    assert_eq!((&buckets[0]["count"], &buckets[0]["mean"]), (&json!(11), &json!(12.345)));
    for (query, field) in [
        ("", "query"),
        ("metric=power_output_kw&order=asc", "query"),
        ("metric=power_output_kw&points=0", "points"),
        ("metric=power_output_kw&points=2001", "points"),
        ("metric=1,2,3,4,5,6,7,8,9", "metric"),
        ("metric=power_output_kw&from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
    ] {
        let (status, body) = client.get(&format!("/api/devices/meter-1/readings/aggregated?{query}")).await;
        assert_eq!((status, &body["error"]["details"][0]["field"]), (422, &json!(field)), "{query}");
    }
    assert_eq!(client.get("/api/devices/ghost/readings/aggregated?metric=a").await.0, 404);
    assert_eq!(client.get("/api/devices/meter-2/readings/aggregated?metric=a").await.0, 500);
}

/// What a new connection carries at once (RFC 6928), less the headers of the answer.
#[tokio::test]
async fn the_first_answer_of_ten_devices_needs_no_second_round_trip() {
    let (head, _) = CONFIG.split_once("[[device]]").unwrap();
    let devices = (1..=10).map(|unit| {
        format!("[[device]]\nid = \"meter-{unit}\"\nbus = \"lan\"\nprofile = \"eastron-sdm630\"\nunit = {unit}\n")
    });
    let client = Client::start_with(&(head.to_owned() + &devices.collect::<String>()), Arc::new(Crowd)).await;
    for path in ["/", "/devices", "/devices/meter-1", "/buses", "/link", "/clock", "/dead-letters"] {
        let ask = client.http.get(format!("{}{path}", client.base)).header("accept-encoding", "gzip");
        let page = ask.send().await.unwrap().bytes().await.unwrap();
        assert!(page.len() <= 14 << 10, "{path}: {} bytes", page.len());
    }
}

#[tokio::test]
async fn files_are_compressed_and_never_change_under_their_address() {
    let client = Client::start().await;
    let ask = |path: &str| client.http.get(format!("{}{path}", client.base)).header("accept-encoding", "gzip, br");
    let path = format!("/assets/{}/panel.js", web::ASSETS.hash);
    let answer = ask(&path).send().await.unwrap();
    let said = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(said("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!((said("content-encoding"), said("x-content-type-options")), ("br".to_owned(), "nosniff".to_owned()));
    let tag = said("etag");
    assert_eq!(ask(&path).header("if-none-match", tag).send().await.unwrap().status(), 304);
    for gone in ["/assets/0123456789abcdef/panel.js", &format!("/assets/{}/nothing.js", web::ASSETS.hash)] {
        assert_eq!(ask(gone).send().await.unwrap().status(), 404, "{gone}");
    }
    let page = ask("/").send().await.unwrap();
    for (name, value) in [("content-encoding", "gzip"), ("cache-control", "no-store"), ("vary", "accept-encoding")] {
        assert_eq!(page.headers()[name], value);
    }
}

#[tokio::test]
async fn metrics_have_the_promised_names() {
    let client = Client::start().await;
    let (_, text) = client.text("/metrics").await;
    for line in [
        "riverwatts_edge_polls_total{bus=\"lan\",unit=\"1\",outcome=\"ok\"} 0",
        "riverwatts_edge_backlog_readings 42",
        "riverwatts_edge_oldest_unsent_seconds 7.000",
        "riverwatts_edge_bytes_written_total 4096",
        "riverwatts_edge_bytes_written_today 8192",
        "riverwatts_edge_card_life_days 10000",
        "riverwatts_edge_link_bytes_total{direction=\"sent\"} 9000",
        "riverwatts_edge_link_bytes_total{direction=\"received\"} 700",
        "riverwatts_edge_plan_used_ratio 0.8280",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn health_tells_when_polling_stands_still() {
    let client = Client::start().await;
    assert_eq!(client.get("/healthz").await, (200, json!({"status": "ok", "polling": true, "storing": true})));
    client.clock.advance(Duration::from_secs(120));
    assert_eq!(client.get("/healthz").await.0, 503);
}

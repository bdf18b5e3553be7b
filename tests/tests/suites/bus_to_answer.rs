//! A foreign Modbus server over TCP and over a serial line: what it was set to arrives in the
//! cloud's API, with unit, time and quality.

use riverwatts_shared::time::{Clock, SystemClock, UtcMs};
use riverwatts_tests::cloud::Cloud;
use riverwatts_tests::deadline::{SOON, until};
use riverwatts_tests::edge_toml::EdgeToml;
use riverwatts_tests::gateway::Gateway;
use riverwatts_tests::modbus::{ModbusServer, Table, f32_words, u32_words};
use riverwatts_tests::postgres::Cluster;
use riverwatts_tests::reading::{Point, assert_true};
use riverwatts_tests::serial_line::SerialLine;
use serde_json::{Value, json};

/// How far a time in the cloud may be from the server's own, on one machine.
const TOLERANCE_MS: i64 = 1_500;

/// The newest reading of a site's only device, once it looks as it should.
async fn newest(cloud: &Cloud, site_id: &str, fits: impl Fn(&Value) -> bool) -> Value {
    until(SOON, async || {
        let latest = cloud.admin().get(&format!("/readings/latest?site_id={site_id}")).await.ok();
        let reading = &latest["readings"][0];
        if reading.is_object() && fits(reading) { Ok(reading.clone()) } else { Err(latest.to_string()) }
    })
    .await
}

async fn enrolled(cloud: &Cloud, site_id: &str, toml: EdgeToml) -> Gateway {
    let mut gateway = Gateway::new(&toml);
    gateway.enroll(&cloud.url(), &cloud.gateway(site_id).await.1).await;
    gateway.start().await;
    gateway
}

#[tokio::test]
async fn what_a_tcp_device_says_is_what_the_cloud_answers() {
    check_tcp_device(Cloud::start().await).await;
}

#[tokio::test]
async fn what_a_tcp_device_says_is_what_a_cloud_on_postgresql_answers() {
    let cluster = Cluster::start();
    let mut cloud = Cloud::start_on(&cluster).await;
    // Its own folder holds nothing that an answer depends on.
    cloud.stop().await;
    std::fs::remove_dir_all(cloud.data()).unwrap();
    cloud.start_again().await;
    check_tcp_device(cloud).await;
}

async fn check_tcp_device(cloud: Cloud) {
    let site_id = cloud.site("Tanana").await;
    let server = ModbusServer::tcp(&[7]).await;
    server.count(7).await;
    // 12.345 kW drawn, 1.85 m/s, a counter with its low word first, 4.5 degrees below nought.
    server.set(7, Table::Holding, 2, &[(-12_345_i16).cast_unsigned(), 1_850]).await;
    let [high, low] = u32_words(4_000_000_000);
    server.set(7, Table::Holding, 4, &[low, high, (-45_i16).cast_unsigned()]).await;

    let toml = EdgeToml::new(&cloud.url()).tcp("lan", server.address());
    let toml = toml.device("turbine-1", "lan", 7, "counter", "200ms");
    let started = SystemClock::default().wall();
    let mut gateway = enrolled(&cloud, &site_id, toml).await;
    let reading = newest(&cloud, &site_id, |_| true).await;

    let metrics = |reading: &Value, names: &[&str]| names.iter().map(|name| reading[name].clone()).collect::<Vec<_>>();
    let canonical = ["power_output_kw", "temperature_c", "voltage_v", "current_a", "frequency_hz", "water_flow_rate"];
    let absent = json!(null);
    assert_eq!(
        metrics(&reading, &canonical),
        [json!(-12.345), json!(-4.5), absent.clone(), absent.clone(), absent.clone(), absent]
    );
    assert_eq!(metrics(&reading["extra"], &["water_speed_mps", "energy_kwh"]), [json!(1.85), json!(400_000_000)]);
    assert_eq!(reading["quality"], json!({}));
    let device_id = cloud.device(&site_id, "turbine-1").await;
    assert_eq!(reading["device_id"], json!(device_id));
    let time = |key: &str| reading[key].as_str().unwrap().parse::<UtcMs>().unwrap();
    assert!(time("timestamp") >= started.plus_ms(-TOLERANCE_MS) && time("created_at") >= started, "{reading}");
    let named = riverwatts_shared::reading::reading_id(device_id.parse().unwrap(), time("timestamp"));
    assert_eq!(reading["id"], json!(named.to_string()));
    let device = cloud.admin().get(&format!("/devices/{device_id}")).await.ok();
    assert_eq!(
        metrics(&device, &["key", "device_type", "manufacturer", "model", "site_id"]),
        [json!("turbine-1"), json!("turbine"), json!("RiverWatts"), json!("Counter"), json!(site_id)]
    );

    // No water speed for want of an echo; then one that cannot be.
    server.set(7, Table::Holding, 3, &[0x8000]).await;
    let reading = newest(&cloud, &site_id, |reading| reading["quality"] != json!({})).await;
    assert_eq!(reading["quality"], json!({"water_speed_mps": "sentinel"}));
    assert_eq!(metrics(&reading["extra"], &["water_speed_mps"]), [json!(null)]);
    assert_eq!(reading["power_output_kw"], json!(-12.345));
    server.set(7, Table::Holding, 3, &[12_000]).await;
    let reading = newest(&cloud, &site_id, |reading| reading["quality"]["water_speed_mps"] == "range").await;
    assert_eq!(reading["extra"]["water_speed_mps"], json!(12));

    gateway.stop().await;
    let points = Point::all(&cloud.readings(&device_id).await);
    assert_true(&points, &server.served(7).await, TOLERANCE_MS);
    // The windows of the minutes come to the same readings.
    let path =
        format!("/readings/aggregated?device_id={device_id}&metric=power_output_kw,water_speed_mps&resolution=1m");
    let buckets = cloud.admin().get(&path).await.ok()["buckets"].as_array().unwrap().clone();
    let of =
        |metric: &'static str| buckets.iter().filter(move |bucket| bucket["metric"] == metric && bucket["count"] != 0);
    let count = |metric: &'static str| of(metric).map(|bucket| bucket["count"].as_u64().unwrap()).sum::<u64>();
    let fit = |point: &&Point| point.quality.is_empty();
    assert_eq!(count("power_output_kw"), points.len() as u64);
    assert_eq!(count("water_speed_mps"), points.iter().filter(fit).count() as u64, "without what cannot be");
    for (metric, number) in [("power_output_kw", -12.345), ("water_speed_mps", 1.85)] {
        for bucket in of(metric) {
            assert_eq!(["min", "max", "mean"].map(|key| bucket[key].as_f64().unwrap()), [number; 3], "{bucket}");
        }
    }
    // Stopping leaves nothing behind but a poll that it cut short.
    let served = server.served(7).await.len() as u64;
    assert!(points.last().unwrap().count() + 1 >= served, "{served} served, then {points:#?}");
}

#[tokio::test]
async fn what_a_meter_on_a_serial_line_says_is_what_the_cloud_answers() {
    let cloud = Cloud::start().await;
    let site_id = cloud.site("Tanana").await;
    let line = SerialLine::open();
    let server = ModbusServer::rtu(line.far(), &[3]).await;
    for (at, number) in [
        (0, 229.5),
        (2, 230.25),
        (4, 231.3),
        (6, 10.125),
        (8, 10.5),
        (10, 10.0),
        (52, 7_012.5),
        (62, -0.98),
        (70, 49.98),
        (72, 123_456.78),
    ] {
        server.set(3, Table::Input, at, &f32_words(number)).await;
    }
    let toml = EdgeToml::new(&cloud.url()).rtu("wire", line.near());
    let mut gateway = enrolled(&cloud, &site_id, toml.device("meter-1", "wire", 3, "eastron-sdm630", "500ms")).await;
    let reading = newest(&cloud, &site_id, |_| true).await;

    // To the resolution that the profile declares: 0.1 V, 0.001 A, 0.1 W, 0.01 Hz, 0.01 kWh.
    for (metric, expected) in
        [("power_output_kw", 7.0125), ("voltage_v", 230.4), ("current_a", 10.208), ("frequency_hz", 49.98)]
    {
        assert_eq!(reading[metric].as_f64(), Some(expected), "{metric} in {reading}");
    }
    for (metric, expected) in [
        ("voltage_l1_v", 229.5),
        ("voltage_l2_v", 230.3),
        ("voltage_l3_v", 231.3),
        ("current_l1_a", 10.125),
        ("power_factor", -0.98),
        ("energy_kwh", 123_456.78),
        ("energy_import_kwh", 0.0),
    ] {
        assert_eq!(reading["extra"][metric].as_f64(), Some(expected), "{metric} in {reading}");
    }
    assert_eq!(reading["quality"], json!({}));
    let device_id = cloud.device(&site_id, "meter-1").await;
    let device = cloud.admin().get(&format!("/devices/{device_id}")).await.ok();
    assert_eq!((&device["device_type"], &device["metadata"]["kind"]), (&json!("sensor"), &json!("meter")));

    // A float that is no number is no measurement.
    server.set(3, Table::Input, 70, &f32_words(f32::NAN)).await;
    let reading = newest(&cloud, &site_id, |reading| reading["frequency_hz"].is_null()).await;
    assert_eq!(reading["quality"], json!({"frequency_hz": "sentinel"}));
    assert_eq!(reading["power_output_kw"].as_f64(), Some(7.0125));
    gateway.stop().await;
}

/// Three units of one server, each with a power of its own.
async fn check_units(server: ModbusServer, bus: impl FnOnce(EdgeToml) -> EdgeToml) {
    let cloud = Cloud::start().await;
    let site_id = cloud.site("Tanana").await;
    let units = [3_u8, 17, 200];
    let mut toml = bus(EdgeToml::new(&cloud.url()));
    for unit in units {
        server.count(unit).await;
        server.set(unit, Table::Holding, 2, &[u16::from(unit) * 10]).await;
        toml = toml.device(&format!("counter-{unit}"), "bus", unit, "counter", "200ms");
    }
    let mut gateway = enrolled(&cloud, &site_id, toml).await;
    let mut all = Vec::new();
    for unit in units {
        let found = until(SOON, async || {
            let devices = cloud.devices(&site_id).await;
            let Some(id) = devices.get(&format!("counter-{unit}")) else { return Err(format!("no unit {unit}")) };
            let points = Point::all(&cloud.readings(id).await);
            if points.len() > 5 { Ok(points) } else { Err(format!("{} readings of unit {unit}", points.len())) }
        });
        all.push(found.await);
    }
    gateway.stop().await;
    for (unit, points) in units.into_iter().zip(all) {
        assert!(points.iter().all(|point| point.numbers["power_output_kw"] == f64::from(unit) / 100.0), "unit {unit}");
        assert_true(&points, &server.served(unit).await, TOLERANCE_MS);
    }
}

#[tokio::test]
async fn units_behind_one_socket_are_told_apart() {
    let server = ModbusServer::tcp(&[3, 17, 200]).await;
    let address = server.address().to_owned();
    check_units(server, |toml| toml.tcp("bus", &address)).await;
}

#[tokio::test]
async fn units_behind_a_socket_with_rtu_frames_are_told_apart() {
    let server = ModbusServer::rtu_tcp(&[3, 17, 200]).await;
    let address = server.address().to_owned();
    check_units(server, |toml| toml.rtu_tcp("bus", &address)).await;
}

#[tokio::test]
async fn units_on_one_serial_line_are_told_apart() {
    let line = SerialLine::open();
    let server = ModbusServer::rtu(line.far(), &[3, 17, 200]).await;
    check_units(server, |toml| toml.rtu("bus", line.near())).await;
}

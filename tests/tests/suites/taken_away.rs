//! Readings taken away in files, as other programs read them.

use std::fs;
use std::path::Path;

use reqwest::Method;
use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::{Reading, Value};
use riverwatts_shared::words::Quality;
use riverwatts_tests::batches::{announcement, batch, recent, segment};
use riverwatts_tests::cloud::Cloud;
use riverwatts_tests::place::python;
use riverwatts_tests::program::{command, errand};
use serde_json::{Value as Json, json};

/// More than one row group of Parquet.
const READINGS: i64 = 70_000;

/// What DuckDB answers to a query about the file, row by row.
async fn ask(file: &Path, query: &str) -> Json {
    const PROGRAM: &str = "import duckdb, json, sys\n\
        rows = duckdb.execute(sys.argv[2].replace('FILE', \"'\" + sys.argv[1] + \"'\")).fetchall()\n\
        print(json.dumps(rows, default=str))";
    let mut duckdb = command(&python());
    duckdb.args(["-c", PROGRAM]).arg(file).arg(query);
    let output = errand(duckdb, "").await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Power counts in thousandths of a kilowatt; every tenth reading has none, and a rotor that turns too fast.
fn reading(n: i64) -> Reading {
    let mut values = vec![Value::ok(Metric::POWER, n * 1_000), Value::ok(Metric::ENERGY, n)];
    if n % 10 == 0 {
        values[0] = Value { metric: Metric::POWER, value: None, quality: Quality::Sentinel };
        let rotor = Metric::named("rotor_rpm").unwrap();
        values.push(Value { metric: rotor, value: Some(57_500_000), quality: Quality::Rate });
    }
    Reading { time: recent().plus_ms((n - READINGS) * 100), values }
}

#[tokio::test]
async fn a_table_says_what_the_api_says_to_a_program_that_nobody_here_wrote() {
    let cloud = Cloud::start().await;
    let site = cloud.site("Taken Away").await;
    let gateway = cloud.enrolled_gateway(&site).await;
    let readings: Vec<Reading> = (0..READINGS).map(reading).collect();
    let part = |readings| segment("turbine-1", readings);
    let items = [announcement("turbine-1")].into_iter().chain(readings.chunks(40_000).map(part)).collect();
    assert_eq!(gateway.api.send_batch(&batch(items)).await.ok()["accepted"], READINGS);

    let device = cloud.device(&site, "turbine-1").await;
    let folder = tempfile::tempdir().unwrap();
    let take = async |query: &str| {
        let request = cloud.admin().request(Method::GET, &format!("/devices/{device}/readings?order=asc{query}"));
        let answer = request.header("Accept", "application/vnd.apache.parquet").send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &"application/vnd.apache.parquet".parse().unwrap())
        );
        let file = folder.path().join("readings.parquet");
        fs::write(&file, answer.bytes().await.unwrap()).unwrap();
        file
    };

    let all = take("").await;
    let sums = "select count(*), count(distinct device_id), sum(power_output_kw), count(power_output_kw), epoch_ms(min(timestamp)), \
                sum(extra['energy_kwh']), sum(extra['rotor_rpm']), count(quality['power_output_kw']) from FILE";
    let power: i64 = (0..READINGS).filter(|n| n % 10 != 0).sum();
    let energy: i64 = (0..READINGS).sum();
    let decimal = |thousandths: i64| format!("{}.{:03}000", thousandths / 1_000, thousandths % 1_000);
    let first = readings[0].time.0;
    assert_eq!(
        ask(&all, sums).await,
        json!([[READINGS, 1, decimal(power), 63_000, first, decimal(energy), "402500.000000", 7_000]])
    );
    let third =
        "select device_id, power_output_kw, quality, extra, voltage_v from FILE order by timestamp limit 1 offset 10";
    assert_eq!(
        ask(&all, third).await,
        json!([[device, null, {"power_output_kw": "sentinel", "rotor_rpm": "rate"},
               {"energy_kwh": "0.010000", "rotor_rpm": "57.500000"}, null]])
    );
    let bytes = fs::metadata(&all).unwrap().len();
    assert!(bytes < 12 * READINGS.unsigned_abs(), "{bytes} bytes");

    let some = take("&metric=rotor_rpm,energy_kwh").await;
    let names = "select column_name, column_type from (describe from FILE)";
    let expected = [
        ["device_id", "UUID"],
        ["timestamp", "TIMESTAMP WITH TIME ZONE"],
        ["rotor_rpm", "DECIMAL(18,6)"],
        ["energy_kwh", "DECIMAL(18,3)"],
        ["quality", "MAP(VARCHAR, VARCHAR)"],
        ["time_uncertainty_s", "INTEGER"],
        ["created_at", "TIMESTAMP WITH TIME ZONE"],
    ];
    assert_eq!(ask(&some, names).await, json!(expected));
}

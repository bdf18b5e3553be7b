//! Readings as JSON, one by one: an object, an array, or `{"readings": […]}`. Each stands for itself:
//! what is wrong with one is told under its index and does not keep out the others.

use std::collections::HashMap;

use riverwatts_shared::metric::{CANONICAL, Metric, UnknownMetric};
use riverwatts_shared::reading::{Reading, Value};
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::{Quality, RejectCode};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::check::{check_time, sentence};
use super::{Ingest, IngestError, count_outcomes};
use crate::readings::Rows;
use crate::rollup::max_gap_ms;
use crate::store::devices::NamedDevice;
use crate::store::gateways::Gateway;

/// Most readings in one request.
pub const READINGS_MAX: usize = 10_000;

/// Readings as a caller wrote them.
#[derive(Debug)]
struct Posted(Vec<Json>);

/// What became of them.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct PostedAnswer {
    /// Stored now.
    pub accepted: u64,
    /// There before, with the same values.
    pub duplicates: u64,
    /// Not stored, in order of index.
    pub rejected: Vec<PostedRejection>,
}

/// Why one was not stored.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PostedRejection {
    /// Its place in the request, from 0.
    pub index: usize,
    /// The reason as a word.
    pub code: RejectCode,
    /// The reason as a sentence.
    pub message: String,
}

/// A reading in good form.
#[derive(Debug)]
struct Item {
    index: usize,
    device_id: Uuid,
    reading: Reading,
    time_uncertainty_s: u32,
}

type Refusal = (RejectCode, String);

impl Posted {
    /// Reads the body; the items are looked at later.
    fn read(bytes: &[u8]) -> Result<Posted, IngestError> {
        let body = serde_json::from_slice(bytes).map_err(|error| IngestError::NoJson(error.to_string()))?;
        let items = match body {
            Json::Array(items) => items,
            Json::Object(mut object) if object.contains_key("readings") => match object.remove("readings") {
                Some(Json::Array(items)) if object.is_empty() => items,
                Some(Json::Array(_)) => {
                    return Err(IngestError::Unreadable("`readings` stands alone in the body".to_owned()));
                }
                _ => return Err(IngestError::Unreadable("`readings` is a list".to_owned())),
            },
            object @ Json::Object(_) => vec![object],
            _ => {
                return Err(IngestError::Unreadable(
                    "expected a reading, a list of readings or {\"readings\": […]}".to_owned(),
                ));
            }
        };
        if items.len() > READINGS_MAX {
            return Err(IngestError::Unreadable(format!("more than {READINGS_MAX} readings; send them in parts")));
        }
        Ok(Posted(items))
    }
}

impl Ingest {
    /// Stores the readings in a JSON body that was received at `now`.
    pub async fn take_posted(
        &self,
        gateway: &Gateway,
        body: impl AsRef<[u8]> + Send + 'static,
        now: UtcMs,
    ) -> Result<PostedAnswer, IngestError> {
        let inner = &*self.0;
        let _place = inner.place()?;
        let bytes = body.as_ref().len();
        let work = move || Ok(Posted::read(body.as_ref())?.sort(now));
        let (Sorted { items, mut rejected }, _booked) = inner.unfold(bytes, work, Sorted::values).await?;
        let of_site = inner.devices_of(gateway.site_id).await?;
        let own = |device: &&NamedDevice| device.gateway_id.is_none_or(|holder| holder == gateway.id);
        let known: HashMap<Uuid, &NamedDevice> = of_site.iter().filter(own).map(|device| (device.id, device)).collect();
        let mut runs: Vec<(Vec<usize>, (Uuid, Rows))> = Vec::new();
        for run in items.chunk_by(|a, b| a.device_id == b.device_id && a.follows_with(b)) {
            match known.get(&run[0].device_id) {
                Some(device) => {
                    runs.push((run.iter().map(|item| item.index).collect(), (device.id, rows(run, device, now))));
                }
                None => rejected.extend(run.iter().map(|item| refused(item.index, RejectCode::UnknownDevice))),
            }
        }
        let (places, rows): (Vec<Vec<usize>>, Vec<(Uuid, Rows)>) = runs.into_iter().unzip();
        let mut answer = PostedAnswer::default();
        for ((_, written), places) in inner.store(gateway.site_id, rows).await?.into_iter().zip(places) {
            answer.accepted += written.accepted;
            answer.duplicates += written.duplicates;
            let conflict = |&row: &u32| refused(places[row as usize], RejectCode::Conflict);
            rejected.extend(written.conflicts.iter().map(conflict));
        }
        count_outcomes("rejected", rejected.len() as u64);
        rejected.sort_by_key(|rejection| rejection.index);
        Ok(PostedAnswer { rejected, ..answer })
    }
}

/// Readings in good form by device and time, and what is wrong with the others.
#[derive(Debug)]
struct Sorted {
    items: Vec<Item>,
    rejected: Vec<PostedRejection>,
}

impl Sorted {
    fn values(&self) -> usize {
        self.items.iter().map(|item| item.reading.values.len()).sum()
    }
}

impl Item {
    /// Whether `later` may stand behind it in one segment.
    fn follows_with(&self, later: &Item) -> bool {
        self.reading.time < later.reading.time && self.time_uncertainty_s == later.time_uncertainty_s
    }
}

impl Posted {
    fn sort(self, now: UtcMs) -> Sorted {
        let mut sorted = Sorted { items: Vec::new(), rejected: Vec::new() };
        for (index, json) in self.0.into_iter().enumerate() {
            match read_item(index, json, now) {
                Ok(item) => sorted.items.push(item),
                Err((code, message)) => sorted.rejected.push(PostedRejection { index, code, message }),
            }
        }
        sorted.items.sort_by_key(|item| (item.device_id, item.reading.time, item.index));
        sorted
    }
}

fn rows(run: &[Item], device: &NamedDevice, now: UtcMs) -> Rows {
    let readings: Vec<Reading> = run.iter().map(|item| item.reading.clone()).collect();
    let time_uncertainty_s = run[0].time_uncertainty_s;
    let segment = Segment { time_uncertainty_s, ..Segment::from_readings(&readings) };
    Rows::new(segment, now, 0).of_device(device.number, max_gap_ms(device.interval_ms))
}

fn refused(index: usize, code: RejectCode) -> PostedRejection {
    PostedRejection { index, code, message: sentence(code).to_owned() }
}

/// One reading in the form in which it is answered; `id` and `created_at` say nothing new.
fn read_item(index: usize, json: Json, now: UtcMs) -> Result<Item, Refusal> {
    let Json::Object(mut fields) = json else {
        return Err(invalid("expected an object"));
    };
    let device_id = text(&mut fields, "device_id")?;
    let device_id = device_id.parse().map_err(|_| invalid("device_id: is no UUID"))?;
    let time: UtcMs =
        text(&mut fields, "timestamp")?.parse().map_err(|error| invalid(format!("timestamp: {error}")))?;
    fields.remove("id");
    fields.remove("created_at");
    let uncertainty = fields.remove("time_uncertainty_s").filter(|value| !value.is_null());
    let time_uncertainty_s = match uncertainty {
        None => 0,
        Some(value) => value
            .as_u64()
            .and_then(|seconds| u32::try_from(seconds).ok())
            .ok_or_else(|| invalid("time_uncertainty_s: is a number of seconds"))?,
    };
    let mut values: Vec<Value> = Vec::new();
    for column in 0..CANONICAL {
        let metric = Metric::canonical(column);
        if let Some(value) = fields.remove(metric.name()) {
            push(&mut values, metric, &value)?;
        }
    }
    for (name, value) in object(&mut fields, "extra")? {
        let metric = metric(&name)?;
        if metric.canonical_column().is_some() {
            return Err(invalid(format!("extra.{name}: stands beside `extra`, not in it")));
        }
        push(&mut values, metric, &value)?;
    }
    for (name, word) in object(&mut fields, "quality")? {
        let metric = metric(&name)?;
        let quality: Option<Quality> = word.as_str().and_then(|word| word.parse().ok());
        let quality = quality.ok_or_else(|| invalid(format!("quality.{name}: is no quality")))?;
        match values.iter_mut().find(|value| value.metric == metric) {
            Some(value) => value.quality = quality,
            None if quality == Quality::Ok => {}
            None => values.push(Value { metric, value: None, quality }),
        }
    }
    if let Some(name) = fields.keys().next() {
        return Err(invalid(format!("unknown field `{name}`")));
    }
    if let Some(code) = check_time(time, now) {
        return Err((code, sentence(code).to_owned()));
    }
    values.sort_by_key(|value| value.metric);
    Ok(Item { index, device_id, reading: Reading { time, values }, time_uncertainty_s })
}

fn push(values: &mut Vec<Value>, metric: Metric, value: &Json) -> Result<(), Refusal> {
    if value.is_null() {
        return Ok(());
    }
    let number = value.as_f64().ok_or_else(|| invalid(format!("{metric}: is no number")))?;
    let out_of_range = || (RejectCode::OutOfRange, format!("{metric}: is too large to be exact"));
    values.push(Value::ok(metric, metric.from_unit(number).ok_or_else(out_of_range)?));
    Ok(())
}

fn metric(name: &str) -> Result<Metric, Refusal> {
    Metric::named(name).map_err(|error: UnknownMetric| invalid(error.to_string()))
}

fn text(fields: &mut Map<String, Json>, name: &str) -> Result<String, Refusal> {
    match fields.remove(name) {
        Some(Json::String(text)) => Ok(text),
        Some(_) => Err(invalid(format!("{name}: is no text"))),
        None => Err(invalid(format!("{name}: is missing"))),
    }
}

fn object(fields: &mut Map<String, Json>, name: &str) -> Result<Map<String, Json>, Refusal> {
    match fields.remove(name) {
        None | Some(Json::Null) => Ok(Map::new()),
        Some(Json::Object(object)) => Ok(object),
        Some(_) => Err(invalid(format!("{name}: is no object"))),
    }
}

fn invalid(message: impl Into<String>) -> Refusal {
    (RejectCode::Invalid, message.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: UtcMs = UtcMs(1_795_508_130_000);
    const DEVICE: &str = "0199e3a4-0000-7000-8000-000000000001";

    fn check(fields: Json, expected: Result<&[Value], (RejectCode, &str)>) {
        let mut reading = json!({"device_id": DEVICE, "timestamp": NOW});
        let (Json::Object(all), Json::Object(fields)) = (&mut reading, fields) else { unreachable!() };
        all.extend(fields);
        let read = read_item(0, reading.clone(), NOW);
        let read = read.map(|item| item.reading.values);
        let expected = expected.map(<[Value]>::to_vec).map_err(|(code, message)| (code, message.to_owned()));
        assert_eq!(read, expected, "{reading}");
    }

    #[test]
    fn a_reading_is_taken_in_the_form_in_which_it_is_answered() {
        let rotor = Metric::named("rotor_rpm").unwrap();
        check(json!({}), Ok(&[]));
        check(
            json!({"id": null, "created_at": null, "power_output_kw": 12.345678, "voltage_v": null,
                "extra": {"rotor_rpm": -1e-6}, "quality": {"rotor_rpm": "rate", "current_a": "sentinel"}}),
            Ok(&[
                Value::ok(Metric::POWER, 12_345_678),
                Value { metric: Metric::canonical(2), value: None, quality: Quality::Sentinel },
                Value { metric: rotor, value: Some(-1), quality: Quality::Rate },
            ]),
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let invalid = RejectCode::Invalid;
        check(json!({"device_id": 3}), Err((invalid, "device_id: is no text")));
        check(json!({"device_id": "3"}), Err((invalid, "device_id: is no UUID")));
        check(json!({"power_output_kw": "3"}), Err((invalid, "power_output_kw: is no number")));
        check(
            json!({"power_output_kw": 1e12}),
            Err((RejectCode::OutOfRange, "power_output_kw: is too large to be exact")),
        );
        check(json!({"pwer": 3}), Err((invalid, "unknown field `pwer`")));
        check(json!({"extra": []}), Err((invalid, "extra: is no object")));
        check(json!({"extra": {"voltage_v": 3}}), Err((invalid, "extra.voltage_v: stands beside `extra`, not in it")));
        check(json!({"quality": {"voltage_v": "good"}}), Err((invalid, "quality.voltage_v: is no quality")));
        check(json!({"time_uncertainty_s": -1}), Err((invalid, "time_uncertainty_s: is a number of seconds")));
        let later = NOW.plus_ms(super::super::check::AHEAD_MS + 1);
        check(json!({"timestamp": later}), Err((RejectCode::QuarantinedTime, "the time lies in the future")));
    }

    #[test]
    fn a_body_is_one_reading_a_list_or_a_list_by_name() {
        let count = |body: &str| Posted::read(body.as_bytes()).map(|Posted(items)| items.len()).ok();
        for (body, readings) in [
            ("{}", Some(1)),
            ("[{}, 3]", Some(2)),
            (r#"{"readings": []}"#, Some(0)),
            (r#"{"readings": [{}], "x": 1}"#, None),
            (r#"{"readings": 3}"#, None),
            ("3", None),
            ("[{}", None),
            ("", None),
        ] {
            assert_eq!(count(body), readings, "{body}");
        }
    }
}

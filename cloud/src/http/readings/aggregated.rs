//! `GET /readings/aggregated`: what metrics of a device came to, window by window.

use std::io::Write as _;

use axum::extract::State;
use axum::response::Response;
use jiff::tz::TimeZone;
use riverwatts_shared::metric::Metric;
use riverwatts_shared::rollup::Rollup;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Resolution;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::{find_device, metrics, of_json};
use crate::http::AppState;
use crate::http::error::ApiError;
use crate::http::extract::SignedIn;
use crate::http::request::{Params, checked_range};
use crate::readings::json::write_decimal;
use crate::rollup::{BUCKETS_MAX, BucketsQuery, RollupError, buckets, finest};
use crate::store::gaps::{self, Gap};

/// How far back a query without `from` goes: a day.
const SPAN_MS: i64 = 86_400_000;
/// Most gaps in one answer, the latest.
const GAPS_MAX: u32 = 1_000;

/// Query of `GET /readings/aggregated`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AggregatedQuery {
    /// The device.
    device_id: Uuid,
    /// One metric or more, separated by commas.
    metric: String,
    /// Start of the span; a day before `to`.
    from: Option<UtcMs>,
    /// End of the span; now.
    to: Option<UtcMs>,
    /// Width of the windows.
    resolution: Option<String>,
    /// Instead of `resolution`: the narrowest in which the span has at most so many windows.
    points: Option<u32>,
    /// IANA zone whose days `1d` means; the site's.
    tz: Option<String>,
}

/// `GET /readings/aggregated`: all windows that touch `[from, to)`, also those without readings.
pub async fn list_aggregated(
    person: SignedIn,
    State(app): State<AppState>,
    Params(query): Params<AggregatedQuery>,
) -> Result<Response, ApiError> {
    let device = find_device(&app, person, query.device_id).await?;
    let metrics = metrics(Some(&query.metric))?;
    let to = query.to.unwrap_or_else(|| app.clock.wall());
    let (from, to) = checked_range(Some(query.from.unwrap_or(to.plus_ms(-SPAN_MS))), Some(to))?;
    let resolution = match (query.resolution, query.points) {
        (Some(_), Some(_)) => return Err(ApiError::invalid("points", "stands instead of `resolution`")),
        (Some(word), None) => word.parse().map_err(|error| ApiError::invalid("resolution", format!("{error}")))?,
        (None, Some(0)) => return Err(ApiError::invalid("points", "is at least 1")),
        (None, Some(points)) => finest(from, to, points),
        (None, None) => Resolution::Hour,
    };
    let timezone = query.tz.unwrap_or_else(|| device.timezone.clone());
    let zone = TimeZone::get(&timezone).map_err(|_| ApiError::invalid("tz", "is no IANA time zone"))?;
    let timezone = zone.iana_name().map_or(timezone, str::to_owned);
    let gaps = gaps::list(&app.db, device.id, from, to, None, GAPS_MAX).await?;
    let device_id = device.id;
    let wanted = BucketsQuery { device, metrics, from, to, resolution, timezone, zone };
    let found = buckets(&app.db, &app.readings, &wanted).await?;

    let mut out = br#"{"buckets":["#.to_vec();
    let mut separator = "";
    for series in &found.series {
        for (edges, rollup) in found.edges.windows(2).zip(&series.rollups) {
            out.extend_from_slice(separator.as_bytes());
            write_bucket(&mut out, device_id, series.metric, edges, rollup);
            separator = ",";
        }
    }
    write_end(&mut out, &wanted, &gaps);
    Ok(of_json(out))
}

fn write_bucket(out: &mut Vec<u8>, device_id: Uuid, metric: Metric, edges: &[UtcMs], rollup: &Rollup) {
    let (start, end, count) = (edges[0], edges[1], rollup.count);
    // Writing to a Vec cannot fail; names of metrics have nothing to escape.
    let _ = write!(out, r#"{{"device_id":"{device_id}","metric":"{metric}","start":"{start}","end":"{end}""#);
    let _ = write!(out, r#","count":{count}"#);
    let places = metric.info().exponent.unsigned_abs();
    let unit = 10f64.powi(places.into());
    let first_and_last = [rollup.first, rollup.last].map(|point| point.map(|point| point.value));
    for (name, value) in
        [("min", rollup.min), ("max", rollup.max), ("first", first_and_last[0]), ("last", first_and_last[1])]
    {
        let _ = write!(out, r#","{name}":"#);
        match value {
            Some(value) => write_decimal(out, value, places),
            None => out.extend_from_slice(b"null"),
        }
    }
    let mean = rollup.mean().map(|mean| mean / unit);
    write_number(out, "mean", mean);
    out.extend_from_slice(br#","integral":"#);
    if metric.is_counter() && (count > 0 || rollup.increment != 0) {
        write_decimal(out, rollup.increment, places);
    } else if !metric.is_counter() && rollup.covered_ms > 0 {
        let _ = write!(out, "{}", rollup.integral_unit_hours() / unit);
    } else {
        out.extend_from_slice(b"null");
    }
    let coverage = rollup.coverage(end.since_ms(start));
    write_number(out, "coverage", Some(coverage));
    out.push(b'}');
}

fn write_number(out: &mut Vec<u8>, name: &str, number: Option<f64>) {
    let _ = match number {
        Some(number) => write!(out, r#","{name}":{number}"#),
        None => write!(out, r#","{name}":null"#),
    };
}

fn write_end(out: &mut Vec<u8>, wanted: &BucketsQuery, gaps: &[Gap]) {
    let resolution = wanted.resolution;
    // Names of zones have nothing to escape either.
    let _ = write!(out, r#"],"resolution":"{resolution}","timezone":"{}","gaps":"#, wanted.timezone);
    let _ = serde_json::to_writer(&mut *out, gaps);
    out.push(b'}');
}

impl From<RollupError> for ApiError {
    fn from(error: RollupError) -> Self {
        match error {
            RollupError::TooMany => ApiError::invalid(
                "to",
                format!("more than {BUCKETS_MAX} windows over all metrics; take a wider resolution or a shorter span"),
            ),
            RollupError::Behind(_) => ApiError::unavailable(error),
            RollupError::Db(error) => error.into(),
            RollupError::Readings(error) => error.into(),
        }
    }
}

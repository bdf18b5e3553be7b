//! Readings as CSV, as JSON line by line or as Parquet: all of a span, streamed. Read a page at a time while the
//! client takes it, so that it costs the same memory however long it is, and ends when the client leaves.

use std::collections::HashMap;
use std::io::Write as _;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use futures_util::stream::{self, Stream};
use riverwatts_shared::bytes::Malformed;
use riverwatts_shared::metric::Metric;
use riverwatts_shared::words::Quality;
use uuid::Uuid;

use crate::http::request::accepts;
use crate::readings::json::{self, write_decimal};
use crate::readings::parquet::{ParquetFailure, ParquetFile};
use crate::readings::{ListQuery, Readings, ReadingsError, StoredRow};

/// Readings of one page of a stream.
const PAGE_ROWS: usize = 2_000;

/// What readings are answered as, other than a page of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line with names, then one for each reading.
    Csv,
    /// An object a line.
    JsonLines,
    /// A table for programs.
    Parquet,
}

impl Format {
    /// What the caller accepts rather than JSON.
    pub fn wanted(headers: &HeaderMap) -> Option<Format> {
        let of = |format: Format| (format.media_type(), Some(format));
        let all = [Format::Csv, Format::JsonLines, Format::Parquet].map(of);
        accepts(headers, [("application/json", None), all[0], all[1], all[2]])
    }

    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv",
            Format::JsonLines => "application/x-ndjson",
            Format::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// All that is wanted of the stream.
#[derive(Debug)]
pub struct Export {
    /// Where readings are.
    pub readings: Readings,
    /// Which; its `limit` is not looked at.
    pub query: ListQuery,
    /// The ids of its devices, by number.
    pub ids: HashMap<i64, Uuid>,
    /// The metrics that are shown; all when empty.
    pub shown: Vec<Metric>,
    /// As what.
    pub format: Format,
}

/// Why a stream ended before its end; the client sees its connection cut.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error(transparent)]
    Readings(#[from] ReadingsError),
    #[error("a stored row is broken: {0}")]
    Row(#[from] Malformed),
    #[error(transparent)]
    Parquet(#[from] ParquetFailure),
    #[error("the writing of a page was given up")]
    Stopping,
}

/// What writes the pages.
enum Writer {
    /// With its columns, and what is written already.
    Csv(Vec<Metric>, Vec<u8>),
    JsonLines,
    Parquet(Box<ParquetFile>),
}

impl Export {
    /// The answer.
    ///
    /// # Errors
    /// [`ParquetFailure`].
    pub fn into_response(self) -> Result<Response, ParquetFailure> {
        let media_type = match self.format {
            Format::Csv => "text/csv; charset=utf-8; header=present",
            other => other.media_type(),
        };
        let mut response = Response::new(Body::from_stream(self.into_stream()?));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        Ok(response)
    }

    fn into_stream(self) -> Result<impl Stream<Item = Result<Bytes, Cut>>, ParquetFailure> {
        let writer = match self.format {
            Format::Csv => {
                let columns = json::columns(&self.shown);
                let names = self.names(&columns);
                Writer::Csv(columns, names)
            }
            Format::JsonLines => Writer::JsonLines,
            Format::Parquet => Writer::Parquet(Box::new(ParquetFile::new(&self.shown)?)),
        };
        Ok(stream::try_unfold(Some((self, writer)), |state| async move {
            let Some((export, writer)) = state else { return Ok(None) };
            let next = export.next(writer).await;
            next.map(Some).inspect_err(|error| tracing::error!(%error, "an export was cut short"))
        }))
    }

    /// The bytes of one page, which may be none, and what goes on.
    async fn next(mut self, writer: Writer) -> Result<(Bytes, Option<(Export, Writer)>), Cut> {
        let query = ListQuery { limit: PAGE_ROWS, ..self.query.clone() };
        let page = self.readings.list(query).await?;
        self.query.after = page.last().map(|row| (row.time, row.device));
        let more = page.len() == PAGE_ROWS;
        match writer {
            Writer::Csv(columns, mut out) => {
                for row in &page {
                    self.write_csv(&mut out, &columns, row)?;
                }
                Ok((out.into(), more.then(|| (self, Writer::Csv(columns, Vec::new())))))
            }
            Writer::JsonLines => {
                let mut out = Vec::new();
                for row in &page {
                    json::write_reading(&mut out, self.id_of(row), row, &self.shown)?;
                    out.push(b'\n');
                }
                Ok((out.into(), more.then_some((self, Writer::JsonLines))))
            }
            // Compressing a row group takes longer than other requests should wait.
            Writer::Parquet(mut file) => {
                let written = tokio::task::spawn_blocking(move || {
                    for row in &page {
                        file.add(self.id_of(row), row)?;
                    }
                    if more {
                        let bytes = file.take();
                        return Ok((bytes.into(), Some((self, Writer::Parquet(file)))));
                    }
                    Ok::<_, ParquetFailure>((file.finish()?.into(), None))
                });
                Ok(written.await.map_err(|_| Cut::Stopping)??)
            }
        }
    }

    fn id_of(&self, row: &StoredRow) -> Uuid {
        self.ids.get(&row.device).copied().unwrap_or_default()
    }

    /// The first line of CSV.
    fn names(&self, columns: &[Metric]) -> Vec<u8> {
        let mut out = b"device_id,timestamp".to_vec();
        for metric in columns {
            // Writing to a Vec cannot fail; names of metrics have nothing to quote.
            let _ = write!(out, ",{}", metric.name());
        }
        out.extend_from_slice(if self.shown.is_empty() { b",extra" } else { b"" });
        out.extend_from_slice(b",quality,time_uncertainty_s,created_at\n");
        out
    }

    fn write_csv(&self, out: &mut Vec<u8>, columns: &[Metric], row: &StoredRow) -> Result<(), Malformed> {
        let (values, uncertainty_s) = row.values()?;
        let _ = write!(out, "{},{}", self.id_of(row), row.time);
        for metric in columns {
            out.push(b',');
            let value = values.iter().find(|value| value.metric == *metric).and_then(|value| value.value);
            if let Some(value) = value {
                write_decimal(out, value, metric.info().exponent.unsigned_abs());
            }
        }
        let mut separator = "";
        if self.shown.is_empty() {
            out.push(b',');
            for value in values.iter().filter(|value| value.metric.canonical_column().is_none()) {
                let Some(number) = value.value else { continue };
                let _ = write!(out, "{separator}{}=", value.metric.name());
                write_decimal(out, number, value.metric.info().exponent.unsigned_abs());
                separator = ";";
            }
        }
        out.push(b',');
        separator = "";
        let is_told = |metric: &Metric| self.shown.is_empty() || columns.contains(metric);
        for value in values.iter().filter(|value| value.quality != Quality::Ok && is_told(&value.metric)) {
            let _ = write!(out, "{separator}{}={}", value.metric.name(), value.quality.word());
            separator = ";";
        }
        let _ = writeln!(out, ",{uncertainty_s},{}", row.received_at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;
    use riverwatts_shared::reading::{Reading, Value};
    use riverwatts_shared::segment::Segment;
    use riverwatts_shared::time::UtcMs;

    use super::*;
    use crate::readings::Rows;

    const DEVICE: Uuid = Uuid::from_u128(7);
    const T: i64 = 1_795_508_130_250;

    /// Every tenth has a rotor that turns too fast and no power.
    fn reading(n: i64) -> Reading {
        let mut values = vec![Value::ok(Metric::POWER, n * 100_000), Value::ok(Metric::ENERGY, n)];
        if n % 10 == 0 {
            values[0] = Value { metric: Metric::POWER, value: None, quality: Quality::Sentinel };
            let rotor = Metric::named("rotor_rpm").unwrap();
            values.push(Value { metric: rotor, value: Some(57_500_000), quality: Quality::Rate });
        }
        Reading { time: UtcMs(T + n * 1_000), values }
    }

    async fn export(folder: &std::path::Path, count: i64, shown: &[&str], format: Format) -> (usize, String) {
        let readings = Readings::open_sqlite(folder).unwrap();
        let segment = Segment::from_readings(&(0..count).map(reading).collect::<Vec<_>>());
        let mut rows = Rows::new(segment, UtcMs(T), 0);
        rows.device = 1;
        readings.write(vec![rows]).await.unwrap();
        let query = ListQuery {
            devices: vec![1],
            from: UtcMs(T),
            to: UtcMs(i64::MAX),
            descending: false,
            after: None,
            limit: 0,
        };
        let shown = shown.iter().map(|name| Metric::named(name).unwrap()).collect();
        let export = Export { readings, query, ids: HashMap::from([(1, DEVICE)]), shown, format };
        let parts: Vec<Bytes> = export.into_stream().unwrap().try_collect().await.unwrap();
        (parts.len(), String::from_utf8(parts.concat()).unwrap())
    }

    #[tokio::test]
    async fn csv_has_a_column_a_metric_and_what_else_there_is_in_one() {
        let folder = tempfile::tempdir().unwrap();
        let (_, text) = export(folder.path(), 2, &[], Format::Csv).await;
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "device_id,timestamp,power_output_kw,voltage_v,current_a,frequency_hz,efficiency_percent,temperature_c,\
                 vibration_level,water_flow_rate,battery_level_percent,extra,quality,time_uncertainty_s,created_at",
                "00000000-0000-0000-0000-000000000007,2026-11-24T08:15:30.250Z,,,,,,,,,,energy_kwh=0;rotor_rpm=57.5,\
                 rotor_rpm=rate;power_output_kw=sentinel,0,2026-11-24T08:15:30.250Z",
                "00000000-0000-0000-0000-000000000007,2026-11-24T08:15:31.250Z,0.1,,,,,,,,,energy_kwh=0.001,,0,\
                 2026-11-24T08:15:30.250Z",
            ]
        );
        let folder = tempfile::tempdir().unwrap();
        let (_, text) = export(folder.path(), 1, &["rotor_rpm", "energy_kwh", "rotor_rpm"], Format::Csv).await;
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "device_id,timestamp,rotor_rpm,energy_kwh,quality,time_uncertainty_s,created_at",
                "00000000-0000-0000-0000-000000000007,2026-11-24T08:15:30.250Z,57.5,0,rotor_rpm=rate,0,\
                 2026-11-24T08:15:30.250Z",
            ]
        );
    }

    #[tokio::test]
    async fn a_stream_has_every_reading_once_page_by_page() {
        for (count, pages) in [(0, 1), (1_999, 1), (2_000, 2), (4_001, 3)] {
            let folder = tempfile::tempdir().unwrap();
            let (parts, text) = export(folder.path(), count, &[], Format::JsonLines).await;
            assert_eq!(parts, pages, "of {count}");
            let times = text.lines().map(|line| {
                let reading: serde_json::Value = serde_json::from_str(line).unwrap();
                reading["timestamp"].as_str().unwrap().parse::<UtcMs>().unwrap().0
            });
            assert_eq!(times.collect::<Vec<_>>(), (0..count).map(|n| T + n * 1_000).collect::<Vec<_>>());
        }
    }

    #[test]
    fn who_does_not_ask_for_lines_gets_json() {
        let wanted = |accept: &str| {
            Format::wanted(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_str(accept).unwrap())]))
        };
        assert_eq!(Format::wanted(&HeaderMap::new()), None);
        for json in ["*/*", "application/json", "text/html, */*;q=0.1", "text/csv;q=0.5, application/json", "image/png"]
        {
            assert_eq!(wanted(json), None, "{json}");
        }
        for csv in
            ["text/csv", "Text/CSV; charset=utf-8", "text/*", "application/json;q=0.5, text/csv", "text/csv, */*;q=0"]
        {
            assert_eq!(wanted(csv), Some(Format::Csv), "{csv}");
        }
        assert_eq!(wanted("application/x-ndjson, application/json;q=0.9"), Some(Format::JsonLines));
    }
}

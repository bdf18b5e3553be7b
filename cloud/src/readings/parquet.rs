//! Readings as a Parquet file, row group by row group: exact decimals, times in UTC, and what else was
//! measured as a map, so that every tool that reads tables reads these.

use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType};
use parquet::data_type::{Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};
use riverwatts_shared::bytes::Malformed;
use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::Value;
use riverwatts_shared::words::Quality;
use uuid::Uuid;

use super::StoredRow;
use super::json::columns;

/// Rows of a row group: some megabytes in memory.
const GROUP_ROWS: usize = 1 << 16;
/// Most decimal digits of a column of 64 bits.
const DIGITS: u32 = 18;
/// Decimal places of a further metric's value, whichever metric it is.
const FURTHER_PLACES: u8 = 6;
/// Levels of a map that has nothing in it, and of one that has something.
const EMPTY: i16 = 0;
const ENTRY: i16 = 1;

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum ParquetFailure {
    /// A stored row is broken.
    #[error("a stored row is broken: {0}")]
    Row(#[from] Malformed),
    /// A value has more digits than a column holds.
    #[error("{0} is too large for Parquet")]
    TooLarge(&'static str),
    /// The format cannot be written.
    #[error(transparent)]
    Format(#[from] ParquetError),
}

/// A file in the making.
pub struct ParquetFile {
    writer: SerializedFileWriter<Vec<u8>>,
    metrics: Vec<Metric>,
    with_further: bool,
    group: Group,
}

/// The rows of the next row group, as columns.
#[derive(Default)]
struct Group {
    device_ids: Vec<FixedLenByteArray>,
    times: Vec<i64>,
    columns: Vec<Nullable>,
    further: Map<i64>,
    quality: Map<ByteArray>,
    uncertainties: Vec<i32>,
    received: Vec<i64>,
}

/// Values that are there, and where.
#[derive(Clone, Default)]
struct Nullable {
    values: Vec<i64>,
    levels: Vec<i16>,
}

/// Names with values, some for each row.
#[derive(Default)]
struct Map<V> {
    names: Vec<ByteArray>,
    values: Vec<V>,
    levels: Vec<i16>,
    repetitions: Vec<i16>,
}

impl<V> Map<V> {
    fn add(
        &mut self,
        entries: impl Iterator<Item = Result<(ByteArray, V), ParquetFailure>>,
    ) -> Result<(), ParquetFailure> {
        let mut repetition = 0;
        for entry in entries {
            let (name, value) = entry?;
            self.names.push(name);
            self.values.push(value);
            self.levels.push(ENTRY);
            self.repetitions.push(std::mem::replace(&mut repetition, 1));
        }
        if repetition == 0 {
            self.levels.push(EMPTY);
            self.repetitions.push(0);
        }
        Ok(())
    }
}

impl ParquetFile {
    /// A file with columns for these metrics; for the canonical ones and a map of the others when empty.
    ///
    /// # Errors
    /// [`ParquetFailure::Format`].
    pub fn new(shown: &[Metric]) -> Result<Self, ParquetFailure> {
        let with_further = shown.is_empty();
        let metrics = columns(shown);
        let schema = schema(&metrics, with_further)?;
        let writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties()))?;
        let group = Group { columns: vec![Nullable::default(); metrics.len()], ..Group::default() };
        Ok(ParquetFile { writer, metrics, with_further, group })
    }

    /// Appends a reading.
    ///
    /// # Errors
    /// [`ParquetFailure`]; the file is of no use then.
    pub fn add(&mut self, device_id: Uuid, row: &StoredRow) -> Result<(), ParquetFailure> {
        let (values, uncertainty_s) = row.values()?;
        let group = &mut self.group;
        group.device_ids.push(FixedLenByteArray::from(device_id.as_bytes().to_vec()));
        group.times.push(row.time.0);
        for (metric, column) in self.metrics.iter().zip(&mut group.columns) {
            let value = values.iter().find(|value| value.metric == *metric).and_then(|value| value.value);
            column.levels.push(value.is_some().into());
            column.values.extend(value.map(|value| in_digits(value, *metric)).transpose()?);
        }
        if self.with_further {
            let further = values.iter().filter(|value| value.metric.canonical_column().is_none());
            group.further.add(further.filter_map(entry))?;
        }
        let is_told = |value: &&Value| {
            value.quality != Quality::Ok && (self.with_further || self.metrics.contains(&value.metric))
        };
        let told = values.iter().filter(is_told);
        group.quality.add(told.map(|value| Ok((name(value.metric), value.quality.word().into()))))?;
        group.uncertainties.push(i32::try_from(uncertainty_s).unwrap_or(i32::MAX));
        group.received.push(row.received_at.0);
        if group.times.len() == GROUP_ROWS { self.write_group() } else { Ok(()) }
    }

    /// The bytes that are ready.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.inner_mut())
    }

    /// The last bytes.
    ///
    /// # Errors
    /// [`ParquetFailure::Format`].
    pub fn finish(mut self) -> Result<Vec<u8>, ParquetFailure> {
        if !self.group.times.is_empty() {
            self.write_group()?;
        }
        Ok(self.writer.into_inner()?)
    }

    fn write_group(&mut self) -> Result<(), ParquetFailure> {
        let columns = vec![Nullable::default(); self.metrics.len()];
        let group = std::mem::replace(&mut self.group, Group { columns, ..Group::default() });
        let mut to = self.writer.next_row_group()?;
        write::<FixedLenByteArrayType>(&mut to, &group.device_ids, None, None)?;
        write::<Int64Type>(&mut to, &group.times, None, None)?;
        for Nullable { values, levels } in &group.columns {
            write::<Int64Type>(&mut to, values, Some(levels), None)?;
        }
        if self.with_further {
            let Map { names, values, levels, repetitions } = &group.further;
            write::<ByteArrayType>(&mut to, names, Some(levels), Some(repetitions))?;
            write::<Int64Type>(&mut to, values, Some(levels), Some(repetitions))?;
        }
        let Map { names, values, levels, repetitions } = &group.quality;
        write::<ByteArrayType>(&mut to, names, Some(levels), Some(repetitions))?;
        write::<ByteArrayType>(&mut to, values, Some(levels), Some(repetitions))?;
        write::<Int32Type>(&mut to, &group.uncertainties, None, None)?;
        write::<Int64Type>(&mut to, &group.received, None, None)?;
        to.close()?;
        self.writer.flush().map_err(ParquetError::from)?;
        Ok(())
    }
}

impl std::fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetFile").field("rows", &self.group.times.len()).finish_non_exhaustive()
    }
}

/// A value of a further metric, if it has one.
fn entry(value: &Value) -> Option<Result<(ByteArray, i64), ParquetFailure>> {
    let Value { metric, value, .. } = *value;
    let factor = 10i64.pow(u32::from(FURTHER_PLACES.saturating_sub(metric.info().exponent.unsigned_abs())));
    let scaled = value?.checked_mul(factor).ok_or(ParquetFailure::TooLarge(metric.name()));
    Some(scaled.and_then(|scaled| in_digits(scaled, metric)).map(|scaled| (name(metric), scaled)))
}

fn in_digits(value: i64, metric: Metric) -> Result<i64, ParquetFailure> {
    if value.unsigned_abs() < 10u64.pow(DIGITS) { Ok(value) } else { Err(ParquetFailure::TooLarge(metric.name())) }
}

fn name(metric: Metric) -> ByteArray {
    metric.name().as_bytes().to_vec().into()
}

fn write<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    levels: Option<&[i16]>,
    repetitions: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let mut column = group.next_column()?.expect("as many columns are written as the schema has");
    column.typed::<T>().write_batch(values, levels, repetitions)?;
    column.close()
}

/// The columns, as the format's own language says them.
fn schema(metrics: &[Metric], with_further: bool) -> Result<TypePtr, ParquetError> {
    let mut text = "message reading { required fixed_len_byte_array(16) device_id (UUID); \
                    required int64 timestamp (TIMESTAMP(MILLIS,true)); "
        .to_owned();
    for metric in metrics {
        let (name, places) = (metric.name(), metric.info().exponent.unsigned_abs());
        text.push_str(&format!("optional int64 {name} (DECIMAL({DIGITS},{places})); "));
    }
    if with_further {
        text.push_str(&format!(
            "required group extra (MAP) {{ repeated group key_value {{ required binary key (STRING); \
             required int64 value (DECIMAL({DIGITS},{FURTHER_PLACES})); }} }} "
        ));
    }
    text.push_str(
        "required group quality (MAP) { repeated group key_value { required binary key (STRING); \
         required binary value (STRING); } } required int32 time_uncertainty_s; \
         required int64 created_at (TIMESTAMP(MILLIS,true)); }",
    );
    Ok(Arc::new(parse_message_type(&text)?))
}

fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_created_by(format!("riverwatts-cloud {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_column_dictionary_enabled(ColumnPath::from("timestamp"), false)
        .set_column_encoding(ColumnPath::from("timestamp"), Encoding::DELTA_BINARY_PACKED)
        .set_column_dictionary_enabled(ColumnPath::from("created_at"), false)
        .set_column_encoding(ColumnPath::from("created_at"), Encoding::DELTA_BINARY_PACKED)
        .build()
}

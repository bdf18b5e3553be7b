//! Stored readings as columns again, for those who sum them up.

use riverwatts_shared::bytes::Malformed;
use riverwatts_shared::metric::Metric;
use riverwatts_shared::segment::{ABSENT, Column, QualityRun, Segment};
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Quality;

use super::rows::{read_extra, read_flags};

/// Columns that grow row by row.
#[derive(Debug, Default)]
pub struct Columns {
    times: Vec<i64>,
    /// Canonical metrics stand at their column's number, once they had a value.
    columns: Vec<Column>,
}

impl Columns {
    /// Begins the next row.
    pub fn begin(&mut self, time: UtcMs) {
        self.times.push(time.0);
    }

    /// The value of a metric in the row.
    pub fn push(&mut self, metric: Metric, value: i64) {
        let row = self.times.len() - 1;
        let column = self.column(metric);
        column.values.resize(row, ABSENT);
        column.values.push(value);
    }

    /// The further metrics of the row, packed.
    pub fn push_extra(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        read_extra(bytes, |metric, value| self.push(metric, value))
    }

    /// The quality of what is not good in the row, packed.
    pub fn push_flags(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        read_flags(bytes, |metric, quality| self.mark(metric, quality)).map(|_| ())
    }

    fn mark(&mut self, metric: Metric, quality: Quality) {
        let row = self.times.len() as u32 - 1;
        let column = self.column(metric);
        match column.quality.last_mut() {
            Some(last) if last.to == row && last.quality == quality => last.to = row + 1,
            _ => column.quality.push(QualityRun { from: row, to: row + 1, quality }),
        }
    }

    fn column(&mut self, metric: Metric) -> &mut Column {
        let index = match self.columns.binary_search_by_key(&metric, |column| column.metric) {
            Ok(index) => index,
            Err(index) => {
                self.columns.insert(index, Column { metric, values: Vec::new(), quality: Vec::new() });
                index
            }
        };
        &mut self.columns[index]
    }

    /// All rows.
    pub fn finish(self) -> Segment {
        let Columns { times, mut columns } = self;
        for column in &mut columns {
            column.values.resize(times.len(), ABSENT);
        }
        Segment { times, columns, time_uncertainty_s: 0 }
    }
}

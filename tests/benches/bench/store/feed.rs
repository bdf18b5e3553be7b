//! A site's readings as a gateway hands them to its store: an hour of ten devices, over and over. Kept
//! encoded, so that little memory is beside the store's own.

use std::path::Path;
use std::sync::Arc;

use riverwatts_edge::store::Flush;
use riverwatts_shared::bytes::{Reader, Writer};
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::UtcMs;

use crate::devices;

/// After it the same values come again, an hour later.
const HOUR_S: u64 = 3_600;

/// The hour.
#[derive(Debug)]
pub struct Feed {
    start: UtcMs,
    flush_s: u64,
    /// Flush by flush, the segment of each device.
    flushes: Vec<Vec<Vec<u8>>>,
}

impl Feed {
    /// From this time on, a flush each `flush_s` (a divisor of an hour).
    pub fn new(start: UtcMs, flush_s: u64) -> Feed {
        let devices = devices::readings(start, HOUR_S);
        let flush = |at: u64| {
            let rows = at as usize..(at + flush_s) as usize;
            devices.iter().map(|readings| Segment::from_readings(&readings[rows.clone()]).encode()).collect()
        };
        Feed { start, flush_s, flushes: (0..HOUR_S).step_by(flush_s as usize).map(flush).collect() }
    }

    /// Readings of `seconds`, flush by flush.
    pub fn flushes(&self, seconds: u64) -> impl Iterator<Item = Arc<Flush>> {
        (0..seconds / self.flush_s).map(|number| {
            let hour = number / self.flushes.len() as u64;
            let segments = (0..).zip(&self.flushes[number as usize % self.flushes.len()]).map(|(place, bytes)| {
                let mut segment = Segment::decode(bytes).unwrap();
                segment.times.iter_mut().for_each(|time| *time += (hour * HOUR_S) as i64 * 1_000);
                (place, segment)
            });
            Arc::new(Flush { dated: true, segments: segments.collect(), ..Flush::default() })
        })
    }

    /// When it begins.
    pub fn start(&self) -> UtcMs {
        self.start
    }

    /// How much time a flush is.
    pub fn flush_s(&self) -> u64 {
        self.flush_s
    }

    /// For another process.
    pub fn save(&self, path: &Path) {
        let mut writer = Writer::default();
        writer.signed(self.start.0);
        writer.varint(self.flush_s);
        for device in self.flushes.iter().flatten() {
            writer.block(device);
        }
        std::fs::write(path, writer.into_bytes()).unwrap();
    }

    /// What another process saved.
    pub fn load(path: &Path) -> Feed {
        let bytes = std::fs::read(path).unwrap();
        let mut reader = Reader::new(&bytes);
        let (start, flush_s) = (UtcMs(reader.signed("start").unwrap()), reader.varint("flush").unwrap());
        let mut device = || reader.block("segment", bytes.len()).unwrap().to_owned();
        let flushes = (0..HOUR_S / flush_s).map(|_| (0..devices::DEVICES).map(|_| device()).collect());
        Feed { start, flush_s, flushes: flushes.collect() }
    }
}

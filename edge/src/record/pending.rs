//! Readings on their way to a flush: pure, with the dating as a parameter.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use riverwatts_shared::reading::{Reading, Value};
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Quality;

use super::Polled;
use crate::clock::Dated;
use crate::store::Flush;

/// Most values that wait in memory while the store does not commit; beyond, the oldest readings are
/// lost, which a gap row tells. An hour of a usual site.
pub(super) const VALUES_MAX: usize = 400_000;
/// Most values of a flush, which is sent as a whole.
pub(super) const FLUSH_VALUES_MAX: usize = 1 << 16;

/// Gives the time of something read at a monotonic time, once the clock is trusted.
pub(super) type Dating<'a> = &'a dyn Fn(Duration) -> Option<Dated>;

/// What is in memory only.
#[derive(Debug)]
pub(super) struct Pending {
    /// By number of the device.
    devices: Vec<Device>,
    /// Flushes that wait for their commit, oldest first.
    flushes: VecDeque<Flush>,
    /// Readings given up that the flush being filled is the first to follow, by number of the device.
    lost: BTreeMap<u16, u64>,
    /// How much is in memory: readings, values in flushes, values in none yet.
    readings: u64,
    values: usize,
    open_values: usize,
}

#[derive(Debug, Default)]
struct Device {
    /// Newest times given: UTC and monotonic ms. Each must be later than the one before.
    last_utc: Option<i64>,
    last_monotonic: Option<i64>,
    readings: Vec<Waiting>,
    /// Whether some of them came before the clock was trusted.
    has_undated: bool,
}

/// A reading before its flush.
#[derive(Debug)]
struct Waiting {
    monotonic: Duration,
    dated: Option<Dated>,
    values: Vec<Value>,
}

impl Pending {
    /// `last`: the newest times stored of each device, UTC and monotonic.
    pub(super) fn new(last: &[(Option<i64>, Option<i64>)]) -> Self {
        let device = |&(last_utc, last_monotonic): &_| Device { last_utc, last_monotonic, ..Device::default() };
        Pending {
            devices: last.iter().map(device).collect(),
            flushes: VecDeque::new(),
            lost: BTreeMap::new(),
            readings: 0,
            values: 0,
            open_values: 0,
        }
    }

    /// How many readings are in memory only.
    pub(super) const fn readings(&self) -> u64 {
        self.readings
    }

    /// Whether the flush that is being filled must not wait for its time.
    pub(super) const fn is_full(&self) -> bool {
        self.open_values >= FLUSH_VALUES_MAX
    }

    /// Takes a reading; gives its time, once that is known.
    pub(super) fn add(&mut self, polled: Polled, date: Dating<'_>) -> Option<UtcMs> {
        if polled.lost_before > 0 {
            self.note_lost(polled.device, polled.lost_before, date);
        }
        let device = self.devices.get_mut(usize::from(polled.device))?;
        let mut waiting = Waiting { monotonic: polled.monotonic, dated: None, values: polled.values };
        if date(polled.monotonic).is_some() {
            device.date_waiting(date);
            waiting.date(&mut device.last_utc, date, false);
        } else {
            device.has_undated = true;
        }
        let time = waiting.dated.map(|dated| dated.time);
        self.open_values += waiting.size();
        device.readings.push(waiting);
        self.readings += 1;
        self.make_room();
        time
    }

    /// Puts what came since the last flush in line. All of it is dated, or nothing.
    pub(super) fn close(&mut self, date: Dating<'_>) {
        let dated = date(Duration::ZERO).is_some();
        let mut flush = Flush { dated, ..Flush::default() };
        for (device, place) in self.devices.iter_mut().zip(0u16..) {
            if !device.readings.is_empty() {
                if dated {
                    device.date_waiting(date);
                }
                device.has_undated = false;
                flush.segments.push((place, device.close(dated)));
            }
        }
        self.open_values = 0;
        flush.lost.extend(std::mem::take(&mut self.lost));
        if !flush.is_empty() {
            self.values += values(&flush);
            self.flushes.push_back(flush);
        }
    }

    /// The flush whose turn it is, with what was given up right before it.
    pub(super) fn next(&mut self) -> Option<Flush> {
        self.flushes.pop_front()
    }

    /// The flush is in the store.
    pub(super) fn committed(&mut self, flush: &Flush) {
        self.readings -= flush.rows();
        self.values -= values(flush);
    }

    /// The store did not take it; its turn comes again.
    pub(super) fn put_back(&mut self, flush: Flush) {
        self.flushes.push_front(flush);
        self.make_room();
    }

    /// A gap is told by the flush that follows it, so the device's readings before it go with another.
    fn note_lost(&mut self, device: u16, readings: u64, date: Dating<'_>) {
        if self.devices.get(usize::from(device)).is_some_and(|device| !device.readings.is_empty()) {
            self.close(date);
        }
        *self.lost.entry(device).or_default() += readings;
    }

    /// Gives up the oldest flushes while there are too many readings.
    fn make_room(&mut self) {
        while self.values + self.open_values > VALUES_MAX {
            let Some(flush) = self.flushes.pop_front() else { return self.drop_oldest() };
            self.committed(&flush);
            let rows = flush.segments.iter().map(|(place, segment)| (*place, segment.rows() as u64));
            for (place, rows) in rows.chain(flush.lost) {
                match self.flushes.front_mut() {
                    Some(next) => match next.lost.iter_mut().find(|(lost, _)| *lost == place) {
                        Some((_, known)) => *known += rows,
                        None => next.lost.push((place, rows)),
                    },
                    None => *self.lost.entry(place).or_default() += rows,
                }
            }
            // What it told of the clock is still true.
            if flush.news.is_some() {
                match self.flushes.front_mut() {
                    Some(next) => next.news = next.news.take().or(flush.news),
                    None => self.flushes.push_back(Flush { news: flush.news, ..Flush::default() }),
                }
            }
        }
    }

    /// Gives up one reading that is in no flush yet: of the device with the most.
    fn drop_oldest(&mut self) {
        let most = self.devices.iter_mut().zip(0u16..).max_by_key(|(device, _)| device.readings.len());
        if let Some((device, place)) = most.filter(|(device, _)| !device.readings.is_empty()) {
            self.open_values -= device.readings.remove(0).size();
            self.readings -= 1;
            *self.lost.entry(place).or_default() += 1;
        }
    }
}

impl Device {
    /// Dates what came before the clock was trusted.
    fn date_waiting(&mut self, date: Dating<'_>) {
        if !std::mem::take(&mut self.has_undated) {
            return;
        }
        for waiting in self.readings.iter_mut().filter(|waiting| waiting.dated.is_none()) {
            waiting.date(&mut self.last_utc, date, true);
        }
    }

    fn close(&mut self, dated: bool) -> Segment {
        let mut uncertainty_s = 0;
        let mut readings = Vec::with_capacity(self.readings.len());
        for Waiting { monotonic, dated: given, values } in self.readings.drain(..) {
            let time = match given.filter(|_| dated) {
                Some(given) => {
                    uncertainty_s = uncertainty_s.max(given.uncertainty_s);
                    given.time
                }
                None => {
                    let ms = monotonic.as_millis() as i64;
                    UtcMs(*self.last_monotonic.insert(after(ms, self.last_monotonic)))
                }
            };
            readings.push(Reading { time, values });
        }
        Segment { time_uncertainty_s: uncertainty_s, ..Segment::from_readings(&readings) }
    }
}

impl Waiting {
    /// Values; a reading without any takes room, too.
    fn size(&self) -> usize {
        self.values.len().max(1)
    }

    fn date(&mut self, last: &mut Option<i64>, date: Dating<'_>, afterwards: bool) {
        let Some(dated) = date(self.monotonic) else { return };
        let ms = after(dated.time.0, *last);
        *last = Some(ms);
        self.dated = Some(Dated { time: UtcMs(ms), ..dated });
        let quality = match dated.quality {
            Quality::Ok if afterwards && dated.uncertainty_s > 0 => Quality::Redated,
            quality => quality,
        };
        for value in self.values.iter_mut().filter(|value| value.quality == Quality::Ok) {
            value.quality = quality;
        }
    }
}

fn values(flush: &Flush) -> usize {
    flush.segments.iter().map(|(_, segment)| segment.rows() * segment.columns.len().max(1)).sum()
}

/// The same, but later than the last.
fn after(ms: i64, last: Option<i64>) -> i64 {
    last.map_or(ms, |last| ms.max(last + 1))
}

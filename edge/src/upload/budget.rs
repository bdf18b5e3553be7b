//! What may go when: counts what the link carries, and holds the uploads to the data plan and to the
//! hours of the backlog.

use std::sync::Arc;
use std::time::Duration;

use jiff::ToSpan;
use jiff::tz::TimeZone;
use riverwatts_shared::time::UtcMs;

use super::plan::{self, PlanState, Usage};
use super::socket::Meter;
use crate::config::{Hours, Upload};
use crate::store::{Carried, Days, Store, StoreError};

/// What an upload that saves bytes is taken to cost before it is known: a connection and little more.
const COST_BYTES: u64 = 8 << 10;

/// Until when the backlog waits, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BacklogWait {
    /// Until its hours.
    Hours(UtcMs),
    /// Until the data plan's next month.
    Plan(UtcMs),
}

/// The counting and the holding.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) meter: Arc<Meter>,
    /// How much of it the store knows.
    booked: Carried,
    zone: TimeZone,
    pub(super) usage: Option<Usage>,
    cost_bytes: u64,
}

impl Budget {
    /// For a site in this time zone.
    pub(super) fn new(timezone: &str) -> Self {
        // The configuration was checked.
        let zone = TimeZone::get(timezone).unwrap_or(TimeZone::UTC);
        Budget { meter: Arc::default(), booked: Carried::default(), zone, usage: None, cost_bytes: COST_BYTES }
    }

    /// Tells the store what the link has carried; what it carried before the time was known counts
    /// for the day on which it is.
    pub(super) async fn book(&mut self, store: &Store, now: UtcMs) -> Result<(), StoreError> {
        let carried = self.meter.read();
        let more = carried.since(self.booked);
        if more.total() > 0 {
            store.count_traffic(plan::day_of(&self.zone, now), more).await?;
            self.booked = carried;
        }
        Ok(())
    }

    /// Looks how the plan stands.
    pub(super) fn judge(&mut self, upload: &Upload, days: &Days, now: UtcMs) {
        let before = self.usage.map_or(PlanState::Ok, |usage| usage.state);
        self.usage = upload.plan.and_then(|plan| plan::judge(plan, &self.zone, now, days, before));
    }

    /// Learns from a cycle that saved bytes what one costs; `before`: what the meter said when it began.
    pub(super) fn learn(&mut self, before: Carried) {
        let cost = self.meter.read().since(before).total();
        if self.saves() && cost > 0 {
            self.cost_bytes = (self.cost_bytes * 3 + cost) / 4;
        }
    }

    /// Whether only the newest values go.
    pub(super) fn saves(&self) -> bool {
        self.usage.is_some_and(|usage| usage.state == PlanState::Saving)
    }

    /// The interval that saves enough bytes, while they are to be saved.
    pub(super) fn every(&self, upload: &Upload, now: UtcMs) -> Option<Duration> {
        let usage = self.usage.filter(|_| self.saves())?;
        Some(usage.stretched(now, self.cost_bytes).max(upload.every))
    }

    /// Most bytes of a batch, so that none uses up what is left before bytes have to be saved.
    pub(super) fn batch_bytes(&self) -> usize {
        let left = self.usage.map_or(u64::MAX, |usage| usage.left_bytes() / 4);
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// Whether the backlog waits.
    pub(super) fn waits(&self, upload: &Upload, now: UtcMs) -> Option<BacklogWait> {
        match self.usage {
            Some(usage) if usage.state == PlanState::Saving => Some(BacklogWait::Plan(usage.end)),
            _ => opens(&upload.backlog_hours, &self.zone, now).map(BacklogWait::Hours),
        }
    }
}

/// When the next of these hours begins; `None` while some last.
fn opens(hours: &[Hours], zone: &TimeZone, now: UtcMs) -> Option<UtcMs> {
    let local = now.to_timestamp().to_zoned(zone.clone());
    let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
    if hours.iter().any(|hours| hours.contains(minute)) {
        return None;
    }
    let begins = hours.iter().map(|hours| hours.begins_in(minute)).min()?;
    let at = local.datetime().with().second(0).subsec_nanosecond(0).build().ok()?;
    let at = at.checked_add(i64::from(begins).minutes()).ok()?;
    Some(at.to_zoned(zone.clone()).ok()?.timestamp().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backlog_waits_for_its_hours_on_the_clock_of_the_site() {
        const NIGHT: Hours = Hours { from: 22 * 60, until: 6 * 60 };
        const NOON: Hours = Hours { from: 12 * 60, until: 13 * 60 };
        let zone = TimeZone::get("Europe/Vienna").unwrap();
        for (hours, now, until) in [
            (&[][..], "2026-11-24T12:00:00Z", None),
            (&[NIGHT], "2026-11-24T20:59:59Z", Some("2026-11-24T21:00:00Z")),
            (&[NIGHT], "2026-11-24T21:00:00Z", None),
            (&[NIGHT], "2026-11-25T04:59:59Z", None),
            (&[NIGHT], "2026-11-25T05:00:00Z", Some("2026-11-25T21:00:00Z")),
            (&[NIGHT, NOON], "2026-11-25T05:00:30Z", Some("2026-11-25T11:00:00Z")),
            (&[NIGHT, NOON], "2026-11-25T11:30:00Z", None),
            // In summer, an hour earlier; and on the day of the change.
            (&[NIGHT], "2026-07-01T19:00:00Z", Some("2026-07-01T20:00:00Z")),
            (&[NOON], "2026-10-24T23:30:00Z", Some("2026-10-25T11:00:00Z")),
        ] {
            let expected = until.map(|until| until.parse().unwrap());
            assert_eq!(opens(hours, &zone, now.parse().unwrap()), expected, "{now}");
        }
    }
}

//! Every site at a glance: whether it is heard, what it delivers now, what it gave today.
//!
//! The energy of a turbine is what its counter advanced, else the integral of its power; today is the
//! calendar day of the site's zone so far. Only turbines count: what a meter or battery passes on
//! would count twice.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use riverwatts_shared::metric::Metric;
use riverwatts_shared::rollup::window::window_start;
use riverwatts_shared::segment::ABSENT;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::{DeviceType, Quality, Resolution, SiteLink};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::db::column::shortest_or_null;
use crate::db::{Db, DbError};
use crate::presence::Presence;
use crate::readings::rollups::{Energy, energy};
use crate::readings::rows::read_flags;
use crate::readings::{Readings, ReadingsError, StoredRow};
use crate::rollup::{BucketsQuery, RollupError, buckets};
use crate::store::devices::{self, NamedDevice};
use crate::store::{Sight, gateways, sites};

/// A reading is fresh for three intervals of its device, at least so long, in ms; and the pause between uploads.
const FRESH_MIN_MS: i64 = 30_000;
/// The pause between uploads where no gateway is known.
const PAUSE_MS: i64 = 10_000;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// Of the records.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Of the readings and their roll-ups.
    #[error(transparent)]
    Rollup(#[from] RollupError),
}

/// A site at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SiteSummary {
    /// Which.
    pub site_id: Uuid,
    /// The best link of its gateways that were not revoked.
    pub link: SiteLink,
    /// When one of them was last heard.
    pub last_seen_at: Option<UtcMs>,
    /// Time of its newest reading.
    pub newest_at: Option<UtcMs>,
    /// Power of its turbines whose latest reading is fresh; `null` when there is none.
    #[serde(serialize_with = "shortest_or_null")]
    pub power_kw: Option<f64>,
    /// Energy of its turbines today; `null` when none told any.
    #[serde(serialize_with = "shortest_or_null")]
    pub energy_today_kwh: Option<f64>,
    /// How much of the day so far that energy knows of, over all turbines: 0 to 1.
    pub coverage_today: f64,
    /// How many devices it has.
    pub devices: usize,
    /// How many of them have a fresh reading.
    pub devices_fresh: usize,
}

/// Every site in sight, the first made first.
pub async fn summaries(
    db: &Db,
    readings: &Readings,
    presence: &Presence,
    sight: Sight,
    now: UtcMs,
) -> Result<Vec<SiteSummary>, FleetError> {
    let zones = sites::zones(db, sight).await?;
    let mut tallies: HashMap<Uuid, Tally> = HashMap::new();
    for gateway in gateways::active(db, sight).await? {
        let seen = presence.see(&gateway);
        let tally = tallies.entry(gateway.site_id).or_default();
        tally.link = tally.link.max(Some(seen.link.into()));
        tally.last_seen_at = tally.last_seen_at.max(seen.last_seen_at);
    }
    let devices = devices::in_sight(db, sight, None).await?;
    let numbers = devices.iter().map(|device| device.number).collect();
    let latest = readings.latest(numbers).await.map_err(RollupError::from)?;
    let latest: HashMap<i64, Arc<StoredRow>> = latest.into_iter().map(|row| (row.device, row)).collect();
    for device in devices {
        let tally = tallies.entry(device.site_id).or_default();
        tally.devices += 1;
        if let Some(row) = latest.get(&device.number) {
            let pause_ms = device.gateway_id.map_or(PAUSE_MS, |id| presence.pause_ms(id));
            let is_fresh = is_fresh(&device, pause_ms, row.time, now);
            tally.take_latest(&device, row, is_fresh).map_err(RollupError::from)?;
        }
        if device.device_type.0 == DeviceType::Turbine {
            let (found, elapsed_ms) = energy_today(db, readings, device, now).await?;
            tally.take_energy(found, elapsed_ms);
        }
    }
    Ok(zones.into_iter().map(|(site_id, _)| tallies.remove(&site_id).unwrap_or_default().summary(site_id)).collect())
}

/// What adds up over a site, in the fixed units of the metrics.
#[derive(Debug, Default)]
struct Tally {
    link: Option<SiteLink>,
    last_seen_at: Option<UtcMs>,
    newest_at: Option<UtcMs>,
    power: Option<i64>,
    energy_wh: Option<i64>,
    covered_ms: i64,
    elapsed_ms: i64,
    devices: usize,
    devices_fresh: usize,
}

impl Tally {
    fn take_latest(&mut self, device: &NamedDevice, row: &StoredRow, is_fresh: bool) -> Result<(), ReadingsError> {
        self.newest_at = self.newest_at.max(Some(row.time));
        if is_fresh {
            self.devices_fresh += 1;
            if device.device_type.0 == DeviceType::Turbine
                && let Some(power) = good_power(row)?
            {
                self.power = Some(self.power.unwrap_or(0).saturating_add(power));
            }
        }
        Ok(())
    }

    fn take_energy(&mut self, found: Option<Energy>, elapsed_ms: i64) {
        self.elapsed_ms += elapsed_ms;
        if let Some(energy) = found {
            self.energy_wh = Some(self.energy_wh.unwrap_or(0).saturating_add(energy.wh));
            self.covered_ms += energy.covered_ms.min(elapsed_ms);
        }
    }

    fn summary(self, site_id: Uuid) -> SiteSummary {
        let covered = self.covered_ms as f64 / self.elapsed_ms.max(1) as f64;
        SiteSummary {
            site_id,
            link: self.link.unwrap_or(SiteLink::None),
            last_seen_at: self.last_seen_at,
            newest_at: self.newest_at,
            power_kw: self.power.map(|power| Metric::POWER.to_unit(power)),
            energy_today_kwh: self.energy_wh.map(|wh| Metric::ENERGY.to_unit(wh)),
            coverage_today: covered,
            devices: self.devices,
            devices_fresh: self.devices_fresh,
        }
    }
}

/// Whether a reading still says what its device does now.
fn is_fresh(device: &NamedDevice, pause_ms: i64, time: UtcMs, now: UtcMs) -> bool {
    let intervals_ms = device.interval_ms.unwrap_or(0).saturating_mul(3).max(FRESH_MIN_MS);
    now.since_ms(time) < intervals_ms.saturating_add(pause_ms)
}

/// The power that a reading tells, unless its quality keeps it out of sums.
fn good_power(row: &StoredRow) -> Result<Option<i64>, ReadingsError> {
    let mut is_good = row.canonical[0] != ABSENT;
    let take = |metric, quality: Quality| is_good &= metric != Metric::POWER || !quality.kept_out_of_rollups();
    read_flags(&row.flags, take).map_err(|error| ReadingsError::Failed(Arc::new(error)))?;
    Ok(is_good.then_some(row.canonical[0]))
}

/// Energy of a turbine in its site's day so far, and how long that is, in ms.
async fn energy_today(
    db: &Db,
    readings: &Readings,
    device: NamedDevice,
    now: UtcMs,
) -> Result<(Option<Energy>, i64), RollupError> {
    let timezone = device.timezone.clone();
    let zone = TimeZone::get(&timezone).unwrap_or(TimeZone::UTC);
    let elapsed_ms = now.since_ms(window_start(Resolution::Day, &zone, now));
    let metrics = vec![Metric::ENERGY, Metric::POWER];
    let (from, to, resolution) = (now, now.plus_ms(1), Resolution::Day);
    let found = buckets(db, readings, &BucketsQuery { device, metrics, from, to, resolution, timezone, zone }).await?;
    let [counter, power] = [&found.series[0].rollups[0], &found.series[1].rollups[0]];
    Ok((energy(counter, power), elapsed_ms))
}

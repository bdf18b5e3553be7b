//! A batch from a gateway to its receipt.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use riverwatts_shared::reading::Gap;
use riverwatts_shared::receipt::{NamedDevice as Named, Receipt, Rejected, StoredSpan};
use riverwatts_shared::rollup::sum::GAP_MAX_MS;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::RejectCode;

use super::check::{AHEAD_MS, HORIZON_MS, sentence};
use super::decode::{Decoded, KeyedRows, decode};
use super::{Ingest, IngestError, Inner, count_outcomes};
use crate::readings::rollups::HOUR_MS;
use crate::readings::{AnsweredBatch, ReadingsError, Rows, Written};
use crate::rollup::max_gap_ms;
use crate::store::configurations;
use crate::store::devices::{self, NamedDevice};
use crate::store::gaps::{self, NewGap};
use crate::store::gateways::Gateway;

/// Refused readings that a receipt names one by one: it must stay below what a gateway reads. Of
/// further devices it refuses the whole; what is stored of them meets its likes when it is sent again.
const REJECTED_MAX: usize = 20_000;

impl Ingest {
    /// Stores a batch that was received at `now` and answers the receipt. The same batch again gets the
    /// same one, but for what is of the moment: the interval that is wanted now, and the last sequence.
    pub async fn take_batch(
        &self,
        gateway: &Gateway,
        body: impl AsRef<[u8]> + Send + 'static,
        now: UtcMs,
    ) -> Result<Receipt, IngestError> {
        let inner = &*self.0;
        let _place = inner.place()?;
        let site_id = gateway.site_id;
        let (decoded, _booked) = inner
            .unfold(body.as_ref().len(), move || Ok(decode(body.as_ref(), site_id, now)?), Decoded::values)
            .await?;
        let _held = inner.in_hand.hold(decoded.id).await;
        let answered = inner.readings.find_batch(decoded.id).await?;
        let last_sequence = inner.readings.last_sequence(decoded.id.store).await?;
        let of_the_moment =
            |receipt| Receipt { upload_every_s: inner.live.upload_every_s(site_id), last_sequence, ..receipt };
        if let Some(answered) = answered {
            if answered.hash != decoded.hash {
                return Err(IngestError::StoreForked);
            }
            count_batch("repeated");
            let kept: Receipt = serde_json::from_slice(&answered.receipt).map_err(ReadingsError::from)?;
            let config_version = gateway.config_version.map(|version| version.to_string());
            return Ok(of_the_moment(Receipt { config_version, ..kept }));
        }
        let (id, hash, is_empty) = (decoded.id, decoded.hash, decoded.is_empty());
        let receipt = inner.store_batch(gateway, decoded, now).await?;
        if is_empty {
            // A sign of life: nothing was stored that a repeat could store twice.
            count_batch("empty");
            return Ok(Receipt { last_sequence, ..receipt });
        }
        let kept = serde_json::to_vec(&receipt).expect("a receipt is plain JSON");
        inner.readings.keep_batch(AnsweredBatch { id, hash, receipt: kept, at: now }).await?;
        count_batch("stored");
        Ok(of_the_moment(receipt))
    }
}

/// Counts a batch by what it was.
fn count_batch(outcome: &'static str) {
    metrics::counter!("riverwatts_ingest_batches_total", "outcome" => outcome).increment(1);
}

impl Inner {
    async fn store_batch(&self, gateway: &Gateway, decoded: Decoded, now: UtcMs) -> Result<Receipt, IngestError> {
        let Decoded { id, announcements, gaps, segments, configuration, .. } = decoded;
        let keys =
            segments.iter().map(|segment| segment.key.as_str()).chain(gaps.iter().map(|gap| gap.device.as_str()));
        let known = Keys::look_up(self, gateway, &announcements, keys, now).await?;

        let mut answer = Answer::default();
        let mut rows = Vec::new();
        let mut sources = Vec::new();
        for KeyedRows { key, rows: of_key, refused } in segments {
            match known.find(&key) {
                Key::Device(device) => {
                    answer.refuse(device, refused.iter().map(|refused| (refused.time, refused.code)));
                    if of_key.count() > 0 {
                        rows.push((device.id, of_key.of_device(device.number, max_gap_ms(device.interval_ms))));
                        sources.push(device);
                    }
                }
                Key::Waits => answer.wait(&key),
                Key::Unknown => answer.unknown(&key, of_key.count() + refused.len()),
            }
        }
        for ((rows, written), device) in self.store(gateway.site_id, rows).await?.iter().zip(sources) {
            answer.stored(device, rows, written);
        }
        let mut new_gaps = Vec::new();
        let mut touched: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
        for gap in gaps {
            match known.find(&gap.device) {
                Key::Device(device) => {
                    touched.entry(device.number).or_default().extend(hours_around(&gap, device, now));
                    // Whatever its times: refused, it would be told nowhere.
                    new_gaps.push(NewGap {
                        device_id: device.id,
                        from: gap.from,
                        to: gap.to,
                        rows: gap.rows,
                        reason: gap.reason,
                    });
                }
                Key::Waits => answer.wait(&gap.device),
                Key::Unknown => answer.unknown(&gap.device, 1),
            }
        }
        if !new_gaps.is_empty() {
            if gaps::insert(&self.db, &new_gaps, now).await? > 0 {
                self.live.found_gaps(gateway.site_id, new_gaps);
            }
            // Also when they were there: the cloud may have died before it marked what they change.
            for (device, hours) in touched {
                self.readings.touch(device, hours.into_iter().collect()).await?;
            }
        }
        let mut config_version = gateway.config_version;
        if let Some(text) = configuration {
            config_version = Some(configurations::keep(&self.db, gateway.id, &text, now).await?);
        }
        count_outcomes("rejected", answer.refused);
        Ok(Receipt {
            batch: id,
            epoch: self.epoch,
            devices: known.named(),
            waiting: answer.waiting,
            stored: answer.stored,
            accepted: answer.accepted,
            duplicates: answer.duplicates,
            rejected: answer.rejected,
            upload_every_s: None,
            last_sequence: 0,
            config_version: config_version.map(|version| version.to_string()),
            commands: Vec::new(),
        })
    }
}

/// The hours that a line may lie in which the gap cuts at its start or its end, as far as rows may stand
/// there at `now`.
fn hours_around(gap: &Gap, device: &NamedDevice, now: UtcMs) -> impl Iterator<Item = i64> + use<> {
    let reach_ms = max_gap_ms(device.interval_ms).min(GAP_MAX_MS);
    let hours = move |at: UtcMs| {
        let (first, last) = (at.0.saturating_sub(reach_ms), at.0.saturating_add(reach_ms));
        let (oldest, newest) = (now.0 - HORIZON_MS, now.0 + AHEAD_MS);
        first.max(oldest).div_euclid(HOUR_MS)..=last.min(newest).div_euclid(HOUR_MS)
    };
    hours(gap.from).chain(hours(gap.to))
}

/// What the keys of a batch stand for.
#[derive(Debug, Default)]
struct Keys {
    devices: Vec<NamedDevice>,
    by_key: HashMap<String, Option<usize>>,
}

enum Key<'k> {
    Device(&'k NamedDevice),
    /// Another gateway of the site holds it.
    Waits,
    Unknown,
}

impl Keys {
    /// Registers what is announced and looks up the other keys.
    async fn look_up(
        inner: &Inner,
        gateway: &Gateway,
        announcements: &[riverwatts_shared::batch::Announcement],
        keys: impl Iterator<Item = &str>,
        now: UtcMs,
    ) -> Result<Keys, IngestError> {
        let mut known = Keys::default();
        if !announcements.is_empty() {
            let announced = devices::announce(&inner.db, gateway, announcements, now).await?;
            for key in announced.waiting {
                known.by_key.insert(key, None);
            }
            for device in announced.devices {
                known.add(device);
            }
        }
        let missing: Vec<&str> = keys.filter(|key| !known.by_key.contains_key(*key)).collect();
        if !missing.is_empty() {
            for device in inner.devices_of(gateway.site_id).await?.iter() {
                match &device.key {
                    Some(key) if missing.contains(&key.as_str()) => {
                        if device.gateway_id.is_none_or(|holder| holder == gateway.id) {
                            known.add(device.clone());
                        } else {
                            known.by_key.insert(key.clone(), None);
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(known)
    }

    fn add(&mut self, device: NamedDevice) {
        if let Some(key) = &device.key {
            self.by_key.insert(key.clone(), Some(self.devices.len()));
            self.devices.push(device);
        }
    }

    fn find(&self, key: &str) -> Key<'_> {
        match self.by_key.get(key) {
            Some(Some(index)) => Key::Device(&self.devices[*index]),
            Some(None) => Key::Waits,
            None => Key::Unknown,
        }
    }

    fn named(&self) -> Vec<Named> {
        let name = |device: &NamedDevice| Some(Named { key: device.key.clone()?, device_id: device.id });
        self.devices.iter().filter_map(name).collect()
    }
}

/// The parts of a receipt that grow item by item.
#[derive(Debug, Default)]
struct Answer {
    waiting: Vec<String>,
    stored: Vec<StoredSpan>,
    accepted: u64,
    duplicates: u64,
    rejected: Vec<Rejected>,
    /// Readings refused, also those that `rejected` does not name one by one.
    refused: u64,
}

impl Answer {
    fn wait(&mut self, key: &str) {
        if !self.waiting.iter().any(|waiting| waiting == key) {
            self.waiting.push(key.to_owned());
        }
    }

    fn unknown(&mut self, key: &str, readings: usize) {
        self.refused += readings as u64;
        let whole = |rejected: &Rejected| rejected.key == key && rejected.timestamp.is_none();
        if !self.rejected.iter().any(whole) {
            let code = RejectCode::UnknownDevice;
            let message = sentence(code).to_owned();
            self.rejected.push(Rejected { device_id: None, key: key.to_owned(), timestamp: None, code, message });
        }
    }

    fn refuse(&mut self, device: &NamedDevice, readings: impl Iterator<Item = (UtcMs, RejectCode)>) {
        let key = device.key.clone().unwrap_or_default();
        let mut whole = None;
        for (time, code) in readings {
            self.refused += 1;
            let timestamp = if self.rejected.len() < REJECTED_MAX { Some(time) } else { None };
            if timestamp.is_none() && whole.replace(code).is_some() {
                continue;
            }
            let message = sentence(code).to_owned();
            self.rejected.push(Rejected { device_id: Some(device.id), key: key.clone(), timestamp, code, message });
        }
    }

    fn stored(&mut self, device: &NamedDevice, rows: &Rows, written: &Written) {
        self.accepted += written.accepted;
        self.duplicates += written.duplicates;
        let time = |row: usize| UtcMs(rows.segment.times[row]);
        let conflicts = &written.conflicts;
        self.refuse(device, conflicts.iter().map(|&row| (time(row as usize), RejectCode::Conflict)));
        let is_stored = |row: &usize| conflicts.binary_search(&(*row as u32)).is_err();
        if let (Some(first), Some(last)) = ((0..rows.count()).find(is_stored), (0..rows.count()).rfind(is_stored)) {
            let count = written.accepted + written.duplicates;
            self.stored.push(StoredSpan { device_id: device.id, from: time(first), to: time(last), count });
        }
    }
}

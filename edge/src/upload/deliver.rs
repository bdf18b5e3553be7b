//! One batch on its way: what the answer of the cloud does with it.

use std::time::Duration;

use bytes::Bytes;
use riverwatts_shared::batch::{Announcement, Batch, Item};
use riverwatts_shared::receipt::{BatchId, Receipt};
use tokio::time::{Instant, sleep_until};

use super::cloud::Answer;
use super::pace::{Pause, interval};
use super::{Uploader, announce, receipt, store_failed};
use crate::store::Cargo;

/// A batch as it is sent.
#[derive(Debug)]
pub(super) struct Sendable {
    pub(super) id: BatchId,
    pub(super) bytes: Bytes,
    pub(super) cargo: Cargo,
}

impl Uploader {
    /// Sends a batch and does what the answer asks for.
    pub(super) async fn deliver(&mut self, sendable: Sendable) -> Result<(), Pause> {
        sleep_until(self.free_at).await;
        let Some(cloud) = &self.cloud else { return Err(Pause::NotEnrolled) };
        let started = Instant::now();
        let answer = cloud.send(sendable.bytes.clone()).await;
        if let Some(rate) = self.config.upload.bandwidth_bytes_per_s {
            let carried = self.budget.meter.read();
            let sent = carried.since(self.paid).sent;
            self.free_at = started + Duration::from_secs_f64(sent as f64 / rate as f64);
            self.paid = carried;
        }
        self.book().await;
        match answer {
            Answer::Receipt(receipt) if receipt.batch == sendable.id => {
                self.pace.delivered(started.elapsed(), *self.every.borrow());
                self.settle(sendable, *receipt).await
            }
            Answer::Receipt(_) => self.keep(sendable, None, "its receipt is for another batch".to_owned()).await,
            Answer::Unclear(again, words) => self.keep(sendable, again, words).await,
            Answer::Forked => {
                tracing::warn!("another gateway sends under the id of this store: a new id is taken");
                self.store.release(sendable.cargo).await;
                if let Some(unclear) = self.unclear.take() {
                    self.store.release(unclear.cargo).await;
                }
                self.announcements.forget_all();
                self.store.fork().await.map_err(store_failed)
            }
            Answer::Refused(words) => self.refused(sendable, words).await,
            Answer::TooLarge(words) => {
                self.store.release(sendable.cargo).await;
                self.pace.failed();
                Err(Pause::Retry(words))
            }
            Answer::Stranger(words) => {
                self.store.release(sendable.cargo).await;
                let words = format!("the cloud refuses the credential: {words}; enroll again with a new code");
                Err(self.pace.stranger(words))
            }
            Answer::Later(pause, words) => {
                self.store.release(sendable.cargo).await;
                Err(Pause::of(pause, words))
            }
            Answer::Unreachable(words) => {
                self.store.release(sendable.cargo).await;
                Err(Pause::Retry(words))
            }
        }
    }

    async fn settle(&mut self, sendable: Sendable, receipt: Receipt) -> Result<(), Pause> {
        // Mostly there is nothing to look up.
        let is_plain = receipt.rejected.is_empty() && sendable.cargo.units() > 0;
        let items = if is_plain { Vec::new() } else { decoded(&sendable).items };
        let is_empty = items.is_empty() && sendable.cargo.units() == 0;
        let mut settlement = receipt::settlement(&items, &receipt, is_empty);
        settlement.kept.iter().for_each(|key| self.announcements.forget(key));
        for announcement in announcements(&items) {
            let key = &announcement.key;
            if settlement.named.iter().any(|named| named.key == *key) {
                let json = announce::as_json(announcement);
                self.announcements.took(key, json.clone());
                settlement.announced.push((key.clone(), json));
            } else {
                self.announcements.postpone(key, self.time.monotonic());
            }
        }
        self.link.waits(receipt.waiting.iter(), settlement.named.iter().map(|named| &named.key));
        for letter in &settlement.dead_letters {
            tracing::warn!(device.id = letter.key, time = %letter.reading.time, code = %letter.code, letter.message, "the cloud refused a reading");
        }
        if self.store.settle(sendable.cargo, settlement).await.map_err(store_failed)? {
            self.announcements.forget_all();
        }
        self.configuration.heard(receipt.config_version);
        if !self.budget.saves() {
            self.set_every(interval(&self.config.upload, receipt.upload_every_s));
        }
        self.answered_at = Some(Instant::now());
        self.link.received(self.time.monotonic());
        Ok(())
    }

    /// Keeps a batch that may have arrived. Of two, the older one's readings are sent anew; so are those
    /// of a batch that may be too large for this link.
    async fn keep(&mut self, sendable: Sendable, again: Option<Duration>, words: String) -> Result<(), Pause> {
        // Its connection may be dead without knowing it.
        self.cloud = None;
        self.pace.failed();
        let is_small = sendable.bytes.len() <= self.pace.limits().bytes;
        let given_up = if is_small { self.unclear.replace(sendable) } else { Some(sendable) };
        if let Some(given_up) = given_up {
            self.store.release(given_up.cargo).await;
        }
        Err(Pause::of(again, words))
    }

    async fn refused(&mut self, sendable: Sendable, words: String) -> Result<(), Pause> {
        let units = sendable.cargo.units();
        if units == 0 {
            tracing::warn!(error = words, "the cloud refuses announcements, or the configuration");
            let items = decoded(&sendable).items;
            announcements(&items)
                .for_each(|announcement| self.announcements.postpone(&announcement.key, self.time.monotonic()));
            return Ok(());
        }
        match self.pace.refuse(units, &words) {
            Ok(true) => {
                self.store.release(sendable.cargo).await;
                Ok(())
            }
            Ok(false) => {
                tracing::error!(error = words, "the cloud refuses a whole batch: its readings are put aside");
                let settlement = receipt::refused(&decoded(&sendable).items, &words);
                self.store.settle(sendable.cargo, settlement).await.map_err(store_failed).map(|_| ())
            }
            Err(pause) => {
                self.store.release(sendable.cargo).await;
                Err(pause)
            }
        }
    }
}

/// What a batch carries, which is kept only as it is sent.
fn decoded(sendable: &Sendable) -> Batch {
    Batch::decode(&sendable.bytes).expect("what was encoded here can be decoded")
}

fn announcements(items: &[Item]) -> impl Iterator<Item = &Announcement> {
    items.iter().filter_map(|item| match item {
        Item::Announcement(announcement) => Some(announcement),
        _ => None,
    })
}

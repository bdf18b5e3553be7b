//! Which gateways are heard. In memory it is exact, fed by every request that a gateway signs; it is
//! written to the records once a minute, so that it outlives a restart.

mod rhythm;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use riverwatts_shared::time::{Clock, UtcMs};
use riverwatts_shared::words::GatewayLink;
use serde::Serialize;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::db::column::At;
use crate::db::{Db, DbError};
use crate::store::gateways::{self, Gateway, Heard};
use rhythm::Rhythm;

/// How often it looks who has fallen silent.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often what is new is written down.
const WRITE_EVERY: Duration = Duration::from_secs(60);
/// How long the service may have been away, in ms, for its gateways to count as connected when it is back.
const STOPPED_MAX_MS: i64 = 600_000;
/// Changes that a listener may be behind; one that is further behind has to look at everything again.
const CHANGES_MAX: usize = 1_024;

/// All gateways that were heard lately; cheap to clone.
#[derive(Clone)]
pub struct Presence(Arc<Inner>);

struct Inner {
    contacts: Mutex<HashMap<Uuid, Contact>>,
    changes: Sender<Seen>,
}

/// What is known of one gateway.
#[derive(Clone, Copy, Debug)]
struct Contact {
    heard: Heard,
    /// Since when its silence counts: when it was last heard, or this service began to listen.
    silent_since: UtcMs,
    rhythm: Rhythm,
    /// What the records say.
    written: Option<Heard>,
}

/// A gateway's link as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The gateway.
    pub id: Uuid,
    /// Its site.
    pub site_id: Uuid,
    /// Whether it is heard.
    pub link: GatewayLink,
    /// When it was last heard.
    pub last_seen_at: Option<UtcMs>,
}

impl Presence {
    /// What the records say at `now`. A gateway that was connected when the service ended still is, unless
    /// that was long ago: the service's own silence is not the gateway's.
    pub async fn open(db: &Db, now: UtcMs) -> Result<Presence, DbError> {
        let known = gateways::connected_since(db, now.plus_ms(-STOPPED_MAX_MS)).await?;
        let contact =
            |heard: Heard| Contact { heard, silent_since: now, rhythm: Rhythm::default(), written: Some(heard) };
        let contacts = known.into_iter().map(|heard| (heard.id, contact(heard))).collect();
        Ok(Presence(Arc::new(Inner { contacts: Mutex::new(contacts), changes: broadcast::channel(CHANGES_MAX).0 })))
    }

    /// A gateway made a request that it was let in with.
    pub fn hear(&self, gateway: &Gateway, now: UtcMs) {
        let mut contacts = self.lock();
        let contact = contacts.entry(gateway.id).or_insert_with(|| Contact {
            heard: Heard { id: gateway.id, site_id: gateway.site_id, last_seen_at: At(now), is_connected: false },
            silent_since: now,
            rhythm: Rhythm::default(),
            written: None,
        });
        contact.rhythm = contact.rhythm.after(now.since_ms(contact.silent_since));
        contact.silent_since = now;
        contact.heard.last_seen_at = At(now);
        if !std::mem::replace(&mut contact.heard.is_connected, true) {
            self.tell(contact);
        }
    }

    /// A gateway was revoked: nothing more will be heard of it.
    pub fn end(&self, id: Uuid) {
        if let Some(contact) = self.lock().get_mut(&id) {
            self.lose(contact);
        }
    }

    /// The link of a gateway, as known here or as it stands in its record.
    pub fn see(&self, gateway: &Gateway) -> Seen {
        let last_seen_at = gateway.last_seen_at.map(|At(time)| time);
        let link = if last_seen_at.is_some() { GatewayLink::Lost } else { GatewayLink::Never };
        let recorded = Seen { id: gateway.id, site_id: gateway.site_id, link, last_seen_at };
        self.lock().get(&gateway.id).map_or(recorded, Contact::seen)
    }

    /// The pause, in ms, that a gateway usually makes between two contacts.
    pub fn pause_ms(&self, id: Uuid) -> i64 {
        self.lock().get(&id).map_or_else(Rhythm::default, |contact| contact.rhythm).pause_ms()
    }

    /// Every change of a link from now on.
    pub fn changes(&self) -> Receiver<Seen> {
        self.0.changes.subscribe()
    }

    /// Finds who has fallen silent and writes down who was heard, until `stop`.
    pub async fn keep_watching(&self, db: &Db, clock: &dyn Clock, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut write = tokio::time::interval(WRITE_EVERY);
        write.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = look.tick() => self.look(clock.wall()),
                _ = write.tick() => self.write(db).await,
            }
        }
        self.write(db).await;
    }

    fn look(&self, now: UtcMs) {
        for contact in self.lock().values_mut() {
            if now.since_ms(contact.silent_since) > contact.rhythm.patience_ms() {
                self.lose(contact);
            }
        }
    }

    async fn write(&self, db: &Db) {
        let is_news = |contact: &&Contact| contact.written != Some(contact.heard);
        let news: Vec<Heard> = self.lock().values().filter(is_news).map(|contact| contact.heard).collect();
        if news.is_empty() {
            return;
        }
        if let Err(error) = gateways::note_heard(db, &news).await {
            tracing::warn!(%error, "not written down when gateways were last heard; tried again in a minute");
            return;
        }
        let mut contacts = self.lock();
        for heard in news {
            if let Some(contact) = contacts.get_mut(&heard.id) {
                contact.written = Some(heard);
            }
        }
    }

    fn lose(&self, contact: &mut Contact) {
        if std::mem::replace(&mut contact.heard.is_connected, false) {
            self.tell(contact);
        }
    }

    fn tell(&self, contact: &Contact) {
        let _ = self.0.changes.send(contact.seen()); // nobody may be listening
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Contact>> {
        self.0.contacts.lock().expect("never poisoned: nothing panics inside")
    }
}

impl Contact {
    fn seen(&self) -> Seen {
        let Heard { id, site_id, last_seen_at: At(last_seen_at), is_connected } = self.heard;
        let link = if is_connected { GatewayLink::Connected } else { GatewayLink::Lost };
        Seen { id, site_id, link, last_seen_at: Some(last_seen_at) }
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

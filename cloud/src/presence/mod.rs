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
use crate::store::gateways::{self, Gateway};
use rhythm::Rhythm;

/// How often it looks who has fallen silent.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often what is new is written down.
const WRITE_EVERY: Duration = Duration::from_secs(60);
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
    site_id: Uuid,
    last_seen_at: UtcMs,
    rhythm: Rhythm,
    is_connected: bool,
    /// What the records say of `last_seen_at`.
    written: Option<UtcMs>,
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
    /// What the records say at `now`: who was heard a moment ago counts as connected until it has been
    /// silent for too long.
    pub async fn open(db: &Db, now: UtcMs) -> Result<Presence, DbError> {
        let patience_ms = Rhythm::default().patience_ms();
        let known = gateways::seen_since(db, now.plus_ms(-patience_ms)).await?;
        let contact = |gateway: Gateway| {
            let At(last_seen_at) = gateway.last_seen_at?;
            let contact = Contact {
                site_id: gateway.site_id,
                last_seen_at,
                rhythm: Rhythm::default(),
                is_connected: true,
                written: Some(last_seen_at),
            };
            Some((gateway.id, contact))
        };
        let contacts = Mutex::new(known.into_iter().filter_map(contact).collect());
        Ok(Presence(Arc::new(Inner { contacts, changes: broadcast::channel(CHANGES_MAX).0 })))
    }

    /// A gateway made a request that it was let in with.
    pub fn hear(&self, gateway: &Gateway, now: UtcMs) {
        let mut contacts = self.lock();
        let contact = contacts.entry(gateway.id).or_insert(Contact {
            site_id: gateway.site_id,
            last_seen_at: now,
            rhythm: Rhythm::default(),
            is_connected: false,
            written: None,
        });
        contact.rhythm = contact.rhythm.after(now.since_ms(contact.last_seen_at));
        contact.last_seen_at = now;
        if !contact.is_connected {
            contact.is_connected = true;
            self.tell(contact.seen(gateway.id));
        }
    }

    /// A gateway was revoked: nothing more will be heard of it.
    pub fn end(&self, id: Uuid) {
        if let Some(contact) = self.lock().get_mut(&id).filter(|contact| contact.is_connected) {
            contact.is_connected = false;
            self.tell(contact.seen(id));
        }
    }

    /// The link of a gateway, as known here or as it stands in its record.
    pub fn see(&self, gateway: &Gateway) -> Seen {
        let last_seen_at = gateway.last_seen_at.map(|At(time)| time);
        let link = if last_seen_at.is_some() { GatewayLink::Lost } else { GatewayLink::Never };
        let recorded = Seen { id: gateway.id, site_id: gateway.site_id, link, last_seen_at };
        self.lock().get(&gateway.id).map_or(recorded, |contact| contact.seen(gateway.id))
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
        for (&id, contact) in self.lock().iter_mut().filter(|(_, contact)| contact.is_connected) {
            if now.since_ms(contact.last_seen_at) > contact.rhythm.patience_ms() {
                contact.is_connected = false;
                self.tell(contact.seen(id));
            }
        }
    }

    async fn write(&self, db: &Db) {
        let news = |(&id, contact): (&Uuid, &Contact)| {
            (contact.written != Some(contact.last_seen_at)).then_some((id, contact.last_seen_at))
        };
        let news: Vec<(Uuid, UtcMs)> = self.lock().iter().filter_map(news).collect();
        if news.is_empty() {
            return;
        }
        if let Err(error) = gateways::note_seen(db, &news).await {
            tracing::warn!(%error, "not written down when gateways were last heard; tried again in a minute");
            return;
        }
        let mut contacts = self.lock();
        for (id, at) in news {
            if let Some(contact) = contacts.get_mut(&id) {
                contact.written = Some(at);
            }
        }
    }

    fn tell(&self, seen: Seen) {
        let _ = self.0.changes.send(seen); // nobody may be listening
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Contact>> {
        self.0.contacts.lock().expect("never poisoned: nothing panics inside")
    }
}

impl Contact {
    fn seen(&self, id: Uuid) -> Seen {
        let link = if self.is_connected { GatewayLink::Connected } else { GatewayLink::Lost };
        Seen { id, site_id: self.site_id, link, last_seen_at: Some(self.last_seen_at) }
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

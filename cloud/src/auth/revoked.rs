//! Ended sessions in memory, so that every request can be checked without the database. Ends by
//! other instances are read from the database every two seconds.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;
use std::time::Duration;

use riverwatts_shared::time::{Clock, UtcMs};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::db::{Db, DbError};
use crate::store::sessions;

/// How often ends by other instances are read; the contract allows 5 s.
const READ_EVERY: Duration = Duration::from_secs(2);
/// How far back each reading looks: clocks of instances differ, and transactions take time.
const LOOK_BACK_MS: i64 = 30_000;

/// Sessions whose access tokens count no more, until the last of those has expired.
#[derive(Debug, Default)]
pub struct Revoked {
    until: Mutex<HashMap<Uuid, UtcMs>>,
    ended: watch::Sender<()>,
}

impl Revoked {
    /// Ends a session's access here, now. Remembered for `access_lives`, the life of an access token.
    pub fn end(&self, session_id: Uuid, now: UtcMs, access_lives: Duration) {
        let until = now.plus_ms(access_lives.as_millis() as i64);
        let mut ended = self.until.lock().expect("never poisoned: nothing panics inside");
        ended.retain(|_, until| *until > now);
        if let Entry::Vacant(new) = ended.entry(session_id) {
            new.insert(until);
            self.ended.send_replace(());
        }
    }

    /// Tells whenever a session ends.
    pub fn ended(&self) -> watch::Receiver<()> {
        self.ended.subscribe()
    }

    /// Whether the session has ended.
    pub fn contains(&self, session_id: Uuid) -> bool {
        self.until.lock().expect("never poisoned: nothing panics inside").contains_key(&session_id)
    }

    /// Takes over what ended at `since` or later.
    pub async fn read(&self, db: &Db, since: UtcMs, now: UtcMs, access_lives: Duration) -> Result<(), DbError> {
        for session_id in sessions::revoked_since(db, since).await? {
            self.end(session_id, now, access_lives);
        }
        Ok(())
    }

    /// Keeps reading until `stop`. Before the first request, call [`Revoked::read`] over the life of
    /// an access token.
    pub async fn keep_reading(&self, db: &Db, clock: &dyn Clock, access_lives: Duration, stop: CancellationToken) {
        let mut failing = false;
        while stop.run_until_cancelled(tokio::time::sleep(READ_EVERY)).await.is_some() {
            let now = clock.wall();
            match self.read(db, now.plus_ms(-LOOK_BACK_MS), now, access_lives).await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(error = %error, "ended sessions cannot be read");
                }
                Err(_) => {}
            }
        }
    }
}

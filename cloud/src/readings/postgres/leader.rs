//! The one connection that writes roll-ups. Several instances may serve one database, but windows made of
//! windows come out right only where one at a time writes them: whoever holds the lock of this session.

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

use super::super::ReadingsError;

/// Held by the session that writes roll-ups; the number is this project's own.
const LOCK: i64 = 0x7269_7665_7202;

/// The way to that connection.
#[derive(Debug)]
pub struct Leader {
    options: PgConnectOptions,
    session: Mutex<Option<Session>>,
}

#[derive(Debug)]
struct Session {
    connection: PgConnection,
    leads: bool,
}

/// The connection, for as long as it is used.
pub type Leading<'l> = MappedMutexGuard<'l, PgConnection>;

impl Leader {
    pub fn new(options: PgConnectOptions) -> Leader {
        Leader { options, session: Mutex::new(None) }
    }

    /// The connection when this instance leads, or can from now on.
    pub async fn lead(&self) -> Result<Option<Leading<'_>>, ReadingsError> {
        let mut session = self.session.lock().await;
        if let Some(known) = session.as_mut()
            && known.connection.ping().await.is_err()
        {
            // The lock went with it.
            *session = None;
        }
        if session.is_none() {
            *session = Some(Session { connection: self.options.connect().await?, leads: false });
        }
        let mut session = MutexGuard::map(session, |session| session.as_mut().expect("put there just now"));
        if !session.leads {
            let query = sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK);
            session.leads = query.fetch_one(&mut session.connection).await?;
        }
        let leads = session.leads;
        Ok(leads.then(|| MappedMutexGuard::map(session, |session| &mut session.connection)))
    }

    /// Lets another instance lead.
    pub async fn close(&self) {
        let Some(Session { mut connection, .. }) = self.session.lock().await.take() else { return };
        // Now, not when the server notices that the session has ended. One that is broken has ended already.
        let _ = sqlx::query("select pg_advisory_unlock_all()").execute(&mut connection).await;
        let _ = connection.close().await; // likewise
    }
}

//! The service from its settings to its end: opens the data, listens, stops gracefully.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use riverwatts_shared::time::{Clock, SystemClock};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::auth::{Auth, AuthSettings, secret};
use crate::config::Config;
use crate::db::migrate::migrate;
use crate::db::{Db, DbError};
use crate::http::extract::Peer;
use crate::http::ws::{Origins, Places};
use crate::http::{AppState, HttpSettings, health, router};
use crate::ingest::Ingest;
use crate::jobs::{Means, Waker, keep_jobs};
use crate::live::Live;
use crate::presence::Presence;
use crate::readings::sqlite::MONTHS_FOLDER;
use crate::readings::{Readings, ReadingsError};
use crate::rollup::keep_rolling_up;

/// Most connections at once; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 2_048;
/// How long requests may go on after the signal to stop; the contract allows 10 s in all.
const STOP_WITHIN: Duration = Duration::from_secs(8);
/// How long what waits to be written may go on after that.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// How often the recorder of numbers tidies up, which bounds its memory when nobody reads them.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// Name of the file that is locked while the service runs.
const LOCK_FILE: &str = "service.lock";
/// Name of the file with the secret that was made at the first start.
const SECRET_FILE: &str = "jwt.secret";

/// Why the service does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data folder or a file in it cannot be used.
    #[error("{path}: {source}")]
    Data {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Another program works on the folder; readings have one writer.
    #[error("{0} is in use by another riverwatts-cloud; stop it, or give each a folder of its own by --data")]
    Locked(String),
    /// The database cannot be used.
    #[error("{error}: {reason}", reason = source_of(error))]
    Db {
        /// What the database said.
        #[from]
        error: DbError,
    },
    /// The files or tables of readings cannot be used.
    #[error(transparent)]
    Readings(#[from] ReadingsError),
    /// The server ended by itself.
    #[error("serving ended: {0}")]
    Io(#[from] io::Error),
}

fn source_of(error: &DbError) -> String {
    std::error::Error::source(error).map_or_else(String::new, ToString::to_string)
}

/// Opens the database of the settings and brings it to this version's tables.
pub async fn open_db(config: &Config) -> Result<Db, ServeError> {
    let db = match &config.database_url {
        Some(url) => Db::open_postgres(url).await?,
        None => {
            make_folder(&config.data)?;
            Db::open_sqlite(&config.data).await?
        }
    };
    migrate(&db).await?;
    Ok(db)
}

/// Everything that handlers work with, by the settings.
pub async fn open(config: &Config) -> Result<AppState, ServeError> {
    make_folder(&config.data)?;
    let secret = match &config.jwt_secret {
        Some(secret) => secret.clone().into_bytes(),
        None => kept_secret(&config.data)?,
    };
    let refresh_secret = match &config.jwt_refresh_secret {
        Some(secret) => secret.clone().into_bytes(),
        None => Sha256::new().chain_update(b"riverwatts refresh").chain_update(&secret).finalize().to_vec(),
    };
    let settings = AuthSettings {
        jwt_secret: secret,
        jwt_refresh_secret: refresh_secret,
        access_lives: config.access_lives,
        refresh_lives: config.refresh_lives,
    };
    let lock = Arc::new(lock_folder(&config.data)?);
    let db = open_db(config).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let auth = Auth::new(&settings);
    let now = clock.wall();
    let since = now.plus_ms(-(config.access_lives.as_millis() as i64));
    auth.revoked.read(&db, since, now, config.access_lives).await?;
    let settings = HttpSettings {
        registration: config.registration,
        secure_cookies: config.frontend_url.as_ref().is_some_and(|url| url.starts_with("https://")),
        metrics_token: config.metrics_token.clone(),
        origins: Origins {
            own: config.frontend_url.as_deref().map(|url| url.trim_end_matches('/').to_owned()),
            listed: config.cors_origins.clone(),
        },
    };
    let months = config.data.join(MONTHS_FOLDER);
    if config.database_url.is_some() && months.exists() {
        tracing::warn!(folder = %months.display(), "readings in files are not looked at: DATABASE_URL is set");
    }
    let readings = Readings::open(&db, &config.data).await?;
    let presence = Presence::open(&db, now).await?;
    let live = Live::new(db.clone(), readings.clone(), presence.clone(), Arc::clone(&clock));
    let ingest = Ingest::new(db.clone(), readings.clone(), live.clone()).await?;
    let (places, waker, settings) = (Places::default(), Waker::default(), Arc::new(settings));
    Ok(AppState { db, readings, ingest, live, places, presence, waker, clock, auth, settings, lock })
}

/// Serves on `listener` until `stop`; requests in hand may finish within 8 s.
pub async fn serve(app: AppState, listener: TcpListener, stop: CancellationToken) -> Result<(), ServeError> {
    let upkeep = tokio::spawn({
        let (app, stop) = (app.clone(), stop.clone());
        async move {
            let lives = app.auth.tokens.access_lives();
            let means = Means { db: app.db.clone(), readings: app.readings.clone(), clock: Arc::clone(&app.clock) };
            tokio::join!(
                app.auth.revoked.keep_reading(&app.db, app.clock.as_ref(), lives, stop.clone()),
                app.live.keep(&app.auth.revoked, stop.clone()),
                keep_rolling_up(&app.db, &app.readings, app.clock.as_ref(), stop.clone()),
                keep_jobs(&means, &app.waker, stop.clone()),
                app.presence.keep_watching(&app.db, app.clock.as_ref(), stop.clone()),
                keep_numbers(stop)
            );
        }
    });
    let service = router(app.clone()).into_make_service_with_connect_info::<Peer>();
    let listener = Bounded { listener, free: Arc::new(Semaphore::new(CONNECTIONS_MAX)) };
    let serving = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    let deadline = async {
        stop.cancelled().await;
        tokio::time::sleep(STOP_WITHIN).await;
    };
    let result = tokio::select! {
        result = serving => result,
        () = deadline => {
            tracing::warn!("requests were cut off at the end");
            Ok(())
        }
    };
    stop.cancel();
    let _ = upkeep.await; // it ends by the same signal and returns nothing
    let close = async { tokio::join!(app.readings.close(), app.db.close()) };
    if tokio::time::timeout(CLOSE_WITHIN, close).await.is_err() {
        tracing::warn!("databases were cut off at the end");
    }
    Ok(result?)
}

async fn keep_numbers(stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(UPKEEP_EVERY)).await.is_some() {
        health::NUMBERS.run_upkeep();
    }
}

fn make_folder(data: &Path) -> Result<(), ServeError> {
    // Whoever reads the records reads password hashes too.
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.map_err(|source| ServeError::Data { path: data.display().to_string(), source })
}

/// Held while the service works on the folder, so that no second one does.
fn lock_folder(data: &Path) -> Result<fs::File, ServeError> {
    let path = data.join(LOCK_FILE);
    let error = |source| ServeError::Data { path: path.display().to_string(), source };
    let options = || fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let lock = options().map_err(error)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(ServeError::Locked(data.display().to_string())),
        Err(fs::TryLockError::Error(source)) => Err(error(source)),
    }
}

/// The secret in the data folder; made when there is none, readable by the owner only.
fn kept_secret(data: &Path) -> Result<Vec<u8>, ServeError> {
    let path = data.join(SECRET_FILE);
    let error = |source| ServeError::Data { path: path.display().to_string(), source };
    match fs::read(&path) {
        Ok(secret) if secret.len() >= 32 => return Ok(secret),
        Ok(_) => return Err(error(io::Error::other("too short; delete it to have a new one made"))),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {}
        Err(other) => return Err(error(other)),
    }
    // Written aside and renamed: a power cut leaves the whole secret or none.
    let aside = path.with_extension("new");
    let secret = secret::new_credential().into_bytes();
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        file.write_all(&secret)?;
        file.sync_all()?;
        fs::rename(&aside, &path)
    };
    write().map_err(error)?;
    Ok(secret)
}

/// A listener that stops accepting while it has as many connections as it may.
#[derive(Debug)]
struct Bounded {
    listener: TcpListener,
    free: Arc<Semaphore>,
}

/// A connection that counts until it is dropped.
#[derive(Debug)]
struct Counted {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

impl Listener for Bounded {
    type Io = Counted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Counted, SocketAddr) {
        let permit = Arc::clone(&self.free).acquire_owned().await.expect("the semaphore is never closed");
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Small answers go out at once. An error here means that the connection is gone already.
        let _ = stream.set_nodelay(true);
        (Counted { stream, _permit: permit }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Connected<IncomingStream<'_, Bounded>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Self {
        Peer(*stream.remote_addr())
    }
}

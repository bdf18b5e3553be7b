//! The whole gateway: opens the store, starts buses, recorder, uploader and panel, and stops them
//! in the order in which a reading passes, so that nothing read is lost by stopping.

mod figures;
mod files;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use riverwatts_shared::time::Clock;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::figures::Known;
use crate::bus::{self, Bus, Driven};
use crate::check::Report;
use crate::clock::{BootClock, SiteTime, Timekeeper, has_passed, is_synchronised};
use crate::config::Config;
use crate::health::Health;
use crate::panel::{self, Figures, Gate, Panel};
use crate::record::{Recorded, Recorder};
use crate::store::{self, OpenError, Store};
use crate::upload::Uploader;

/// Messages that may wait for the recorder: some seconds of a large site.
const WAITING_MAX: usize = 4_096;

/// How long the store may take to end; then the gateway ends without it.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// What the gateway listens at; bound by the caller, so that a test can bind port 0.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For the panel; `None`: no panel.
    pub panel: Option<TcpListener>,
}

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An address is taken or not ours.
    #[error("{what} cannot listen at {address}: {cause}; stop the program that does, or set {what}.listen")]
    Listen {
        /// Whose listener.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// There is no store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// A bug: a gateway that keeps nothing had better start anew.
    #[error("the store has ended by itself; please report the lines above")]
    StoreEnded,
    /// The system refuses a thread.
    #[error("bus {bus} cannot be started: {cause}")]
    Bus {
        /// Its id.
        bus: String,
        /// What the system says.
        cause: io::Error,
    },
}

impl Listeners {
    /// Binds what the configuration asks for.
    ///
    /// # Errors
    /// [`RunError::Listen`].
    pub async fn bind(config: &Config) -> Result<Self, RunError> {
        let Some(address) = config.panel.listen else { return Ok(Listeners::default()) };
        let bound = TcpListener::bind(address).await;
        let panel = bound.map_err(|cause| RunError::Listen { what: "panel", address, cause })?;
        Ok(Listeners { panel: Some(panel) })
    }
}

/// Runs until `stop`.
///
/// # Errors
/// When something that the gateway needs is missing.
pub async fn run(config: Config, listeners: Listeners, stop: CancellationToken) -> Result<(), RunError> {
    let config = Arc::new(config);
    warn_of_overload(&config);
    files::make_room(&config.buses);
    let boot = BootClock::this_boot();
    let clock: Arc<dyn Clock> = Arc::new(boot.clone());
    let (store, left) = store::start_anyway(settings(&config, &boot), Arc::clone(&clock))?;
    let now = clock.monotonic();
    let passed_ms = has_passed().0 - now.as_millis() as i64;
    let keeper = Timekeeper::new(left.anchor, left.floor_ms.max(Some(passed_ms)), now);
    let time = Arc::new(SiteTime::new(Arc::clone(&clock), keeper));

    let recorded = Arc::new(Recorded::new(config.devices.len()));
    let (every, upload_every) = watch::channel(config.upload.every);
    let (out, from_buses) = mpsc::channel(WAITING_MAX);
    let recorder = Recorder::new(
        store.clone(),
        Arc::clone(&time),
        Arc::clone(&recorded),
        &left.last,
        config.store.flush,
        upload_every,
        is_synchronised,
    );
    let recorder = tokio::spawn(recorder.run(from_buses));

    let buses_stop = CancellationToken::new();
    let (statuses, driven) = start_buses(&config, &clock, &out, &buses_stop)?;
    drop(out);

    let (time_, recorded_) = (Arc::clone(&time), Arc::clone(&recorded));
    let uploader = Uploader::new(Arc::clone(&config), store.clone(), time_, recorded_, &left, every);
    let link = uploader.link();
    let uploader_stop = CancellationToken::new();
    let uploader = tokio::spawn(uploader.run(uploader_stop.clone()));

    let panel_stop = CancellationToken::new();
    let panel = listeners.panel.map(|listener| {
        let known = Arc::new(Known { config: Arc::clone(&config), time, recorded, store: store.clone(), link });
        let panel = Panel {
            buses: statuses,
            figures: Arc::clone(&known) as Arc<dyn Figures>,
            changes: known,
            gate: Gate::new(config.store.dir.clone()),
            health: health(&config, clock.monotonic()),
            clock: Arc::clone(&clock),
            config: Arc::clone(&config),
        };
        tokio::spawn(panel::serve(Arc::new(panel), listener, panel_stop.clone()))
    });

    let (site, devices, panel_on) = (&config.site.key, config.devices.len(), panel.is_some());
    tracing::info!(version = env!("CARGO_PKG_VERSION"), site, devices, panel = panel_on, "running");
    let broken = tokio::select! {
        () = stop.cancelled() => false,
        () = store.ended() => true,
    };
    buses_stop.cancel();
    for bus in driven {
        bus.join().await;
    }
    ended("recorder", recorder.await);
    uploader_stop.cancel();
    panel_stop.cancel();
    ended("uploader", uploader.await);
    if !broken {
        close(&store).await;
    }
    if let Some(panel) = panel {
        let _ = panel.await;
    }
    if broken { Err(RunError::StoreEnded) } else { Ok(()) }
}

async fn close(store: &Store) {
    match tokio::time::timeout(CLOSE_WITHIN, store.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the store was not closed cleanly"),
        Err(_) => tracing::error!("the store was not closed in time; the next start will find gaps"),
    }
}

fn ended(what: &str, task: Result<(), tokio::task::JoinError>) {
    if let Err(error) = task {
        tracing::error!(what, %error, "a task ended by a bug");
    }
}

/// What the store of a site is opened with.
pub(crate) fn settings(config: &Config, boot: &BootClock) -> store::Settings {
    store::Settings {
        dir: config.store.dir.clone(),
        max_bytes: config.store.max_bytes,
        keep_free: config.store.keep_free,
        keys: config.devices.iter().map(|device| device.id.clone()).collect(),
        boot: boot.boot_id(),
    }
}

type Statuses = Vec<Arc<bus::status::Status>>;

fn start_buses(
    config: &Config,
    clock: &Arc<dyn Clock>,
    out: &mpsc::Sender<crate::record::FromBus>,
    stop: &CancellationToken,
) -> Result<(Statuses, Vec<Driven>), RunError> {
    let mut statuses = Vec::new();
    let mut driven = Vec::new();
    for (settings, bus) in config.buses.iter().zip(Bus::all(config, clock, out)) {
        statuses.push(bus.status());
        let started = bus.start(stop.clone());
        driven.push(started.map_err(|cause| RunError::Bus { bus: settings.id.clone(), cause })?);
    }
    Ok((statuses, driven))
}

fn health(config: &Config, now: Duration) -> Health {
    let longest = config.devices.iter().map(bus::period).max();
    Health::new(longest, config.store.flush, now)
}

fn warn_of_overload(config: &Config) {
    for problem in Report::new(Ok(config), "").problems {
        tracing::warn!(key = problem.key, problem.message, problem.remedy, "the configuration asks for too much");
    }
}

//! The whole gateway: opens the store, starts buses, recorder, uploader and panel, and stops them
//! in the order in which a reading passes, so that nothing read is lost by stopping.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use riverwatts_shared::time::Clock;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::bus::{Bus, Driven};
use crate::check::Report;
use crate::config::Config;
use crate::health::Health;
use crate::panel::{self, Panel};

/// Messages that may wait for the recorder: some seconds of a large site.
const WAITING_MAX: usize = 1_024;

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
    let clock: Arc<dyn Clock> = Arc::new(riverwatts_shared::time::SystemClock::default());
    let (out, mut from_buses) = mpsc::channel(WAITING_MAX);
    let recorder = tokio::spawn(async move { while from_buses.recv().await.is_some() {} });

    let buses_stop = CancellationToken::new();
    let (statuses, driven) = start_buses(&config, &clock, &out, &buses_stop)?;
    drop(out);

    let panel_stop = CancellationToken::new();
    let panel = listeners.panel.map(|listener| {
        let panel = Panel {
            config: Arc::clone(&config),
            buses: statuses,
            figures: Arc::new(Nothing),
            health: health(&config, clock.monotonic()),
            clock: Arc::clone(&clock),
        };
        tokio::spawn(panel::serve(Arc::new(panel), listener, panel_stop.clone()))
    });

    stop.cancelled().await;
    buses_stop.cancel();
    for bus in driven {
        bus.join().await;
    }
    let _ = recorder.await;
    panel_stop.cancel();
    if let Some(panel) = panel {
        let _ = panel.await;
    }
    Ok(())
}

#[derive(Debug)]
struct Nothing;
impl panel::Figures for Nothing {
    fn latest(&self, _: u16) -> Option<panel::Latest> {
        None
    }
    fn history(&self, _: u16, _: usize) -> Result<Vec<riverwatts_shared::reading::Reading>, String> {
        Ok(Vec::new())
    }
    fn store(&self) -> panel::StoreState {
        Default::default()
    }
    fn link(&self) -> panel::LinkState {
        Default::default()
    }
    fn now(&self) -> Option<riverwatts_shared::time::UtcMs> {
        None
    }
}

type Statuses = Vec<Arc<crate::bus::status::Status>>;

fn start_buses(
    config: &Config,
    clock: &Arc<dyn Clock>,
    out: &mpsc::Sender<crate::record::FromBus>,
    stop: &CancellationToken,
) -> Result<(Statuses, Vec<Driven>), RunError> {
    let mut statuses = Vec::new();
    let mut driven = Vec::new();
    for (index, settings) in config.buses.iter().enumerate() {
        let bus = Bus::new(config, index, Arc::clone(clock), out.clone());
        statuses.push(bus.status());
        let started = bus.start(stop.clone());
        driven.push(started.map_err(|cause| RunError::Bus { bus: settings.id.clone(), cause })?);
    }
    Ok((statuses, driven))
}

fn health(config: &Config, now: Duration) -> Health {
    let longest = config.devices.iter().map(|device| device.interval).max();
    Health::new(longest, config.store.flush, now)
}

fn warn_of_overload(config: &Config) {
    for problem in Report::new(Ok(config), "").problems {
        tracing::warn!(key = problem.key, problem.message, problem.remedy, "the configuration asks for too much");
    }
}

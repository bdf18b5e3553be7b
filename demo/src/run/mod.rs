//! The one-command demo: virtual devices in this program; gateway and cloud as programs of
//! their own, set up through nothing but their commands and the public API.

mod child;
mod cloud;
mod folder;
mod gateway;
mod programs;
mod relay;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use riverwatts_shared::time::{Clock, SystemClock};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::devices::{Kind, SITE_DEVICES};
use crate::modbus::line::Pace;
use crate::modbus::tcp::Frames;
use crate::narrate::narrate;
use crate::serve::{Bound, Line, OpenError, PlainBy, Plan, of_site};
use crate::site::{Laws, Site};
use crate::story::{Event, Story, Turn};
use child::Child;
use cloud::Cloud;
use folder::Folder;
use programs::Programs;
use relay::Relay;

pub use child::ChildError;
pub use cloud::{CloudError, sign_ins};
pub use folder::FolderError;
pub use programs::ProgramError;

/// Password of every demo sign-in; only the demo makes them.
pub const PASSWORD: &str = "demo-riverwatts";

/// What the caller may choose.
#[derive(Debug, Clone)]
pub struct Options {
    /// Keeps the demo; none: a temporary folder, removed at the end.
    pub data: Option<PathBuf>,
    /// Where `riverwatts-cloud` and `riverwatts-edge` are.
    pub bin_dir: PathBuf,
    /// Port of the cloud; 0 takes a free one.
    pub cloud_port: u16,
    /// Port of the technician's panel; 0 takes a free one.
    pub panel_port: u16,
    /// First port of the virtual devices; 0 takes free ones.
    pub modbus_port: u16,
    /// The river's clock; none: as before in this folder, or 1.
    pub speed: Option<f64>,
    /// None: as before in this folder, or 1.
    pub seed: Option<u64>,
    /// How long to run once everything is ready; none: until stopped.
    pub lifetime: Option<Duration>,
    /// What happens at the site, over and over.
    pub story: Vec<Event>,
}

/// Where everything is, once the first readings went all the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ready {
    /// Address of the cloud.
    pub cloud: String,
    /// Address of the technician's panel.
    pub panel: String,
    /// Address of the site's MQTT broker; there is none yet.
    pub mqtt: Option<String>,
    /// Addresses of the virtual devices.
    pub devices: Vec<String>,
}

/// Why the demo could not go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A program or a port is missing.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A virtual device cannot be served.
    #[error(transparent)]
    Devices(#[from] OpenError),
    /// A program did not start, or ended by itself.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The cloud did not do what the public API promises.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// No address is left for the link that the story cuts.
    #[error("no link between gateway and cloud can be made for the story; leave `link` out of --story")]
    Relay(#[source] io::Error),
}

impl DemoError {
    /// Whether something that the demo needs is missing or taken (exit code 69), rather than broken.
    pub fn is_missing_thing(&self) -> bool {
        matches!(self, DemoError::Folder(_) | DemoError::Program(_) | DemoError::Devices(_) | DemoError::Relay(_))
    }
}

/// The programs of the demo, in the order in which they start.
#[derive(Debug, Default)]
struct Household {
    cloud: Option<Child>,
    gateway: Option<Child>,
}

impl Household {
    /// Ends the gateway first, so that its last batch still finds the cloud.
    async fn end(self) {
        for child in [self.gateway, self.cloud].into_iter().flatten() {
            child.end().await;
        }
    }
}

/// What stays the same while the demo runs.
#[derive(Debug)]
struct Demo {
    folder: Folder,
    programs: Programs,
    cloud_port: u16,
    /// Where the gateway finds the cloud.
    uplink: String,
    ready: Ready,
}

/// Runs the demo until `stop`, or for its lifetime; calls `announce` when all of it works, and
/// `tell` at every turn of the story.
pub async fn run(
    options: &Options,
    stop: CancellationToken,
    announce: impl FnOnce(&Ready),
    mut tell: impl FnMut(&Turn),
) -> Result<(), DemoError> {
    let folder = Folder::open(options.data.as_deref(), options.seed, options.speed)?;
    let programs = Programs::find(&options.bin_dir)?;
    let (seed, age) = (folder.story().seed, folder.age());
    let laws = Laws::new(seed, folder.story().speed);
    let laws = laws.with_story(Story::new(seed, age.as_secs_f64(), &options.story));
    let site = Arc::new(Site::new(laws, Arc::new(SystemClock::default()), age));
    let meter_line =
        Line { path: folder.path().join("meter-1.tty"), pace: Pace::default(), only: Some(Kind::Meter.id()) };
    let plan = Plan { first_port: options.modbus_port, frames: Frames::Tcp, line: Some(meter_line) };
    let bound = Bound::open(&plan, of_site(&site, 0, PlainBy::Unit)).await?;
    let cloud_port = programs::free_port(options.cloud_port, "--cloud-port")?;
    let panel_port = programs::free_port(options.panel_port, "--panel-port")?;
    let ready = Ready {
        cloud: format!("http://127.0.0.1:{cloud_port}"),
        panel: format!("http://127.0.0.1:{panel_port}"),
        mqtt: None,
        devices: bound.places().iter().map(|place| place.address.clone()).collect(),
    };
    let relay = match options.story.contains(&Event::Link) {
        true => Some(Relay::open(cloud_port).await.map_err(DemoError::Relay)?),
        false => None,
    };
    let uplink = relay.as_ref().map_or(&*ready.cloud, Relay::url).to_owned();
    gateway::write_config(&folder, &uplink, panel_port, bound.places())?;

    let devices_stop = CancellationToken::new();
    let devices = tokio::spawn(bound.serve(devices_stop.clone()));
    let demo = Demo { folder, programs, cloud_port, uplink, ready };
    let mut household = Household::default();
    let telling = narrate(&site, |turn| {
        if let Some(relay) = relay.as_ref().filter(|_| turn.event == Event::Link) {
            relay.cut(turn.begins);
        }
        tell(turn);
    });
    let ended = tokio::select! {
        () = telling => Ok(()),
        () = stop.cancelled() => Ok(()),
        lived = demo.live(options.lifetime, &mut household, announce) => lived,
    };
    household.end().await;
    devices_stop.cancel();
    if let Err(error) = devices.await {
        tracing::error!(%error, "virtual devices");
    }
    ended
}

impl Demo {
    /// Starts everything in order, and stays with it; ends with the lifetime or the first program that dies.
    async fn live(
        &self,
        lifetime: Option<Duration>,
        household: &mut Household,
        announce: impl FnOnce(&Ready),
    ) -> Result<(), DemoError> {
        let started = SystemClock::default().wall();
        cloud::create_admin(&self.programs, &self.folder).await?;
        let cloud = household.cloud.insert(cloud::start(&self.programs, &self.folder, self.cloud_port)?);
        let api = cloud.during(Cloud::signed_in(&self.ready.cloud)).await??;
        let site_id = cloud.during(api.prepare_site()).await??;
        if !self.folder.story().enrolled {
            let code = cloud.during(api.enrollment_code(&site_id)).await??;
            gateway::enroll(&self.programs, &self.folder, &self.uplink, &code).await?;
            self.folder.remember_enrolled()?;
        }
        gateway::set_password(&self.programs, &self.folder).await?;
        let gateway = household.gateway.insert(gateway::start(&self.programs, &self.folder)?);
        let first_readings = api.first_readings(&site_id, SITE_DEVICES.len(), started);
        cloud.during(gateway.during(first_readings)).await???;
        cloud.during(api.name_devices(&site_id)).await??;
        announce(&self.ready);
        let lifetime = async {
            match lifetime {
                Some(lifetime) => tokio::time::sleep(lifetime).await,
                None => std::future::pending().await,
            }
        };
        cloud.during(gateway.during(lifetime)).await??;
        Ok(())
    }
}

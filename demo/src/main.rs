//! `riverwatts-demo`: the virtual river site alone, or with gateway and cloud beside it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use riverwatts_demo::devices::Device;
use riverwatts_demo::faults::script;
use riverwatts_demo::modbus::line::Pace;
use riverwatts_demo::modbus::log::Log;
use riverwatts_demo::modbus::station::Named;
use riverwatts_demo::modbus::tcp::Frames;
use riverwatts_demo::narrate::narrate;
use riverwatts_demo::profiled::{Names, ProfileError, Profiled, Script, ValuesError, load, names};
use riverwatts_demo::run::{DemoError, Options, PASSWORD, Ready, sign_ins};
use riverwatts_demo::serve::{Bound, Line, OpenError, PLAIN_MAX, PlainBy, Plan, of_site};
use riverwatts_demo::site::{Laws, Site};
use riverwatts_demo::story::{Event, Story, Turn};
use riverwatts_shared::problem::Problem;
use riverwatts_shared::profile;
use riverwatts_shared::time::{Clock, SystemClock, parse_duration};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit codes of every RiverWatts program.
const WRONG_ARGUMENTS: u8 = 64;
const NEEDED_THING_MISSING: u8 = 69;
const A_BUG: u8 = 70;
const WRONG_CONFIGURATION: u8 = 78;

/// A virtual river site: Modbus devices on a real river's record.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve virtual devices alone and print their addresses.
    Devices(DevicesArgs),
    /// Run virtual devices, a gateway and the cloud, and print addresses and sign-ins.
    Run(RunArgs),
}

#[derive(Debug, Args)]
struct DevicesArgs {
    #[command(flatten)]
    river: RiverArgs,
    /// First TCP port of the virtual devices; 0 takes free ones.
    #[arg(long, default_value_t = 5020)]
    modbus_port: u16,
    /// RTU frames in the sockets, as a device server passes them on (kind = "rtu-tcp" in edge.toml).
    #[arg(long, conflicts_with = "line")]
    rtu_tcp: bool,
    /// All devices on one serial line, a pseudo-terminal under this name, instead of on TCP.
    #[arg(long, value_name = "PATH", conflicts_with = "by")]
    line: Option<PathBuf>,
    /// Speed of the line, bit/s: each byte takes its time; without, they take none.
    #[arg(long, value_name = "N", requires = "line", value_parser = clap::value_parser!(u32).range(300..=4_000_000))]
    baud: Option<u32>,
    /// Parity on the line: a byte has 10 bits without, 11 with one.
    #[arg(long, value_enum, default_value = "none", requires = "baud")]
    parity: Parity,
    /// How long devices on the line think, like 5ms; without, as long as a frame needs to be over.
    #[arg(long, value_name = "DURATION", requires = "line", value_parser = parse_duration, default_value = "0s", hide_default_value = true)]
    answer_after: Duration,
    /// Serve this many plain devices of ten registers, too.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=i64::from(PLAIN_MAX)))]
    count: u32,
    /// How plain devices are told apart.
    #[arg(long, value_enum, default_value = "unit")]
    by: PlainBy,
    /// Let answers go wrong as a script says, the same for the same seed; docs/virtual-site.md has its words.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Write every request and what was said to a file, a JSON object a line.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Let things happen at the site, over and over: all, or some of debris,dead-sensor,ice.
    #[arg(
        long,
        value_name = "EVENTS",
        num_args = 0..=1,
        value_delimiter = ',',
        value_parser = event_at_the_site,
        default_missing_value = "debris,dead-sensor,ice"
    )]
    story: Vec<Event>,
    /// Serve a device of this profile, a name or a file, instead of the site; repeat for more, each at the next port.
    #[arg(long, value_name = "NAME|FILE", conflicts_with_all = ["count", "by", "story"])]
    profile: Vec<String>,
    /// What the devices of profiles show, by metric or alarm, like power_output_kw=12.5; others rest.
    #[arg(long, value_name = "NAME=NUMBER", requires = "profile")]
    value: Vec<String>,
    /// Play a table: seconds or RFC 3339 times, then named columns; again and again, at --speed.
    #[arg(long, value_name = "FILE", requires = "profile")]
    csv: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Keep the demo here and continue it next time; without, a temporary folder is used.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// End by itself this long after everything is ready, such as 60s.
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    lifetime: Option<Duration>,
    /// Port of the cloud; 0 takes a free one.
    #[arg(long, default_value_t = 8000)]
    cloud_port: u16,
    /// Port of the technician's panel; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    panel_port: u16,
    /// First port of the virtual devices; 0 takes free ones.
    #[arg(long, default_value_t = 5020)]
    modbus_port: u16,
    /// Port of the site's MQTT broker: accepted, but the gateway has no broker yet.
    #[arg(long, default_value_t = 1883)]
    mqtt_port: u16,
    /// Folder of riverwatts-cloud and riverwatts-edge; without, that of this program.
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Seconds of the river's record that pass in one second; without, as before in this folder, or 1.
    #[arg(long, value_parser = river_speed)]
    speed: Option<f64>,
    /// Same seed, same turbulence; without, as before in this folder, or 1.
    #[arg(long)]
    seed: Option<u64>,
    /// Let things happen at the site, over and over: all, or some of debris,dead-sensor,ice,link.
    #[arg(
        long,
        value_name = "EVENTS",
        num_args = 0..=1,
        value_delimiter = ',',
        value_enum,
        hide_possible_values = true,
        default_missing_value = "debris,dead-sensor,ice,link"
    )]
    story: Vec<Event>,
}

#[derive(Debug, Args)]
struct RiverArgs {
    /// Seconds of the river's record, or of the table, that pass in one second.
    #[arg(long, default_value_t = 1.0, value_parser = river_speed)]
    speed: f64,
    /// Same seed, same turbulence, and the same faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Parity {
    None,
    Even,
    Odd,
}

impl From<Parity> for profile::Parity {
    fn from(parity: Parity) -> profile::Parity {
        match parity {
            Parity::None => profile::Parity::None,
            Parity::Even => profile::Parity::Even,
            Parity::Odd => profile::Parity::Odd,
        }
    }
}

fn river_speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (0.0..=1e6).contains(&speed) => Ok(speed),
        _ => Err("a number from 0 to 1000000".to_owned()),
    }
}

/// Without `run` there is no link that could be cut.
fn event_at_the_site(text: &str) -> Result<Event, String> {
    match Event::from_str(text, false) {
        Ok(Event::Link) => Err("only `run` has a link to cut".to_owned()),
        Ok(event) => Ok(event),
        Err(_) => Err("one of debris, dead-sensor, ice".to_owned()),
    }
}

/// One thread is enough for thousands of idle sockets, and children started by it end with it.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print(); // nowhere left to complain to
            return ExitCode::from(if error.use_stderr() { WRONG_ARGUMENTS } else { 0 });
        }
    };
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let ended = match cli.command {
        Command::Devices(args) => devices(args).await,
        Command::Run(args) => run(args).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("riverwatts-demo: {error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<Faulty>() {
        return WRONG_CONFIGURATION;
    }
    if let Some(OpenError::NoPortLeft { .. } | OpenError::UnitTaken { .. } | OpenError::Crowded) = error.downcast_ref()
    {
        return WRONG_ARGUMENTS;
    }
    match (error.downcast_ref::<DemoError>(), error.downcast_ref::<ProfileError>()) {
        (Some(error), _) if !error.is_missing_thing() => A_BUG,
        (_, Some(ProfileError::Faulty { .. } | ProfileError::NoRoom { .. })) => WRONG_CONFIGURATION,
        (_, Some(ProfileError::Values(ValuesError::Table { .. }))) => WRONG_CONFIGURATION,
        (_, Some(ProfileError::Unreadable { .. } | ProfileError::Values(ValuesError::Unreadable { .. }))) => {
            NEEDED_THING_MISSING
        }
        (_, Some(_)) => WRONG_ARGUMENTS,
        _ => NEEDED_THING_MISSING,
    }
}

async fn run(args: RunArgs) -> anyhow::Result<()> {
    let stop = stopped_by_signals()?;
    // Nothing of the demo speaks TLS, but its HTTP client wants to know how.
    let _ = rustls::crypto::ring::default_provider().install_default(); // an earlier one serves as well
    let own_folder = || Ok(std::env::current_exe()?.parent().unwrap_or(Path::new("/")).to_owned());
    let options = Options {
        data: args.data,
        bin_dir: args.bin_dir.map_or_else(own_folder, anyhow::Ok)?,
        cloud_port: args.cloud_port,
        panel_port: args.panel_port,
        modbus_port: args.modbus_port,
        speed: args.speed,
        seed: args.seed,
        lifetime: args.lifetime,
        story: args.story,
    };
    riverwatts_demo::run::run(&options, stop, announce, tell).await?;
    Ok(())
}

/// Addresses and sign-ins for people, then the one line for programs.
fn announce(ready: &Ready) {
    let devices: String = ready.devices.iter().map(|device| format!("    {device}\n")).collect();
    let sign_ins: String = sign_ins().map(|email| format!("    {email}\n")).collect();
    let text = format!(
        "\n  Cloud    {}\n  Panel    {}\n  Devices\n{devices}  Sign-ins, password {PASSWORD}, of the panel too\n{sign_ins}\nready {}",
        ready.cloud,
        ready.panel,
        serde_json::to_string(ready).expect("addresses become JSON")
    );
    if let Err(error) = print_line(&text) {
        tracing::warn!(%error, "nobody reads the addresses");
    }
}

/// A turn of the story, for people.
fn tell(turn: &Turn) {
    let text = if turn.begins { turn.event.begins() } else { turn.event.ends() };
    if let Err(error) = print_line(&format!("story {} {text}", SystemClock::default().wall())) {
        tracing::warn!(%error, "nobody reads the story");
    }
}

async fn devices(args: DevicesArgs) -> anyhow::Result<()> {
    let stop = stopped_by_signals()?;
    let plan = plan(&args);
    if !args.profile.is_empty() {
        let bound = Bound::open(&plan, profiled(&args)?).await?;
        return serve(bound, &args, stop).await;
    }
    let laws = Laws::new(args.river.seed, args.river.speed);
    let laws = laws.with_story(Story::new(args.river.seed, 0.0, &args.story));
    let site = Arc::new(Site::new(laws, Arc::new(SystemClock::default()), Duration::ZERO));
    let bound = Bound::open(&plan, of_site(&site, args.count, args.by)).await?;
    tokio::select! {
        served = serve(bound, &args, stop) => served,
        () = narrate(&site, tell) => Ok(()),
    }
}

fn plan(args: &DevicesArgs) -> Plan {
    let pace = match args.baud {
        Some(baud) => Pace::timed(baud, args.parity.into(), args.answer_after),
        None => Pace::untimed(args.answer_after),
    };
    let line = args.line.clone().map(|path| Line { path, pace, only: None });
    let frames = if args.rtu_tcp { Frames::Rtu } else { Frames::Tcp };
    Plan { first_port: args.modbus_port, frames, line }
}

/// The devices of the profiles that were named, each for an address of its own; a profile named
/// again gets a number behind its name.
fn profiled(args: &DevicesArgs) -> Result<Vec<Vec<Named>>, ProfileError> {
    let profiles = args.profile.iter().map(|name| load(name)).collect::<Result<Vec<_>, _>>()?;
    let mut known = Names::default();
    for profile in &profiles {
        known.add(&names(profile)?);
    }
    let script = Script::read(&args.value, args.csv.as_deref(), &known)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let mut devices = Vec::with_capacity(profiles.len());
    for (index, profile) in profiles.iter().enumerate() {
        let before = profiles[..index].iter().filter(|other| other.name == profile.name).count();
        let id = if before == 0 { profile.name.clone() } else { format!("{}-{}", profile.name, before + 1) };
        let number = u16::try_from(index + 1).unwrap_or(u16::MAX); // addresses end before
        let profiled = Profiled::new(profile, number, &script, args.river.speed, clock.clone())?;
        devices.push(vec![(id, Device::of_profile(Arc::new(profiled)))]);
    }
    Ok(devices)
}

async fn serve(mut bound: Bound, args: &DevicesArgs, stop: CancellationToken) -> anyhow::Result<()> {
    if let Some(file) = &args.log {
        bound.set_log(&Log::create(file).with_context(|| format!("{} cannot be written", file.display()))?);
    }
    if let Some(file) = &args.faults {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).with_context(|| format!("{name} cannot be read"))?;
        bound.set_faults(&script::read(&name, &text, &bound.served()).map_err(Faulty)?, args.river.seed);
    }
    print_line(&format!("ready {}", serde_json::json!({ "devices": bound.places() })))?;
    bound.serve(stop).await;
    Ok(())
}

/// A script of faults has mistakes.
#[derive(Debug)]
struct Faulty(Vec<Problem>);

impl std::error::Error for Faulty {}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the script of faults has mistakes:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n{problem}"))
    }
}

/// Cancelled at the first SIGINT or SIGTERM.
fn stopped_by_signals() -> std::io::Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stopping.cancel();
    });
    Ok(stop)
}

/// A line for whoever started us, who may read it through a pipe and wants it now.
fn print_line(line: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

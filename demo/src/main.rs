//! `riverwatts-demo`: the virtual river site alone, or with gateway and cloud beside it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use riverwatts_demo::serve::{Bound, PLAIN_MAX, PlainBy, Plan};
use riverwatts_demo::site::{Laws, Site};
use riverwatts_shared::time::SystemClock;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit codes of every RiverWatts program.
const WRONG_ARGUMENTS: u8 = 64;
const NEEDED_THING_MISSING: u8 = 69;

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
}

#[derive(Debug, Args)]
struct DevicesArgs {
    #[command(flatten)]
    river: RiverArgs,
    /// First TCP port of the virtual devices; 0 takes free ones.
    #[arg(long, default_value_t = 5020)]
    modbus_port: u16,
    /// Put meter-1 on a pseudo-terminal under this name, instead of on TCP.
    #[arg(long, value_name = "PATH")]
    meter_line: Option<PathBuf>,
    /// Serve this many plain devices of ten registers, too.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=i64::from(PLAIN_MAX)))]
    count: u32,
    /// How plain devices are told apart.
    #[arg(long, value_enum, default_value = "unit")]
    by: PlainBy,
}

#[derive(Debug, Args)]
struct RiverArgs {
    /// Seconds of the river's record that pass in one second.
    #[arg(long, default_value_t = 1.0, value_parser = river_speed)]
    speed: f64,
    /// Same seed, same turbulence.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn river_speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (0.0..=1e6).contains(&speed) => Ok(speed),
        _ => Err("a number from 0 to 1000000".to_owned()),
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
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("riverwatts-demo: {error:#}");
            ExitCode::from(NEEDED_THING_MISSING)
        }
    }
}

async fn devices(args: DevicesArgs) -> anyhow::Result<()> {
    let stop = stopped_by_signals()?;
    let laws = Laws::new(args.river.seed, args.river.speed);
    let site = Arc::new(Site::new(laws, Arc::new(SystemClock::default()), Duration::ZERO));
    let plan = Plan { first_port: args.modbus_port, meter_line: args.meter_line, plain: args.count, plain_by: args.by };
    let bound = Bound::open(&plan, &site).await?;
    print_line(&format!("ready {}", serde_json::json!({ "devices": bound.places() })))?;
    bound.serve(stop).await;
    Ok(())
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

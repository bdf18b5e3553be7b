//! The command line of the gateway: one document on stdout, logs on stderr, exit codes as
//! `sysexits.h` has them.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use riverwatts_edge::check::Report;
use riverwatts_edge::clock::has_passed;
use riverwatts_edge::config::{self, Config, EXAMPLE, Overrides};
use riverwatts_edge::enroll::{self, Credential};
use riverwatts_edge::legacy::Kept;
use riverwatts_edge::passwd::{self, PasswdError};
use riverwatts_edge::probe::{self, End, ProbeError};
use riverwatts_edge::run::{Listeners, RunError};
use riverwatts_edge::upload::tls;
use riverwatts_edge::write::{self, Asked, Outcome, Proposal, Proposed};
use riverwatts_edge::{export, log, samples, status, terminal};
use riverwatts_shared::problem::Problem;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Wrong arguments.
const USAGE: u8 = 64;
/// A needed thing is missing: a running gateway, a cloud, a port.
const UNAVAILABLE: u8 = 69;
/// A bug.
const SOFTWARE: u8 = 70;
/// A device did not show what was written.
const PROTOCOL: u8 = 76;
/// Something forbids it.
const NO_PERMISSION: u8 = 77;
/// Wrong configuration.
const CONFIG: u8 = 78;

/// Threads for what blocks: SQLite for the panel, names to addresses.
const BLOCKING_THREADS_MAX: usize = 4;
/// Stack of each of them, in bytes.
const STACK_BYTES: usize = 512 << 10;
/// How long an idle one stays.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// RiverWatts gateway: polls the devices of a river site, keeps their readings, sends them to the cloud.
#[derive(Debug, Parser)]
#[command(name = "riverwatts-edge", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Poll, keep and send until SIGINT or SIGTERM.
    Run {
        #[command(flatten)]
        source: Source,
    },
    /// Report every mistake of a configuration, and what its buses will be busy with.
    Check {
        #[command(flatten)]
        source: Source,
        /// As one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Ask the running gateway how it is.
    Status {
        #[command(flatten)]
        source: Source,
        /// As one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Write one value to a device, while no gateway runs: profile, configuration and interlocks must allow it.
    Write {
        #[command(flatten)]
        source: Source,
        /// The device's id.
        device: String,
        /// What to write: one of the names in `writes` of the device.
        name: String,
        /// The value.
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// Really write; without it, only say what would be written.
        #[arg(long)]
        yes: bool,
        /// As one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Trade an enrollment code of the cloud for this gateway's credential.
    Enroll {
        #[command(flatten)]
        source: Source,
        /// Base address of the cloud, like https://cloud.example
        #[arg(long, value_name = "URL", value_parser = cloud_address)]
        cloud: String,
        /// The code that an admin got when the gateway was made.
        #[arg(long)]
        code: String,
    },
    /// Set the password that changing something through the panel needs.
    Passwd {
        #[command(flatten)]
        source: Source,
        /// Take it from a line of standard input, not from the terminal.
        #[arg(long)]
        stdin: bool,
        /// Remove it: then nobody changes anything through the panel.
        #[arg(long, conflicts_with = "stdin")]
        remove: bool,
    },
    /// Find out what hangs on a bus: units, SunSpec models, profiles, registers, devices. Only reads.
    Probe(Box<probe::command::Arguments>),
    /// Write what the cloud does not have yet into a file, for a site without a link.
    Export {
        #[command(flatten)]
        source: Source,
        /// The file, or a folder for a new one, like that of a USB stick.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// Also what the cloud has confirmed and the gateway still keeps.
        #[arg(long)]
        all: bool,
    },
    /// Print a commented configuration with every default.
    DefaultConfig,
}

/// Where the settings come from.
#[derive(Debug, Args)]
struct Source {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "/etc/riverwatts/edge.toml")]
    config: PathBuf,
    /// A setting that wins over file and environment, like panel.listen=0.0.0.0:8080
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it like panel.listen=0.0.0.0:8080")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

fn cloud_address(text: &str) -> Result<String, String> {
    config::cloud_url(text).ok_or_else(|| "write it like https://cloud.example".to_owned())
}

/// Why the program ends with another code than 0.
enum Failure {
    Usage(String),
    Config(Vec<Problem>),
    Unavailable(String),
    Bug(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Bug(error)
    }
}

fn unavailable(error: impl Display) -> Failure {
    Failure::Unavailable(error.to_string())
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Without stdout or stderr there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(if asked_for { 0 } else { USAGE });
        }
    };
    let variable = |name: &str| std::env::var(name).ok();
    if let Err(error) = log::begin(variable("LOG_FORMAT").as_deref(), variable("LOG_LEVEL").as_deref()) {
        return end(USAGE, error);
    }
    keep_memory_together();
    // Fails only when a provider is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match std::panic::catch_unwind(|| execute(cli.command)) {
        Ok(Ok(code)) => code,
        Ok(Err(Failure::Config(problems))) => {
            problems.iter().for_each(say);
            end(CONFIG, format_args!("{} to mend; nothing was started", count(problems.len(), "mistake")))
        }
        Ok(Err(Failure::Usage(words))) => end(USAGE, words),
        Ok(Err(Failure::Unavailable(words))) => end(UNAVAILABLE, words),
        Ok(Err(Failure::Bug(error))) => end(SOFTWARE, format_args!("{error:#}")),
        Err(_) => end(SOFTWARE, "a bug ended the program; please report the lines above"),
    }
}

fn execute(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::DefaultConfig => print(&EXAMPLE.trim_end()),
        Command::Check { source, json } => check(&source, json),
        Command::Status { source, json } => {
            let config = source.load()?;
            let status = runtime()?.block_on(status::ask(&config)).map_err(unavailable)?;
            if json { print(&status) } else { print(&status::told(&status)) }
        }
        Command::Write { source, device, name, value, yes, json } => {
            let (config, asked) = (source.load()?, Asked { device, name, value });
            if yes { carry_out(&config, &asked, json) } else { propose(&config, &asked, json) }
        }
        Command::Export { source, to, all } => {
            let now = jiff::Timestamp::now().into();
            let exported = export::export(&source.load()?, &to, all, now).map_err(unavailable)?;
            print(&serde_json::to_string(&exported).context("an export is always JSON")?)
        }
        Command::Enroll { source, cloud, code } => enroll(&source, &cloud, &code),
        Command::Passwd { source, stdin, remove } => set_password(&source.load()?.store.dir, stdin, remove),
        Command::Probe(arguments) => probe(&arguments),
        Command::Run { source } => run(source.load()?),
    }
}

/// The environment and `--set`.
fn overrides(arguments: &[(String, String)]) -> Overrides {
    // Variables that are no text are none of ours.
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Overrides::new(variables, arguments.to_vec())
}

impl Source {
    fn overrides(&self) -> Overrides {
        overrides(&self.set)
    }

    fn load(&self) -> Result<Config, Failure> {
        config::load(&self.config, &self.overrides()).map_err(Failure::Config)
    }
}

fn check(source: &Source, json: bool) -> Result<ExitCode, Failure> {
    let config = config::load(&source.config, &source.overrides());
    let mut report = Report::new(config.as_ref().map_err(Vec::as_slice), &source.config.display().to_string());
    report.problems.extend(config.iter().flat_map(samples::beside_profiles));
    if json {
        print(&serde_json::to_string_pretty(&report).context("a report is always JSON")?)?;
    } else {
        print(&report)?;
    }
    Ok(ExitCode::from(if report.problems.is_empty() { 0 } else { CONFIG }))
}

/// Says what would be written.
fn propose(config: &Config, asked: &Asked, json: bool) -> Result<ExitCode, Failure> {
    match Proposal::new(config, &asked.device, &asked.name, &asked.value) {
        Ok(proposal) => {
            let proposed = Proposed::of(&proposal);
            if json { print(&proposed.json()) } else { print(&proposed) }
        }
        Err(refusal) => Ok(end(NO_PERMISSION, refusal)),
    }
}

fn carry_out(config: &Config, asked: &Asked, json: bool) -> Result<ExitCode, Failure> {
    let answer = runtime()?.block_on(write::write(config, asked)).map_err(unavailable)?;
    if json {
        print(&answer.json())?
    } else {
        print(&answer)?
    };
    Ok(ExitCode::from(match answer.outcome {
        Outcome::Done => 0,
        Outcome::Refused(_) => NO_PERMISSION,
        Outcome::NotConfirmed(_) => PROTOCOL,
        Outcome::Failed(_) => UNAVAILABLE,
    }))
}

/// Trades the code. Where the gateway was one before, it goes on: with the `edge.toml` that the cloud has,
/// if there is none here.
fn enroll(source: &Source, cloud: &str, code: &str) -> Result<ExitCode, Failure> {
    let (path, overrides) = (&source.config, source.overrides());
    let folder = path.parent().unwrap_or(Path::new(""));
    let config = match path.exists() {
        true => source.load()?,
        false => config::parse("", "--set", folder, &overrides).map_err(Failure::Config)?,
    };
    let now = || has_passed().max(jiff::Timestamp::now().into());
    let http = tls::client(cloud, config.cloud.ca.as_deref(), now).map_err(unavailable)?;
    let (credential, legacy) = runtime()?.block_on(enroll::trade(&http, cloud, code)).map_err(unavailable)?;
    let dir = match &legacy.configuration {
        Some(kept) if !path.exists() => config::store_dir(&kept.text, folder, &overrides),
        _ => config.store.dir,
    };
    let before = Credential::load(&dir).unwrap_or_default();
    credential.save(&dir).map_err(unavailable)?;
    if let Some(before) = before.filter(|before| before.gateway_id != credential.gateway_id) {
        say(format_args!("the credential of gateway {} was replaced", before.gateway_id));
    }
    legacy.save_devices(&dir).map_err(unavailable)?;
    let kept = legacy.keep_configuration(path).or_else(|error| {
        say(format_args!("{} cannot be written: {error}", path.display()));
        legacy.keep_configuration(&dir.join("edge.toml"))
    });
    let kept = kept.map_err(unavailable)?;
    if legacy.configuration.is_some() {
        say(&kept);
    }
    if let Kept::Written(path, _) = &kept {
        let problems = config::load(path, &overrides).err().unwrap_or_default();
        problems.iter().for_each(say);
        if !problems.is_empty() {
            say(format_args!("{} to mend before it runs", count(problems.len(), "mistake")));
        }
    }
    print(&json!({"gateway_id": credential.gateway_id, "cloud": credential.url, "devices": legacy.devices.len()}))
}

fn set_password(dir: &Path, stdin: bool, remove: bool) -> Result<ExitCode, Failure> {
    if remove {
        let was_there = passwd::remove(dir).map_err(unavailable)?;
        say(if was_there { "the password is removed: the panel changes nothing" } else { "there was no password" });
        return Ok(ExitCode::SUCCESS);
    }
    let password = terminal::new_password(stdin).map_err(|error| Failure::Usage(format!("no password: {error}")))?;
    passwd::set(dir, &password).map_err(|error| match error {
        PasswdError::Length { .. } => Failure::Usage(error.to_string()),
        _ => unavailable(error),
    })?;
    say("the password is set, also for a gateway that runs; whoever was signed in has to sign in again");
    Ok(ExitCode::SUCCESS)
}

fn probe(arguments: &probe::command::Arguments) -> Result<ExitCode, Failure> {
    let document = runtime()?.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(cancel_on_signal(stop.clone()).context("the system gives no signals")?);
        probe::command::execute(arguments, &overrides(&[]), stop).await.map_err(|error| match error {
            ProbeError::Usage(words) => Failure::Usage(words),
            ProbeError::Config(problems) => Failure::Config(problems),
            ProbeError::Unavailable(words) => Failure::Unavailable(words),
        })
    })?;
    if arguments.json {
        print(&serde_json::to_string_pretty(&document).context("a document is always JSON")?)?;
    } else {
        print(&document)?;
    }
    match document.has_answers() || document.ended == End::Stopped {
        true => Ok(ExitCode::SUCCESS),
        false => Err(unavailable("nothing answered that was asked for")),
    }
}

fn runtime() -> Result<Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_stack_size(STACK_BYTES)
        .thread_keep_alive(KEEP_ALIVE)
        .build();
    Ok(runtime.context("the system gives no event queue")?)
}

/// One document on stdout.
fn print(document: &dyn Display) -> Result<ExitCode, Failure> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{document}").and_then(|()| stdout.flush()) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // A reader that has seen enough, like `head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(unavailable(format_args!("stdout cannot be written: {error}"))),
    }
}

fn say(words: impl Display) {
    // Without stderr there is nobody to tell.
    let _ = writeln!(io::stderr(), "{words}");
}

fn end(code: u8, words: impl Display) -> ExitCode {
    say(format_args!("riverwatts-edge: {words}"));
    ExitCode::from(code)
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn run(config: Config) -> Result<ExitCode, Failure> {
    runtime()?.block_on(async {
        let listeners = Listeners::bind(&config).await.map_err(unavailable)?;
        let stop = CancellationToken::new();
        tokio::spawn(cancel_on_signal(stop.clone()).context("the system gives no signals")?);
        match riverwatts_edge::run::run(config, listeners, stop).await {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error @ RunError::StoreEnded) => Err(Failure::Bug(error.into())),
            Err(error) => Err(unavailable(error)),
        }
    })
}

/// Cancels `stop` at the first SIGINT or SIGTERM; a second one ends the program at once.
fn cancel_on_signal(stop: CancellationToken) -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        for again in [false, true] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if again {
                std::process::exit(0);
            }
            tracing::info!("stopping");
            stop.cancel();
        }
    })
}

/// glibc gives each thread an arena of its own, megabytes that a gateway with its few small threads
/// does not need, and keeps what was freed; one arena that gives back early is enough.
#[expect(unsafe_code, reason = "the allocator's settings have no safe wrapper")]
fn keep_memory_together() {
    #[cfg(target_env = "gnu")]
    // SAFETY: plain integers, before any other thread is started.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 << 10);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 64 << 10);
    }
}

//! `riverwatts-cloud`: the command line of the cloud service.
//!
//! Exit codes: 0 done, 64 wrong arguments, 69 a needed thing is missing, 70 a bug, 78 wrong settings.

use std::fs::File;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use riverwatts_cloud::auth::password::{self, Passwords};
use riverwatts_cloud::config::{Arguments, Config, ConfigError, LogConfig};
use riverwatts_cloud::db::DbError;
use riverwatts_cloud::db::column::Object;
use riverwatts_cloud::http::check::Check;
use riverwatts_cloud::http::frame::REQUEST;
use riverwatts_cloud::http::health;
use riverwatts_cloud::serve::{ServeError, open, open_db, serve};
use riverwatts_cloud::store::gateways;
use riverwatts_cloud::store::users::{self, NewUser};
use riverwatts_shared::carry::Reader;
use riverwatts_shared::time::{Clock as _, SystemClock};
use riverwatts_shared::words::UserRole;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Longest password that is read from standard input, in bytes, its line end included.
const PASSWORD_BYTES_MAX: u64 = 1_024;
/// How much of a carried file is read at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// The cloud service of RiverWatts.
#[derive(Parser)]
#[command(version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the service until SIGINT or SIGTERM.
    Serve {
        #[command(flatten)]
        place: Place,
        /// Address to listen at [env: HOST; default: 127.0.0.1]
        #[arg(long)]
        host: Option<std::net::IpAddr>,
        /// Port to listen at; 0 takes a free one [env: PORT; default: 8000]
        #[arg(long)]
        port: Option<u16>,
    },
    /// Brings the database to this version's tables.
    Migrate {
        #[command(flatten)]
        place: Place,
    },
    /// Takes a file that was carried out of a site, while the service does not run.
    Import {
        #[command(flatten)]
        place: Place,
        /// The file that `riverwatts-edge export` wrote.
        file: PathBuf,
        /// The gateway that it is of, where the file does not say.
        #[arg(long)]
        gateway: Option<Uuid>,
    },
    /// Makes an administrator; the password comes from standard input.
    CreateAdmin {
        #[command(flatten)]
        place: Place,
        /// The e-mail address to sign in with.
        #[arg(long)]
        email: String,
        /// Says that the password is read from standard input, the only way to give it.
        #[arg(long, required = true)]
        password_stdin: bool,
    },
}

#[derive(Args)]
struct Place {
    /// Folder of all files [env: RIVERWATTS_DATA; default: data]
    #[arg(long)]
    data: Option<PathBuf>,
}

/// An end of the program that is not a success.
struct Failure {
    code: u8,
    error: anyhow::Error,
}

impl Failure {
    fn new(code: u8, error: impl Into<anyhow::Error>) -> Failure {
        Failure { code, error: error.into() }
    }

    fn usage(message: String) -> Failure {
        Failure::new(64, anyhow::Error::msg(message))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure::new(78, error)
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        Failure::new(69, error)
    }
}

fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // Help and version come as errors too.
            let code = if error.use_stderr() { 64 } else { 0 };
            let _ = error.print(); // nobody is left to tell
            return ExitCode::from(code);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return end(&Failure::new(69, error)),
    };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(run(line.command))));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match result {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => end(&failure),
        Err(_) => ExitCode::from(70), // the panic hook has told
    }
}

fn end(failure: &Failure) -> ExitCode {
    eprintln!("riverwatts-cloud: {:#}", failure.error);
    ExitCode::from(failure.code)
}

async fn run(command: Command) -> Result<(), Failure> {
    let env = |name: &str| std::env::var(name).ok();
    start_logging(LogConfig::read(&env)?);
    match command {
        Command::Serve { place, host, port } => {
            let config = Config::read(&Arguments { data: place.data, host, port }, &env)?;
            run_service(&config).await
        }
        Command::Migrate { place } => {
            let config = Config::read(&Arguments { data: place.data, ..Arguments::default() }, &env)?;
            open_db(&config).await?.close().await;
            Ok(())
        }
        Command::Import { place, file, gateway } => {
            let config = Config::read(&Arguments { data: place.data, ..Arguments::default() }, &env)?;
            import(&config, &file, gateway).await
        }
        Command::CreateAdmin { place, email, password_stdin: _ } => {
            let config = Config::read(&Arguments { data: place.data, ..Arguments::default() }, &env)?;
            create_admin(&config, email).await
        }
    }
}

async fn run_service(config: &Config) -> Result<(), Failure> {
    std::sync::LazyLock::force(&health::NUMBERS);
    let stop = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| Failure::new(69, error))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| Failure::new(69, error))?;
    tokio::spawn({
        let stop = stop.clone();
        async move {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            stop.cancel();
        }
    });
    // First the port: a second instance must not touch the data.
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.with_context(|| config.listen.to_string()).map_err(|error| Failure::new(69, error))?;
    let address = listener.local_addr().map_err(|error| Failure::new(69, error))?;
    let app = open(config).await?;
    tracing::info!(url = format_args!("http://{address}"), "serving");
    serve(app, listener, stop).await?;
    tracing::info!("stopped");
    Ok(())
}

/// Takes the file and prints what became of it, also of a file that cannot be read to its end.
async fn import(config: &Config, path: &Path, gateway: Option<Uuid>) -> Result<(), Failure> {
    let no_file =
        |error: std::io::Error| Failure::new(69, anyhow::Error::new(error).context(path.display().to_string()));
    let mut file = File::open(path).map_err(no_file)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut length = file.read(&mut piece).map_err(no_file)?;
    let of_file = match Reader::of(&piece[..length]) {
        Ok(gateway) => gateway,
        Err(error) => {
            let words = "is no file that `riverwatts-edge export` wrote";
            return Err(Failure::new(69, anyhow::anyhow!("{} {words}: {error}", path.display())));
        }
    };
    let Some(id) = gateway.or(of_file) else {
        return Err(Failure::usage(
            "the file is of a gateway that was not enrolled; name its gateway by --gateway".to_owned(),
        ));
    };
    let app = match open(config).await {
        Err(error @ ServeError::Locked(_)) => {
            let way = "while the service runs, send it the file: POST /api/v1/gateways/{id}/import";
            return Err(Failure::new(69, anyhow::Error::new(error).context(way)));
        }
        opened => opened?,
    };
    let found = gateways::by_id(&app.db, id).await.map_err(ServeError::from)?;
    let gateway = found.ok_or_else(|| Failure::new(69, anyhow::anyhow!("there is no gateway {id} here")))?;
    let mut import = app.ingest.import(&gateway);
    let mut taken = Ok(());
    while taken.is_ok() && length > 0 {
        taken = import.feed(&piece[..length], app.clock.wall()).await;
        length = file.read(&mut piece).map_err(no_file)?;
    }
    let so_far = import.so_far().clone();
    let ended = taken.and_then(|()| import.finish().map(|_| ()));
    let counts = serde_json::to_string(&so_far).context("counts are JSON").map_err(|error| Failure::new(70, error))?;
    writeln!(std::io::stdout(), "{counts}").map_err(|error| Failure::new(69, error))?;
    app.readings.close().await;
    app.db.close().await;
    ended.map_err(|error| Failure::new(69, error))
}

async fn create_admin(config: &Config, email: String) -> Result<(), Failure> {
    let mut password = String::new();
    let read = std::io::stdin().take(PASSWORD_BYTES_MAX).read_to_string(&mut password);
    read.context("password from standard input").map_err(|error| Failure::new(64, error))?;
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    let mut check = Check::default();
    check.email(Some(&email));
    check.password("password", Some(&password));
    if let Some(mistake) = check.mistakes().first() {
        return Err(Failure::usage(format!("{} {}", mistake.field, mistake.message)));
    }
    let db = open_db(config).await?;
    let new = NewUser {
        email: email.to_lowercase(),
        password_hash: Passwords::default().hash(password).await,
        first_name: "Admin".to_owned(),
        last_name: "RiverWatts".to_owned(),
        role: UserRole::Admin,
        is_active: true,
        email_verified: true,
        created_by: None,
        metadata: Object::default(),
    };
    let created = users::create(&db, &new, SystemClock::default().wall()).await;
    db.close().await;
    match created {
        Ok(_) => Ok(()),
        Err(DbError::Taken { .. }) => Err(Failure::usage(format!("{email} has an account already"))),
        Err(error) => Err(ServeError::from(error).into()),
    }
}

fn start_logging(config: LogConfig) {
    let logging = tracing_subscriber::fmt().with_max_level(config.level).with_writer(std::io::stderr);
    let logging = logging.with_ansi(std::io::stderr().is_terminal());
    if config.json {
        logging.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
    } else {
        logging.init();
    }
    // A panic in a handler is logged here, once, with its request; the caller gets a 500.
    std::panic::set_hook(Box::new(|panic| {
        let request_id = REQUEST.try_with(|request| request.id().to_owned()).ok();
        let place = panic.location().map(ToString::to_string);
        let cause = panic.payload_as_str().unwrap_or("of unknown type");
        tracing::error!(request_id, place, cause, "panicked");
    }));
}

// The bounds of a password are told by the same check as the API's.
const _: () = assert!(*password::LENGTH.end() * 4 < PASSWORD_BYTES_MAX as usize);

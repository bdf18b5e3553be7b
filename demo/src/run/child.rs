//! A program of ours that runs beside this one: started, watched, ended; its output in a log.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child as Process, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// After SIGTERM a program has this long before it is killed.
const GRACE: Duration = Duration::from_secs(10);
/// A program that does one thing and ends may take this long.
const ERRAND_MAX: Duration = Duration::from_secs(60);
/// How much of a log an error shows.
const TAIL_LINES: usize = 15;
const TAIL_BYTES: u64 = 8 * 1024;
/// What a program gets of our environment; settings of other installations stay out.
const ENVIRONMENT: [&str; 10] = [
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "RUST_BACKTRACE",
];

/// What went wrong with a program.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It could not be started.
    #[error("{name} did not start")]
    Start { name: &'static str, source: io::Error },
    /// It ended although nobody told it to, or with a failure.
    #[error("{name} ended with {status}; the end of {}:\n{tail}", log.display())]
    Ended { name: &'static str, status: String, log: PathBuf, tail: String },
    /// It did not finish what it was started for.
    #[error("{name} did not finish within {} s; the end of {}:\n{tail}", ERRAND_MAX.as_secs(), log.display())]
    Slow { name: &'static str, log: PathBuf, tail: String },
}

/// The command of a program, with little of our environment; the caller adds arguments and settings.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(ENVIRONMENT.iter().filter_map(|&name| Some((name, std::env::var_os(name)?))));
    command.env("NO_COLOR", "1"); // its output goes to a file
    command
}

/// A running program; ended by [`Child::end`], and killed with this one in any case.
#[derive(Debug)]
pub struct Child {
    name: &'static str,
    log: PathBuf,
    attending: JoinHandle<io::Result<ExitStatus>>,
    stop: CancellationToken,
}

impl Child {
    /// Starts a program in a process group of its own, so that Ctrl-C reaches only us.
    pub fn start(name: &'static str, command: Command, log: PathBuf) -> Result<Child, ChildError> {
        let failed = |source| ChildError::Start { name, source };
        let process = spawn(command, Stdio::null(), &log).map_err(failed)?;
        let stop = CancellationToken::new();
        let attending = tokio::spawn(attend(process, stop.clone()));
        Ok(Child { name, log, attending, stop })
    }

    /// The result of `work`, unless the program ends before.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> Result<T, ChildError> {
        tokio::select! {
            done = work => Ok(done),
            ended = &mut self.attending => Err(self.ended(status_text(ended.map_err(io::Error::other).flatten()))),
        }
    }

    /// SIGTERM, then SIGKILL when it takes too long; returns when it is gone.
    pub async fn end(mut self) {
        self.stop.cancel();
        if !self.attending.is_finished() {
            let ended = (&mut self.attending).await;
            tracing::debug!(name = self.name, ?ended, "program ended");
        }
    }

    fn ended(&self, status: String) -> ChildError {
        ChildError::Ended { name: self.name, status, log: self.log.clone(), tail: tail(&self.log) }
    }
}

/// Runs a program that does one thing and ends; `input` becomes its standard input.
pub async fn errand(name: &'static str, command: Command, input: &str, log: PathBuf) -> Result<(), ChildError> {
    let failed = |source| ChildError::Start { name, source };
    let mut process = spawn(command, Stdio::piped(), &log).map_err(failed)?;
    if let Some(mut stdin) = process.stdin.take() {
        // A program that ends without reading says why in its log.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    match timeout(ERRAND_MAX, process.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(status) => Err(ChildError::Ended { name, status: status_text(status), tail: tail(&log), log }),
        Err(_) => Err(ChildError::Slow { name, tail: tail(&log), log }),
    }
}

fn spawn(mut command: Command, stdin: Stdio, log: &Path) -> io::Result<Process> {
    let log = File::options().create(true).append(true).open(log)?;
    command.stdin(stdin).stdout(log.try_clone()?).stderr(log).process_group(0).kill_on_drop(true);
    die_with_us(&mut command);
    command.spawn()
}

async fn attend(mut process: Process, stop: CancellationToken) -> io::Result<ExitStatus> {
    tokio::select! {
        status = process.wait() => return status,
        () = stop.cancelled() => {}
    }
    terminate(&process);
    match timeout(GRACE, process.wait()).await {
        Ok(status) => status,
        Err(_) => {
            process.start_kill()?;
            process.wait().await
        }
    }
}

/// Lets the kernel end the program when we die without a chance to do so ourselves.
fn die_with_us(command: &mut Command) {
    #[cfg(target_os = "linux")]
    #[expect(unsafe_code, reason = "the standard library has no parent-death signal")]
    // SAFETY: between fork and exec the closure makes one system call that takes only integers,
    // and touches no memory, lock or allocation of this program.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

fn terminate(process: &Process) {
    let Some(pid) = process.id().and_then(|pid| i32::try_from(pid).ok()) else { return };
    #[expect(unsafe_code, reason = "tokio ends a program by SIGKILL only")]
    // SAFETY: plain system call; the process has not been waited for (its id is still there), so
    // the number cannot belong to another one.
    let _ = unsafe { libc::kill(pid, libc::SIGTERM) };
}

fn status_text(status: io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

/// The last lines of a log, for an error message.
fn tail(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_else(|error| error.to_string());
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (Command, tempfile::TempDir, PathBuf) {
        let mut command = command(Path::new("/bin/sh"));
        command.args(["-c", script]);
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("child.log");
        (command, folder, log)
    }

    async fn has_written(log: &Path, text: &str) {
        let written = async {
            while !tail(log).contains(text) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(10), written).await.unwrap();
    }

    #[tokio::test]
    async fn a_program_that_dies_is_named_with_its_last_words() {
        let (command, _folder, log) = shell("echo before; echo last words >&2; exit 3");
        let mut child = Child::start("cloud", command, log).unwrap();
        let message = child.during(std::future::pending::<()>()).await.unwrap_err().to_string();
        assert!(message.starts_with("cloud ended with exit status: 3"), "{message}");
        assert!(message.ends_with("before\nlast words"), "{message}");
        child.end().await;
    }

    #[tokio::test]
    async fn ending_lets_a_program_finish() {
        let (command, _folder, log) = shell("trap 'echo finished; exit 0' TERM; echo up; while :; do sleep 0.02; done");
        let child = Child::start("gateway", command, log.clone()).unwrap();
        has_written(&log, "up").await;
        child.end().await;
        assert_eq!(tail(&log), "up\nfinished");
    }

    #[tokio::test]
    async fn a_program_that_does_not_listen_is_killed_after_the_grace() {
        let (command, _folder, log) = shell("trap '' TERM; echo up; while :; do sleep 0.02; done");
        let child = Child::start("gateway", command, log.clone()).unwrap();
        has_written(&log, "up").await;
        tokio::time::pause(); // the runtime is idle while the program lives on: the grace passes at once
        child.end().await;
    }

    #[tokio::test]
    async fn an_errand_reads_its_input_and_reports_failure() {
        let (command, _folder, log) = shell("read word; echo heard $word; test $word = yes");
        errand("enroll", command, "yes\n", log).await.unwrap();
        let (command, _folder, log) = shell("read word; echo heard $word; test $word = yes");
        let message = errand("enroll", command, "no\n", log).await.unwrap_err().to_string();
        assert!(message.contains("heard no"), "{message}");
    }

    #[tokio::test]
    async fn programs_do_not_inherit_the_settings_of_another_installation() {
        // Cargo, which runs this test, sets CARGO_MANIFEST_DIR for us.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let (mut command, _folder, log) = shell("env");
        command.env("PORT", "8000");
        errand("env", command, "", log.clone()).await.unwrap();
        let environment = tail(&log);
        assert!(environment.contains("PATH=") && environment.contains("PORT=8000"), "{environment}");
        assert!(!environment.contains("CARGO_MANIFEST_DIR"), "{environment}");
    }
}

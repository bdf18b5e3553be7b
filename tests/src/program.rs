//! A program beside the test: started, watched, ended by its id; dies with the test, and its log is
//! shown when the test fails.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Every program ends within this time after SIGTERM.
pub const END_WITHIN: Duration = Duration::from_secs(10);
/// An errand, like `enroll`, takes no longer.
const ERRAND_MAX: Duration = Duration::from_secs(30);
/// How much of a log is shown, in bytes.
const SHOWN_MAX: usize = 6_000;
/// What a program gets of our environment; settings of other installations stay out.
const ENVIRONMENT: [&str; 4] = ["PATH", "HOME", "TMPDIR", "RUST_BACKTRACE"];

/// A running program.
#[derive(Debug)]
pub struct Program {
    child: Child,
    log: PathBuf,
}

/// The command of a program, with little of our environment.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(ENVIRONMENT.iter().filter_map(|&name| Some((name, std::env::var_os(name)?))));
    command.env("NO_COLOR", "1").stdin(Stdio::null()).kill_on_drop(true);
    die_with_us(&mut command);
    command
}

/// Runs a program that does one thing and ends.
pub async fn errand(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that ends without reading says why on stderr.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
    timeout(ERRAND_MAX, child.wait_with_output()).await.expect("the errand never ended").unwrap()
}

impl Program {
    /// Starts it; what it writes is added to `log`.
    pub fn start(mut command: Command, log: &Path) -> Program {
        let file = File::options().create(true).append(true).open(log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Program { child: command.spawn().unwrap(), log: log.to_owned() }
    }

    /// Takes over a program whose input and output the caller speaks to.
    pub(crate) fn speaking(mut command: Command, log: &Path) -> Program {
        let file = File::options().create(true).append(true).open(log).unwrap();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file);
        Program { child: command.spawn().unwrap(), log: log.to_owned() }
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it has ended.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it ends by itself; its exit code.
    pub async fn ended(&mut self, within: Duration) -> i32 {
        let status = timeout(within, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("not ended within {within:?}")).unwrap();
        status.code().unwrap_or_else(|| panic!("ended by {status}"))
    }

    /// Waits until it is killed.
    pub async fn died(mut self) {
        let status = timeout(END_WITHIN, self.child.wait()).await.expect("it lives").unwrap();
        assert_eq!(status.signal(), Some(libc::SIGKILL), "{status}");
    }

    /// SIGTERM; it ends in time, with 0.
    pub async fn stop(mut self) {
        self.signal(libc::SIGTERM);
        assert_eq!(self.ended(END_WITHIN).await, 0, "exit code after SIGTERM");
    }

    /// SIGKILL.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn signal(&self, signal: libc::c_int) {
        let id = self.id() as libc::pid_t;
        #[expect(unsafe_code, reason = "tokio ends a program by SIGKILL only")]
        // SAFETY: plain system call; the process has not been waited for, so the id is still its own.
        let done = unsafe { libc::kill(id, signal) };
        assert_eq!(done, 0, "signal {signal}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let shown = log.len().saturating_sub(SHOWN_MAX);
            let shown = (shown..log.len()).find(|&at| log.is_char_boundary(at)).unwrap_or(log.len());
            eprintln!("--- the end of {} ---\n{}", self.log.display(), &log[shown..]);
        }
    }
}

/// Lets the kernel kill the program when we die without a chance to do so.
fn die_with_us(command: &mut Command) {
    #[expect(unsafe_code, reason = "the standard library has no parent-death signal")]
    // SAFETY: between fork and exec the closure makes one system call that takes only integers,
    // and touches no memory, lock or allocation of this program.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

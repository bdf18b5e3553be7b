//! A PostgreSQL cluster of the test's own: in a temporary folder, reachable by a socket in it only,
//! ended with the test. PostgreSQL does not run as root, so root runs it as the user `postgres`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long the cluster may take to accept connections.
const START_MAX: Duration = Duration::from_secs(60);

/// A running cluster with one empty database.
#[derive(Debug)]
pub struct Cluster {
    server: Child,
    folder: TempDir,
}

impl Cluster {
    /// Makes a cluster and starts it; returns when it accepts connections.
    ///
    /// # Panics
    /// When PostgreSQL is missing: the suite must not pass without it.
    pub fn start() -> Cluster {
        let programs = programs();
        let folder = tempfile::Builder::new().prefix("riverwatts-pg-").tempdir_in("/tmp").unwrap();
        if is_root() {
            assert!(Command::new("chown").arg("postgres").arg(folder.path()).status().unwrap().success());
        }
        let data = folder.path().join("data");
        let mut initdb = as_postgres(&programs.join("initdb"));
        initdb.arg("-D").arg(&data).args(["--no-sync", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"]);
        let made = initdb.stdin(Stdio::null()).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut server = as_postgres(&programs.join("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(folder.path());
        server.args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB"]);
        let server = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let cluster = Cluster { server, folder };
        cluster.accept();
        cluster
    }

    /// Address of its database.
    pub fn url(&self) -> String {
        format!("postgresql://postgres@localhost/postgres?host={}", self.folder.path().display())
    }

    /// Waits until it accepts connections.
    fn accept(&self) {
        let late = Instant::now() + START_MAX;
        let mut ask = Command::new(programs().join("pg_isready"));
        ask.arg("-q").arg("-h").arg(self.folder.path()).stdin(Stdio::null());
        while !ask.status().unwrap().success() {
            assert!(Instant::now() < late, "PostgreSQL did not start");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Ends its children too and leaves nothing shared behind.
        let mut stop = as_postgres(&programs().join("pg_ctl"));
        stop.args(["stop", "-m", "immediate", "-D"]).arg(self.folder.path().join("data"));
        let _ = stop.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _ = self.server.kill(); // a cluster that did not listen to that
        let _ = self.server.wait();
    }
}

/// The folder of the programs, the newest version's.
fn programs() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect())
        .unwrap_or_default();
    versions.retain(|bin| bin.join("initdb").exists());
    versions.sort();
    versions.pop().expect("PostgreSQL is missing: apt-get install postgresql")
}

/// `program` as the user `postgres` when root, ended by the kernel should this test be killed.
fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    command.args(["--pdeathsig", "QUIT"]).arg(program).current_dir("/");
    command
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

//! A gateway with the settings of a new installation, store and panel on, that nobody enrolled.

use std::time::Instant;

use riverwatts_tests::api::http_client;
use riverwatts_tests::deadline::{SOON, until};
use riverwatts_tests::place::{free_port, program, repository};
use riverwatts_tests::program::{Program, command};
use tempfile::TempDir;

use crate::process::Process;

/// It runs until stopped.
pub struct Gateway {
    program: Program,
    _folder: TempDir,
    metrics: String,
    http: reqwest::Client,
}

/// How many polls ended well, when.
#[derive(Clone, Copy)]
pub struct Polls {
    count: f64,
    at: Instant,
}

impl Polls {
    /// Polls a second since then.
    pub fn rate_since(self, before: Polls) -> f64 {
        (self.count - before.count) / (self.at - before.at).as_secs_f64()
    }
}

impl Gateway {
    /// With these buses and devices; its panel answers.
    pub async fn start(machines: &str) -> Gateway {
        let folder = tempfile::tempdir().unwrap();
        let panel = free_port();
        let config = folder.path().join("edge.toml");
        let text = format!(
            "profiles = [{profiles:?}]\n[site]\nkey = \"tanana\"\n[store]\ndir = {store:?}\n\
             [panel]\nlisten = \"127.0.0.1:{panel}\"\n{machines}",
            profiles = repository("tests/profiles"),
            store = folder.path().join("store"),
        );
        std::fs::write(&config, text).unwrap();
        let mut run = command(&program("riverwatts-edge"));
        run.args(["run", "--config"]).arg(&config);
        let program = Program::start(run, &folder.path().join("edge.log"));
        let gateway = Gateway {
            program,
            _folder: folder,
            metrics: format!("http://127.0.0.1:{panel}/metrics"),
            http: http_client(),
        };
        until(SOON, async || gateway.metrics().await).await;
        gateway
    }

    /// Waits until so many devices of a bus answered.
    pub async fn answers(&self, bus: &str, units: usize) {
        until(SOON, async || {
            let metrics = self.metrics().await?;
            let answered = good_polls(&metrics, bus).filter(|count| *count > 0.0).count();
            if answered >= units {
                Ok(())
            } else {
                Err(format!("{answered} of {units} answer; {}", self.program.log()))
            }
        })
        .await;
    }

    /// The polls of a bus so far that ended well.
    pub async fn polls(&self, bus: &str) -> Polls {
        let metrics = self.metrics().await.unwrap();
        Polls { count: good_polls(&metrics, bus).sum(), at: Instant::now() }
    }

    /// What the kernel says of it.
    pub fn process(&self) -> Process {
        Process(self.program.id())
    }

    /// SIGTERM.
    pub async fn stop(self) {
        self.program.stop().await;
    }

    async fn metrics(&self) -> Result<String, String> {
        let answer = self.http.get(&self.metrics).send().await.and_then(reqwest::Response::error_for_status);
        answer.map_err(|error| error.to_string())?.text().await.map_err(|error| error.to_string())
    }
}

fn good_polls(metrics: &str, bus: &str) -> impl Iterator<Item = f64> {
    let (family, bus) = ("riverwatts_edge_polls_total{", format!("bus=\"{bus}\""));
    let lines = metrics
        .lines()
        .filter(move |line| line.starts_with(family) && line.contains(&bus) && line.contains("outcome=\"ok\""));
    lines.map(|line| line.rsplit(' ').next().expect("a line has a value").parse().unwrap())
}

//! A thousand devices of ten registers, each on a socket of its own, polled once a second: what the
//! gateway takes, and how steadily it asks.

use std::time::Instant;

use riverwatts_tests::deadline::{SOON, over, until};
use riverwatts_tests::program::{Program, command as program};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::gateway::Gateway;
use super::server::{Arrivals, SERVE, Serving};
use super::{command, run_length};
use crate::process::Process;
use crate::report::{Better, Report, median};

const DEVICES: usize = 1_000;
/// Runs, and seconds of each; one before them does not count.
const RUNS: usize = 5;
const RUN_S: u64 = 20;

/// Processor, memory and jitter.
pub async fn measure(report: &mut Report) {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = program(&std::env::current_exe().unwrap());
    serve.args([SERVE, &DEVICES.to_string()]);
    let server = Program::start(serve, &folder.path().join("server.log"));
    let serving: Serving = until(SOON, async || {
        let log = server.log();
        let ready = log.lines().find_map(|line| line.strip_prefix("ready "));
        ready.and_then(|ready| serde_json::from_str(ready).ok()).ok_or(log)
    })
    .await;
    let mut machines = String::new();
    for (number, port) in serving.ports.iter().enumerate() {
        machines += &format!(
            "[[bus]]\nid = \"bus-{number}\"\nkind = \"tcp\"\naddress = \"127.0.0.1:{port}\"\n\
             [[device]]\nid = \"plain-{number}\"\nbus = \"bus-{number}\"\nunit = 1\nprofile = \"plain\"\ninterval = \"1s\"\n"
        );
    }
    let gateway = Gateway::start(&machines).await;
    over(run_length(RUN_S)).await;
    arrivals(&serving).await;
    let (mut cpu, mut server_cpu, mut rss, mut p50, mut p99) = (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..RUNS {
        let before = [gateway.process().cpu_s(), Process(server.id()).cpu_s()];
        let started = Instant::now();
        over(run_length(RUN_S)).await;
        let seconds = started.elapsed().as_secs_f64();
        cpu.push(100.0 * (gateway.process().cpu_s() - before[0]) / seconds);
        server_cpu.push(100.0 * (Process(server.id()).cpu_s() - before[1]) / seconds);
        rss.push(gateway.process().rss_mib());
        let arrived = arrivals(&serving).await;
        let asked = arrived.requests as f64 / seconds / DEVICES as f64;
        assert!((0.98..1.02).contains(&asked), "{asked} requests a second of each device");
        p50.push(arrived.late_p50_ms);
        p99.push(arrived.late_p99_ms);
    }
    gateway.stop().await;
    for (name, value, unit, target, beside) in [
        ("bus.tcp_1000_cpu_percent", median(cpu), "% of a core", 20.0, Some(("the server", median(server_cpu)))),
        ("bus.tcp_1000_rss_mib", median(rss), "MiB", 60.0, None),
        ("bus.tcp_1000_jitter_p99_ms", median(p99), "ms", 20.0, Some(("median", median(p50)))),
    ] {
        let figure = report.add(name, value, unit, Better::Lower);
        (figure.target, figure.runs, figure.command) = (Some(target), RUNS, command());
        figure.beside.extend(beside);
    }
}

async fn arrivals(serving: &Serving) -> Arrivals {
    let mut text = String::new();
    let mut stream = TcpStream::connect(("127.0.0.1", serving.arrivals)).await.unwrap();
    stream.read_to_string(&mut text).await.unwrap();
    serde_json::from_str(&text).unwrap()
}

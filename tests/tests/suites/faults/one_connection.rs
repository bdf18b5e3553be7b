//! A device that serves one connection at a time, and somebody else has it.

use std::time::Duration;

use riverwatts_tests::deadline::{SOON, until};
use riverwatts_tests::edge_toml::EdgeToml;
use riverwatts_tests::gateway::Gateway;
use riverwatts_tests::virtual_devices::VirtualDevices;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Reads the first register of unit 1.
const REQUEST: [u8; 12] = [0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1];
/// How long another master waits for an answer that must not come.
const UNANSWERED: Duration = Duration::from_millis(500);

struct Scene {
    devices: VirtualDevices,
    gateway: Gateway,
}

impl Scene {
    /// The gateway does not run yet.
    async fn new(second: &str) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("faults.toml");
        std::fs::write(&script, format!("[[fault]]\ndo = 'one_connection'\nsecond = '{second}'\n")).unwrap();
        let devices = VirtualDevices::start(&["--count", "1", "--faults", &script.display().to_string()]).await;
        let place = devices.place("plain-1");
        let toml = EdgeToml::new("").tcp("bus", &place.address).timeout("300ms");
        let gateway = Gateway::new(&toml.device("plain-1", "bus", place.unit, "plain", "200ms"));
        Scene { devices, gateway }
    }

    async fn other_master(&self) -> TcpStream {
        TcpStream::connect(&self.devices.place("plain-1").address).await.unwrap()
    }

    async fn reads(&self) {
        let before = self.gateway.unit("plain-1", "ok").await;
        until(SOON, async || {
            let ok = self.gateway.unit("plain-1", "ok").await;
            if ok > before + 5 { Ok(()) } else { Err(self.gateway.panel("/api/buses").await.to_string()) }
        })
        .await;
    }

    /// Waits until the gateway has failed so three times.
    async fn fails(&self, outcome: &str) {
        until(SOON, async || {
            let failed = self.gateway.unit("plain-1", outcome).await;
            if failed > 2 { Ok(()) } else { Err(self.gateway.panel("/api/buses").await.to_string()) }
        })
        .await;
        assert_eq!(self.gateway.unit("plain-1", "ok").await, 0);
    }
}

/// The bytes of an answer; none when the connection was closed or nothing came.
async fn ask(master: &mut TcpStream) -> usize {
    let mut answer = [0; 64];
    if master.write_all(&REQUEST).await.is_err() {
        return 0;
    }
    timeout(UNANSWERED, master.read(&mut answer)).await.map_or(0, Result::unwrap_or_default)
}

/// The other master comes first, keeps the gateway out with `outcome`, and leaves.
async fn check(second: &str, outcome: &str) {
    let mut scene = Scene::new(second).await;
    let mut other = scene.other_master().await;
    assert_eq!(ask(&mut other).await, 11);
    scene.gateway.start().await;
    scene.fails(outcome).await;
    assert_eq!(ask(&mut other).await, 11, "the first connection stays");
    drop(other);
    scene.reads().await;

    // Now the gateway has it, and does not notice who else comes.
    let (failed, mut other) = (scene.gateway.unit("plain-1", outcome).await, scene.other_master().await);
    assert_eq!(ask(&mut other).await, 0, "a second connection is not served");
    scene.reads().await;
    assert_eq!(scene.gateway.unit("plain-1", outcome).await, failed);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_second_connection_that_is_refused() {
    check("refused", "lost").await;
}

#[tokio::test]
async fn a_second_connection_that_waits() {
    check("waits", "timeout").await;
}

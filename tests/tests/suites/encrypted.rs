//! TLS between gateway and cloud, ended by a proxy whose authority only `cloud.ca` knows.

use riverwatts_tests::cloud::Cloud;
use riverwatts_tests::deadline::{SOON, until};
use riverwatts_tests::edge_toml::EdgeToml;
use riverwatts_tests::gateway::Gateway;
use riverwatts_tests::link::Link;
use riverwatts_tests::modbus::ModbusServer;
use riverwatts_tests::tls::new_authority;
use riverwatts_tests::wall_clock::WallClock;

#[tokio::test]
async fn a_gateway_sends_to_an_authority_that_it_was_told_of_and_to_no_other() {
    let cloud = Cloud::start().await;
    let authority = new_authority();
    let link = Link::with_tls(cloud.port(), authority.acceptor.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    let server = ModbusServer::tcp(&[1]).await;
    server.count(1).await;
    let site_id = cloud.site("Tanana").await;
    let (_, code) = cloud.gateway(&site_id).await;
    let unknowing = EdgeToml::new(link.url()).tcp("lan", server.address());
    let unknowing = unknowing.device("counter-1", "lan", 1, "counter", "200ms");
    let told = EdgeToml::new(link.url()).ca(&ca).tcp("lan", server.address());
    let told = told.device("counter-1", "lan", 1, "counter", "200ms");

    // Neither the code nor a reading goes to a stranger.
    let mut gateway = Gateway::new(&unknowing);
    let enrolled = gateway.run(&["enroll", "--cloud", link.url(), "--code", &code]).await;
    assert_eq!(enrolled.status.code(), Some(69), "{}", String::from_utf8_lossy(&enrolled.stderr));
    until(SOON, async || if link.handshakes_failed() > 0 { Ok(()) } else { Err("no connection".to_owned()) }).await;
    assert_eq!(link.to_cloud_bytes(), 0);
    gateway.configure(&told);
    gateway.enroll(link.url(), &code).await;
    gateway.configure(&unknowing);
    let (carried, failed) = (link.to_cloud_bytes(), link.handshakes_failed());
    gateway.start().await;
    until(SOON, async || {
        let error = gateway.panel("/api/link").await["error"].clone();
        if link.handshakes_failed() > failed && error.is_string() { Ok(()) } else { Err(error.to_string()) }
    })
    .await;
    assert_eq!(link.to_cloud_bytes(), carried);
    gateway.stop().await;

    // Told, it sends, also in 1970, when no certificate is good yet.
    gateway.configure(&told);
    gateway.set_wall_clock(&WallClock::of_1970());
    gateway.start().await;
    let device_id = cloud.device(&site_id, "counter-1").await;
    until(SOON, async || match cloud.readings(&device_id).await.len() {
        0 => Err("no readings".to_owned()),
        _ => Ok(()),
    })
    .await;
    gateway.stop().await;
}

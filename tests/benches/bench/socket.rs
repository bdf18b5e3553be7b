//! Bytes a reading on the socket: an hour of batches on one connection of the gateway's own HTTPS
//! client, with its handshake, requests and receipts, in both directions.

use jiff::Timestamp;
use riverwatts_edge::upload::tls;
use riverwatts_shared::batch::MEDIA_TYPE;
use riverwatts_shared::time::UtcMs;
use riverwatts_tests::cloud::Cloud;
use riverwatts_tests::link::Link;
use riverwatts_tests::tls::new_authority;
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::devices;
use crate::ingest::Sender;
use crate::report::{Better, Report};

/// An hour, uploaded once a minute.
const SESSION_S: usize = 3_600;
const INTERVAL_S: usize = 60;
/// The readings are of the past hours.
const AGO_MS: i64 = 7_200_000;

/// Everything that went over the socket.
pub async fn measure(report: &mut Report) {
    let start = UtcMs::from(Timestamp::now()).plus_ms(-AGO_MS);
    let readings = devices::readings(start, SESSION_S as u64);
    let cloud = Cloud::start().await;
    let mut gateway = Sender::enroll(&cloud, 1).await;
    let authority = new_authority();
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), authority.pem).unwrap();
    let link = Link::with_tls(cloud.port(), authority.acceptor).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/api/v1/sync/batches", listener.local_addr().unwrap());
    let address = link.url().trim_start_matches("https://").to_owned();
    // One connection is all that there may be.
    let counting = tokio::spawn(async move {
        let (mut from, _) = listener.accept().await.unwrap();
        let mut to = TcpStream::connect(address).await.unwrap();
        let (there, back) = copy_bidirectional(&mut from, &mut to).await.unwrap();
        there + back
    });

    let http = tls::client(&url, Some(ca.path()), || UtcMs::from(Timestamp::now())).unwrap();
    let mut bodies_bytes = 0;
    for body in gateway.bodies(&readings, INTERVAL_S) {
        bodies_bytes += body.len();
        let request = http.post(&url).bearer_auth(gateway.api.token().unwrap());
        let request = request.header("Content-Type", MEDIA_TYPE).header("Accept", "application/json");
        let receipt: Value = request.body(body).send().await.unwrap().json().await.unwrap();
        assert_eq!(receipt["accepted"], INTERVAL_S * readings.len(), "{receipt}");
    }
    drop(http);
    let count = (SESSION_S * readings.len()) as f64;
    let value = counting.await.unwrap() as f64 / count;
    let figure = report.add("wire.socket_bytes_per_reading_60s", value, "B/reading", Better::Lower);
    figure.beside.insert("bodies", bodies_bytes as f64 / count);
}

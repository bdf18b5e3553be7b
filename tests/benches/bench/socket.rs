//! Bytes a reading on the socket: batches on one connection of the gateway's own HTTPS client, with
//! its handshake, requests and receipts, in both directions; outside TLS and inside.

use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use jiff::Timestamp;
use riverwatts_edge::upload::{socket, tls};
use riverwatts_shared::batch::MEDIA_TYPE;
use riverwatts_shared::receipt::{self, Receipt};
use riverwatts_shared::time::UtcMs;
use riverwatts_tests::cloud::Cloud;
use riverwatts_tests::link::Link;
use riverwatts_tests::tls::new_authority;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::devices;
use crate::ingest::Sender;
use crate::report::{Better, Report};

/// An hour, uploaded once a minute.
const SESSION_S: usize = 3_600;
const INTERVAL_S: usize = 60;
/// The readings are of hours that are over.
const AGO_MS: i64 = 86_400_000;

/// What went over a socket, a reading.
#[derive(Debug)]
pub struct Carried {
    /// Everything.
    pub tls: f64,
    /// Inside TLS: requests and answers of HTTP.
    pub http: f64,
    /// The bodies of the requests alone.
    pub bodies: f64,
}

/// Everything that went over the socket.
pub async fn measure(report: &mut Report) {
    let carried = carry(SESSION_S, INTERVAL_S).await;
    let figure = report.add("wire.socket_bytes_per_reading_60s", carried.tls, "B/reading", Better::Lower);
    figure.beside.insert("bodies", carried.bodies);
}

/// Sends `session_s` of ten devices, a batch each `interval_s`.
pub async fn carry(session_s: usize, interval_s: usize) -> Carried {
    let start = UtcMs::from(Timestamp::now()).plus_ms(-AGO_MS);
    let readings = devices::readings(start, session_s as u64);
    let cloud = Cloud::start().await;
    let mut gateway = Sender::enroll(&cloud, 1).await;
    let authority = new_authority();
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), authority.pem).unwrap();
    let (inside, http_bytes) = counted(format!("127.0.0.1:{}", cloud.port())).await;
    let link = Link::with_tls(inside, authority.acceptor).await;
    let (outside, tls_bytes) = counted(link.url().trim_start_matches("https://").to_owned()).await;
    let url = format!("https://127.0.0.1:{outside}/api/v1/sync/batches");

    let tls = tls::config(&url, Some(ca.path()), || UtcMs::from(Timestamp::now())).unwrap();
    let http = socket::client(tls, Arc::default());
    let mut bodies_bytes = 0;
    for body in gateway.bodies(&readings, interval_s) {
        bodies_bytes += body.len();
        let request = Request::post(&url)
            .header("Authorization", format!("Bearer {}", gateway.api.token().unwrap()))
            .header("Content-Type", MEDIA_TYPE)
            .header("Accept", receipt::MEDIA_TYPE);
        let answer = http.request(request.body(Full::from(body)).unwrap()).await.unwrap();
        let receipt = answer.into_body().collect().await.unwrap().to_bytes();
        let (receipt, _) = Receipt::from_short(&receipt).unwrap();
        assert_eq!(receipt.accepted, (interval_s * readings.len()) as u64, "{receipt:?}");
    }
    drop(http);
    let a_reading = |bytes: u64| bytes as f64 / (session_s * readings.len()) as f64;
    Carried {
        tls: a_reading(tls_bytes.await.unwrap()),
        http: a_reading(http_bytes.await.unwrap()),
        bodies: a_reading(bodies_bytes as u64),
    }
}

/// Carries one connection, which is all that there may be; its port, and at its end its bytes.
async fn counted(to: String) -> (u16, JoinHandle<u64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let counting = tokio::spawn(async move {
        let (mut from, _) = listener.accept().await.unwrap();
        let mut to = TcpStream::connect(to).await.unwrap();
        let ((from_there, to_there), (from_back, to_back)) = (from.split(), to.split());
        let (there, back) = tokio::join!(pass_on(from_there, to_back), pass_on(from_back, to_there));
        there + back
    });
    (port, counting)
}

/// Passes bytes on until one side ends, be it by a reset: then all answers were taken already. Gives how many.
async fn pass_on(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> u64 {
    let (mut buffer, mut passed) = (vec![0; 16 << 10], 0);
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        passed += length as u64;
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    // Who has ended need not be told.
    let _ = to.shutdown().await;
    passed
}

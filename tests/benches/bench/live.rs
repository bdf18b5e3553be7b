//! How much the cloud's rooms cost: processor time of a delivery beside that of a broadcast by bare
//! axum, in turns; and how long a reading takes from the gateway's request to those who look.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use futures_util::StreamExt;
use jiff::Timestamp;
use riverwatts_shared::reading::Reading;
use riverwatts_shared::time::UtcMs;
use riverwatts_tests::api::http_client;
use riverwatts_tests::batches::{announcement, batch, reading, segment};
use riverwatts_tests::cloud::{Cloud, GatewayAccount};
use riverwatts_tests::deadline::{SOON, over, until};
use riverwatts_tests::place::free_port;
use riverwatts_tests::program::{Program, command};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::{Sender, channel};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::process::Process;
use crate::report::{Better, Report, median};

/// Argument by which the bench starts itself as the bare server, before its port.
pub const BARE: &str = "bare-broadcast";
/// Clients of each server.
const CLIENTS: u64 = 1_000;
/// Pause between messages.
const MESSAGE_EVERY: Duration = Duration::from_millis(100);
/// Messages of one round.
const MESSAGES: u64 = 100;
/// Rounds of each; the first, in which memory is taken, does not count.
const ROUNDS: usize = 6;
/// What the bare server reads at once from a client, as the cloud does.
const READ_BYTES: usize = 4 << 10;
/// Messages that may wait for one client of the bare server.
const WAITING_MAX: usize = 64;

/// Sites that upload each second because somebody looks, their devices, and who looks at each.
const SITES: usize = 20;
const DEVICES: usize = 10;
const LOOKERS: usize = 5;
/// Uploads of each site.
const UPLOADS: usize = 30;

/// Both numbers.
pub async fn measure(report: &mut Report) {
    measure_cost(report).await;
    measure_delay(report).await;
}

async fn measure_cost(report: &mut Report) {
    let cloud = Cloud::start().await;
    let (site_id, gateway) = new_site(&cloud, 1).await;
    let device_id = cloud.device(&site_id, &key(0)).await;
    let start = now();
    let post = async |number: i64| {
        let reading = json!({
            "device_id": device_id, "timestamp": start.plus_ms(number), "power_output_kw": 12.3, "voltage_v": 230.1,
            "current_a": 17.82, "frequency_hz": 49.98, "temperature_c": 41.5, "vibration_level": 1.234,
            "extra": {"rotor_rpm": 57.5, "water_speed_mps": 1.85, "energy_kwh": 1234.567},
        });
        assert_eq!(gateway.api.post("/readings", &reading).await.ok()["accepted"], 1);
    };
    let address = format!("ws://127.0.0.1:{}/ws/site-{site_id}", cloud.port());
    let mut probe = connect(&address, cloud.port(), cloud.admin().token()).await;
    post(0).await;
    let mut frame = String::new();
    while !frame.contains(r#""type":"reading""#) {
        frame = probe.next().await.unwrap().unwrap().into_text().unwrap().to_string();
    }
    drop(probe);

    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let mut bare = command(&std::env::current_exe().unwrap());
    bare.args([BARE, &port.to_string()]);
    let bare = Program::start(bare, &folder.path().join("bare.log"));
    let url = format!("http://127.0.0.1:{port}/tell");
    let http = http_client();
    let tell = async |_: i64| {
        let told = http.post(&url).body(frame.clone()).send().await;
        told.and_then(reqwest::Response::error_for_status).map_err(|error| error.to_string())
    };
    until(SOON, async || tell(0).await).await;

    let of_cloud = Clients::open(&address, cloud.port(), cloud.admin().token()).await;
    let of_bare = Clients::open(&format!("ws://127.0.0.1:{port}/ws"), port, None).await;
    let (mut by_cloud, mut by_bare) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS as i64 {
        let first = 1 + round * MESSAGES as i64;
        by_bare.push(of_bare.round(Process(bare.id()), first, async |number| _ = tell(number).await.unwrap()).await);
        by_cloud.push(of_cloud.round(Process(cloud.id()), first, post).await);
    }
    let (by_cloud, by_bare) = (&by_cloud[1..], &by_bare[1..]);
    let ratio = median(by_cloud.iter().zip(by_bare).map(|(cloud, bare)| cloud / bare));
    let figure = report.add("live.cpu_per_delivery_ratio", ratio, "ratio", Better::Lower);
    (figure.target, figure.runs) = (Some(1.25), by_cloud.len());
    let value = median(by_cloud.iter().copied());
    let figure = report.add("live.cpu_us_per_delivery", value, "µs", Better::Lower);
    figure.runs = by_cloud.len();
    figure.beside.insert("bare axum", median(by_bare.iter().copied()));
    bare.kill().await;
}

/// Clients that read whatever comes.
struct Clients {
    received: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Clients {
    async fn open(address: &str, port: u16, token: Option<&str>) -> Clients {
        let received = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..CLIENTS {
            let mut socket = connect(address, port, token).await;
            let received = Arc::clone(&received);
            tasks.spawn(async move {
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_text() && message.to_text().is_ok_and(|text| text.contains(r#""type":"reading""#)) {
                        received.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        Clients { received, _tasks: tasks }
    }

    /// Sends the messages of a round; processor time of the server for one delivery, in µs.
    async fn round(&self, server: Process, first: i64, send: impl AsyncFn(i64)) -> f64 {
        let (cpu_s, received) = (server.cpu_s(), self.received.load(Ordering::Relaxed));
        let mut ticks = interval(MESSAGE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in first..first + MESSAGES as i64 {
            ticks.tick().await;
            send(number).await;
        }
        until(SOON, async || match self.received.load(Ordering::Relaxed) - received {
            all if all == CLIENTS * MESSAGES => Ok(()),
            some => Err(format!("{some} deliveries")),
        })
        .await;
        (server.cpu_s() - cpu_s) * 1e6 / (CLIENTS * MESSAGES) as f64
    }
}

async fn connect(address: &str, port: u16, token: Option<&str>) -> WebSocketStream<TcpStream> {
    let mut request = address.into_client_request().unwrap();
    if let Some(token) = token {
        let protocols = format!("riverwatts, bearer.{token}");
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocols.parse().unwrap());
    }
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    tokio_tungstenite::client_async(request, stream).await.unwrap().0
}

/// What is sent to `/tell` goes to everybody at `/ws`, until it is killed.
pub async fn serve_bare(port: u16) -> anyhow::Result<()> {
    let (sender, _) = channel::<Utf8Bytes>(WAITING_MAX);
    let teller = sender.clone();
    let tell = async move |body: String| _ = teller.send(body.into());
    let open = async move |upgrade: WebSocketUpgrade| {
        // By default each look for a message of the client clears 128 KiB, which doubled the cost of a delivery.
        upgrade.read_buffer_size(READ_BYTES).on_upgrade(move |socket| broadcast(socket, sender))
    };
    let router = Router::new().route("/ws", get(open)).route("/tell", post(tell));
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let listener = listener.tap_io(|stream| _ = stream.set_nodelay(true));
    Ok(axum::serve(listener, router).await?)
}

async fn broadcast(mut socket: WebSocket, sender: Sender<Utf8Bytes>) {
    let mut messages = sender.subscribe();
    loop {
        tokio::select! {
            message = messages.recv() => {
                let Ok(text) = message else { return };
                if socket.send(Message::Text(text)).await.is_err() {
                    return;
                }
            }
            message = socket.recv() => if !matches!(message, Some(Ok(_))) { return },
        }
    }
}

async fn measure_delay(report: &mut Report) {
    let cloud = Cloud::start().await;
    let mut gateways = Vec::new();
    let mut lookers = JoinSet::new();
    for number in 1..=SITES {
        let (site_id, gateway) = new_site(&cloud, number).await;
        for _ in 0..LOOKERS {
            let address = format!("ws://127.0.0.1:{}/ws/site-{site_id}", cloud.port());
            let mut socket = connect(&address, cloud.port(), cloud.admin().token()).await;
            lookers.spawn(async move {
                let mut delays_ms = Vec::new();
                while delays_ms.len() < UPLOADS {
                    let message = socket.next().await.unwrap().unwrap();
                    let arrived = now();
                    let frame: Value = serde_json::from_str(message.to_text().unwrap()).unwrap_or_default();
                    // Not the protocol's own pings.
                    if frame["type"] == "reading" {
                        let time = frame["data"]["readings"][0]["timestamp"].as_str().unwrap();
                        delays_ms.push(arrived.since_ms(time.parse().unwrap()) as f64);
                    }
                }
                delays_ms
            });
        }
        gateways.push(gateway);
    }
    let mut uploads = JoinSet::new();
    for (number, gateway) in gateways.into_iter().enumerate() {
        uploads.spawn(async move {
            // Gateways are not in step with each other.
            over(Duration::from_millis((number * 1_000 / SITES) as u64)).await;
            let mut ticks = interval(Duration::from_secs(1));
            for upload in 0..UPLOADS {
                ticks.tick().await;
                let new: [Reading; 1] = [reading(now(), upload as i64)];
                let items = (0..DEVICES).map(|device| segment(&key(device), &new)).collect();
                gateway.api.send_batch(&batch(items)).await.ok();
            }
        });
    }
    uploads.join_all().await;
    let mut delays_ms = lookers.join_all().await.concat();
    delays_ms.sort_by(f64::total_cmp);
    let at = |share: f64| delays_ms[((delays_ms.len() - 1) as f64 * share) as usize];
    let figure = report.add("live.ingest_to_browser_p99_ms", at(0.99), "ms", Better::Lower);
    (figure.target, figure.runs) = (Some(300.0), delays_ms.len());
    figure.beside.insert("median", at(0.5));
}

/// A site with its devices: its id and its gateway.
async fn new_site(cloud: &Cloud, number: usize) -> (String, GatewayAccount) {
    let site_id = cloud.site(&format!("River {number}")).await;
    let gateway = cloud.enrolled_gateway(&site_id).await;
    gateway.api.send_batch(&batch((0..DEVICES).map(|device| announcement(&key(device))).collect())).await.ok();
    (site_id, gateway)
}

fn key(device: usize) -> String {
    format!("turbine-{device}")
}

fn now() -> UtcMs {
    Timestamp::now().into()
}

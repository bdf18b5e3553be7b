//! A Modbus server that does as little as it can, in a process of its own: ten registers at each of
//! many ports, and a look at when requests come.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Argument by which the bench starts itself as this server, before how many ports it serves.
pub const SERVE: &str = "serve-modbus";
/// A request to read registers: transaction, protocol, length, unit, function, address, count.
const REQUEST_BYTES: usize = 12;

/// What the server says once it serves: where the devices are, and where to ask for arrivals.
#[derive(Debug, Serialize, Deserialize)]
pub struct Serving {
    /// Of each device.
    pub ports: Vec<u16>,
    /// Gives [`Arrivals`] of the time since it was asked last.
    pub arrivals: u16,
}

/// When requests came.
#[derive(Debug, Serialize, Deserialize)]
pub struct Arrivals {
    /// How many.
    pub requests: usize,
    /// How late they were on the grid of their device, which its earliest one gives: the median.
    pub late_p50_ms: f64,
    /// And what one in a hundred exceeded.
    pub late_p99_ms: f64,
}

/// Requests of each device since the last look, by time since the server began.
type Seen = Arc<Mutex<Vec<Vec<Duration>>>>;

/// Serves until it is killed.
#[allow(clippy::print_stdout, reason = "the bench reads it")]
pub async fn serve(devices: usize) -> anyhow::Result<()> {
    let began = Instant::now();
    let seen: Seen = Arc::new(Mutex::new(vec![Vec::new(); devices]));
    let mut ports = Vec::new();
    for device in 0..devices {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        ports.push(listener.local_addr()?.port());
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // The gateway has gone when this ends.
                let _ = answer(stream, device, began, &seen).await;
            }
        });
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let serving = Serving { ports, arrivals: listener.local_addr()?.port() };
    println!("ready {}", serde_json::to_string(&serving)?);
    loop {
        let (mut stream, _) = listener.accept().await?;
        let taken = std::mem::replace(&mut *seen.lock().expect("nothing panics inside"), vec![Vec::new(); devices]);
        stream.write_all(serde_json::to_string(&Arrivals::of(&taken))?.as_bytes()).await?;
    }
}

async fn answer(mut stream: TcpStream, device: usize, began: Instant, seen: &Seen) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = [0; REQUEST_BYTES];
    loop {
        stream.read_exact(&mut request).await?;
        seen.lock().expect("nothing panics inside")[device].push(began.elapsed());
        let registers = request[11];
        let mut answer =
            vec![request[0], request[1], 0, 0, 0, 3 + 2 * registers, request[6], request[7], 2 * registers];
        answer.resize(answer.len() + 2 * usize::from(registers), 1);
        stream.write_all(&answer).await?;
    }
}

impl Arrivals {
    /// `interval` of every device: one second.
    fn of(seen: &[Vec<Duration>]) -> Arrivals {
        let mut late_ms: Vec<f64> = seen.iter().flat_map(|times| late_ms(times)).collect();
        late_ms.sort_unstable_by(f64::total_cmp);
        let share = |share: f64| late_ms.get((late_ms.len() as f64 * share) as usize).copied().unwrap_or(0.0);
        Arrivals { requests: late_ms.len(), late_p50_ms: share(0.5), late_p99_ms: share(0.99) }
    }
}

/// How late each request is on a grid of one second on which the earliest lies.
fn late_ms(times: &[Duration]) -> Vec<f64> {
    let Some(first) = times.first() else { return Vec::new() };
    let off_ms = |time: &Duration| {
        let since_ms = (*time - *first).as_secs_f64() * 1_000.0;
        since_ms - (since_ms / 1_000.0).round() * 1_000.0
    };
    let off_ms: Vec<f64> = times.iter().map(off_ms).collect();
    let earliest = off_ms.iter().copied().fold(f64::INFINITY, f64::min);
    off_ms.into_iter().map(|off| off - earliest).collect()
}

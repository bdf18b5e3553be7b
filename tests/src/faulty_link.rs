//! A link that treats each request worse than any link does: a proxy that delays, cuts, doubles,
//! holds back, shortens, changes and swallows requests and answers, by a seed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::chance::Chance;

/// What may be done to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It and its answer are late.
    Delay,
    /// It goes in small pieces.
    Crumble,
    /// Only its beginning arrives.
    Shorten,
    /// Some of its bits are changed.
    Change,
    /// It arrives twice at once.
    Double,
    /// It arrives after the next one, and its answer is lost.
    HoldBack,
    /// It arrives nowhere, and nothing is told for a while.
    Swallow,
    /// The connection ends once the cloud has answered.
    LoseAnswer,
    /// Only the beginning of its answer arrives.
    ShortenAnswer,
    /// Some bits of its answer are changed.
    ChangeAnswer,
}

/// All of them.
pub const FAULTS: [Fault; 10] = [
    Fault::Delay,
    Fault::Crumble,
    Fault::Shorten,
    Fault::Change,
    Fault::Double,
    Fault::HoldBack,
    Fault::Swallow,
    Fault::LoseAnswer,
    Fault::ShortenAnswer,
    Fault::ChangeAnswer,
];

/// Longest delay of a request, or of an answer.
const DELAY_MAX: Duration = Duration::from_millis(300);
/// How long nothing is told of a request that was swallowed.
const SWALLOWED: Duration = Duration::from_secs(1);
/// How long the cloud may wait for the rest of a request that was shortened or changed.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Pieces of a request that crumbles.
const CRUMB_BYTES: usize = 997;
/// Most bits that are changed of one message.
const CHANGED_MAX: u64 = 4;
/// What is read at once.
const BUFFER_BYTES: usize = 16 << 10;

/// A link to one cloud; it ends when dropped.
#[derive(Debug)]
pub struct FaultyLink {
    url: String,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    cloud_port: u16,
    percent: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    chance: Chance,
    /// Faults still to be met before each is met again.
    deck: Vec<Fault>,
    done: BTreeMap<Fault, u64>,
    requests: u64,
    held_back: Option<Vec<u8>>,
}

impl FaultyLink {
    /// To the cloud at this port; `percent` of all requests meet a fault.
    pub async fn to(cloud_port: u16, percent: u64, seed: u64) -> FaultyLink {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (chance, deck) = (Chance::new(seed), Vec::new());
        let state = State { chance, deck, done: BTreeMap::new(), requests: 0, held_back: None };
        let shared = Arc::new(Shared { cloud_port, percent, state: Mutex::new(state) });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        FaultyLink { url, shared, accepting }
    }

    /// Where the gateway finds the cloud.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How often each fault was met, and how many requests there were.
    pub fn done(&self) -> (BTreeMap<Fault, u64>, u64) {
        let state = self.shared.state.lock().unwrap();
        (state.done.clone(), state.requests)
    }
}

impl Drop for FaultyLink {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut carrying = JoinSet::new();
    loop {
        let (gateway, _) = listener.accept().await.unwrap();
        gateway.set_nodelay(true).unwrap();
        let shared = Arc::clone(&shared);
        carrying.spawn(async move {
            // `None` is the end of this connection; the gateway opens another.
            let _ = shared.carry(gateway).await;
        });
        while carrying.try_join_next().is_some() {}
    }
}

impl Shared {
    async fn carry(&self, mut gateway: TcpStream) -> Option<()> {
        loop {
            let request = read_message(&mut gateway).await?;
            let fault = self.next_fault();
            let held_back = self.state.lock().unwrap().held_back.take();
            let answer = self.treat(request, fault).await;
            if let Some(held_back) = held_back {
                self.ask(&held_back).await;
            }
            let answer = answer?;
            let whole = match fault {
                Some(Fault::LoseAnswer) => return None,
                Some(Fault::ShortenAnswer) => self.shortened(answer),
                Some(Fault::ChangeAnswer) => self.changed(answer),
                _ => {
                    gateway.write_all(&answer).await.ok()?;
                    continue;
                }
            };
            gateway.write_all(&whole).await.ok()?;
            // What stands at the end of an answer that says another length is not its continuation.
            return None;
        }
    }

    /// Brings a request to the cloud, more or less; its answer.
    async fn treat(&self, request: Vec<u8>, fault: Option<Fault>) -> Option<Vec<u8>> {
        match fault {
            Some(Fault::Delay) => {
                sleep(self.delay()).await;
                let answer = self.ask(&request).await;
                sleep(self.delay()).await;
                answer
            }
            Some(Fault::Crumble) => answer(self.send(&request, CRUMB_BYTES).await?).await,
            Some(Fault::Shorten) => {
                let mut cloud = self.send(&self.shortened(request), usize::MAX).await?;
                cloud.shutdown().await.ok()?;
                None
            }
            Some(Fault::Change) => self.ask(&self.changed(request)).await,
            Some(Fault::Double) => tokio::join!(self.ask(&request), self.ask(&request)).1,
            Some(Fault::HoldBack) => {
                self.state.lock().unwrap().held_back = Some(request);
                None
            }
            Some(Fault::Swallow) => {
                sleep(SWALLOWED).await;
                None
            }
            _ => self.ask(&request).await,
        }
    }

    fn next_fault(&self) -> Option<Fault> {
        let state = &mut *self.state.lock().unwrap();
        state.requests += 1;
        if state.chance.below(100) >= self.percent {
            return None;
        }
        if state.deck.is_empty() {
            state.deck = FAULTS.to_vec();
        }
        let fault = state.deck.swap_remove(state.chance.below(state.deck.len() as u64) as usize);
        *state.done.entry(fault).or_default() += 1;
        Some(fault)
    }

    fn delay(&self) -> Duration {
        self.state.lock().unwrap().chance.span_below(DELAY_MAX)
    }

    fn shortened(&self, mut message: Vec<u8>) -> Vec<u8> {
        let length = self.state.lock().unwrap().chance.below(message.len() as u64);
        message.truncate(length as usize);
        message
    }

    fn changed(&self, mut message: Vec<u8>) -> Vec<u8> {
        let chance = &mut self.state.lock().unwrap().chance;
        for _ in 0..=chance.below(CHANGED_MAX) {
            let bit = chance.below(message.len() as u64 * 8);
            message[(bit / 8) as usize] ^= 1 << (bit % 8);
        }
        message
    }

    async fn ask(&self, request: &[u8]) -> Option<Vec<u8>> {
        answer(self.send(request, usize::MAX).await?).await
    }

    /// Each request on a connection of its own, so that none waits behind one that is in ruins.
    async fn send(&self, request: &[u8], piece_bytes: usize) -> Option<TcpStream> {
        let mut cloud = TcpStream::connect(("127.0.0.1", self.cloud_port)).await.ok()?;
        cloud.set_nodelay(true).ok()?;
        for piece in request.chunks(piece_bytes) {
            cloud.write_all(piece).await.ok()?;
            tokio::task::yield_now().await;
        }
        Some(cloud)
    }
}

async fn answer(mut cloud: TcpStream) -> Option<Vec<u8>> {
    timeout(ANSWER_MAX, read_message(&mut cloud)).await.ok()?
}

/// A request or an answer, head and body, of a peer that says how long its body is.
async fn read_message(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    let mut length = None;
    let mut buffer = vec![0; BUFFER_BYTES];
    while length.is_none_or(|length| message.len() < length) {
        let read @ 1.. = from.read(&mut buffer).await.ok()? else { return None };
        message.extend_from_slice(&buffer[..read]);
        let head = message.windows(4).position(|end| end == b"\r\n\r\n");
        length = length.or(head.map(|head| head + 4 + body_length(&message[..head])));
    }
    Some(message)
}

fn body_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    length.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
}

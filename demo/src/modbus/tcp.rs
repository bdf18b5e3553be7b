//! A small Modbus server on sockets, bounded in its connections: with headers, as Modbus TCP has
//! them, or with the frames of a serial line.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::faults::{Second, Step};
use crate::modbus::frame::{Received, TCP_MAX, receive_rtu, receive_tcp};
use crate::modbus::station::Station;

/// Most connections at one address; a further one is closed at once.
pub const CONNECTIONS_MAX: usize = 32;
/// A connection without a request for this long is closed.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// An RTU request that stops for this long is given up.
const BROKEN_OFF: Duration = Duration::from_millis(50);
/// Most answers of one connection that are on their way; with so many, no further request is read.
const LATER_MAX: usize = 16;
/// Pause after a failed accept (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How frames look in a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frames {
    /// With a header.
    Tcp,
    /// With a checksum.
    Rtu,
}

/// Answers for `station` until `stop`; connections end with it.
pub async fn serve(listener: TcpListener, frames: Frames, station: Arc<Station>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    let mut waiting: VecDeque<TcpStream> = VecDeque::new();
    let begin = |connections: &mut JoinSet<()>, stream| {
        let station = station.clone();
        connections.spawn(async move {
            if let Err(error) = converse(stream, frames, &station).await {
                tracing::debug!(%error, "modbus connection ended");
            }
        });
    };
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => {
                if let Some(stream) = waiting.pop_front() {
                    begin(&mut connections, stream);
                }
                continue;
            }
        };
        let second = station.second_connection().filter(|_| !connections.is_empty());
        match (accepted, second) {
            (Ok((_, peer)), _) if connections.len() + waiting.len() >= CONNECTIONS_MAX => {
                tracing::warn!(%peer, "too many modbus connections");
            }
            (Ok(_), Some(Second::Refused)) => {}
            (Ok((stream, _)), Some(Second::Waits)) => waiting.push_back(stream),
            (Ok((stream, _)), None) => begin(&mut connections, stream),
            (Err(error), _) => {
                tracing::warn!(%error, "modbus accept failed");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Request after request, until the master hangs up or sends what is no Modbus, or a fault closes the connection.
async fn converse(stream: TcpStream, frames: Frames, station: &Station) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut read, write) = stream.into_split();
    let write = Arc::new(Mutex::new(write));
    let mut later = JoinSet::new();
    let mut free_at: BTreeMap<u8, Instant> = BTreeMap::new();
    let mut buffer = Vec::with_capacity(TCP_MAX);
    let mut bytes = [0; TCP_MAX];
    loop {
        let patience = if frames == Frames::Rtu && !buffer.is_empty() { BROKEN_OFF } else { IDLE_MAX };
        tokio::select! {
            Some(ended) = later.join_next() => match ended? {
                Ok(Flow::Stays) => {}
                Ok(Flow::Closed) => return Ok(()),
                Err(error) => return Err(error),
            },
            read = timeout(patience, read.read(&mut bytes)), if later.len() < LATER_MAX => match read {
                Ok(Ok(0)) => return Ok(()),
                Ok(read) => buffer.extend_from_slice(&bytes[..read?]),
                Err(_) if patience == BROKEN_OFF => buffer.clear(),
                Err(_) => return Ok(()),
            },
        }
        loop {
            let received = match frames {
                Frames::Tcp => receive_tcp(&buffer),
                Frames::Rtu => receive_rtu(&buffer),
            };
            let (length, request) = match received {
                Received::Partial => break,
                Received::Spoilt if frames == Frames::Tcp => return Err(io::Error::other("no modbus header")),
                Received::Spoilt => {
                    buffer.clear();
                    break;
                }
                Received::Whole(length, request) => (length, request),
            };
            let steps = station.reply(&request);
            // A device answers one request after the other.
            let now = Instant::now();
            let free = free_at.entry(request.unit).or_insert(now);
            let begins = (*free).max(now);
            *free = begins + steps.iter().map(Step::wait).sum::<Duration>();
            if *free > now {
                later.spawn(perform(steps, begins, write.clone()));
            } else if perform(steps, begins, write.clone()).await? == Flow::Closed {
                return Ok(());
            }
            buffer.drain(..length);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Flow {
    Stays,
    Closed,
}

/// Takes the steps of one reply; once it has begun to speak, it alone does.
async fn perform(steps: Vec<Step>, begins: Instant, write: Arc<Mutex<OwnedWriteHalf>>) -> io::Result<Flow> {
    sleep_until(begins).await;
    let mut speaking: Option<MutexGuard<'_, OwnedWriteHalf>> = None;
    for step in steps {
        match step {
            Step::Wait(pause) => sleep(pause).await,
            Step::Send(bytes) => {
                let stream = match &mut speaking {
                    Some(stream) => stream,
                    None => speaking.insert(write.lock().await),
                };
                stream.write_all(&bytes).await?;
            }
            Step::Close => return Ok(Flow::Closed),
        }
    }
    Ok(Flow::Stays)
}

//! A small Modbus server on sockets, bounded in its connections: with headers, as Modbus TCP has
//! them, or with the frames of a serial line.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::modbus::frame::{Received, TCP_MAX, receive_rtu, receive_tcp};
use crate::modbus::station::Station;

/// Most connections at one address; a further one is closed at once.
pub const CONNECTIONS_MAX: usize = 32;
/// A connection without a request for this long is closed.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// An RTU request that stops for this long is given up.
const BROKEN_OFF: Duration = Duration::from_millis(50);
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
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) if connections.len() < CONNECTIONS_MAX => {
                let station = station.clone();
                connections.spawn(async move {
                    if let Err(error) = converse(stream, frames, &station).await {
                        tracing::debug!(%error, "modbus connection ended");
                    }
                });
            }
            Ok((_, peer)) => tracing::warn!(%peer, "too many modbus connections"),
            Err(error) => {
                tracing::warn!(%error, "modbus accept failed");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Request after request, until the master hangs up or sends what is no Modbus.
async fn converse(mut stream: TcpStream, frames: Frames, station: &Station) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(TCP_MAX);
    let mut bytes = [0; TCP_MAX];
    loop {
        let patience = if frames == Frames::Rtu && !buffer.is_empty() { BROKEN_OFF } else { IDLE_MAX };
        match timeout(patience, stream.read(&mut bytes)).await {
            Ok(read) => match read? {
                0 => return Ok(()),
                read => buffer.extend_from_slice(&bytes[..read]),
            },
            Err(_) if patience == BROKEN_OFF => buffer.clear(),
            Err(_) => return Ok(()),
        }
        loop {
            let received = match frames {
                Frames::Tcp => receive_tcp(&buffer),
                Frames::Rtu => receive_rtu(&buffer),
            };
            match received {
                Received::Partial => break,
                Received::Spoilt if frames == Frames::Tcp => return Err(io::Error::other("no modbus header")),
                Received::Spoilt => buffer.clear(),
                Received::Whole(length, request) => {
                    if let Some(answer) = station.answer(&request) {
                        stream.write_all(&answer).await?;
                    }
                    buffer.drain(..length);
                }
            }
        }
    }
}

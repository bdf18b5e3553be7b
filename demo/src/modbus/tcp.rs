//! A small Modbus TCP server: MBAP framing, bounded connections
//! (MODBUS Messaging on TCP/IP V1.0b, section 3.1.3).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::modbus::pdu::PDU_MAX;
use crate::modbus::station::Station;

/// Most connections at one address; a further one is closed at once.
pub const CONNECTIONS_MAX: usize = 32;
/// A connection without a request for this long is closed.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// Pause after a failed accept (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const HEADER: usize = 7;

/// Answers for `station` until `stop`; connections end with it.
pub async fn serve(listener: TcpListener, station: Arc<Station>, stop: CancellationToken) {
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
                    if let Err(error) = converse(stream, &station).await {
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
async fn converse(mut stream: TcpStream, station: &Station) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut header = [0; HEADER];
    let mut request = [0; PDU_MAX];
    loop {
        timeout(IDLE_MAX, stream.read_exact(&mut header)).await??;
        let [_, _, protocol_high, protocol_low, length_high, length_low, unit] = header;
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        // The length counts the unit id, too.
        if (protocol_high, protocol_low) != (0, 0) || !(2..=PDU_MAX + 1).contains(&length) {
            return Err(io::Error::other("no modbus header"));
        }
        let request = &mut request[..length - 1];
        timeout(IDLE_MAX, stream.read_exact(request)).await??;
        let Some(answer) = station.answer(unit, request) else { continue };
        let mut frame = Vec::with_capacity(HEADER + answer.len());
        frame.extend_from_slice(&header[..4]);
        frame.extend_from_slice(&(answer.len() as u16 + 1).to_be_bytes());
        frame.push(unit);
        frame.extend_from_slice(&answer);
        stream.write_all(&frame).await?;
    }
}

//! The HTTP client of the uploads, over sockets that count what they carry as a bill does: whole IP
//! packets, TLS, acknowledgements and repetitions included, as far as the kernel tells.

use std::future::Future;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower_service::Service;

use super::tls::{CONNECT, IDLE};
use crate::store::Carried;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// Where a connection is in the making.
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Sends requests with a whole body.
pub type Http = Client<Within, Full<Bytes>>;

/// Bytes since the start, of all connections.
#[derive(Debug, Default)]
pub struct Meter {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Meter {
    /// What has been carried so far.
    pub fn read(&self) -> Carried {
        Carried { sent: self.sent.load(Ordering::Relaxed), received: self.received.load(Ordering::Relaxed) }
    }

    fn add(&self, more: Carried) {
        self.sent.fetch_add(more.sent, Ordering::Relaxed);
        self.received.fetch_add(more.received, Ordering::Relaxed);
    }
}

/// A client that trusts as `tls` says; what it sends and receives is counted by `meter`.
pub fn client(tls: ClientConfig, meter: Arc<Meter>) -> Http {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let versions = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_all_versions();
    let connector = Within(versions.wrap_connector(Metered { tcp, meter }));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(1)
        .build(connector)
}

/// Connections, TLS included, are made in [`CONNECT`] or not at all.
#[derive(Debug, Clone)]
pub struct Within(HttpsConnector<Metered>);

impl Service<Uri> for Within {
    type Response = MaybeHttpsStream<TokioIo<Counted>>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(CONNECT, self.0.call(uri));
        Box::pin(async move { connecting.await.map_err(|_| late(CONNECT))? })
    }
}

fn late(within: Duration) -> BoxError {
    io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {} s", within.as_secs())).into()
}

/// Plain TCP, counted.
#[derive(Debug, Clone)]
pub struct Metered {
    tcp: HttpConnector,
    meter: Arc<Meter>,
}

impl Service<Uri> for Metered {
    type Response = TokioIo<Counted>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, meter) = (self.tcp.call(uri), Arc::clone(&self.meter));
        Box::pin(async move { Ok(TokioIo::new(Counted::new(connecting.await?.into_inner(), meter))) })
    }
}

/// A socket whose bytes are counted.
#[derive(Debug)]
pub struct Counted {
    stream: TcpStream,
    meter: Arc<Meter>,
    /// Length of the headers of a packet.
    header: u64,
    /// What was handed to the socket and taken from it.
    content: Carried,
    /// What the meter knows of this socket.
    told: Carried,
}

impl Counted {
    fn new(stream: TcpStream, meter: Arc<Meter>) -> Self {
        let is_v4 = stream.peer_addr().is_ok_and(|peer| peer.is_ipv4());
        let mut counted = Counted {
            stream,
            meter,
            header: if is_v4 { HEADER_V4 } else { HEADER_V6 },
            content: Carried::default(),
            told: Carried::default(),
        };
        counted.tell();
        counted
    }

    fn tell(&mut self) {
        let Packets { segments, bytes } = packets(self.stream.as_raw_fd()).unwrap_or_default();
        // A kernel that tells nothing leaves what went through here.
        let total = Carried {
            sent: bytes.sent.max(self.content.sent) + segments.sent * self.header,
            received: bytes.received.max(self.content.received) + segments.received * self.header,
        };
        self.meter.add(total.since(self.told));
        self.told = total;
    }

    fn sent(&mut self, polled: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = polled {
            self.content.sent += *count as u64;
            self.tell();
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.tell();
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_ready() {
            self.content.received += (buffer.filled().len() - before) as u64;
            self.tell();
        }
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.sent(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.sent(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connection for Counted {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

/// Headers of IP and TCP with its time stamps, in bytes.
const HEADER_V4: u64 = 20 + 20 + 12;
const HEADER_V6: u64 = 40 + 20 + 12;

/// What the kernel counts of a connection; bytes without headers, repetitions included.
#[derive(Debug, Default)]
struct Packets {
    segments: Carried,
    bytes: Carried,
}

/// `TCP_INFO`, which has all these counters since Linux 4.19; `None` where there is less.
#[expect(unsafe_code, reason = "the socket option has no safe wrapper")]
fn packets(socket: std::os::fd::RawFd) -> Option<Packets> {
    // Places in `struct tcp_info` of linux/tcp.h, which only ever grows at its end.
    const BYTES_RECEIVED: usize = 128;
    const SEGMENTS_OUT: usize = 136;
    const SEGMENTS_IN: usize = 140;
    const BYTES_SENT: usize = 200;
    let mut info = [0u8; BYTES_SENT + 8];
    let mut length = info.len() as libc::socklen_t;
    let place = info.as_mut_ptr().cast();
    // SAFETY: the kernel writes at most `length` bytes to `info`, which has as many.
    let done = unsafe { libc::getsockopt(socket, libc::IPPROTO_TCP, libc::TCP_INFO, place, &raw mut length) };
    if done != 0 || (length as usize) < info.len() {
        return None;
    }
    let word = |at: usize| u32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
    let long = |at: usize| info[at..at + 8].try_into().map(u64::from_ne_bytes).ok();
    Some(Packets {
        segments: Carried { sent: word(SEGMENTS_OUT).into(), received: word(SEGMENTS_IN).into() },
        bytes: Carried { sent: long(BYTES_SENT)?, received: long(BYTES_RECEIVED)? },
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_a_socket_carries_is_counted_both_ways_with_the_headers_of_its_packets() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(connecting, listener.accept());
        let (mut server, meter) = (accepted.unwrap().0, Arc::new(Meter::default()));
        let mut counted = Counted::new(client.unwrap(), Arc::clone(&meter));
        let opened = meter.read();
        assert!(opened.total() >= 2 * HEADER_V4, "the handshake: {opened:?}");
        counted.write_all(&[1; 5_000]).await.unwrap();
        server.read_exact(&mut [0; 5_000]).await.unwrap();
        server.write_all(&[2; 700]).await.unwrap();
        counted.read_exact(&mut [0; 700]).await.unwrap();
        drop(counted);
        let Carried { sent, received } = meter.read().since(opened);
        assert!((5_000 + HEADER_V4..5_000 + 20 * HEADER_V4).contains(&sent), "{sent}");
        assert!((700 + HEADER_V4..700 + 20 * HEADER_V4).contains(&received), "{received}");
    }

    #[tokio::test]
    async fn a_kernel_that_tells_nothing_leaves_the_content() {
        assert!(packets(-1).is_none());
    }
}

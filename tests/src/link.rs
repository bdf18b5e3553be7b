//! The way from a gateway to the cloud, which a test can make fail in every way that links fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// What is carried at once, in bytes.
const BUFFER_BYTES: usize = 4 << 10;

/// What the link does; it also takes hold of connections that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Carries everything.
    Pass,
    /// Carries everything, answers only after this time.
    Slow(Duration),
    /// Closes every connection and listens no more.
    Refuse,
    /// Takes connections and carries nothing.
    BlackHole,
    /// Closes a connection once it has carried so many bytes to the cloud.
    CutAfter(u64),
    /// Carries requests; once the cloud answers, drops the answer and the connection.
    LoseAnswers,
}

/// A link to one cloud; it ends when dropped.
#[derive(Debug)]
pub struct Link {
    url: String,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    cloud_port: u16,
    mode: watch::Sender<Mode>,
    to_cloud_bytes: AtomicU64,
    answers_lost: AtomicU64,
    handshakes_failed: AtomicU64,
}

impl Link {
    /// To the cloud at this port, in the clear.
    pub async fn to(cloud_port: u16) -> Link {
        Self::open(cloud_port, None).await
    }

    /// The same with TLS on the gateway's side, as a proxy before the cloud ends it.
    pub async fn with_tls(cloud_port: u16, acceptor: TlsAcceptor) -> Link {
        Self::open(cloud_port, Some(acceptor)).await
    }

    async fn open(cloud_port: u16, acceptor: Option<TlsAcceptor>) -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            cloud_port,
            mode: watch::Sender::new(Mode::Pass),
            to_cloud_bytes: AtomicU64::new(0),
            answers_lost: AtomicU64::new(0),
            handshakes_failed: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared), acceptor));
        Link { url, shared, accepting }
    }

    /// Where the gateway finds the cloud.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Changes what the link does.
    pub fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// Bytes that went to the cloud, without TLS.
    pub fn to_cloud_bytes(&self) -> u64 {
        self.shared.to_cloud_bytes.load(Ordering::SeqCst)
    }

    /// Answers that were dropped.
    pub fn answers_lost(&self) -> u64 {
        self.shared.answers_lost.load(Ordering::SeqCst)
    }

    /// Connections on which there came no TLS about.
    pub fn handshakes_failed(&self) -> u64 {
        self.shared.handshakes_failed.load(Ordering::SeqCst)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, acceptor: Option<TlsAcceptor>) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    let mut mode = shared.mode.subscribe();
    let mut carrying = JoinSet::new();
    loop {
        let refuses = *mode.borrow_and_update() == Mode::Refuse;
        if refuses {
            listener = None;
        } else if listener.is_none() {
            listener = Some(TcpListener::bind(address).await.unwrap());
        }
        let gateway = tokio::select! {
            Ok(()) = mode.changed() => continue,
            Some(accepted) = async { Some(listener.as_ref()?.accept().await) } => accepted.unwrap().0,
            else => return,
        };
        gateway.set_nodelay(true).unwrap();
        let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
        carrying.spawn(async move {
            let Some(acceptor) = acceptor else { return shared.carry(gateway).await };
            match acceptor.accept(gateway).await {
                Ok(gateway) => shared.carry(gateway).await,
                Err(_) => drop(shared.handshakes_failed.fetch_add(1, Ordering::SeqCst)),
            }
        });
        while carrying.try_join_next().is_some() {}
    }
}

impl Shared {
    /// Carries one connection to its end.
    async fn carry(&self, mut gateway: impl AsyncRead + AsyncWrite + Unpin) {
        let mut mode = self.mode.subscribe();
        let (mut request, mut answer) = ([0; BUFFER_BYTES], [0; BUFFER_BYTES]);
        let mut cloud: Option<TcpStream> = None;
        let mut carried = 0;
        loop {
            let now = *mode.borrow_and_update();
            let open = match now {
                Mode::Refuse => return,
                Mode::BlackHole => {
                    if mode.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
                _ => match &mut cloud {
                    Some(open) => open,
                    None => match TcpStream::connect(("127.0.0.1", self.cloud_port)).await {
                        Ok(open) => cloud.insert(open),
                        Err(_) => return,
                    },
                },
            };
            tokio::select! {
                _ = mode.changed() => {}
                read = gateway.read(&mut request) => {
                    let Ok(length @ 1..) = read else { return };
                    let left = if let Mode::CutAfter(bytes) = now { bytes.saturating_sub(carried) } else { u64::MAX };
                    let length = length.min(usize::try_from(left).unwrap_or(usize::MAX));
                    carried += length as u64;
                    self.to_cloud_bytes.fetch_add(length as u64, Ordering::SeqCst);
                    if open.write_all(&request[..length]).await.is_err() || left <= length as u64 {
                        return;
                    }
                }
                read = open.read(&mut answer) => {
                    let Ok(length @ 1..) = read else { return };
                    if now == Mode::LoseAnswers {
                        self.answers_lost.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    if let Mode::Slow(delay) = now {
                        tokio::time::sleep(delay).await;
                    }
                    if gateway.write_all(&answer[..length]).await.is_err() || gateway.flush().await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

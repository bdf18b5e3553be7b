//! The way from the gateway to the cloud, which the story can cut.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// Most connections at once; a gateway has few.
const CONNECTIONS_MAX: usize = 32;
/// Pause after a failed accept (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A relay on the loopback; it ends when dropped.
#[derive(Debug)]
pub struct Relay {
    url: String,
    cut: watch::Sender<bool>,
    carrying: JoinHandle<()>,
}

impl Relay {
    /// To the cloud at this port.
    pub async fn open(cloud_port: u16) -> io::Result<Relay> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let cut = watch::Sender::new(false);
        let carrying = tokio::spawn(carry(listener, cloud_port, cut.subscribe()));
        Ok(Relay { url, cut, carrying })
    }

    /// Where the gateway finds the cloud.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Cuts the link, connections that are there as well, or mends it.
    pub fn cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn carry(listener: TcpListener, cloud_port: u16, mut cut: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            changed = cut.changed() => match changed {
                Ok(()) if *cut.borrow_and_update() => {
                    connections.abort_all();
                    continue;
                }
                Ok(()) => continue,
                Err(_) => return,
            },
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((gateway, _)) if !*cut.borrow() && connections.len() < CONNECTIONS_MAX => {
                connections.spawn(through(gateway, cloud_port));
            }
            Ok(_) => {} // closed at once
            Err(error) => {
                tracing::warn!(%error, "relay accept failed");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn through(mut gateway: TcpStream, cloud_port: u16) {
    let carried = async {
        let mut cloud = TcpStream::connect((Ipv4Addr::LOCALHOST, cloud_port)).await?;
        gateway.set_nodelay(true)?;
        cloud.set_nodelay(true)?;
        copy_bidirectional(&mut gateway, &mut cloud).await
    };
    if let Err(error) = carried.await {
        tracing::debug!(%error, "relayed connection ended");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A server that says back what it hears.
    async fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await; // the peer may be gone
                });
            }
        });
        port
    }

    async fn connect(relay: &Relay) -> TcpStream {
        TcpStream::connect(relay.url().strip_prefix("http://").unwrap()).await.unwrap()
    }

    async fn hears_itself(stream: &mut TcpStream) -> bool {
        let heard = async {
            stream.write_all(b"?").await?;
            stream.read_exact(&mut [0]).await
        };
        timeout(PATIENCE, heard).await.unwrap().is_ok()
    }

    #[tokio::test]
    async fn a_cut_ends_connections_lets_none_through_and_can_be_mended() {
        let relay = Relay::open(echo().await).await.unwrap();
        let mut before = connect(&relay).await;
        assert!(hears_itself(&mut before).await);
        relay.cut(true);
        assert!(timeout(PATIENCE, before.read(&mut [0])).await.unwrap().is_ok_and(|bytes| bytes == 0));
        assert!(!hears_itself(&mut connect(&relay).await).await);
        relay.cut(false);
        assert!(hears_itself(&mut connect(&relay).await).await);
    }
}

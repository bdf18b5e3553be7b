//! A Modbus TCP server whose answers a test chooses. Register `n` holds `n`, or what the test says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a client asked.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Number of the request over all connections, from 0.
    pub number: usize,
    /// Number of the connection, from 0.
    pub connection: usize,
    pub unit: u8,
    pub function: u8,
    pub start: u16,
    pub count: u16,
}

impl Asked {
    pub fn touches(&self, register: u16) -> bool {
        (self.start..self.start + self.count).contains(&register)
    }
}

/// How to answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Register `n` holds `n`.
    Good,
    /// Every register holds this.
    Holds(u16),
    /// These words.
    Words(&'static [u16]),
    /// A refusal.
    Exception(u8),
    /// Nothing.
    Nothing,
    /// The right answer, too late.
    Late(Duration),
    /// A good answer with another transaction id.
    Foreign,
    /// An answer of another unit, and then the right one.
    OtherUnitFirst,
    /// One register less than asked for.
    Short,
    /// The socket closed without an answer.
    Close,
    /// A good answer, and then the socket closed.
    GoodThenClose,
    /// Something else altogether.
    Garbage,
}

/// Serves until dropped.
pub struct Server {
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn start(answer: impl Fn(Asked) -> Answer + Send + Sync + 'static) -> Server {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), answer, usize::MAX)
    }

    /// At an address that is free again.
    pub async fn at(address: SocketAddr, answer: impl Fn(Asked) -> Answer + Send + Sync + 'static) -> Server {
        Self::on(TcpListener::bind(address).await.unwrap(), answer, usize::MAX)
    }

    /// Accepts a further connection only when the one before is closed.
    pub async fn one_client(answer: impl Fn(Asked) -> Answer + Send + Sync + 'static) -> Server {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), answer, 1)
    }

    fn on(listener: TcpListener, answer: impl Fn(Asked) -> Answer + Send + Sync + 'static, most: usize) -> Server {
        let address = listener.local_addr().unwrap();
        let (asked, connections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let answer: Arc<dyn Fn(Asked) -> Answer + Send + Sync> = Arc::new(answer);
        let (count, clients) = (Arc::clone(&asked), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let connection = clients.fetch_add(1, Ordering::SeqCst);
                let serve = serve(stream, connection, Arc::clone(&count), Arc::clone(&answer));
                if most == 1 {
                    serve.await;
                } else {
                    tasks.spawn(serve);
                }
            }
        });
        Server { address, asked, connections, task }
    }

    pub fn bus(&self) -> String {
        format!("kind = \"tcp\"\naddress = \"{}\"\ntimeout = \"150ms\"", self.address)
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(
    stream: TcpStream,
    connection: usize,
    count: Arc<AtomicUsize>,
    answer: Arc<dyn Fn(Asked) -> Answer + Send + Sync>,
) {
    let (mut read, write) = stream.into_split();
    let write = Arc::new(tokio::sync::Mutex::new(write));
    let mut frame = [0; 12];
    while read.read_exact(&mut frame).await.is_ok() {
        let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        let number = count.fetch_add(1, Ordering::SeqCst);
        let asked = Asked { number, connection, unit: frame[6], function: frame[7], start: word(8), count: word(10) };
        let words = |value: &dyn Fn(u16) -> u16, count: u16| {
            let mut pdu = vec![frame[7], (count * 2) as u8];
            pdu.extend((asked.start..asked.start + count).flat_map(|at| value(at).to_be_bytes()));
            pdu
        };
        let framed = |transaction: [u8; 2], pdu: &[u8]| {
            let mut bytes = vec![transaction[0], transaction[1], 0, 0, 0, pdu.len() as u8 + 1, frame[6]];
            bytes.extend(pdu);
            bytes
        };
        let own = [frame[0], frame[1]];
        let good = framed(own, &words(&|at| at, asked.count));
        match answer(asked) {
            Answer::Good => _ = write.lock().await.write_all(&good).await,
            Answer::Holds(value) => {
                let pdu = words(&|_| value, asked.count);
                _ = write.lock().await.write_all(&framed(own, &pdu)).await;
            }
            Answer::Words(words) => {
                let mut pdu = vec![frame[7], (words.len() * 2) as u8];
                pdu.extend(words.iter().flat_map(|word| word.to_be_bytes()));
                _ = write.lock().await.write_all(&framed(own, &pdu)).await;
            }
            Answer::Exception(code) => {
                _ = write.lock().await.write_all(&framed(own, &[frame[7] | 0x80, code])).await;
            }
            Answer::Nothing => {}
            Answer::Late(delay) => {
                let write = Arc::clone(&write);
                let late = framed(own, &words(&|_| 666, asked.count));
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    _ = write.lock().await.write_all(&late).await;
                });
            }
            Answer::Foreign => {
                let other = [frame[0].wrapping_add(1), frame[1]];
                _ = write.lock().await.write_all(&framed(other, &words(&|_| 666, asked.count))).await;
            }
            Answer::OtherUnitFirst => {
                let mut other = framed(own, &words(&|_| 666, asked.count));
                other[6] ^= 0x55;
                _ = write.lock().await.write_all(&[other, good].concat()).await;
            }
            Answer::Short => {
                let pdu = words(&|at| at, asked.count.saturating_sub(1));
                _ = write.lock().await.write_all(&framed(own, &pdu)).await;
            }
            Answer::Garbage => _ = write.lock().await.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await,
            Answer::Close => return,
            Answer::GoodThenClose => {
                _ = write.lock().await.write_all(&good).await;
                return;
            }
        }
    }
}

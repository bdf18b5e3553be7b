//! A Modbus device of which a test says what it answers, on TCP or as RTU in a socket.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::bus::frame::crc;

/// What a device does with the PDU of a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A PDU.
    Pdu(Vec<u8>),
    /// Nothing.
    Nothing,
    /// Bytes that are no frame.
    Noise,
}

/// Answers a unit's PDU.
type Answering = dyn Fn(u8, &[u8]) -> Answer + Send + Sync;

/// How frames look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frames {
    Tcp,
    Rtu,
}

/// Serves until dropped.
pub struct Server {
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// `answer` gets the unit and the PDU of each request.
    pub async fn start(frames: Frames, answer: impl Fn(u8, &[u8]) -> Answer + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let answer: Arc<Answering> = Arc::new(answer);
        let task = tokio::spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                clients.spawn(serve(stream, frames, Arc::clone(&answer), Arc::clone(&count)));
            }
        });
        Server { address, asked, task }
    }

    /// Requests so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, frames: Frames, answer: Arc<Answering>, count: Arc<AtomicUsize>) {
    let mut bytes = [0; 260];
    // The probe sends a request only when the one before was answered or given up, so one read is one frame.
    while let Ok(read) = stream.read(&mut bytes).await {
        if read == 0 {
            return;
        }
        count.fetch_add(1, Ordering::SeqCst);
        let frame = &bytes[..read];
        let (unit, pdu) = match frames {
            Frames::Tcp => (frame[6], &frame[7..]),
            Frames::Rtu => (frame[0], &frame[1..read - 2]),
        };
        let sent = match answer(unit, pdu) {
            Answer::Nothing => continue,
            Answer::Noise => vec![0xAA; 5],
            Answer::Pdu(pdu) if frames == Frames::Tcp => {
                let mut sent = vec![frame[0], frame[1], 0, 0, 0, pdu.len() as u8 + 1, unit];
                sent.extend(pdu);
                sent
            }
            Answer::Pdu(pdu) => {
                let mut sent = vec![unit];
                sent.extend(pdu);
                sent.extend(crc(&sent).to_le_bytes());
                sent
            }
        };
        if stream.write_all(&sent).await.is_err() {
            return;
        }
    }
}

/// An exception.
pub fn refusal(pdu: &[u8], code: u8) -> Answer {
    Answer::Pdu(vec![pdu[0] | 0x80, code])
}

/// The registers of a function; addresses without a word are refused, other functions too.
pub fn registers(function: u8, words: &BTreeMap<u16, u16>, pdu: &[u8]) -> Answer {
    if pdu[0] != function {
        return refusal(pdu, 1);
    }
    let start = u16::from_be_bytes([pdu[1], pdu[2]]);
    let count = u16::from_be_bytes([pdu[3], pdu[4]]);
    let found: Option<Vec<u16>> = (0..count).map(|at| words.get(&start.checked_add(at)?).copied()).collect();
    let Some(found) = found else { return refusal(pdu, 2) };
    let mut answer = vec![function, (count * 2) as u8];
    answer.extend(found.iter().flat_map(|word| word.to_be_bytes()));
    Answer::Pdu(answer)
}

/// Words from an address on.
pub fn words(at: u16, words: impl IntoIterator<Item = u16>) -> BTreeMap<u16, u16> {
    (at..).zip(words).collect()
}

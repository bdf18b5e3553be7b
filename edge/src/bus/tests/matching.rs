//! Whatever else comes in, a value is either right or missing.

use std::sync::Arc;

use proptest::prelude::*;
use riverwatts_shared::profile::Function;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::sync::Mutex;
use tokio::time::{Duration, sleep};

use crate::bus::frame::{Request, crc};
use crate::bus::wire::{Pace, Wire};
use crate::config::Link;

const UNIT: u8 = 17;
const COUNT: u16 = 3;
const PACE: Pace = Pace { quiet: Duration::ZERO, timeout: Duration::from_millis(100), one_request: false };

/// What the far end does with one request.
#[derive(Debug, Clone)]
struct Script {
    /// When it answers: in time, or until its time-out has passed once more.
    answer_ms: Option<u64>,
    /// What becomes of the answer on the way.
    harm: Harm,
    /// What else is on the wire, and when.
    others: Vec<(u64, Other)>,
}

#[derive(Debug, Clone, Copy)]
enum Harm {
    None,
    Flipped,
    Torn,
    Refusal,
}

#[derive(Debug, Clone)]
enum Other {
    Noise(Vec<u8>),
    Unit(u8),
    Function,
    Length(u16),
    Echo,
}

fn script() -> impl Strategy<Value = Script> {
    let harm =
        prop_oneof![4 => Just(Harm::None), 1 => Just(Harm::Flipped), 1 => Just(Harm::Torn), 1 => Just(Harm::Refusal)];
    let other = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..8).prop_map(Other::Noise),
        (1u8..=247).prop_filter("another", |unit| *unit != UNIT).prop_map(Other::Unit),
        Just(Other::Function),
        (1u16..20).prop_filter("another", |count| *count != COUNT).prop_map(Other::Length),
        Just(Other::Echo),
    ];
    let others = prop::collection::vec((0u64..150, other), 0..4);
    (prop::option::weighted(0.8, prop_oneof![1u64..95, 105u64..190]), harm, others)
        .prop_map(|(answer_ms, harm, others)| Script { answer_ms, harm, others })
}

fn sealed(mut content: Vec<u8>) -> Vec<u8> {
    content.extend(crc(&content).to_le_bytes());
    content
}

/// Register `n` holds `n`.
fn answer(unit: u8, function: u8, start: u16, count: u16) -> Vec<u8> {
    let mut pdu = vec![unit, function, (count * 2) as u8];
    pdu.extend((start..start + count).flat_map(u16::to_be_bytes));
    pdu
}

/// The frames for one request, with their times; on TCP of `transaction`.
fn frames(script: &Script, start: u16, transaction: Option<u16>) -> Vec<(u64, Vec<u8>)> {
    let framed = |id: u16, content: Vec<u8>| match transaction {
        None => sealed(content),
        Some(_) => [&id.to_be_bytes()[..], &[0, 0, 0, content.len() as u8], &content].concat(),
    };
    let own = transaction.unwrap_or_default();
    let mut frames = Vec::new();
    for (at, other) in &script.others {
        let bytes = match (other, transaction) {
            // On TCP noise is the end of the connection, which is no matter of this test.
            (Other::Noise(_) | Other::Echo | Other::Function, Some(_)) => continue,
            (Other::Noise(bytes), None) => bytes.clone(),
            (Other::Unit(unit), _) => framed(own, answer(*unit, 3, 9_000, COUNT)),
            (Other::Function, None) => sealed(answer(UNIT, 4, 9_000, COUNT)),
            (Other::Length(count), None) => sealed(answer(UNIT, 3, 9_000, *count)),
            (Other::Length(count), Some(_)) => framed(own.wrapping_sub(1), answer(UNIT, 3, 9_000, *count)),
            (Other::Echo, None) => {
                Request { unit: UNIT, function: Function::Holding, start, count: COUNT }.rtu_frame().to_vec()
            }
        };
        frames.push((*at, bytes));
    }
    if let Some(at) = script.answer_ms {
        let mut bytes = framed(own, answer(UNIT, 3, start, COUNT));
        match (script.harm, transaction) {
            (Harm::None, _) | (Harm::Flipped | Harm::Torn, Some(_)) => {}
            (Harm::Flipped, None) => bytes[5] ^= 0x10,
            (Harm::Torn, None) => bytes.truncate(7),
            (Harm::Refusal, _) => bytes = framed(own, vec![UNIT, 0x83, 6]),
        }
        frames.push((at, bytes));
    }
    frames
}

/// Plays the scripts, one a request; gives the number of right answers.
fn play(scripts: Vec<Script>, tcp: bool) -> Result<usize, TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let address = "127.0.0.1:1".to_owned();
        let link = if tcp { Link::Tcp { address } } else { Link::RtuTcp { address } };
        let mut wire = Wire::new(link, Duration::ZERO);
        let (near, far) = duplex(4_096);
        wire.connection.port = Some(Box::new(near));
        let (mut read, write) = tokio::io::split(far);
        let write = Arc::new(Mutex::new(write));
        let played = scripts.clone();
        tokio::spawn(async move {
            let mut frame = vec![0; if tcp { 12 } else { 8 }];
            let mut scripts = played.iter();
            while let (Ok(_), Some(script)) = (read.read_exact(&mut frame).await, scripts.next()) {
                let from = if tcp { 8 } else { 2 };
                let start = u16::from_be_bytes([frame[from], frame[from + 1]]);
                let transaction = tcp.then(|| u16::from_be_bytes([frame[0], frame[1]]));
                for (at, bytes) in frames(script, start, transaction) {
                    let write = Arc::clone(&write);
                    tokio::spawn(async move {
                        sleep(Duration::from_millis(at)).await;
                        _ = write.lock().await.write_all(&bytes).await;
                    });
                }
            }
        });
        let mut right = 0;
        for number in 0..scripts.len() as u16 {
            let start = number * 10;
            let request = Request { unit: UNIT, function: Function::Holding, start, count: COUNT };
            if wire.read(&request, PACE).await.is_ok() {
                prop_assert_eq!(wire.words(), [start, start + 1, start + 2], "request {}", number);
                right += 1;
            }
            if !wire.is_connected() {
                break;
            }
        }
        Ok(right)
    })
}

proptest! {
    #[test]
    fn on_rtu_no_answer_is_taken_for_another(scripts in prop::collection::vec(script(), 1..12)) {
        play(scripts, false)?;
    }

    #[test]
    fn on_tcp_no_answer_is_taken_for_another(scripts in prop::collection::vec(script(), 1..12)) {
        let prompt = |script: &Script| script.answer_ms.is_some_and(|at| at < 100) && !matches!(script.harm, Harm::Refusal);
        let expected = scripts.iter().filter(|script| prompt(script)).count();
        let silent = |three: &[Script]| three.iter().all(|script| script.answer_ms.is_none_or(|at| at > 100));
        let kept = !scripts.windows(3).any(silent);
        let right = play(scripts, true)?;
        prop_assert!(!kept || right == expected, "{} of {} right answers", right, expected);
    }
}

#[test]
fn an_answer_is_found_among_everything_else() {
    let others = vec![
        (1, Other::Noise(vec![0, 0xFF])),
        (2, Other::Unit(18)),
        (3, Other::Echo),
        (4, Other::Function),
        (5, Other::Length(9)),
    ];
    let script = Script { answer_ms: Some(50), harm: Harm::None, others };
    assert_eq!(play(vec![script; 5], false).unwrap(), 5);
}

//! Writing on a bus, to relays that obey, refuse, are silent or lie.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use riverwatts_shared::time::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::*;
use crate::bus::{ORDERS_MAX, Order};
use crate::write::{HOLDS, Outcome as Written, Proposal, Report};

/// What the relays do when a coil is written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Does {
    Obey,
    ObeyLater(Duration),
    ObeyInSilence,
    NothingInSilence,
    NothingButEcho,
    EchoOther,
    Refuse(u8),
    ObeyAndClose,
}

#[derive(Debug, Default)]
struct Seen {
    /// Coils by address, and from when on.
    coils: BTreeMap<u16, (Option<Instant>, bool)>,
    /// Function codes, in order.
    codes: Vec<u8>,
}

struct Relays {
    config: Config,
    clock: Arc<dyn Clock>,
    seen: Arc<Mutex<Seen>>,
    writer: mpsc::Sender<Order>,
    _stop: DropGuard,
    _readings: mpsc::Receiver<FromBus>,
}

impl Relays {
    async fn start(does: Does) -> Relays {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let served = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, does, Arc::clone(&served)));
            }
        });
        let text = format!(
            "[[bus]]\nid = \"lan\"\nkind = \"tcp\"\naddress = \"{address}\"\ntimeout = \"150ms\"\n\
             [[device]]\nid = \"relay-1\"\nbus = \"lan\"\nprofile = \"waveshare-relay-8ch\"\ninterval = \"100ms\"\n\
             writes = [\"relay_3\"]\n[[device.interlock]]\nwrites = [\"relay_3\"]\nalways = true\n"
        );
        let config = read(&text, Path::new(""));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let (out, mut readings) = mpsc::channel(1_024);
        let bus = Bus::all(&config, &clock, &out).remove(0);
        let writer = bus.writer();
        let stop = CancellationToken::new();
        bus.start(stop.clone()).unwrap();
        let recognised = async { while !matches!(readings.recv().await, Some(FromBus::Identity { .. })) {} };
        tokio::time::timeout(PATIENCE, recognised).await.unwrap();
        Relays { config, clock, seen, writer, _stop: stop.drop_guard(), _readings: readings }
    }

    /// Orders relay 3 to be switched on by a permit of this age.
    fn order(&self, age: Duration) -> oneshot::Receiver<Report> {
        let proposal = Proposal::new(&self.config, "relay-1", "relay_3", "on").unwrap();
        let permit = proposal.permit(|_, _| None, self.clock.monotonic().saturating_sub(age)).unwrap();
        let (answer, answered) = oneshot::channel();
        self.writer.try_send(Order { permit, answer }).unwrap();
        answered
    }

    async fn switched_on(&self) -> Report {
        tokio::time::timeout(PATIENCE, self.order(Duration::ZERO)).await.unwrap().unwrap()
    }

    fn codes(&self) -> Vec<u8> {
        self.seen.lock().unwrap().codes.clone()
    }

    fn writes(&self) -> usize {
        self.codes().iter().filter(|&&code| code > 4).count()
    }
}

async fn serve(mut stream: tokio::net::TcpStream, does: Does, seen: Arc<Mutex<Seen>>) {
    let mut frame = [0; 12];
    while stream.read_exact(&mut frame).await.is_ok() {
        let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        let mut answer = frame[..7].to_vec();
        seen.lock().unwrap().codes.push(frame[7]);
        if frame[7] == 1 {
            let byte = (0..word(10)).fold(0u8, |byte, at| {
                let coil = seen.lock().unwrap().coils.get(&(word(8) + at)).copied();
                let on = coil.is_some_and(|(from, on)| on && from.is_none_or(|from| Instant::now() >= from));
                byte | u8::from(on) << at
            });
            answer.extend([1, 1, byte]);
            answer[5] = 4;
            stream.write_all(&answer).await.unwrap();
            continue;
        }
        let from = match does {
            Does::ObeyLater(delay) => Some(Some(Instant::now() + delay)),
            Does::Obey | Does::ObeyInSilence | Does::ObeyAndClose => Some(None),
            _ => None,
        };
        if let Some(from) = from {
            seen.lock().unwrap().coils.insert(word(8), (from, word(10) == 0xFF00));
        }
        match does {
            Does::ObeyInSilence | Does::NothingInSilence => continue,
            Does::ObeyAndClose => return,
            Does::Refuse(code) => {
                answer.extend([frame[7] | 0x80, code]);
                answer[5] = 3;
            }
            Does::EchoOther => {
                answer.extend(&frame[7..]);
                answer[10] = 0x12;
            }
            Does::Obey | Does::ObeyLater(_) | Does::NothingButEcho => answer.extend(&frame[7..]),
        }
        stream.write_all(&answer).await.unwrap();
    }
}

#[tokio::test]
async fn a_write_is_told_done_only_when_the_device_shows_it() {
    for (does, expected) in [
        (Does::Obey, Written::Done),
        (Does::ObeyLater(Duration::from_millis(350)), Written::Done),
        (Does::ObeyInSilence, Written::Done),
        (Does::ObeyAndClose, Written::Done),
        (Does::NothingInSilence, not_shown("; the answer to it: no answer within 150 ms")),
        (Does::NothingButEcho, not_shown("")),
        (Does::EchoOther, not_shown("; the answer to it: answer that names another value than was written")),
        (Does::Refuse(3), Written::Failed("the device refuses it: exception 3: illegal value".to_owned())),
    ] {
        let relays = Relays::start(does).await;
        let report = relays.switched_on().await;
        assert_eq!((report.outcome, report.old.as_deref()), (expected, Some("off")), "{does:?}");
        assert_eq!(relays.writes(), 1, "{does:?}: written once, whatever became of it");
    }
}

fn not_shown(answer: &str) -> Written {
    Written::NotConfirmed(format!("relays.relay_3 shows off 1 s after the write{answer}"))
}

#[tokio::test]
async fn polls_go_on_while_a_write_takes_its_time_to_show() {
    let relays = Relays::start(Does::NothingButEcho).await;
    let started = Instant::now();
    relays.switched_on().await;
    assert!(started.elapsed() >= Duration::from_secs(1));
    let codes = relays.codes();
    let looks_and_polls = codes.iter().skip_while(|&&code| code != 5).count() - 1;
    // Looked at 10 times a second, and polled as often: with one of the two alone it were half.
    assert!(looks_and_polls >= 15, "{looks_and_polls} requests in the second after the write");
}

#[tokio::test]
async fn an_old_permit_writes_nothing_and_the_queue_is_short() {
    let relays = Relays::start(Does::Obey).await;
    let late = HOLDS + Duration::from_millis(1);
    while relays.clock.monotonic() < late {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let report = tokio::time::timeout(PATIENCE, relays.order(late)).await.unwrap().unwrap();
    assert!(matches!(&report.outcome, Written::Refused(words) if words.contains("ask again")), "{report:?}");
    assert_eq!(relays.writes(), 0);
    let waiting: Vec<_> = (0..ORDERS_MAX).map(|_| relays.order(Duration::ZERO)).collect();
    let proposal = Proposal::new(&relays.config, "relay-1", "relay_3", "on").unwrap();
    let permit = proposal.permit(|_, _| None, relays.clock.monotonic()).unwrap();
    assert!(relays.writer.try_send(Order { permit, answer: oneshot::channel().0 }).is_err());
    for answered in waiting {
        assert_eq!(answered.await.unwrap().outcome, Written::Done);
    }
    assert_eq!(relays.writes(), ORDERS_MAX);
}

/// On a bus whose device has not answered yet, or is another one, nothing is written.
#[tokio::test]
async fn a_device_that_has_not_shown_who_it_is_is_not_written_to() {
    let text = "[[bus]]\nid = \"lan\"\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\n\
         [[device]]\nid = \"relay-1\"\nbus = \"lan\"\nprofile = \"waveshare-relay-8ch\"\ninterval = \"100ms\"\n\
         writes = [\"relay_3\"]\n[[device.interlock]]\nwrites = [\"relay_3\"]\nalways = true\n";
    let config = read(text, Path::new(""));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let (out, _readings) = mpsc::channel(64);
    let bus = Bus::all(&config, &clock, &out).remove(0);
    let writer = bus.writer();
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    bus.start(stop).unwrap();
    let proposal = Proposal::new(&config, "relay-1", "relay_3", "on").unwrap();
    let permit = proposal.permit(|_, _| None, clock.monotonic()).unwrap();
    let (answer, answered) = oneshot::channel();
    writer.try_send(Order { permit, answer }).unwrap();
    let report = tokio::time::timeout(PATIENCE, answered).await.unwrap().unwrap();
    assert!(matches!(&report.outcome, Written::Refused(words) if words.contains("has not shown yet")), "{report:?}");
}

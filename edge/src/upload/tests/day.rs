//! Days of simulated time over the real store: outages of minutes to hours and every kind of answer,
//! by a seed. At the end the cloud has each reading, as it was, and nothing is left here.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use tokio::time::advance;

use super::*;

/// How many days, each of another seed.
const DAYS: u64 = 10;
const DAY: Duration = Duration::from_secs(86_400);
const HOUR_S: u64 = 3_600;
/// Simulated time moves in such steps, shorter than any time-out.
const STEP: Duration = Duration::from_secs(10);
/// So many turns show whether the uploader has anything to do, and so many that it has nothing more: more
/// than a request needs.
const LOOKS: usize = 2;
const TURNS: usize = 8;
const UPLOADED_EVERY: Duration = Duration::from_secs(60);
const FLUSHED_EVERY: Duration = Duration::from_secs(240);
/// A reading each so many ms.
const READ_EVERY_MS: i64 = 20_000;

/// What each reading said, by device and time.
type Values = BTreeMap<(String, i64), i64>;

/// Chance that repeats: SplitMix64 (Steele, Lea, Flood 2014).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }

    fn reply(&mut self) -> Reply {
        let no = |details| json!({"error": {"message": "no", "details": details}});
        match self.below(9) {
            0 => Reply::Vanish,
            1 | 2 => Reply::Changed(self.below(10_000) as usize),
            3 => Reply::Error(500, no(json!([])), None),
            4 => Reply::Error(503, no(json!([])), Some(["1", "20", "120", "600"][self.below(4) as usize])),
            5 => Reply::Error(400, no(json!([])), None),
            6 => Reply::Error(413, no(json!([])), None),
            7 => Reply::Error(404, no(json!([])), None),
            _ => Reply::Receipt(|_, _| {}),
        }
    }
}

/// The weather of a day: for how long it stays, and what a link does in it.
enum Weather {
    Calm,
    /// The same answer to everybody.
    Out(Reply),
    /// Any answer to anybody.
    Wild,
}

impl Chance {
    fn weather(&mut self) -> (Weather, Duration) {
        let minutes = |minutes| Duration::from_secs(60 * minutes);
        match self.below(4) {
            0 => (Weather::Out(self.reply()), minutes(3 + self.below(180))),
            1 | 2 => (Weather::Wild, minutes(5 + self.below(90))),
            _ => (Weather::Calm, minutes(5 + self.below(60))),
        }
    }
}

impl Gateway {
    /// Moves time on and lets everything happen that is to happen then. An answer of the store's thread
    /// shows that it has done all that came before. `wakes`: how often the uploader had something to do.
    async fn pass(&self, span: Duration, wakes: &AtomicU64) {
        let mut seen = wakes.load(Ordering::Relaxed);
        self.clock.advance(span);
        advance(span).await;
        let (mut turns, mut idle) = (LOOKS, 0);
        while idle < turns {
            self.store.end_dead_letters(Fate::Resent, no_letter()).await.unwrap();
            idle += 1;
            let now = wakes.load(Ordering::Relaxed);
            if now != seen {
                (seen, turns, idle) = (now, TURNS, 0);
            }
        }
    }

    /// Commits what was read since `since`.
    async fn flush_until(&self, since: i64, until: i64, chance: &mut Chance, said: &mut Values) {
        let mut segments = Vec::new();
        for (place, key) in ["a", "b"].into_iter().enumerate() {
            let readings = (since..until).step_by(READ_EVERY_MS as usize).map(|ms| {
                let power = chance.below(1 << 30) as i64;
                said.insert((key.to_owned(), T + ms), power);
                Reading { time: UtcMs(T + ms), values: vec![Value::ok(Metric::POWER, power)] }
            });
            segments.push((place as u16, Segment::from_readings(&readings.collect::<Vec<_>>())));
        }
        self.store.flush(Arc::new(Flush { dated: true, segments, ..Flush::default() })).await.unwrap();
    }
}

/// What the cloud has of these requests.
///
/// # Panics
/// When it got another value for a reading that it has.
fn stored(requests: &[Request]) -> Values {
    let mut stored = Values::new();
    for request in requests.iter().filter(|request| request.is_stored) {
        for item in &request.batch.items {
            let Item::Segment { device, segment } = item else { continue };
            for row in 0..segment.rows() {
                let Reading { time, values } = segment.reading(row);
                let number = values[0].value.unwrap();
                let before = stored.insert((device.clone(), time.0), number);
                assert!(before.is_none_or(|before| before == number), "{device} {time}: {before:?} and {number}");
            }
        }
    }
    stored
}

async fn a_day(seed: u64) {
    let (cloud, mut chance, mut said) = (FakeCloud::start().await, Chance(seed), Values::new());
    let mut gateway = Gateway::with(&cloud, |upload| upload.every = UPLOADED_EVERY);
    let uploader = gateway.uploader.take().expect("it was not started");
    let (mut uploader, wakes) = (Box::pin(uploader.run(gateway.stop.clone())), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&wakes);
    tokio::spawn(poll_fn(move |context| {
        counted.fetch_add(1, Ordering::Relaxed);
        uploader.as_mut().poll(context)
    }));
    let (mut passed, mut flushed, mut changes) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut weather = Weather::Calm;
    while passed < DAY {
        if passed >= changes {
            let (next, lasts) = chance.weather();
            (weather, changes) = (next, passed + lasts);
        }
        cloud.always(match &weather {
            Weather::Calm => Reply::Receipt(|_, _| {}),
            Weather::Out(reply) => reply.clone(),
            Weather::Wild => chance.reply(),
        });
        if passed >= flushed + FLUSHED_EVERY {
            let (since, until) = (flushed.as_millis() as i64, passed.as_millis() as i64);
            gateway.flush_until(since, until, &mut chance, &mut said).await;
            flushed = passed;
        }
        gateway.pass(STEP, &wakes).await;
        passed += STEP;
    }
    cloud.always(Reply::Receipt(|_, _| {}));
    while gateway.store.figures().backlog > 0 {
        assert!(passed < DAY + Duration::from_secs(HOUR_S), "seed {seed}: {:?}", gateway.store.figures());
        gateway.pass(STEP, &wakes).await;
        passed += STEP;
    }
    let requests = cloud.requests();
    let taken = requests.iter().filter(|request| request.is_stored).count();
    eprintln!("seed {seed}: {} readings, {} requests, {taken} of them stored", said.len(), requests.len());
    assert!(stored(&requests) == said, "seed {seed}: both sides are not equal");
    assert_eq!(gateway.store.figures().dead_letters, 0, "seed {seed}");
}

#[tokio::test]
async fn after_days_of_outages_and_faults_both_sides_are_equal() {
    let number = |variable, usual| std::env::var(variable).map_or(usual, |number| number.parse().unwrap());
    let (first, days) = (number("SEED", 1), number("DAYS", DAYS));
    tokio::time::pause();
    // While a blocking task runs, time moves only where the test moves it.
    let (end, ended) = mpsc::channel::<()>();
    let holds = tokio::task::spawn_blocking(move || ended.recv());
    for seed in first..first + days {
        a_day(seed).await;
    }
    drop(end);
    let _ = holds.await.unwrap();
}

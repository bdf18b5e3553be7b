//! Simulated time: boots with and without a clock, one after the other, through dating and store.
//! Each reading holds the time at which it was really taken.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::Value;
use riverwatts_shared::time::{Clock, ManualClock, UtcMs};
use tokio::time::timeout;
use uuid::Uuid;

use super::Polled;
use super::pending::Pending;
use crate::clock::{SiteTime, Source, Timekeeper, bound_ms};
use crate::store::{self, Store};

/// A time like those of readings.
const T: i64 = 1_795_508_000_000;
const INTERVAL: Duration = Duration::from_secs(10);
/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// One boot: how long the machine was off before, how many readings it took, and when it learnt the
/// time from whom, who was how wrong, in thousandths of what that source may be.
#[derive(Debug, Clone)]
struct Boot {
    off_ms: i64,
    readings: u64,
    told: Option<(u64, Source, i64)>,
}

fn boots() -> impl Strategy<Value = Vec<Boot>> {
    let told = (0u64..30, prop::sample::select(&Source::ALL[..]), -1_000i64..=1_000);
    let boot = (1_000i64..3_000_000, 1u64..30, prop::option::of(told));
    let boot = boot.prop_map(|(off_ms, readings, told)| Boot { off_ms, readings, told });
    prop::collection::vec(boot, 1..7)
}

/// What the store has of the device: by the true time, the time that was given, and how far off that
/// may be, in ms.
fn given(store: &Store) -> BTreeMap<i64, (i64, i64)> {
    let mut given = BTreeMap::new();
    let walked = store.history().walk("a", i64::MIN..i64::MAX, |segment| {
        let bound_ms = bound_ms(segment.time_uncertainty_s);
        for row in 0..segment.rows() {
            let reading = segment.reading(row);
            given.insert(reading.values[0].value.unwrap(), (reading.time.0, bound_ms));
        }
        true
    });
    walked.unwrap();
    given
}

fn tell(time: &SiteTime, truth: i64, (source, error): (Source, i64)) {
    let now = time.monotonic();
    match source {
        Source::TimeServer => time.keeper().observe_synchronised(UtcMs(truth + error / 2), now),
        Source::Cloud => time.observe_date(UtcMs(truth / 1_000 * 1_000), now),
        Source::Person => time.observe_confirmed(UtcMs(truth + error * 2)).unwrap(),
        Source::Device => time.observe_device(UtcMs(truth + error * 60), Duration::from_secs(60), now),
    }
}

/// Lives through one boot that begins at `booted`; gives the store as it leaves it, and the end.
async fn live(dir: &Path, number: usize, booted: i64, boot: &Boot) -> (Store, i64) {
    let clock = Arc::new(ManualClock::at(UtcMs(0)));
    let keys = vec!["a".to_owned()];
    let boot_id = Uuid::from_u128(number as u128 + 1);
    let settings = store::Settings { dir: dir.to_owned(), max_bytes: 1 << 30, keep_free: Some(0), keys, boot: boot_id };
    let (store, left) = store::start(settings, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let keeper = Timekeeper::new(left.anchor, left.floor_ms, Duration::ZERO);
    let time = SiteTime::new(Arc::clone(&clock) as Arc<dyn Clock>, keeper);
    let mut pending = Pending::new(&left.last);
    let date = |at| time.date(at);
    for n in 0..boot.readings {
        clock.advance(INTERVAL);
        let truth = booted + clock.monotonic().as_millis() as i64;
        let values = vec![Value::ok(Metric::POWER, truth)];
        pending.add(Polled { device: 0, monotonic: clock.monotonic(), values, lost_before: 0 }, &date);
        if let Some((_, source, error)) = boot.told.filter(|(at, ..)| *at == n) {
            tell(&time, truth, (source, error));
        }
        if n % 3 == 2 || n + 1 == boot.readings {
            pending.close(&date);
            let mut flush = pending.next().unwrap_or_default();
            flush.news = time.keeper().take_news();
            store.flush(Arc::new(flush.clone())).await.unwrap();
            pending.committed(&flush);
        }
    }
    (store, booted + clock.monotonic().as_millis() as i64)
}

async fn simulate(mut boots: Vec<Boot>) {
    let folder = tempfile::tempdir().unwrap();
    // At last there is a time server.
    boots.push(Boot { off_ms: 60_000, readings: 3, told: Some((0, Source::TimeServer, 0)) });
    let (mut truth, mut readings, mut before) = (T, 0, BTreeMap::new());
    for (number, boot) in boots.iter().enumerate() {
        let (store, end) = live(folder.path(), number, truth + boot.off_ms, boot).await;
        (truth, readings) = (end, readings + boot.readings as usize);
        let last = number + 1 == boots.len();
        let dated = async {
            while given(&store).len() < readings {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if last {
            timeout(PATIENCE, dated).await.unwrap();
        }
        let now = given(&store);
        let moved: Vec<_> = before.iter().filter(|(truth, time)| now.get(truth) != Some(time)).collect();
        assert!(moved.is_empty(), "a time that was given is final: {moved:?}");
        let times: Vec<i64> = now.values().map(|(time, _)| *time).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "in the order in which they were taken: {times:?}");
        for (truth, (time, bound_ms)) in &now {
            let off_ms = (time - truth).abs();
            assert!(off_ms <= bound_ms + 1, "{off_ms} ms off, said to be at most {bound_ms}, of {boots:#?}");
        }
        before = now;
        store.close().await.unwrap();
    }
    assert_eq!(before.len(), readings);
}

fn run(boots: Vec<Boot>) {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(simulate(boots));
}

#[test]
fn two_boots_without_a_clock_lie_between_two_with_one() {
    let told = |source| Some((0, source, 0));
    let boot = |off_ms, told| Boot { off_ms, readings: 6, told };
    // The boots without came right after the first, so far from the middle of the room.
    run(vec![
        boot(0, told(Source::Cloud)),
        boot(1_000, None),
        boot(1_000, None),
        boot(3_600_000, told(Source::TimeServer)),
    ]);
    // Or right before the last; and the first clock was a device's, a minute ahead.
    run(vec![
        boot(0, Some((2, Source::Device, 1_000))),
        boot(3_600_000, None),
        boot(1_000, None),
        boot(1_000, Some((3, Source::Device, -1_000))),
    ]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn boots_with_and_without_a_clock_keep_their_order_and_are_right_within_their_bound(boots in boots()) {
        run(boots);
    }
}

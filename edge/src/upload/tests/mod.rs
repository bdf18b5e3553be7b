//! The uploader against a cloud that answers, refuses, lies and falls silent.

mod cloud;
mod day;
mod lanes;
mod metered;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::{Reading, Value};
use riverwatts_shared::receipt::{Receipt, Rejected};
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::{Clock, ManualClock};
use riverwatts_shared::words::RejectCode;
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

use self::cloud::{FakeCloud, Reply, Request};
use super::pace::EVERY_MIN;
use super::*;
use crate::clock::Timekeeper;
use crate::config::{Overrides, Upload, parse};
use crate::store::{self, Chosen, Fate, Flush};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);
/// A time like those of readings.
const T: i64 = 1_795_508_000_000;
const EVERY: Duration = Duration::from_millis(20);

const CONFIG: &str = r#"
[[bus]]
id = "lan"
kind = "tcp"
address = "127.0.0.1:1"
[[device]]
id = "a"
bus = "lan"
profile = "eastron-sdm630"
unit = 1
[[device]]
id = "b"
bus = "lan"
profile = "eastron-sdm630"
unit = 2
"#;

/// No letter has this number: an order for it changes nothing, and its answer shows that the store's thread
/// has done all that came before.
fn no_letter() -> Chosen {
    Chosen { number: Some(0), ..Chosen::default() }
}

/// A gateway without buses.
struct Gateway {
    folder: TempDir,
    clock: Arc<ManualClock>,
    store: Store,
    time: Arc<SiteTime>,
    link: Arc<Link>,
    uploader: Option<Uploader>,
    every: watch::Receiver<Duration>,
    stop: CancellationToken,
}

impl Gateway {
    /// With a trusted clock and a credential for `cloud`.
    fn new(cloud: &FakeCloud) -> Gateway {
        Gateway::with(cloud, |_| {})
    }

    fn without_clock(cloud: &FakeCloud) -> Gateway {
        Gateway::set(cloud, |_| {})
    }

    /// The same with other settings, and a trusted clock.
    fn with(cloud: &FakeCloud, change: impl FnOnce(&mut Upload)) -> Gateway {
        let gateway = Gateway::set(cloud, change);
        gateway.time.keeper().observe_synchronised(UtcMs(T), Duration::ZERO);
        cloud.keeps_time_with(&gateway.time);
        gateway
    }

    fn set(cloud: &FakeCloud, change: impl FnOnce(&mut Upload)) -> Gateway {
        let folder = tempfile::tempdir().unwrap();
        let mut config = parse(CONFIG, "edge.toml", Path::new(""), &Overrides::default()).unwrap();
        config.store.dir = folder.path().to_owned();
        config.upload.every = EVERY;
        change(&mut config.upload);
        let clock = Arc::new(ManualClock::default());
        let settings = store::Settings {
            dir: folder.path().to_owned(),
            max_bytes: 1 << 30,
            keep_free: None,
            keys: config.devices.iter().map(|device| device.id.clone()).collect(),
            boot: Uuid::from_u128(1),
        };
        let (store, left) = store::start(settings, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let keeper = Timekeeper::new(left.anchor, left.floor_ms, Duration::ZERO);
        let time = Arc::new(SiteTime::new(Arc::clone(&clock) as Arc<dyn Clock>, keeper));
        let recorded = Arc::new(Recorded::new(2));
        let (sender, every) = watch::channel(config.upload.every);
        let uploader = Uploader::new(Arc::new(config), store.clone(), Arc::clone(&time), recorded, &left, sender);
        let gateway = Gateway {
            folder,
            clock,
            store,
            time,
            link: uploader.link(),
            uploader: Some(uploader),
            every,
            stop: CancellationToken::new(),
        };
        gateway.enroll(&cloud.url, "first");
        gateway
    }

    fn enroll(&self, url: &str, secret: &str) {
        let credential =
            Credential { url: url.to_owned(), gateway_id: Uuid::from_u128(2), credential: secret.to_owned() };
        credential.save(self.folder.path()).unwrap();
    }

    fn start(&mut self) {
        let uploader = self.uploader.take().unwrap();
        tokio::spawn(uploader.run(self.stop.clone()));
    }

    /// Commits one reading of each of these devices at `T + ms`.
    async fn flush(&self, ms: i64, places: &[u16]) {
        let reading = Reading { time: UtcMs(T + ms), values: vec![Value::ok(Metric::POWER, ms)] };
        let segment = Segment::from_readings(&[reading]);
        let segments = places.iter().map(|&place| (place, segment.clone())).collect();
        self.store.flush(Arc::new(Flush { dated: true, segments, ..Flush::default() })).await.unwrap();
    }

    /// Commits so many readings of the first device, from `T` + `n` seconds on, that nothing makes smaller.
    async fn flush_noise(&self, n: i64, rows: i64) {
        let reading = |row: i64| {
            let noise = (n * 1_000 + row).wrapping_mul(6_364_136_223_846_793_005).rotate_left(29) >> 14;
            Reading { time: UtcMs(T + n * 1_000 + row), values: vec![Value::ok(Metric::POWER, noise)] }
        };
        let segment = Segment::from_readings(&(0..rows).map(reading).collect::<Vec<_>>());
        self.store
            .flush(Arc::new(Flush { dated: true, segments: vec![(0, segment)], ..Flush::default() }))
            .await
            .unwrap();
    }

    /// Paused time goes on by itself, in steps that let the store's thread do what it was asked before.
    fn pass_time(&self) {
        const STEP: Duration = Duration::from_millis(50);
        let (store, clock, runtime) = (self.store.clone(), Arc::clone(&self.clock), tokio::runtime::Handle::current());
        let passing = async move {
            loop {
                sleep(STEP).await;
                clock.advance(STEP);
                let (store, runtime) = (store.clone(), runtime.clone());
                // While a blocking task runs, paused time stands still.
                let done = tokio::task::spawn_blocking(move || {
                    runtime.block_on(store.end_dead_letters(Fate::Resent, no_letter())).is_ok()
                });
                if !done.await.is_ok_and(|done| done) {
                    return;
                }
            }
        };
        let stop = self.stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(passing).await });
    }

    async fn until(&self, what: &str, done: impl Fn(&Gateway) -> bool) {
        // The time of the runtime may be paused.
        let deadline = std::time::Instant::now() + PATIENCE;
        while !done(self) {
            assert!(std::time::Instant::now() < deadline, "{what}: {:?} {:?}", self.link.state(), self.store.figures());
            tokio::task::yield_now().await;
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Milliseconds after `T` of the readings of a request, by device.
fn times(request: &Request) -> BTreeMap<&str, Vec<i64>> {
    let mut times: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for item in &request.batch.items {
        if let Item::Segment { device, segment } = item {
            times.entry(device).or_default().extend(segment.times.iter().map(|time| time - T));
        }
    }
    times
}

/// The same of all requests that carry readings, in the order in which they came.
fn sent(requests: &[Request]) -> Vec<Vec<(&str, Vec<i64>)>> {
    let sent = requests.iter().map(|request| times(request).into_iter().collect::<Vec<_>>());
    sent.filter(|times| !times.is_empty()).collect()
}

/// Every reading of these requests by device, in order of time, as often as it came.
fn arrived(requests: &[Request]) -> BTreeMap<&str, Vec<i64>> {
    let mut arrived: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (device, mut times) in requests.iter().flat_map(times) {
        arrived.entry(device).or_default().append(&mut times);
    }
    arrived.values_mut().for_each(|times| times.sort_unstable());
    arrived
}

fn announced(request: &Request) -> Vec<&str> {
    let keys = request.batch.items.iter().filter_map(|item| match item {
        Item::Announcement(announcement) => Some(announcement.key.as_str()),
        _ => None,
    });
    keys.collect()
}

#[tokio::test]
async fn devices_are_announced_then_what_is_new_is_sent_then_the_backlog() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    gateway.flush(1, &[0, 1]).await;
    gateway.flush(2, &[0]).await;
    let missed = gateway.store.take(Lane::Live, Pace::default().limits()).await.unwrap();
    gateway.store.release(missed.unwrap().cargo).await;
    gateway.flush(3, &[1]).await;
    gateway.start();
    let requests = cloud.until(|requests| requests.len() == 3).await;
    assert_eq!(announced(&requests[0]), ["a", "b"]);
    assert_eq!(sent(&requests), [vec![("b", vec![3])], vec![("a", vec![1, 2]), ("b", vec![1])]]);
    assert_eq!(requests[0].credential, "Bearer first");
    let sequences: Vec<u64> = requests.iter().map(|request| request.batch.id.sequence).collect();
    assert!(sequences.is_sorted() && sequences[0] > 0, "{sequences:?}");
    gateway.until("all is settled", |gateway| gateway.store.figures().backlog == 0).await;
    gateway.flush(4, &[0]).await;
    let requests = cloud.until(|requests| requests.len() == 4).await;
    assert_eq!(sent(&requests[3..]), [vec![("a", vec![4])]], "and nothing is announced or sent again");
}

#[tokio::test]
async fn a_batch_whose_answer_is_lost_is_sent_again_as_it_was_and_newer_ones_before_it() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    gateway.flush(1, &[0]).await;
    cloud.then([Reply::Receipt(|_, _| {}), Reply::Error(500, json!({}), None)]);
    gateway.start();
    cloud.until(|requests| requests.len() == 2).await;
    gateway.flush(2, &[0]).await;
    let requests = cloud.until(|requests| requests.len() == 4).await;
    assert_eq!(sent(&requests), [vec![("a", vec![1])], vec![("a", vec![2])], vec![("a", vec![1])]]);
    assert_eq!(requests[1].bytes, requests[3].bytes);
    gateway.until("all is settled", |gateway| gateway.store.figures().backlog == 0).await;
}

#[tokio::test]
async fn a_receipt_for_another_batch_settles_nothing() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    gateway.flush(1, &[0]).await;
    cloud.then([Reply::Receipt(|_, _| {}), Reply::Receipt(|_, receipt| receipt.batch.sequence += 1)]);
    gateway.start();
    let requests = cloud.until(|requests| sent(requests).len() == 2).await;
    assert_eq!(sent(&requests), [vec![("a", vec![1])], vec![("a", vec![1])]]);
}

#[tokio::test]
async fn a_receipt_that_was_changed_on_its_way_settles_nothing() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    gateway.flush(1, &[0, 1]).await;
    // The announcements; then a bit in each part of the receipt of the readings.
    cloud.then([Reply::Receipt(|_, _| {})].into_iter().chain([0, 9, 20, 37, 52, 78].map(Reply::Changed)));
    gateway.start();
    gateway
        .until("the link is told", |gateway| {
            gateway.link.state().error.is_some_and(|error| error.starts_with("the link changes bytes"))
        })
        .await;
    let requests = cloud.until(|requests| sent(requests).len() == 7).await;
    assert!(requests[2..].iter().all(|request| request.bytes == requests[1].bytes), "{:?}", sent(&requests));
    gateway.until("all is settled", |gateway| gateway.store.figures().backlog == 0).await;
    assert_eq!(gateway.store.figures().dead_letters, 0);
    assert_eq!(gateway.link.state().waiting, BTreeSet::new());
}

#[tokio::test]
async fn a_refusal_of_something_else_than_what_was_sent_puts_nothing_aside() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    gateway.flush(1, &[0]).await;
    let refused = |status, details| Reply::Error(status, json!({"error": {"message": "no", "details": details}}), None);
    let other = json!([{"field": "batch", "message": "crc32 00000000"}]);
    cloud.then([Reply::Receipt(|_, _| {}), refused(400, json!([])), refused(422, other), refused(413, json!([]))]);
    gateway.start();
    gateway.until("all is settled", |gateway| gateway.store.figures().backlog == 0).await;
    assert_eq!(gateway.store.figures().dead_letters, 0);
    assert_eq!(sent(&cloud.requests()), vec![vec![("a", vec![1])]; 4]);
}

#[tokio::test]
async fn a_store_that_another_gateway_sends_under_takes_a_new_id() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    gateway.flush(1, &[0]).await;
    let forked = json!({"error": {"message": "x", "details": [{"field": "store", "message": "store_forked"}]}});
    cloud.then([Reply::Receipt(|_, _| {}), Reply::Error(409, forked, None)]);
    gateway.start();
    let requests = cloud.until(|requests| sent(requests).len() == 2).await;
    let ids: Vec<_> = requests.iter().map(|request| request.batch.id).collect();
    assert_eq!(ids[0].store, ids[1].store);
    assert_ne!(ids[2].store, ids[1].store);
    assert_eq!(ids[2].sequence, 1);
    assert_eq!(sent(&requests), [vec![("a", vec![1])], vec![("a", vec![1])]]);
}

#[tokio::test]
async fn a_cloud_that_says_when_is_asked_no_sooner() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    gateway.flush(1, &[0]).await;
    cloud.then([Reply::Error(503, json!({"error": {"message": "busy"}}), Some("1"))]);
    gateway.start();
    let requests = cloud.until(|requests| requests.len() == 3).await;
    assert!(requests[1].at - requests[0].at >= Duration::from_secs(1));
    assert!(requests[2].at - requests[1].at < Duration::from_secs(1));
}

#[tokio::test]
async fn readings_of_a_key_that_waits_are_kept_until_the_cloud_names_it() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    fn wait(batch: &Batch, receipt: &mut Receipt) {
        receipt.devices.retain(|named| named.key != "a");
        receipt.waiting = vec!["a".to_owned()];
        receipt.batch = batch.id;
    }
    cloud.always(Reply::Receipt(wait));
    gateway.flush(1, &[0, 1]).await;
    gateway.start();
    cloud.until(|requests| sent(requests).len() == 1).await;
    gateway.flush(2, &[0, 1]).await;
    let requests = cloud.until(|requests| sent(requests).len() == 2).await;
    assert_eq!(sent(&requests), [vec![("b", vec![1])], vec![("b", vec![2])]]);
    gateway.until("b is settled, a is not", |gateway| gateway.store.figures().backlog == 2).await;
    assert_eq!(gateway.link.state().waiting, BTreeSet::from(["a".to_owned()]));
    cloud.always(Reply::Receipt(|_, _| {}));
    gateway.clock.advance(announce::AGAIN);
    gateway.flush(3, &[1]).await;
    gateway.until("all is settled", |gateway| gateway.store.figures().backlog == 0).await;
    assert_eq!(gateway.link.state().waiting, BTreeSet::new());
    let all = BTreeMap::from([("a", vec![1, 2]), ("b", vec![1, 2, 3])]);
    assert_eq!(arrived(&cloud.requests()), all);
}

#[tokio::test]
async fn a_device_that_the_cloud_does_not_know_is_announced_again_and_its_readings_kept() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    gateway.flush(1, &[0, 1]).await;
    cloud.then([
        Reply::Receipt(|_, _| {}),
        Reply::Receipt(|_, receipt| {
            receipt.devices.retain(|named| named.key != "a");
            receipt.rejected = vec![Rejected {
                device_id: None,
                key: "a".to_owned(),
                timestamp: None,
                code: RejectCode::UnknownDevice,
                message: "unknown".to_owned(),
            }];
        }),
    ]);
    gateway.start();
    cloud.until(|requests| requests.len() == 2).await;
    gateway.flush(2, &[1]).await;
    gateway.until("all is settled", |gateway| gateway.store.figures().backlog == 0).await;
    let requests = cloud.requests();
    assert!(requests[2..].iter().any(|request| announced(request) == ["a"]));
    assert_eq!(arrived(&requests), BTreeMap::from([("a", vec![1, 1]), ("b", vec![1, 2])]));
    assert_eq!(gateway.store.figures().dead_letters, 0);
}

#[tokio::test]
async fn a_rejected_reading_does_not_block_the_batch() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    gateway.flush(1, &[0]).await;
    gateway.flush(2, &[0]).await;
    cloud.then([
        Reply::Receipt(|_, _| {}),
        Reply::Receipt(|_, receipt| {
            receipt.rejected = vec![Rejected {
                device_id: None,
                key: "a".to_owned(),
                timestamp: Some(UtcMs(T + 1)),
                code: RejectCode::Conflict,
                message: "another value is there".to_owned(),
            }];
        }),
    ]);
    gateway.start();
    gateway.until("both are settled", |gateway| gateway.store.figures().backlog == 0).await;
    gateway.flush(3, &[1]).await;
    gateway.until("one is dead", |gateway| gateway.store.figures().dead_letters == 1).await;
    assert_eq!(sent(&cloud.until(|requests| sent(requests).len() == 2).await)[1], [("b", vec![3])]);
}

#[tokio::test]
async fn a_batch_that_is_refused_is_halved_until_only_the_guilty_row_is_put_aside() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    for ms in 1..=16 {
        gateway.flush(ms, &[0]).await;
    }
    cloud.always(Reply::Poison(T + 11));
    gateway.start();
    gateway.until("all is settled or put aside", |gateway| gateway.store.figures().backlog == 0).await;
    gateway.flush(17, &[0]).await;
    let last = |request: &Request| times(request).values().any(|times| times.contains(&17));
    let requests = cloud.until(|requests| requests.last().is_some_and(last)).await;
    assert_eq!(gateway.store.figures().dead_letters, 1);
    let mut stored: Vec<i64> = Vec::new();
    for times in sent(&requests).iter().filter_map(|devices| devices.first()) {
        if !times.1.contains(&11) {
            stored.extend(&times.1);
        }
    }
    stored.sort_unstable();
    assert_eq!(stored, (1..=17).filter(|&ms| ms != 11).collect::<Vec<i64>>());
}

#[tokio::test]
async fn a_cloud_that_refuses_everything_is_ill_and_keeps_its_readings_here() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    for ms in 1..=8 {
        gateway.flush(ms, &[0]).await;
    }
    cloud.then([Reply::Receipt(|_, _| {})]);
    cloud.always(Reply::Error(400, json!({"error": {"message": "no"}}), None));
    gateway.start();
    gateway.until("the link says so", |gateway| gateway.link.state().error.as_deref() == Some("no (400)")).await;
    assert!(gateway.store.figures().backlog >= 5);
}

#[tokio::test]
async fn a_refused_credential_is_told_and_a_new_one_is_taken_at_once() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    gateway.flush(1, &[0]).await;
    cloud.then([(); 3].map(|()| Reply::Error(401, json!({"error": {"message": "Invalid"}}), None)));
    gateway.start();
    cloud.until(|requests| requests.len() == 3).await;
    let told = |gateway: &Gateway| gateway.link.state().error.is_some_and(|error| error.contains("enroll again"));
    gateway.until("the link says so", told).await;
    gateway.enroll(&cloud.url, "second");
    let requests = cloud.until(|requests| requests.len() == 5).await;
    assert_eq!(requests[3].credential, "Bearer second");
    gateway.until("all is well", |gateway| gateway.link.state().error.is_none()).await;
}

#[tokio::test]
async fn without_a_credential_nothing_is_sent_until_there_is_one() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    std::fs::remove_file(gateway.folder.path().join("credential.json")).unwrap();
    gateway.start();
    gateway.flush(1, &[0]).await;
    gateway.until("the link is off", |gateway| !gateway.link.state().enrolled).await;
    assert!(cloud.requests().is_empty());
    gateway.enroll(&cloud.url, "first");
    cloud.until(|requests| sent(requests).len() == 1).await;
}

#[tokio::test]
async fn an_untrusted_clock_asks_the_cloud_first_and_sends_nothing_undated() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::without_clock(&cloud);
    let segment = Segment { times: vec![5], ..Segment::default() };
    let undated = Flush { dated: false, segments: vec![(0, segment)], ..Flush::default() };
    gateway.store.flush(Arc::new(undated)).await.unwrap();
    gateway.start();
    let requests = cloud.until(|requests| requests.len() >= 2).await;
    assert_eq!(requests[0].batch.items, []);
    gateway.until("the clock is trusted", |gateway| gateway.time.now().is_some()).await;
    let real: UtcMs = jiff::Timestamp::now().into();
    let error_ms = real.since_ms(gateway.time.now().unwrap()).abs();
    assert!(error_ms < 60_000, "{error_ms} ms off, though the machine says 1970");
    // The recorder tells the store with its next flush.
    let news = gateway.time.keeper().take_news();
    gateway.store.flush(Arc::new(Flush { news, ..Flush::default() })).await.unwrap();
    cloud.until(|requests| sent(requests).len() == 1).await;
}

#[tokio::test]
async fn a_clock_that_is_ahead_of_the_cloud_keeps_its_readings_here_instead_of_having_them_refused() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::without_clock(&cloud);
    let real: UtcMs = jiff::Timestamp::now().into();
    gateway.time.keeper().observe_synchronised(UtcMs(real.0 + 3_600_000), Duration::ZERO);
    gateway.flush(1, &[0]).await;
    gateway.start();
    let told =
        |gateway: &Gateway| gateway.link.state().error.is_some_and(|error| error.contains("s ahead of the cloud"));
    gateway.until("it is told", told).await;
    let asked = cloud.requests().len();
    cloud.until(|requests| requests.len() > asked).await;
    assert!(sent(&cloud.requests()).is_empty(), "nothing but announcements and questions");
    assert_eq!(gateway.store.figures().backlog, 1);
}

#[tokio::test]
async fn the_cloud_may_ask_for_another_interval() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    cloud.then([Reply::Receipt(|_, receipt| receipt.upload_every_s = Some(1)), Reply::Receipt(|_, _| {})]);
    gateway.start();
    timeout(PATIENCE, gateway.every.wait_for(|every| *every == EVERY_MIN)).await.unwrap().unwrap();
    gateway.flush(1, &[0]).await;
    timeout(PATIENCE, gateway.every.wait_for(|every| *every == EVERY)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_gateway_with_nothing_to_send_gives_signs_of_life_and_no_more() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    gateway.start();
    cloud.until(|requests| requests.len() == 1).await;
    let started = Instant::now();
    // From here on minutes pass at once.
    tokio::time::pause();
    gateway.until("it is heard", |_| cloud.requests().len() == 4).await;
    assert!(started.elapsed() > 3 * QUIET_MIN, "{:?}", started.elapsed());
    assert!(started.elapsed() < 4 * QUIET_MAX, "{:?}", started.elapsed());
    tokio::time::resume();
    assert!(cloud.requests()[1..].iter().all(|request| request.batch.items.is_empty()));
}

#[tokio::test]
async fn a_cloud_that_has_another_configuration_gets_this_one_once() {
    let cloud = FakeCloud::start().await;
    cloud.forget_configuration();
    let mut gateway = Gateway::new(&cloud);
    gateway.flush(1, &[0]).await;
    gateway.start();
    let carried = |requests: &[Request]| -> Vec<Item> {
        let items = requests.iter().flat_map(|request| request.batch.items.clone());
        items.filter(|item| matches!(item, Item::Configuration(_))).collect()
    };
    let requests = cloud.until(|requests| !carried(requests).is_empty()).await;
    assert_eq!(carried(&requests), [Item::Configuration(CONFIG.to_owned())]);
    let live =
        requests.iter().position(|request| request.batch.items.iter().any(|i| matches!(i, Item::Segment { .. })));
    assert_eq!(live, Some(requests.len() - 2), "what is newest goes before it");
    for ms in 2..=5 {
        gateway.flush(ms, &[0]).await;
    }
    let requests = cloud.until(|requests| sent(requests).iter().flatten().any(|(_, times)| times.contains(&5))).await;
    assert_eq!(carried(&requests).len(), 1);
}

#[tokio::test]
async fn a_cloud_that_was_restored_gets_everything_again() {
    is_sent_again(FakeCloud::restore_from_backup).await;
}

#[tokio::test]
async fn a_cloud_that_was_restored_and_does_not_say_so_gets_everything_again() {
    is_sent_again(FakeCloud::forget_batches).await;
}

async fn is_sent_again(restore: fn(&FakeCloud)) {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    gateway.flush(1, &[0]).await;
    gateway.start();
    gateway.until("it is settled", |gateway| gateway.store.figures().backlog == 0).await;
    restore(&cloud);
    gateway.flush(2, &[0]).await;
    let announced = |requests: &[Request]| requests.iter().filter(|request| !announced(request).is_empty()).count();
    let requests = cloud.until(|requests| sent(requests).len() == 3 && announced(requests) == 2).await;
    assert_eq!(sent(&requests), [vec![("a", vec![1])], vec![("a", vec![2])], vec![("a", vec![1])]]);
}

#[tokio::test]
async fn a_black_hole_delays_only_the_link_and_costs_nothing() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    cloud.then([Reply::Receipt(|_, _| {})]);
    cloud.always(Reply::Vanish);
    gateway.flush(1, &[0]).await;
    gateway.start();
    cloud.until(|requests| requests.len() == 2).await;
    for ms in 2..=20 {
        gateway.flush(ms, &[0]).await;
    }
    assert!(gateway.link.state().error.is_none(), "the attempt goes on, and the store did not wait for it");
    // From here on minutes pass at once.
    tokio::time::pause();
    gateway.until("the link says so", |gateway| gateway.link.state().error.is_some()).await;
    assert_eq!(gateway.link.state().error.as_deref(), Some("no answer in time"));
    tokio::time::resume();
    cloud.always(Reply::Receipt(|_, _| {}));
    gateway.flush(21, &[0]).await;
    gateway.until("all is settled", |gateway| gateway.store.figures().backlog == 0).await;
    let mut times = arrived(&cloud.requests()).remove("a").unwrap();
    times.dedup();
    assert_eq!(times, (1..=21).collect::<Vec<i64>>());
}

//! What always holds of the two lanes, whatever the cloud answers.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::*;

/// What the cloud does with batch after batch, in words that a failed case can show.
#[derive(Debug, Clone, Copy)]
enum Mood {
    Takes,
    StoresAndFails,
    Busy,
    Refuses,
    OtherBatch,
    Slow,
    HoldsA,
}

impl Mood {
    fn reply(self) -> Reply {
        match self {
            Mood::Takes => Reply::Receipt(|_, _| {}),
            Mood::StoresAndFails => Reply::StoredButError,
            Mood::Busy => Reply::Error(503, json!({}), Some("3")),
            Mood::Refuses => Reply::Error(413, json!({"error": {"message": "large"}}), None),
            Mood::OtherBatch => Reply::Receipt(|_, receipt| receipt.batch.sequence += 1),
            Mood::Slow => Reply::Slow(Duration::from_secs(12)),
            Mood::HoldsA => Reply::Receipt(|_, receipt| {
                receipt.devices.retain(|named| named.key != "a");
                receipt.waiting = vec!["a".to_owned()];
            }),
        }
    }

    /// Whether the cloud has this device's readings then.
    fn stores(self, device: &str) -> bool {
        match self {
            Mood::Takes | Mood::StoresAndFails | Mood::OtherBatch | Mood::Slow => true,
            Mood::HoldsA => device != "a",
            Mood::Busy | Mood::Refuses => false,
        }
    }
}

fn moods() -> impl Strategy<Value = Vec<Mood>> {
    let mood = prop_oneof![
        6 => Just(Mood::Takes),
        2 => Just(Mood::StoresAndFails),
        2 => Just(Mood::Busy),
        1 => Just(Mood::Refuses),
        1 => Just(Mood::OtherBatch),
        1 => Just(Mood::Slow),
        1 => Just(Mood::HoldsA),
    ];
    proptest::collection::vec(mood, 0..20)
}

/// Flushes: which devices, and how long until the next one, in seconds.
fn flushes() -> impl Strategy<Value = Vec<(u8, u8)>> {
    proptest::collection::vec((1u8..4, 0u8..15), 1..25)
}

async fn run(moods: &[Mood], flushes: &[(u8, u8)]) -> TestCaseResult {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::with(&cloud, |upload| upload.every = Duration::from_secs(10));
    cloud.then(moods.iter().map(|mood| mood.reply()));
    gateway.pass_time();
    gateway.start();
    let (mut stored, mut at) = (BTreeMap::from([("a", BTreeSet::new()), ("b", BTreeSet::new())]), Vec::new());
    for (n, (devices, wait)) in (1i64..).zip(flushes) {
        let places: Vec<u16> = (0..2).filter(|place| devices & (1 << place) != 0).collect();
        gateway.flush(n, &places).await;
        at.push((n, Instant::now()));
        for place in places {
            stored.get_mut(["a", "b"][usize::from(place)]).unwrap().insert(n);
        }
        sleep(Duration::from_secs((*wait).into())).await;
    }
    gateway.clock.advance(announce::AGAIN);
    gateway.until("all is settled", |gateway| gateway.store.figures().backlog == 0).await;
    // A settled reading never goes again.
    let before = sent(&cloud.requests()).len();
    sleep(Duration::from_secs(130)).await;
    let requests = cloud.requests();
    prop_assert_eq!(sent(&requests).len(), before);

    let moods = moods.iter().copied().chain(std::iter::repeat(Mood::Takes));
    let answered: Vec<(&Request, Mood)> = requests.iter().zip(moods).collect();
    let mut in_cloud: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    let mut seen: BTreeMap<u64, &Request> = BTreeMap::new();
    let mut settled: BTreeSet<(&str, i64)> = BTreeSet::new();
    for (request, mood) in &answered {
        let again = seen.insert(request.batch.id.sequence, request);
        prop_assert!(again.is_none_or(|before| before.bytes == request.bytes), "one number, two batches");
        for (device, times) in times(request) {
            let mut sorted = times.clone();
            sorted.sort_unstable();
            prop_assert_eq!(&times, &sorted, "in the order in which they were read");
            for ms in times {
                prop_assert!(!settled.contains(&(device, ms)), "{} {} was settled before", device, ms);
                if mood.stores(device) && again.is_none() {
                    in_cloud.entry(device).or_default().push(ms);
                }
                if matches!(mood, Mood::Takes | Mood::Slow) || (matches!(mood, Mood::HoldsA) && device != "a") {
                    settled.insert((device, ms));
                }
            }
        }
    }
    let mut missing = 0;
    for (device, times) in &stored {
        let there: BTreeSet<i64> = in_cloud.get(device).into_iter().flatten().copied().collect();
        prop_assert!(there.is_subset(times));
        missing += times.len() - there.len();
    }
    // One that was refused alone is put aside, also when an answer was lost before.
    let refused = answered.iter().filter(|(_, mood)| matches!(mood, Mood::Refuses));
    let refused: usize = refused.flat_map(|(request, _)| times(request).into_values()).map(|times| times.len()).sum();
    let dead = gateway.store.figures().dead_letters as usize;
    prop_assert!((missing..=refused).contains(&dead), "{} missing, {} put aside, {} refused", missing, dead, refused);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_reading_is_settled_once_whatever_the_cloud_answers(moods in moods(), flushes in flushes()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(run(&moods, &flushes))?;
    }
}

#[tokio::test(start_paused = true)]
async fn the_backlog_has_a_share_though_the_live_lane_takes_the_whole_interval() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::with(&cloud, |upload| upload.every = Duration::from_secs(10));
    for n in 0..20 {
        gateway.flush(n, &[0]).await;
    }
    let missed = gateway.store.take(Lane::Live, Pace::default().limits()).await.unwrap();
    gateway.store.release(missed.unwrap().cargo).await;
    cloud.always(Reply::Slow(Duration::from_secs(12)));
    gateway.pass_time();
    gateway.start();
    let mut newest = 20;
    while gateway.store.figures().backlog > 3 {
        assert!(newest < 60, "the backlog stays: {:?}", sent(&cloud.requests()));
        gateway.flush(newest, &[0]).await;
        newest += 1;
        sleep(Duration::from_secs(10)).await;
    }
    let order: Vec<Vec<i64>> = sent(&cloud.requests()).iter().map(|devices| devices[0].1.clone()).collect();
    assert!(order[0][0] >= 20, "live first: {order:?}");
    assert!(order.iter().flatten().filter(|&&ms| ms < 20).is_sorted(), "oldest first: {order:?}");
}

#[tokio::test]
async fn a_batch_that_is_too_large_for_now_is_sent_whole_when_the_cloud_says() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    gateway.flush(1, &[0]).await;
    gateway.flush(2, &[0]).await;
    let large = || json!({"error": {"message": "large"}});
    cloud.then([Reply::Receipt(|_, _| {}), Reply::Error(413, large(), Some("1"))]);
    gateway.start();
    let requests = cloud.until(|requests| sent(requests).len() == 2).await;
    assert_eq!(sent(&requests), [[("a", vec![1, 2])], [("a", vec![1, 2])]]);
    assert!(requests[2].at - requests[1].at >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_cloud_that_failed_is_asked_again_when_it_says_and_a_date_that_has_passed_delays_nothing() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::new(&cloud);
    gateway.flush(1, &[0]).await;
    let passed = "Thu, 01 Jan 1970 00:00:00 GMT";
    cloud.then([Reply::Receipt(|_, _| {}), Reply::Error(500, json!({}), Some("1"))]);
    cloud.then([Reply::Error(429, json!({}), Some(passed))]);
    gateway.start();
    let requests = cloud.until(|requests| sent(requests).len() == 3).await;
    assert!(requests[2].at - requests[1].at >= Duration::from_secs(1));
    assert!(requests[3].at - requests[2].at < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_answers_slowly_gets_smaller_batches_and_new_values_in_between() {
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::with(&cloud, |upload| upload.every = Duration::from_secs(10));
    for n in 0..400 {
        gateway.flush_noise(n, 100).await;
    }
    cloud.always(Reply::Slow(Duration::from_secs(8)));
    gateway.pass_time();
    gateway.start();
    gateway.until("some went", |_| sent(&cloud.requests()).len() > 6).await;
    let sizes: Vec<usize> = cloud.requests().iter().map(|request| request.bytes.len()).collect();
    assert!(sizes[1] > 4 * sizes[6], "{sizes:?}");
}

//! A link that costs money: the hours of the backlog, the data plan, the bandwidth.

use super::*;
use crate::config::{DataPlan, Hours};
use crate::store::Carried;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const MB: u64 = 1_000_000;

/// Commits readings that the live lane passes over.
async fn missed(gateway: &Gateway, times: impl Iterator<Item = i64>) {
    for ms in times {
        gateway.flush(ms, &[0]).await;
    }
    let missed = gateway.store.take(Lane::Live, Pace::default().limits()).await.unwrap();
    gateway.store.release(missed.unwrap().cargo).await;
}

#[tokio::test]
async fn outside_its_hours_the_backlog_waits_and_new_readings_do_not() {
    let cloud = FakeCloud::start().await;
    // It is 08:13:20 there.
    let from_ten = Hours { from: 10 * 60, until: 11 * 60 };
    let mut gateway = Gateway::with(&cloud, |upload| upload.backlog_hours = vec![from_ten]);
    missed(&gateway, 1..4).await;
    gateway.flush(4, &[0]).await;
    gateway.start();
    cloud.until(|requests| sent(requests).len() == 1).await;
    gateway.flush(5, &[0]).await;
    let requests = cloud.until(|requests| sent(requests).len() == 2).await;
    assert_eq!(sent(&requests), [[("a", vec![4])], [("a", vec![5])]]);
    let ten = BacklogWait::Hours("2026-11-24T10:00:00Z".parse().unwrap());
    gateway.until("new ones are settled", |gateway| gateway.store.figures().backlog == 3).await;
    assert_eq!(gateway.link.state().backlog_waits, Some(ten));
    gateway.clock.advance(Duration::from_secs(6_400));
    gateway.flush(6, &[0]).await;
    gateway.until("all is settled", |gateway| gateway.store.figures().backlog == 0).await;
    assert_eq!(sent(&cloud.requests())[3], [("a", vec![1, 2, 3])]);
    assert_eq!(gateway.link.state().backlog_waits, None);
}

/// With a plan of 1 MB that begins on the 1st, and so much of it used.
async fn with_plan(cloud: &FakeCloud, used: u64) -> Gateway {
    let plan = DataPlan { limit_bytes: MB, first_day: 1 };
    let gateway = Gateway::with(cloud, |upload| upload.plan = Some(plan));
    let today = T / DAY.as_millis() as i64;
    gateway.store.count_traffic(today - 3, Carried { sent: used, received: 0 }).await.unwrap();
    gateway
}

#[tokio::test]
async fn what_goes_over_the_link_counts_against_the_plan() {
    let cloud = FakeCloud::start().await;
    let mut gateway = with_plan(&cloud, MB / 2).await;
    gateway.flush(1, &[0]).await;
    gateway.start();
    let requests = cloud.until(|requests| sent(requests).len() == 1).await;
    gateway.until("it is settled", |gateway| gateway.store.figures().backlog == 0).await;
    let bodies: usize = requests.iter().map(|request| request.bytes.len()).sum();
    let used = |gateway: &Gateway| gateway.link.state().plan.map_or(0, |plan| plan.used_bytes);
    gateway.until("it is counted", |gateway| used(gateway) > MB / 2 + bodies as u64).await;
    let Carried { sent, received } = gateway.link.state().carried;
    assert!(sent > bodies as u64 + 200 && received > 200, "heads and headers too: {sent}, {received}");
    assert_eq!(used(&gateway), MB / 2 + sent + received);
    let days = gateway.store.figures().traffic;
    assert_eq!(days.values().map(|carried| carried.total()).sum::<u64>(), used(&gateway));
}

#[tokio::test]
async fn before_the_plan_is_used_up_only_the_newest_goes_seldom_and_all_the_rest_in_the_new_month() {
    let cloud = FakeCloud::start().await;
    let mut gateway = with_plan(&cloud, MB * 96 / 100).await;
    missed(&gateway, 1..4).await;
    gateway.flush(4, &[0]).await;
    gateway.flush(5, &[0]).await;
    cloud.always(Reply::Receipt(|_, receipt| receipt.upload_every_s = Some(1)));
    gateway.start();
    let requests = cloud.until(|requests| sent(requests).len() == 1).await;
    assert_eq!(sent(&requests), [[("a", vec![5])]], "the newest alone");
    gateway.until("it is settled", |gateway| gateway.store.figures().backlog == 4).await;
    let state = gateway.link.state();
    let end = "2026-12-01T00:00:00Z".parse().unwrap();
    assert_eq!(state.backlog_waits, Some(BacklogWait::Plan(end)));
    assert_eq!(state.plan.map(|plan| (plan.state, plan.end)), Some((PlanState::Saving, end)));
    assert!(*gateway.every.borrow() > HOUR, "whatever the cloud asks for: {:?}", gateway.every.borrow());
    gateway.flush(6, &[0]).await;
    gateway.clock.advance(DAY);
    // From here on time passes at once.
    tokio::time::pause();
    tokio::time::advance(DAY).await;
    gateway.until("the next one goes in its time", |_| sent(&cloud.requests()).len() == 2).await;
    assert_eq!(sent(&cloud.requests())[1], [("a", vec![6])]);
    gateway.clock.advance(6 * DAY);
    gateway.flush(7, &[0]).await;
    gateway.until("all goes in the new month", |gateway| gateway.store.figures().backlog == 0).await;
    assert_eq!(arrived(&cloud.requests()), BTreeMap::from([("a", (1..=7).collect())]));
    let state = gateway.link.state();
    assert_eq!((state.backlog_waits, state.plan.map(|plan| plan.state)), (None, Some(PlanState::Ok)));
}

#[tokio::test]
async fn a_warning_changes_nothing_that_is_sent() {
    let cloud = FakeCloud::start().await;
    let mut gateway = with_plan(&cloud, MB * 85 / 100).await;
    missed(&gateway, 1..4).await;
    gateway.start();
    gateway.until("all is settled", |gateway| gateway.store.figures().backlog == 0).await;
    assert_eq!(gateway.link.state().plan.map(|plan| plan.state), Some(PlanState::Warning));
}

#[tokio::test]
async fn no_batch_uses_up_what_is_left_before_bytes_are_saved() {
    let cloud = FakeCloud::start().await;
    let mut gateway = with_plan(&cloud, MB * 93 / 100).await;
    for n in 0..400 {
        gateway.flush_noise(n, 100).await;
    }
    gateway.start();
    let saves = |gateway: &Gateway| gateway.link.state().plan.is_some_and(|plan| plan.state == PlanState::Saving);
    gateway.until("bytes are saved", saves).await;
    let used = gateway.link.state().plan.unwrap().used_bytes;
    assert!(used < MB * 97 / 100, "{used}");
    assert!(gateway.store.figures().backlog > 0, "and the rest waits");
}

#[tokio::test(start_paused = true)]
async fn a_bandwidth_cap_holds_over_minutes_while_live_values_come_first() {
    const RATE: u64 = 2_000;
    const EVERY: Duration = Duration::from_secs(10);
    let cloud = FakeCloud::start().await;
    let mut gateway = Gateway::with(&cloud, |upload| {
        upload.bandwidth_bytes_per_s = Some(RATE);
        upload.every = EVERY;
    });
    for n in 0..1_000 {
        gateway.flush_noise(n, 100).await;
    }
    let missed = gateway.store.take(Lane::Live, Pace::default().limits()).await.unwrap();
    gateway.store.release(missed.unwrap().cargo).await;
    gateway.pass_time();
    gateway.start();
    let started = Instant::now();
    let mut committed = Vec::new();
    for n in 1_000..1_020 {
        sleep(EVERY).await;
        gateway.flush_noise(n, 10).await;
        committed.push((n, Instant::now()));
    }
    let (took, carried) = (started.elapsed(), gateway.link.state().carried);
    assert!(gateway.store.figures().backlog > 0, "there was something to send all the time");
    let most = RATE * took.as_secs();
    assert!((most * 8 / 10..=most * 105 / 100).contains(&carried.sent), "{carried:?} in {took:?}");
    let requests = cloud.requests();
    for window in 0..requests.len() {
        let begin = requests[window].at;
        let minute = requests[window..].iter().take_while(|request| request.at - begin < Duration::from_secs(60));
        let bytes: usize = minute.map(|request| request.bytes.len()).sum();
        // What goes at the window's end is paid for after it.
        assert!(bytes as u64 <= RATE * 75, "{bytes} bytes in a minute");
    }
    for (n, at) in &committed[..committed.len() - 2] {
        let has = |request: &&Request| times(request)["a"].contains(&(n * 1_000));
        let came = requests.iter().filter(|request| !times(request).is_empty()).find(has);
        let late = came.map(|request| request.at - *at);
        assert!(late.is_some_and(|late| late <= EVERY * 2), "flush {n} came after {late:?}");
    }
}

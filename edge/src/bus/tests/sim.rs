//! The bus in simulated time: units on a line that is held in memory, some of them dead.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::bus::frame::crc;

/// How long a living unit takes to answer.
const ANSWER: Duration = Duration::from_millis(45);

/// Answers for every unit of which `lives` says so, at the time since the beginning; register `n`
/// holds `n`.
async fn units(mut far: DuplexStream, lives: impl Fn(u8, Duration) -> Option<Duration>) {
    let begun = tokio::time::Instant::now();
    let mut frame = [0; 8];
    while far.read_exact(&mut frame).await.is_ok() {
        let Some(answer) = lives(frame[0], begun.elapsed()) else { continue };
        let (start, count) = (u16::from_be_bytes([frame[2], frame[3]]), u16::from(frame[5]));
        let mut bytes = vec![frame[0], frame[1], frame[5] * 2];
        bytes.extend((start..start + count).flat_map(u16::to_be_bytes));
        bytes.extend(crc(&bytes).to_le_bytes());
        tokio::time::sleep(answer).await;
        far.write_all(&bytes).await.unwrap();
    }
}

/// A bus with these units (number and further settings), all of them due every 100 ms unless they
/// say otherwise.
fn start_line(
    devices: &[(u8, &str)],
    lives: impl Fn(u8, Duration) -> Option<Duration> + Send + 'static,
) -> (Arc<Status>, DropGuard) {
    let folder = tempfile::tempdir().unwrap();
    let one = PROFILE.split("[[area]]").take(2).collect::<Vec<_>>().join("[[area]]");
    std::fs::write(folder.path().join("test.toml"), one).unwrap();
    let mut text = String::from(
        "profiles = [\".\"]\n[[bus]]\nid = \"wire\"\nkind = \"rtu\"\nport = \"/dev/none\"\nbaud = 4000000\n",
    );
    for (unit, settings) in devices {
        let interval = if settings.contains("interval") { "" } else { "interval = \"100ms\"\n" };
        text += &format!(
            "[[device]]\nid = \"d{unit}\"\nbus = \"wire\"\nprofile = \"test\"\nunit = {unit}\n{interval}{settings}\n"
        );
    }
    let (out, readings) = mpsc::channel(64);
    drop(readings);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let mut bus = Bus::all(&read(&text, folder.path()), &clock, &out).remove(0);
    let (near, far) = duplex(1_024);
    bus.wire.connection.port = Some(Box::new(near));
    tokio::spawn(units(far, lives));
    let (status, stop) = (bus.status(), CancellationToken::new());
    tokio::spawn(bus.drive(stop.clone()));
    (status, stop.drop_guard())
}

/// How many polls of these devices were answered in a minute that begins after `warm`.
async fn a_minute(status: &Status, warm: Duration, of: impl Fn(u8) -> bool) -> u64 {
    let answered = || -> u64 {
        let state = status.get();
        state.units.iter().filter(|unit| of(unit.unit)).map(|unit| unit.count(Outcome::Ok)).sum()
    };
    tokio::time::sleep(warm).await;
    let before = answered();
    tokio::time::sleep(Duration::from_secs(60)).await;
    answered() - before
}

/// A thousand buses are to take less than 60 MiB, and their tasks are a part of that.
#[test]
fn a_bus_takes_few_kilobytes() {
    let text = "[[bus]]\nid = \"lan\"\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\n\
                [[device]]\nid = \"a\"\nbus = \"lan\"\nprofile = \"eastron-sdm630\"\n";
    let config = read(text, Path::new(""));
    let (out, _readings) = mpsc::channel(1);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let bus = Bus::all(&config, &clock, &out).remove(0);
    let bytes = size_of_val(&bus.drive(CancellationToken::new()));
    assert!(bytes < 6_000, "the task of a bus takes {bytes} bytes");
}

#[tokio::test(start_paused = true)]
async fn five_dead_units_take_the_living_less_than_a_tenth_of_their_rate() {
    let living: Vec<_> = [1, 3, 5, 7, 9].map(|unit| (unit, "")).to_vec();
    let all: Vec<_> = (1..=10).map(|unit| (unit, "")).collect();
    let odd = |unit: u8| unit % 2 == 1;
    let warm = Duration::from_secs(10);
    let (alone, stop) = start_line(&living, |_, _| Some(ANSWER));
    let rate_alone = a_minute(&alone, warm, odd).await;
    drop(stop);
    let (status, _stop) = start_line(&all, move |unit, _| odd(unit).then_some(ANSWER));
    let rate = a_minute(&status, warm, odd).await;
    assert!(rate * 10 >= rate_alone * 9, "{rate} polls a minute, {rate_alone} without the dead");
    let state = status.get();
    assert!(state.units.iter().all(|unit| odd(unit.unit) == (unit.failures == 0)), "{state:#?}");
    assert!(state.units.iter().all(|unit| unit.next_at.is_some() != odd(unit.unit)), "it is told when they are tried");
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_comes_back_is_noticed_within_its_back_off_however_slow_it_is() {
    let back_at = Duration::from_secs(1_500);
    for answer in [ANSWER, Duration::from_millis(900)] {
        let lives = move |unit, now| match unit {
            1 => Some(ANSWER),
            _ => (now > back_at).then_some(answer),
        };
        let (status, _stop) = start_line(&[(1, "interval = \"5s\""), (2, "")], lives);
        tokio::time::sleep(back_at).await;
        assert_eq!(status.get().units[1].count(Outcome::Ok), 0);
        let pause = crate::bus::back_off::BACK_OFF_MAX;
        tokio::time::sleep(pause + Duration::from_secs(5)).await;
        let unit = status.get().units.swap_remove(1);
        assert!(unit.count(Outcome::Ok) > 10 && unit.failures == 0 && unit.next_at.is_none(), "{unit:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn on_a_busy_line_who_is_important_goes_first_and_nobody_is_left_out() {
    let devices: Vec<_> =
        (1..=6).map(|unit| (unit, if unit <= 2 { "priority = \"high\"" } else { "priority = \"low\"" })).collect();
    let (status, _stop) = start_line(&devices, |_, _| Some(ANSWER));
    a_minute(&status, Duration::ZERO, |_| true).await;
    let polls: Vec<u64> = status.get().units.iter().map(UnitState::polls).collect();
    // The line carries 20 polls a second of the 60 that are asked for.
    let (high, low) = (polls[..2].iter().min().unwrap(), polls[2..].iter().min().unwrap());
    assert!(high > low && *low >= 60, "{polls:?}");
    assert!(status.get().planned_load > 0.0 && status.get().load > 0.9, "{:?}", status.get());
}

//! Modbus TCP.

use std::time::Duration;

use tokio::time::Instant;

use super::server::{Answer, Asked, Server};
use super::*;

#[tokio::test]
async fn a_device_gives_one_reading_an_interval_with_everything_in_it() {
    let server = Server::start(|_| Answer::Good).await;
    let mut bus = run(&server.bus(), &[("a", 7)]);
    let first = bus.reading(0).await;
    assert_eq!(["x_a", "x_b", "x_c", "x_d"].map(|name| value(&first, name)), [Some(0), Some(1), Some(4), Some(100)]);
    let mut last = first.monotonic;
    for _ in 0..10 {
        let next = bus.reading(0).await;
        assert!(next.monotonic > last);
        last = next.monotonic;
    }
    let took = (last - first.monotonic).as_millis();
    assert!((950..1_100).contains(&took), "ten intervals of 100 ms took {took} ms: drift");
    let unit = bus.until_unit(0, |unit| unit.count(Outcome::Ok) > 10).await;
    assert_eq!(unit.polls(), unit.count(Outcome::Ok));
    assert_eq!((server.connections(), bus.status.get().connections), (1, 1));
    bus.end().await;
}

#[tokio::test]
async fn the_clock_of_a_device_is_read_where_the_site_believes_it_and_nowhere_else() {
    let clock = "{ name = \"clock\", at = 50, type = \"u32\", clock = \"local_s\", poll = \"demand\" },\n]";
    let profile = PROFILE.replacen("\n]", &format!("\n  {clock}"), 1);
    let server = Server::start(|asked| match asked.touches(50) {
        true => Answer::Holds(0x6A15),
        false => Answer::Good,
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("test.toml"), profile).unwrap();
    let devices = ["a", "b"].into_iter().zip(1..).map(|(id, unit)| {
        format!("[[device]]\nid = \"{id}\"\nbus = \"wire\"\nprofile = \"test\"\nunit = {unit}\ninterval = \"100ms\"\nslow_interval = \"200ms\"\n")
    });
    let text = format!(
        "profiles = [\".\"]\n[site]\nclock_device = \"b\"\nclock_zone = \"Etc/GMT+9\"\n[[bus]]\nid = \"wire\"\n{}\n{}",
        server.bus(),
        devices.collect::<String>(),
    );
    let mut bus = start(&read(&text, folder.path()), 64);
    let (mut told, mut readings) = (Vec::new(), 0);
    while told.len() < 2 {
        assert!(readings < 100, "the clock is not read");
        match tokio::time::timeout(PATIENCE, bus.readings.recv()).await.unwrap().unwrap() {
            FromBus::Clock(said) => told.push(said),
            FromBus::Polled(_) => readings += 1,
            FromBus::Identity { .. } => {}
        }
    }
    // 0x6A156A15 s, from a clock nine hours behind UTC, in the middle of its second.
    assert!(told.iter().all(|told| told.said.0 == (0x6A15_6A15 + 9 * 3_600) * 1_000 + 500), "{told:?}");
    assert!(told[1].monotonic > told[0].monotonic);
    assert_eq!(told[0].bound, Duration::from_secs(60));
    bus.end().await;
}

#[tokio::test]
async fn identity_is_read_once_and_again_after_a_silence() {
    let server = Server::start(|asked| match asked {
        asked if (20..23).contains(&asked.number) => Answer::Nothing,
        asked if asked.start == 200 => Answer::Holds(0x4142),
        _ => Answer::Good,
    })
    .await;
    let mut bus = run(&server.bus(), &[("a", 1)]);
    let mut identities = 0;
    while identities < 2 {
        match tokio::time::timeout(PATIENCE, bus.readings.recv()).await.unwrap().unwrap() {
            FromBus::Identity { fields, .. } => {
                assert_eq!(fields.values().collect::<Vec<_>>(), ["ABAB"]);
                identities += 1;
                assert!(identities == 1 || server.asked() > 20, "identity was read twice without need");
            }
            FromBus::Polled(_) | FromBus::Clock(_) => {}
        }
    }
    bus.end().await;
}

#[tokio::test]
async fn a_dead_device_does_not_slow_the_others() {
    let server = Server::start(|asked| if asked.unit == 3 { Answer::Nothing } else { Answer::Good }).await;
    let mut bus = run(&server.bus(), &[("a", 1), ("b", 2), ("dead", 3)]);
    bus.reading(0).await;
    bus.until_unit(2, |unit| unit.failures > 3).await;
    let before = bus.status.get();
    let begun = Instant::now();
    bus.until(|state| state.units[0].polls() >= before.units[0].polls() + 20).await;
    let after = bus.status.get();
    for living in [0, 1] {
        let polls = after.units[living].polls() - before.units[living].polls();
        let rate = polls as f64 / begun.elapsed().as_secs_f64();
        assert!(rate > 9.0, "device {living} was polled {rate:.1} times a second: {after:#?}");
        assert_eq!(after.units[living].polls(), after.units[living].count(Outcome::Ok));
        assert_eq!(after.units[living].overruns, before.units[living].overruns);
    }
    let dead = &after.units[2];
    assert_eq!(
        (dead.count(Outcome::Ok), dead.last_error.as_deref().unwrap().starts_with("no answer within")),
        (0, true)
    );
    assert_eq!(after.connections, 1, "the socket is kept, since others answer on it");
    bus.end().await;
}

#[tokio::test]
async fn a_late_answer_is_never_taken_for_the_next() {
    let server = Server::start(|asked| match asked.number % 3 {
        1 => Answer::Late(Duration::from_millis(180)),
        _ => Answer::Good,
    })
    .await;
    let mut bus = run(&server.bus(), &[("a", 1)]);
    for _ in 0..10 {
        let polled = bus.reading(0).await;
        assert!(polled.values.iter().all(|value| value.value != Some(666_000_000)), "{polled:?}");
    }
    let unit = bus.until_unit(0, |unit| unit.count(Outcome::Timeout) > 2).await;
    assert!(unit.last_ok_at.is_some());
    bus.end().await;
}

#[tokio::test]
async fn an_answer_to_another_request_is_no_answer() {
    let server = Server::start(|_| Answer::Foreign).await;
    let mut bus = run(&server.bus(), &[("a", 1)]);
    drop(bus.readings);
    bus.readings = mpsc::channel(1).1;
    let status = Arc::clone(&bus.status);
    wait(|| status.get().units[0].count(Outcome::Timeout) > 1).await;
    assert_eq!(status.get().units[0].count(Outcome::Ok), 0);
    bus.end().await;
}

#[tokio::test]
async fn frames_that_are_none_cost_the_connection_and_not_the_bus() {
    for wrong in [Answer::Short, Answer::Garbage] {
        let server = Server::start(move |asked| match asked.number {
            0 | 5 => wrong.clone(),
            _ => Answer::Good,
        })
        .await;
        let mut bus = run(&server.bus(), &[("a", 1)]);
        let polled = bus.reading(0).await;
        assert_eq!(value(&polled, "x_c"), Some(4));
        let unit = bus.until_unit(0, |unit| unit.count(Outcome::BadFrame) == 2 && unit.count(Outcome::Ok) > 3).await;
        assert_eq!(unit.failures, 0);
        assert_eq!(server.connections(), 3);
        bus.end().await;
    }
}

#[tokio::test]
async fn one_refused_register_costs_itself_alone() {
    let server = Server::start(|asked| if asked.touches(1) { Answer::Exception(2) } else { Answer::Good }).await;
    let mut bus = run(&server.bus(), &[("a", 1)]);
    let first = bus.reading(0).await;
    assert_eq!(["x_a", "x_b", "x_c", "x_d"].map(|name| value(&first, name)), [Some(0), None, Some(4), Some(100)]);
    let unit = bus.until_unit(0, |unit| unit.count(Outcome::Ok) > 3).await;
    assert_eq!(refused(&unit), ["b"]);
    assert_eq!(unit.count(Outcome::Exception), 1, "it is asked for no more");
    assert_eq!(unit.last_error.as_deref(), Some("exception 2: illegal address"));
    bus.end().await;
}

#[tokio::test]
async fn one_silent_register_costs_itself_alone() {
    let server = Server::start(|asked| if asked.touches(100) { Answer::Nothing } else { Answer::Good }).await;
    let mut bus = run(&server.bus(), &[("a", 1)]);
    let unit = bus.until_unit(0, |unit| unit.count(Outcome::Ok) > 3).await;
    assert_eq!(refused(&unit), ["d"]);
    let polled = bus.reading(0).await;
    assert_eq!(["x_a", "x_d"].map(|name| value(&polled, name)), [Some(0), None]);
    bus.end().await;
}

#[tokio::test]
async fn a_busy_device_loses_nothing_for_good() {
    let busy = |asked: Asked| asked.touches(0) && asked.number < 20;
    let server = Server::start(move |asked| if busy(asked) { Answer::Exception(6) } else { Answer::Good }).await;
    let mut bus = run(&server.bus(), &[("a", 1)]);
    let unit = bus.until_unit(0, |unit| unit.count(Outcome::Ok) > 0).await;
    assert_eq!((refused(&unit).len(), unit.count(Outcome::Exception)), (0, 10));
    bus.end().await;
}

#[tokio::test]
async fn a_server_that_closes_after_each_answer_is_polled_all_the_same() {
    let server = Server::start(|_| Answer::GoodThenClose).await;
    let mut bus = run(&server.bus(), &[("a", 1)]);
    for _ in 0..5 {
        assert_eq!(value(&bus.reading(0).await, "x_d"), Some(100));
    }
    let unit = &bus.status.get().units[0];
    assert_eq!(unit.polls(), unit.count(Outcome::Ok), "{unit:?}");
    bus.end().await;
}

#[tokio::test]
async fn a_device_that_closes_by_rule_is_asked_once_on_each_socket() {
    let profile =
        PROFILE.replace("\n[[area]]\nname = \"near\"", "\n[link]\none_request = true\n[[area]]\nname = \"near\"");
    let server = Server::start(|_| Answer::Good).await;
    let mut bus = run_profile(&profile, &server.bus(), &[("a", 1)]);
    assert_eq!(value(&bus.reading(0).await, "x_d"), Some(100));
    bus.reading(0).await;
    assert!(server.asked() >= 5 && server.connections() >= server.asked() - 1, "{} sockets", server.connections());
    bus.end().await;
}

#[tokio::test]
async fn a_device_that_is_another_one_gives_no_reading_until_it_is_the_right_one() {
    let profile = PROFILE.replace("identity = \"serial_number\"", "expect = { begins = \"AB\" }");
    let server = Server::start(|asked| match asked.start {
        200 if asked.number < 12 => Answer::Holds(0x4343),
        200 => Answer::Holds(0x4142),
        _ => Answer::Good,
    })
    .await;
    let mut bus = run_profile(&profile, &server.bus(), &[("a", 1)]);
    let unit = bus.until_unit(0, |unit| unit.count(Outcome::BadFrame) > 1).await;
    assert!(
        unit.last_error.as_ref().is_some_and(|error| format!("{error:?}").contains("choose another profile")),
        "{unit:?}"
    );
    assert_eq!(value(&bus.reading(0).await, "x_d"), Some(100));
    assert!(server.asked() >= 12, "a reading of another device");
    bus.end().await;
}

#[tokio::test]
async fn a_server_with_room_for_one_client_is_reached_again_after_a_loss() {
    let server = Server::one_client(|asked| match (asked.connection, asked.number) {
        (0, 4..) => Answer::Close,
        (1, _) => Answer::Nothing,
        _ => Answer::Good,
    })
    .await;
    let mut bus = run(&server.bus(), &[("a", 1)]);
    bus.reading(0).await;
    bus.until(|state| state.connections >= 3 && state.units[0].failures == 0).await;
    assert_eq!(value(&bus.reading(0).await, "x_a"), Some(0));
    bus.end().await;
}

#[tokio::test]
async fn nobody_there_is_told_in_words_and_tried_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let bus = run(&format!("kind = \"tcp\"\naddress = \"{address}\""), &[("a", 1)]);
    let status = Arc::clone(&bus.status);
    wait(|| status.get().units[0].count(Outcome::Lost) > 3).await;
    let state = status.get();
    assert!(!state.connected);
    let told = state.last_error.unwrap();
    assert!(told.starts_with("cannot be reached: "), "{told}");
    bus.end().await;
}

#[tokio::test]
async fn a_recorder_that_does_not_listen_stops_nothing_and_is_counted() {
    let server = Server::start(|_| Answer::Good).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("test.toml"), PROFILE).unwrap();
    let device = "[[device]]\nid = \"a\"\nbus = \"wire\"\nprofile = \"test\"\nunit = 1\ninterval = \"100ms\"\n";
    let text = format!("profiles = [\".\"]\n[[bus]]\nid = \"wire\"\n{}\n{device}", server.bus());
    let bus = start(&read(&text, folder.path()), 1);
    let status = Arc::clone(&bus.status);
    wait(|| status.get().units[0].dropped > 3).await;
    assert_eq!(status.get().units[0].polls(), status.get().units[0].count(Outcome::Ok));
    bus.end().await;
}

#[tokio::test]
async fn a_device_that_is_down_while_its_socket_lives_gets_a_new_one() {
    let server =
        Server::start(|asked| if asked.connection == 0 && asked.number > 4 { Answer::Nothing } else { Answer::Good })
            .await;
    let mut bus = run(&server.bus(), &[("a", 1)]);
    bus.until(|state| state.connections == 2 && state.units[0].failures == 0).await;
    bus.end().await;
}

#[tokio::test]
async fn the_codec_agrees_with_a_server_of_others() {
    use tokio_modbus::prelude::*;
    use tokio_modbus::server::tcp::{Server as Foreign, accept_tcp_connection};

    struct Registers;
    impl tokio_modbus::server::Service for Registers {
        type Request = SlaveRequest<'static>;
        type Response = Response;
        type Exception = ExceptionCode;
        type Future = std::future::Ready<Result<Response, ExceptionCode>>;

        fn call(&self, request: Self::Request) -> Self::Future {
            std::future::ready(match request.request {
                Request::ReadHoldingRegisters(at, count) => {
                    Ok(Response::ReadHoldingRegisters((at..at + count).collect()))
                }
                Request::ReadInputRegisters(..) => Err(ExceptionCode::IllegalDataAddress),
                _ => Err(ExceptionCode::IllegalFunction),
            })
        }
    }

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let accept = |stream, peer| async move { accept_tcp_connection(stream, peer, |_| Ok(Some(Registers))) };
        Foreign::new(listener).serve(&accept, |_| {}).await
    });
    let mut bus = run(&format!("kind = \"tcp\"\naddress = \"{address}\""), &[("a", 1)]);
    let polled = bus.reading(0).await;
    assert_eq!(["x_a", "x_b", "x_c", "x_d"].map(|name| value(&polled, name)), [Some(0), Some(1), Some(4), None]);
    assert_eq!(refused(&bus.until_unit(0, |unit| unit.count(Outcome::Ok) > 1).await), ["d"]);
    bus.end().await;
    server.abort();
}

#[tokio::test]
async fn a_sunspec_device_is_searched_and_then_polled() {
    const PROFILE: &str = r#"
format = 1
manufacturer = "Nobody"
model = "Test"
device = "turbine"
confidence = "low"
sources = ["made up"]

[discovery]
kind = "sunspec"
bases = [0, 40000]
function = "holding"

[[area]]
name = "inverter"
models = [103]
function = "holding"
registers = [{ name = "w", at = 2, type = "u16", metric = "x_a" }]
"#;
    let server = Server::start(|asked| match asked.start {
        0 => Answer::Exception(2),
        40_000 => Answer::Words(&[0x5375, 0x6E53]),
        40_002 => Answer::Words(&[103, 4]),
        40_008 => Answer::Words(&[0xFFFF, 0]),
        40_004 => Answer::Holds(55),
        _ => Answer::Exception(2),
    })
    .await;
    let mut bus = run_profile(PROFILE, &server.bus(), &[("a", 1)]);
    assert_eq!(value(&bus.reading(0).await, "x_a"), Some(55));
    assert_eq!(value(&bus.reading(0).await, "x_a"), Some(55));
    assert!(server.asked() < 10, "it is searched once");
    bus.end().await;
}

/// Waits for a condition that no message announces.
async fn wait(condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.expect("must happen");
}

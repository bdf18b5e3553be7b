//! Connections that are lost and come back, requests that are asked again, and what is told of both.

use std::time::Instant;

use super::server::{Answer, Server};
use super::*;

/// A dead device is given up for long; when the cable was out and is back, it is tried at once.
#[tokio::test]
async fn when_a_connection_comes_back_the_silent_are_tried_at_once() {
    let server = Server::start(|asked| if asked.unit == 2 { Answer::Nothing } else { Answer::Good }).await;
    let address = server.address;
    let mut bus = run(&server.bus(), &[("a", 1), ("b", 2)]);
    let before = bus.until_unit(1, |unit| unit.failures > 5).await;
    drop(server);
    let status = Arc::clone(&bus.status);
    until(|| status.get().refused_connections > 0).await;
    assert!(status.get().units[0].failures == 0, "nobody is silent for want of a connection");
    let server = Server::at(address, |_| Answer::Good).await;
    let begun = Instant::now();
    bus.until_unit(1, |unit| unit.failures == 0 && unit.count(Outcome::Ok) > 0).await;
    // The wire tries again after a second; the device would have been left alone for nearly five.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?} with {} failures", begun.elapsed(), before.failures);
    bus.end().await;
    drop(server);
}

#[tokio::test]
async fn a_request_without_answer_is_asked_again_where_that_is_wanted() {
    for (retries, missing) in [(0, true), (1, false)] {
        let server = Server::start(|asked| if asked.number % 7 == 4 { Answer::Nothing } else { Answer::Good }).await;
        let profile = PROFILE.replace(
            "\n[[area]]\nname = \"near\"",
            &format!("\n[link]\nretries = {retries}\n[[area]]\nname = \"near\""),
        );
        let mut bus = run_profile(&profile, &server.bus(), &[("a", 1)]);
        let unit = bus.until_unit(0, |unit| unit.polls() > 8).await;
        assert_eq!((unit.count(Outcome::Timeout) > 0, unit.retries > 0), (missing, !missing), "{unit:?}");
        bus.end().await;
    }
}

#[tokio::test]
async fn answers_of_other_units_are_skipped_and_counted_and_the_socket_is_kept() {
    let server = Server::start(|_| Answer::OtherUnitFirst).await;
    let mut bus = run(&server.bus(), &[("a", 1)]);
    assert_eq!(value(&bus.reading(0).await, "x_d"), Some(100));
    let state = bus.until(|state| state.strays.foreign > 4).await;
    assert_eq!((state.connections, state.strays.late, state.units[0].failures), (1, 0, 0));
    bus.end().await;
}

#[tokio::test]
async fn late_answers_are_counted() {
    let late = |number: usize| number % 4 == 3;
    let server = Server::start(move |asked| match late(asked.number) {
        true => Answer::Late(Duration::from_millis(180)),
        false => Answer::Good,
    })
    .await;
    let mut bus = run(&server.bus(), &[("a", 1)]);
    let state = bus.until(|state| state.strays.late > 1).await;
    assert_eq!((state.connections, state.strays.foreign), (1, 0));
    bus.end().await;
}

#[tokio::test]
async fn a_device_may_be_waited_for_longer_than_its_bus_says() {
    let server = Server::start(|_| Answer::Good).await;
    let text = format!(
        "profiles = [\".\"]\n[[bus]]\nid = \"wire\"\n{}\n\
         [[device]]\nid = \"a\"\nbus = \"wire\"\nprofile = \"test\"\nunit = 1\ntimeout = \"2s\"\nslow_interval = \"1m\"\n",
        server.bus()
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("test.toml"), PROFILE).unwrap();
    let config = read(&text, folder.path());
    assert_eq!(config.timeout(&config.devices[0]), Duration::from_secs(2));
    assert_eq!(config.devices[0].slow_interval, Duration::from_secs(60));
}

async fn until(condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.expect("must happen");
}

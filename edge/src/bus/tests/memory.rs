//! What is learnt about a device stays learnt.

use super::server::{Answer, Server};
use super::*;

#[tokio::test]
async fn a_refused_register_is_remembered_over_a_lost_connection() {
    let server = Server::start(|asked| match asked.number {
        20 => Answer::Close,
        21 => Answer::Close,
        _ if asked.touches(1) => Answer::Exception(2),
        _ => Answer::Good,
    })
    .await;
    let mut bus = run(&server.bus(), &[("a", 1)]);
    let unit = bus.until_unit(0, |unit| unit.count(Outcome::Lost) > 0).await;
    assert_eq!((refused(&unit), unit.count(Outcome::Exception)), (vec!["b"], 1));
    let asked = unit.polls() + 3;
    let unit = bus.until_unit(0, |unit| unit.polls() > asked).await;
    assert_eq!((refused(&unit), unit.count(Outcome::Exception)), (vec!["b"], 1), "it is not asked for anew");
    bus.end().await;
}

#[tokio::test]
async fn another_machine_at_the_same_place_is_asked_for_everything() {
    let server = Server::start(|asked| match asked.connection {
        0 if asked.number > 20 => Answer::Close,
        0 if asked.touches(1) => Answer::Exception(2),
        0 if asked.start == 200 => Answer::Holds(0x4141),
        0 => Answer::Good,
        1 => Answer::Close,
        _ if asked.start == 200 => Answer::Holds(0x4242),
        _ => Answer::Good,
    })
    .await;
    let mut bus = run(&server.bus(), &[("a", 1)]);
    bus.until_unit(0, |unit| refused(unit) == ["b"]).await;
    let unit = bus.until_unit(0, |unit| unit.identity.values().any(|serial| serial == "BBBB")).await;
    assert!(refused(&unit).is_empty(), "{unit:?}");
    let mut polled = bus.reading(0).await;
    while value(&polled, "x_b").is_none() {
        polled = bus.reading(0).await;
    }
    bus.end().await;
}

#[tokio::test]
async fn a_device_that_hangs_up_at_one_register_is_asked_for_the_others() {
    let server = Server::start(|asked| if asked.touches(100) { Answer::Close } else { Answer::Good }).await;
    let mut bus = run(&server.bus(), &[("a", 1)]);
    let unit = bus.until_unit(0, |unit| refused(unit) == ["d"]).await;
    let polls = unit.count(Outcome::Ok) + 3;
    bus.until_unit(0, |unit| unit.count(Outcome::Ok) > polls).await;
    assert_eq!(value(&bus.reading(0).await, "x_c"), Some(4));
    bus.end().await;
}

#[tokio::test]
async fn a_device_that_knows_only_the_other_function_is_read_by_that_for_good() {
    let profile = PROFILE.replace("function = \"input\"", "function = [\"input\", \"holding\"]");
    let server = Server::start(|asked| if asked.function == 4 { Answer::Exception(1) } else { Answer::Good }).await;
    let mut bus = run_profile(&profile, &server.bus(), &[("a", 1)]);
    for _ in 0..5 {
        assert_eq!(value(&bus.reading(0).await, "x_d"), Some(100));
    }
    let unit = &bus.status.get().units[0];
    assert_eq!((unit.polls(), refused(unit).len()), (unit.count(Outcome::Ok), 0), "{unit:?}");
    bus.end().await;
}

#[tokio::test]
async fn a_device_that_refuses_everything_is_read_once_it_does_not() {
    let server = Server::start(|asked| if asked.number < 25 { Answer::Exception(2) } else { Answer::Good }).await;
    let mut bus = run(&server.bus(), &[("a", 1)]);
    let unit = bus.until_unit(0, |unit| unit.count(Outcome::BadFrame) > 2).await;
    assert!(unit.last_error.as_deref().unwrap().starts_with("the device refuses every register"), "{unit:?}");
    let unit = bus.until_unit(0, |unit| unit.count(Outcome::Ok) > 2).await;
    assert!(refused(&unit).is_empty());
    let polled = bus.reading(0).await;
    let mut values = ["x_a", "x_b", "x_c", "x_d"].map(|name| value(&polled, name));
    values.sort_unstable();
    assert_eq!(values, [Some(0), Some(1), Some(4), Some(100)]);
    bus.end().await;
}

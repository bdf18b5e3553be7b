//! Lines without waiting: time is what the test says.

use std::collections::BTreeMap;
use std::sync::Arc;

use riverwatts_shared::time::{ManualClock, UtcMs};

use super::*;
use crate::devices::{Device, Kind};
use crate::faults::Faults;
use crate::faults::script::{self, Medium, Served};
use crate::modbus::frame::{Framing, Request};
use crate::site::{Laws, Site};

const MS: Duration = Duration::from_millis(1);

/// Two plain devices, as units 1 and 2.
fn station() -> Station {
    let site = Arc::new(Site::new(Laws::new(1, 1.0), Arc::new(ManualClock::at(UtcMs(0))), Duration::ZERO));
    let devices = [1, 2].map(|number| (format!("plain-{number}"), Device::new(Kind::Plain(number), site.clone())));
    Station::shared(&devices).unwrap().0
}

/// The same, unit 1 thinks for a second.
fn pondering() -> Station {
    let served = Served { medium: Medium::Line, devices: BTreeMap::from([("plain-1".to_owned(), vec![1])]) };
    let faults = script::read("faults.toml", "[[fault]]\ndo = 'delay'\nby = '1s'\nunit = 1", &served).unwrap();
    let mut station = station();
    station.set_faults(Faults::new(faults, 1, Arc::new(ManualClock::at(UtcMs(0)))));
    station
}

/// Reads `count` registers of a unit.
fn request(unit: u8, count: u8) -> Vec<u8> {
    Framing::Rtu.frame(unit, &[3, 0, 0, 0, count])
}

fn answer(unit: u8, count: u8) -> Vec<u8> {
    let request = Request { framing: Framing::Rtu, unit, pdu: &[3, 0, 0, 0, count] };
    let [Step::Send(frame)] = &*station().reply(&request) else { panic!("no answer") };
    frame.clone()
}

/// What the master hears of these transmissions, piece by piece, with the time of each.
fn heard(pace: Pace, sent: &[(Duration, Vec<u8>)]) -> Vec<(Duration, Vec<u8>)> {
    heard_from(&station(), pace, sent)
}

fn heard_from(station: &Station, pace: Pace, sent: &[(Duration, Vec<u8>)]) -> Vec<(Duration, Vec<u8>)> {
    let (mut traffic, mut heard) = (Traffic::new(pace), Vec::new());
    let mut run_until = |traffic: &mut Traffic, end: Duration| {
        while let Some(at) = traffic.next().filter(|&at| at <= end) {
            let bytes = traffic.run(at, station);
            if !bytes.is_empty() {
                heard.push((at, bytes));
            }
        }
    };
    for (at, bytes) in sent {
        run_until(&mut traffic, *at);
        traffic.send(*at, bytes);
    }
    run_until(&mut traffic, Duration::from_secs(60));
    heard
}

fn whole(heard: &[(Duration, Vec<u8>)]) -> Vec<u8> {
    heard.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
}

fn slow() -> Pace {
    Pace::timed(9_600, Parity::None, Duration::ZERO)
}

#[test]
fn bytes_come_one_after_the_other() {
    // Microseconds by hand: 8 bytes, the time to think, the first piece of 25 bytes, all of them.
    for (pace, silence_us, piece, first_us, last_us) in [
        (slow(), 3_645, 1, 13_020, 38_020),
        (Pace::timed(9_600, Parity::Even, 20 * MS), 4_010, 1, 30_312, 57_812),
        (Pace::timed(115_200, Parity::None, MS), 1_750, 11, 3_399, 4_614),
    ] {
        let heard = heard(pace, &[(Duration::ZERO, request(2, 10))]);
        assert_eq!(whole(&heard), answer(2, 10));
        let (first, last) = (&heard[0], heard.last().unwrap());
        assert_eq!((pace.silence().as_micros(), first.1.len()), (silence_us, piece));
        assert_eq!((first.0.as_micros(), last.0.as_micros()), (first_us, last_us));
    }
}

#[test]
fn without_a_speed_an_answer_is_there_at_once_and_a_torn_request_is_forgotten() {
    let ask = request(1, 3);
    let pace = Pace::default();
    assert_eq!(heard(pace, &[(MS, ask.clone())]), [(MS, answer(1, 3))]);
    assert_eq!(heard(pace, &[(MS, ask[..3].to_vec()), (2 * MS, ask[3..].to_vec())]), [(2 * MS, answer(1, 3))]);
    for spoilt in [&[1, 3, 0][..], &[1, 3, 0, 0, 0, 1, 0, 0, 9, 9, 9], &[1, 16, 0, 0, 0, 1, 200, 0, 0]] {
        let sent = [(MS, spoilt.to_vec()), (60 * MS, ask.clone())];
        assert_eq!(heard(pace, &sent), [(60 * MS, answer(1, 3))], "after {spoilt:?}");
    }
    assert_eq!(heard(Pace::untimed(7 * MS), &[(MS, ask)])[0].0, 8 * MS);
}

#[test]
fn who_speaks_while_another_does_spoils_both() {
    // The request takes 8.3 ms, the silence 3.6 ms, the answer 26 ms.
    let right = answer(1, 10);
    let heard_whole = |at| whole(&heard(slow(), &[(Duration::ZERO, request(1, 10)), (at, request(2, 1))]));
    let spoilt = heard_whole(20 * MS);
    assert_eq!(spoilt.len(), right.len(), "unit 2 heard nothing it could understand");
    let wrong = spoilt.iter().zip(&right).filter(|(one, other)| one != other).count();
    assert_eq!(wrong, 9, "bytes that were on the line together");
    // Behind the answer, but without the silence that parts frames.
    assert_eq!(heard_whole(39 * MS), right);
    assert_eq!(heard_whole(43 * MS), [right, answer(2, 1)].concat());
}

#[test]
fn what_is_sent_too_fast_waits_and_what_is_too_much_is_lost() {
    let mut traffic = Traffic::new(slow());
    for _ in 0..100 {
        traffic.send(Duration::ZERO, &[0; 256]);
    }
    let end = slow().bytes(WAITING_MAX);
    traffic.run(end - MS, &station());
    assert!(traffic.next().is_some(), "one transmission after the other");
    assert!(traffic.run(end, &station()).is_empty() && traffic.next().is_none());
}

#[test]
fn who_is_about_to_answer_hears_nothing_and_the_others_do() {
    let sent = [(MS, request(1, 3)), (100 * MS, request(1, 3)), (200 * MS, request(2, 3)), (300 * MS, request(1, 3))];
    let heard = heard_from(&pondering(), Pace::default(), &sent);
    assert_eq!(heard, [(200 * MS, answer(2, 3)), (1_001 * MS, answer(1, 3))]);
}

//! Probing devices that a test makes up, by the arguments that a person would write.

mod devices;
mod server;
mod units;

use std::time::Duration;

use clap::Parser;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use self::server::{Answer, Frames, Server, refusal, registers, words};
use super::command::{Arguments, execute};
use super::{Document, End, ProbeError};
use crate::config::Overrides;

/// A probe that hangs is red after this time.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    arguments: Arguments,
}

/// Probes by these arguments, after the name of the program.
async fn probe_until(arguments: &str, stop: CancellationToken) -> Result<Document, ProbeError> {
    let words = std::iter::once("probe").chain(arguments.split_whitespace());
    let cli = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
    let overrides = Overrides::default();
    let probed = execute(&cli.arguments, &overrides, stop);
    tokio::time::timeout(PATIENCE, probed).await.unwrap_or_else(|_| panic!("{arguments} never ended"))
}

async fn probe(arguments: &str) -> Document {
    probe_until(arguments, CancellationToken::new()).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn refused(arguments: &str) -> ProbeError {
    match probe_until(arguments, CancellationToken::new()).await {
        Err(error) => error,
        Ok(document) => panic!("{arguments} is taken: {document}"),
    }
}

/// The document as a program reads it.
fn json(document: &Document) -> Value {
    serde_json::from_str(&serde_json::to_string(document).unwrap()).unwrap()
}

/// Where the server is, with a short time-out.
fn at(server: &Server) -> String {
    format!("--tcp {} --timeout 100ms", server.address)
}

/// The two registers of a float.
fn float(number: f32) -> [u16; 2] {
    [(number.to_bits() >> 16) as u16, number.to_bits() as u16]
}

/// Registers of an Eastron SDM630 with 10 A on each phase, power factors as given.
fn meter(factors: [f32; 3]) -> std::collections::BTreeMap<u16, u16> {
    let mut floats = [0f32; 40];
    floats[..3].copy_from_slice(&[230.0, 231.0, 229.0]);
    floats[3..6].copy_from_slice(&[10.0; 3]);
    for (place, factor) in factors.iter().enumerate() {
        floats[6 + place] = floats[place] * 10.0 * factor;
    }
    floats[26] = floats[6..9].iter().sum();
    floats[28] = 6_900.0;
    floats[31] = 0.95;
    floats[35] = 50.0;
    floats[36] = 1_234.5;
    words(0, floats.into_iter().flat_map(float))
}

#[tokio::test]
async fn wrong_arguments_are_told_with_their_remedy() {
    for (arguments, told) in [
        ("units", "name one of --tcp"),
        ("--tcp a --rtu b units", "name one of --tcp"),
        ("--tcp 10.0.0.1 --baud 9600 units", "go with --rtu"),
        ("--tcp no:address:at:all units", "--tcp: `no:address:at:all` is no address"),
        ("--rtu /dev/x --parity mark units", "--parity: `mark` is no parity"),
        ("--rtu /dev/x units --from 5 --to 4", "--from must not be above --to"),
        ("--rtu /dev/x units --from 0", "from 1 to 247"),
        ("--tcp 127.0.0.1:1 units --sweep", "a socket has none"),
        ("--tcp 127.0.0.1:1 device --profile eastron", "there is no profile `eastron`; known: eastron-sdm630"),
        ("--tcp 127.0.0.1:1 device --profile xy-md02 --id Meter", "is no device id"),
        (
            "--tcp 127.0.0.1:1 device --profile xy-md02 --record /tmp/none --meter other.voltage_v=1",
            "no device `other` is probed",
        ),
    ] {
        let error = refused(arguments).await;
        assert!(matches!(error, ProbeError::Usage(_)), "{arguments}: {error}");
        assert!(error.to_string().contains(told), "{arguments}: {error}");
    }
    let error = refused("--config /nowhere/edge.toml --bus a units").await;
    assert!(matches!(error, ProbeError::Config(_)), "{error}");
}

#[tokio::test]
async fn a_dead_line_is_told_apart_from_one_that_is_not_there() {
    let silent = Server::start(Frames::Tcp, |_, _| Answer::Nothing).await;
    for what in ["units --to 4", "sunspec", "guess", "read 0..9"] {
        let document = probe(&format!("--tcp {} --timeout 20ms {what}", silent.address)).await;
        assert!(!document.has_answers(), "{document}");
    }
    let error = refused(&format!("--tcp {} --timeout 20ms device", silent.address)).await;
    assert!(matches!(&error, ProbeError::Unavailable(words) if words.contains("unit 1 does not answer")), "{error}");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for what in ["units", "sunspec", "guess", "read 0", "device", "device --profile xy-md02"] {
        let error = refused(&format!("--tcp {free} {what}")).await;
        let told = error.to_string();
        assert!(matches!(error, ProbeError::Unavailable(_)), "{what}: {told}");
        assert!(told.contains("cannot be reached") && told.contains("check address, cable and power"), "{told}");
    }
}

#[tokio::test]
async fn what_was_found_is_told_when_it_is_stopped_or_the_time_is_over() {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let server = Server::start(Frames::Tcp, move |unit, pdu| {
        if unit == 3 {
            stopped.cancel();
        }
        registers(3, &words(0, [u16::from(unit)]), pdu)
    })
    .await;
    let document = probe_until(&format!("{} units", at(&server)), stop).await.unwrap();
    assert_eq!(document.ended, End::Stopped);
    let found = json(&document);
    assert_eq!(found["units"].as_array().unwrap().len(), 2);
    assert_eq!(found["ended"], "stopped");
    assert!(document.to_string().ends_with("not complete: it was stopped"), "{document}");

    let server = Server::start(Frames::Tcp, |_, _| Answer::Nothing).await;
    let document = probe(&format!("{} --within 300ms units", at(&server))).await;
    assert_eq!(document.ended, End::OutOfTime);
    assert!(server.asked() <= 10, "{} requests", server.asked());
}

#[tokio::test]
async fn an_exception_in_the_middle_costs_its_own_register_alone() {
    let mut device = words(100, 0..40);
    device.remove(&113);
    let server = Server::start(Frames::Tcp, move |_, pdu| registers(3, &device, pdu)).await;
    let document = probe(&format!("{} read 100..139", at(&server))).await;
    let found = json(&document);
    let rows = found["registers"].as_array().unwrap();
    assert_eq!(rows.len(), 40);
    for (row, number) in rows.iter().zip(0..) {
        assert_eq!(row["address"], 100 + number);
        match number {
            13 => {
                assert_eq!((&row["word"], &row["error"]), (&Value::Null, &Value::from("exception 2: illegal address")))
            }
            _ => assert_eq!((&row["word"], &row["error"]), (&Value::from(number), &Value::Null)),
        }
    }
    assert!(server.asked() < 20, "{} requests", server.asked());
    assert!(document.to_string().contains("113  exception 2: illegal address"), "{document}");
}

#[tokio::test]
async fn a_device_that_refuses_everything_is_not_asked_for_ever() {
    let server = Server::start(Frames::Tcp, |_, pdu| refusal(pdu, 2)).await;
    let document = probe(&format!("{} read 0+4096", at(&server))).await;
    assert_eq!(json(&document)["registers"].as_array().unwrap().len(), 4_096);
    assert!(document.has_answers(), "a refusal is an answer");
    assert!(server.asked() < 600, "{} requests", server.asked());
}

#[tokio::test]
async fn coils_are_read_as_noughts_and_ones() {
    let server = Server::start(Frames::Tcp, |_, pdu| match pdu[0] {
        1 => Answer::Pdu(vec![1, 1, 0b101]),
        _ => refusal(pdu, 1),
    })
    .await;
    let found = json(&probe(&format!("{} read 0+3 --function coil", at(&server))).await);
    let words: Vec<_> = found["registers"].as_array().unwrap().iter().map(|row| row["word"].clone()).collect();
    assert_eq!(words, [1, 0, 1]);
}

/// A SunSpec device with these models (id, words) from 40000 on, ended or not.
fn sunspec(models: &[(u16, u16)], ended: bool) -> std::collections::BTreeMap<u16, u16> {
    let mut chain = vec![0x5375, 0x6E53];
    for &(id, length) in models {
        chain.extend([id, length]);
        let start = chain.len();
        chain.resize(start + usize::from(length), 0);
        if id == 1 {
            let maker = b"Example Hydro\0".chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            chain.splice(start..start + 7, maker);
        }
    }
    if ended {
        chain.extend([0xFFFF, 0]);
    }
    words(40_000, chain)
}

#[tokio::test]
async fn a_chain_of_models_is_told_with_its_end() {
    for (models, ended, complete, told) in [
        (&[(1, 66), (103, 50), (160, 48)][..], true, true, "ends at 40172 with its end mark"),
        (&[(1, 66), (103, 50), (160, 48)], false, false, "broken at 40172, where the next model or the end mark"),
        (&[(1, 66), (103, 30_000)], true, false, "broken at 40070: model 103 would be 30000 registers long"),
    ] {
        let length = if models.len() == 2 { 50 } else { models[1].1 };
        let mut device = sunspec(&[models[0], (103, length)], ended);
        if models.len() == 2 {
            device.insert(40_071, 30_000);
        } else {
            device = sunspec(models, ended);
        }
        let server = Server::start(Frames::Tcp, move |_, pdu| registers(3, &device, pdu)).await;
        let document = probe(&format!("{} sunspec", at(&server))).await;
        let found = json(&document);
        assert_eq!((&found["base"], &found["complete"]), (&Value::from(40_000), &Value::from(complete)), "{document}");
        assert!(found["end"].as_str().unwrap().starts_with(told), "{}", found["end"]);
        assert_eq!(found["identity"]["manufacturer"], "Example Hydro");
        if complete {
            assert_eq!(found["models"][2]["blocks"], 2);
            assert_eq!(found["models"][1]["address"], 40_070);
            assert_eq!(found["models"][1]["last"], 40_121);
            assert!(document.to_string().contains("inverter, three phases"), "{document}");
        }
    }
}

#[tokio::test]
async fn a_chain_that_goes_in_circles_is_given_up_and_twins_are_counted() {
    let many: Vec<_> = (0..70).map(|_| (64_200, 1)).collect();
    let device = sunspec(&many, true);
    let server = Server::start(Frames::Tcp, move |_, pdu| registers(3, &device, pdu)).await;
    let found = json(&probe(&format!("{} sunspec", at(&server))).await);
    assert!(found["end"].as_str().unwrap().contains("does not end"), "{}", found["end"]);
    assert_eq!(
        (&found["models"][0]["instance"], &found["models"][63]["instance"]),
        (&Value::from(1), &Value::from(64))
    );
    assert_eq!(found["models"][0]["name"], Value::Null);
}

#[tokio::test]
async fn without_a_marker_each_place_where_it_was_sought_is_told() {
    let device = words(0, [7, 8]);
    let server = Server::start(Frames::Tcp, move |_, pdu| registers(3, &device, pdu)).await;
    let document = probe(&format!("{} sunspec", at(&server))).await;
    let found = json(&document);
    let tried: Vec<_> =
        found["tried"].as_array().unwrap().iter().map(|tried| tried["found"].as_str().unwrap()).collect();
    assert_eq!(tried, ["exception 2: illegal address", "0007 0008", "exception 2: illegal address"]);
    assert!(!document.has_answers());
}

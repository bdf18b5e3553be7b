//! Scans.

use serde_json::json as value;

use super::*;

#[tokio::test]
async fn units_are_found_by_any_answer_that_is_their_own() {
    let server = Server::start(Frames::Tcp, |unit, pdu| match (unit, pdu[0]) {
        (3, 0x2B) => {
            let mut answer = vec![0x2B, 0x0E, 1, 1, 0, 0, 3];
            for (id, text) in [(0, "Example"), (1, "Flow F1"), (2, "2.11")] {
                answer.extend([id, text.len() as u8]);
                answer.extend(text.bytes());
            }
            Answer::Pdu(answer)
        }
        (3, _) => registers(3, &words(0, [5]), pdu),
        (5, _) => refusal(pdu, 2),
        (7, _) => refusal(pdu, 11),
        (8, 4) => registers(4, &words(0, [5]), pdu),
        (10.., _) => refusal(pdu, 10),
        _ => Answer::Nothing,
    })
    .await;
    let document = probe(&format!("{} units --to 9", at(&server))).await;
    let found = json(&document);
    let units: Vec<_> = found["units"].as_array().unwrap().iter().map(|unit| unit["unit"].clone()).collect();
    assert_eq!(units, [3, 5, 8], "{document}");
    assert_eq!(found["asked"], 9);
    let [first, second, _] = &found["units"].as_array().unwrap()[..] else { panic!("three units") };
    assert_eq!(first["identity"], value!({"manufacturer": "Example", "model": "Flow F1", "firmware_version": "2.11"}));
    assert_eq!((&first["answer"], &second["answer"]), (&value!("words"), &value!("exception 2: illegal address")));
    assert!(first["margins"]["median_ms"].as_f64().unwrap() <= first["margins"]["worst_ms"].as_f64().unwrap());
    assert_eq!(first["margins"]["requests"], 6);
    assert_eq!((&second["profile"], &second["verdict"]), (&Value::Null, &value!("no")));
}

#[tokio::test]
async fn a_device_that_answers_only_at_its_own_registers_is_found_at_its_factory_unit() {
    let device = words(5_200, (0..22).map(|place| if place == 3 { 2_150 } else { 700 }));
    let server = Server::start(Frames::Tcp, move |unit, pdu| match registers(3, &device, pdu) {
        Answer::Pdu(answer) if unit == 1 && answer[0] == 3 => Answer::Pdu(answer),
        _ => Answer::Nothing,
    })
    .await;
    let found = json(&probe(&format!("--tcp {} --timeout 30ms units --to 2", server.address)).await);
    let unit = &found["units"][0];
    assert_eq!((&unit["unit"], &unit["profile"]), (&value!(1), &value!("banner-qm42vt2")), "{found:#}");
}

#[tokio::test]
async fn a_device_that_does_not_look_at_the_unit_is_one_device() {
    let server = Server::start(Frames::Tcp, |_, pdu| registers(3, &words(0, [5]), pdu)).await;
    let document = probe(&format!("{} units", at(&server))).await;
    let found = json(&document);
    assert_eq!((&found["alike"], &found["asked"]), (&value!(true), &value!(8)));
    assert!(found["notes"][0].as_str().unwrap().starts_with("units 1 to 8 answer alike"), "{}", found["notes"]);
}

#[tokio::test]
async fn garbled_answers_are_told_with_what_causes_them_and_frames_on_a_line_are_known() {
    let server = Server::start(Frames::Rtu, |unit, pdu| match (unit, pdu[0]) {
        (2, _) => Answer::Noise,
        (4, 0x2B) => Answer::Pdu(vec![0x2B, 0x0E, 1, 1, 0, 0, 1, 0, 2, b'o', b'k']),
        (4, _) => registers(3, &words(0, [5]), pdu),
        (6.., _) => refusal(pdu, 10),
        _ => Answer::Nothing,
    })
    .await;
    let document = probe(&format!("--rtu-tcp {} --timeout 60ms units --to 5", server.address)).await;
    let found = json(&document);
    assert_eq!(found["garbled"][0]["unit"], 2, "{document}");
    assert!(found["notes"][0].as_str().unwrap().contains("two devices with one unit id"), "{}", found["notes"]);
    let units = found["units"].as_array().unwrap();
    assert_eq!((units.len(), &units[0]["unit"]), (1, &value!(4)), "{document}");
    assert_eq!(units[0]["identity"]["manufacturer"], "ok");
}

//! What a receipt, or a refusal, means for the readings of a batch: pure.

use std::collections::BTreeSet;

use riverwatts_shared::batch::Item;
use riverwatts_shared::reading::Reading;
use riverwatts_shared::receipt::{Receipt, Rejected};
use riverwatts_shared::words::RejectCode;

use crate::store::{DeadLetter, Ledger, Settlement};

/// What the receipt settles of these items, and what becomes of the rest.
/// `is_empty`: the batch carried nothing, so the cloud did not keep it.
pub(super) fn settlement(items: &[Item], receipt: &Receipt, is_empty: bool) -> Settlement {
    let mut kept: BTreeSet<String> = receipt.waiting.iter().cloned().collect();
    let mut dead_letters = Vec::new();
    for rejected in &receipt.rejected {
        let Rejected { key, timestamp, code, message, .. } = rejected;
        if *code == RejectCode::UnknownDevice {
            kept.insert(key.clone());
            continue;
        }
        let refused = readings(items, key).filter(|reading| timestamp.is_none_or(|time| time == reading.time));
        dead_letters.extend(refused.map(|reading| dead_letter(key, reading, *code, message)));
    }
    dead_letters.retain(|letter| !kept.contains(&letter.key));
    Settlement {
        epoch: Some(receipt.epoch),
        ledger: Some(Ledger::of(receipt.batch, receipt.last_sequence, !is_empty)),
        kept,
        named: receipt.devices.clone(),
        announced: Vec::new(),
        dead_letters,
    }
}

/// All readings of a batch that the cloud will never take as it is.
pub(super) fn refused(items: &[Item], message: &str) -> Settlement {
    let segments = items.iter().filter_map(|item| match item {
        Item::Segment { device, segment } => Some((device, segment)),
        _ => None,
    });
    let dead_letters = segments.flat_map(|(device, segment)| {
        (0..segment.rows()).map(|row| dead_letter(device, segment.reading(row), RejectCode::Invalid, message))
    });
    Settlement { dead_letters: dead_letters.collect(), ..Settlement::default() }
}

fn readings<'a>(items: &'a [Item], key: &'a str) -> impl Iterator<Item = Reading> + 'a {
    items.iter().flat_map(move |item| {
        let own = match item {
            Item::Segment { device, segment } if device == key => Some(segment),
            _ => None,
        };
        own.into_iter().flat_map(|segment| (0..segment.rows()).map(|row| segment.reading(row)))
    })
}

fn dead_letter(key: &str, reading: Reading, code: RejectCode, message: &str) -> DeadLetter {
    DeadLetter { key: key.to_owned(), reading, code, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use riverwatts_shared::metric::Metric;
    use riverwatts_shared::reading::Value;
    use riverwatts_shared::receipt::BatchId;
    use riverwatts_shared::segment::Segment;
    use riverwatts_shared::time::UtcMs;
    use uuid::Uuid;

    use super::*;

    fn items() -> Vec<Item> {
        let reading = |ms| Reading { time: UtcMs(ms), values: vec![Value::ok(Metric::POWER, ms)] };
        let segment = Segment::from_readings(&[reading(1), reading(2)]);
        ["a", "b"].map(|key| Item::Segment { device: key.to_owned(), segment: segment.clone() }).into()
    }

    fn check(waiting: &[&str], rejected: &[(&str, Option<i64>, RejectCode)], kept: &[&str], dead: &[(&str, i64)]) {
        let rejected = rejected.iter().map(|&(key, ms, code)| Rejected {
            device_id: None,
            key: key.to_owned(),
            timestamp: ms.map(UtcMs),
            code,
            message: "no".to_owned(),
        });
        let receipt = Receipt {
            batch: BatchId { store: Uuid::nil(), sequence: 1 },
            epoch: Uuid::nil(),
            devices: Vec::new(),
            waiting: waiting.iter().map(|&key| key.to_owned()).collect(),
            stored: Vec::new(),
            accepted: 0,
            duplicates: 0,
            rejected: rejected.collect(),
            upload_every_s: None,
            last_sequence: 0,
            config_version: None,
            commands: Vec::new(),
        };
        let settlement = settlement(&items(), &receipt, false);
        assert_eq!(settlement.kept.iter().map(String::as_str).collect::<Vec<_>>(), kept);
        let letters = settlement.dead_letters.iter().map(|letter| (letter.key.as_str(), letter.reading.time.0));
        assert_eq!(letters.collect::<Vec<_>>(), dead);
    }

    #[test]
    fn what_is_refused_is_dead_and_what_waits_is_kept() {
        use RejectCode::{Conflict, Invalid, UnknownDevice};
        check(&[], &[], &[], &[]);
        check(&["a"], &[], &["a"], &[]);
        check(&[], &[("b", None, UnknownDevice)], &["b"], &[]);
        check(&[], &[("a", Some(2), Conflict)], &[], &[("a", 2)]);
        check(&[], &[("b", None, Invalid)], &[], &[("b", 1), ("b", 2)]);
        check(&["a"], &[("a", None, Invalid), ("b", Some(9), Invalid)], &["a"], &[]);
    }

    #[test]
    fn a_batch_that_is_refused_whole_leaves_nothing_behind() {
        let dead = refused(&items(), "no").dead_letters;
        assert_eq!(dead.len(), 4);
        assert!(dead.iter().all(|letter| letter.code == RejectCode::Invalid && letter.message == "no"));
    }
}

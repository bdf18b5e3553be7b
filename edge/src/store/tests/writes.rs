//! Attempts to write are kept, and not for ever.

use super::*;
use crate::store::writes::ROWS_MAX;

fn attempt(time_ms: i64) -> WriteRow {
    let [who, device, name, value] = ["root", "relay-1", "relay_1", "on"].map(str::to_owned);
    WriteRow { at_ms: 7, time_ms: Some(time_ms), who, device, name, value, ..WriteRow::default() }
}

fn history(dir: &Path) -> History {
    History { path: dir.join(open::FILE) }
}

#[test]
fn a_write_is_there_before_its_end_is_known_and_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = open(dir.path());
    let begun = attempt(T);
    let number = file.record_write(&begun).unwrap();
    drop(file);
    let mut file = open(dir.path());
    let begun = WriteRow { number: Some(number), ..begun };
    assert_eq!(history(dir.path()).writes(9).unwrap(), std::slice::from_ref(&begun));
    let ended = WriteRow { old: Some("off".to_owned()), outcome: Some("done".to_owned()), ..begun };
    assert_eq!(file.record_write(&ended).unwrap(), number);
    let second = file.record_write(&attempt(T + 1)).unwrap();
    let found = history(dir.path()).writes(9).unwrap();
    assert_eq!(found, [WriteRow { number: Some(second), ..attempt(T + 1) }, ended]);
    assert_eq!(history(dir.path()).writes(1).unwrap().len(), 1);
}

#[test]
fn old_ones_go_after_400_days_and_the_oldest_when_there_are_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = open(dir.path());
    let first = file.record_write(&attempt(T)).unwrap();
    file.record_write(&attempt(T + 400 * 86_400_000)).unwrap();
    assert_eq!(history(dir.path()).writes(9).unwrap().len(), 2);
    file.record_write(&attempt(T + 400 * 86_400_000 + 1)).unwrap();
    let numbers: Vec<_> = history(dir.path()).writes(9).unwrap().iter().map(|row| row.number).collect();
    assert!(!numbers.contains(&Some(first)) && numbers.len() == 2, "{numbers:?}");
    let far = WriteRow { number: Some(first + ROWS_MAX), ..attempt(T + 400 * 86_400_000 + 2) };
    file.record_write(&far).unwrap();
    assert_eq!(history(dir.path()).writes(9).unwrap().len(), 3);
    file.record_write(&WriteRow { number: None, ..far }).unwrap();
    assert_eq!(history(dir.path()).writes(9).unwrap().len(), 3, "one came, one went");
}

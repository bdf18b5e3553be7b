//! A new store takes the place of one that is lost: it begins behind what the cloud has, and says so.

use std::fs;

use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::GapReason;

use super::super::*;
use super::{T, drain, flush, gaps, items, open};
use crate::legacy::{FILE, Legacy, TakenOver};

fn taken_over(newest: &[(&str, Option<i64>)]) -> Legacy {
    let device = |&(key, newest): &(&str, Option<i64>)| TakenOver {
        key: key.to_owned(),
        device_id: Uuid::nil(),
        newest: newest.map(UtcMs),
    };
    Legacy { configuration: None, devices: newest.iter().map(device).collect() }
}

#[test]
fn what_was_lost_with_the_old_store_is_a_gap_from_the_newest_in_the_cloud() {
    let folder = tempfile::tempdir().unwrap();
    taken_over(&[("a", Some(T)), ("b", None), ("gone", Some(T))]).save_devices(folder.path()).unwrap();
    let mut file = open(folder.path());
    assert!(!folder.path().join(FILE).exists(), "it is taken in");
    let left = file.left().unwrap();
    assert_eq!((left.newest_ms, left.last), (Some(T), vec![(Some(T), None), (None, None)]));
    file.commit(Some(&flush(&[(0, &[T + 90_000]), (1, &[T + 90_000])]))).unwrap();
    let told = gaps(&drain(&mut file, Lane::Backlog));
    let [gap] = &told[..] else { panic!("{told:?}") };
    assert_eq!((gap.device.as_str(), gap.from.0, gap.to.0), ("a", T, T + 90_000));
    assert_eq!((gap.reason, gap.rows), (GapReason::StoreDamaged, None));
}

#[test]
fn a_start_that_is_cut_short_tells_of_it_once() {
    let folder = tempfile::tempdir().unwrap();
    taken_over(&[("a", Some(T))]).save_devices(folder.path()).unwrap();
    let list = fs::read(folder.path().join(FILE)).unwrap();
    drop(open(folder.path()));
    fs::write(folder.path().join(FILE), list).unwrap();
    let mut file = open(folder.path());
    file.commit(Some(&flush(&[(0, &[T + 90_000])]))).unwrap();
    let all = items(&file.take(Lane::Backlog, super::ALL).unwrap().unwrap());
    let spans: Vec<_> = gaps(&all).iter().map(|gap| (gap.from.0, gap.to.0)).collect();
    assert!(spans.iter().all(|span| *span == (T, T + 90_000)), "{spans:?}");
    assert!((1..=2).contains(&spans.len()), "the lost store, and the unclean stop: {spans:?}");
}

#[test]
fn a_store_that_is_still_there_has_no_gap_and_keeps_its_newest() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    file.commit(Some(&flush(&[(0, &[T + 5_000])]))).unwrap();
    file.close().unwrap();
    taken_over(&[("a", Some(T))]).save_devices(folder.path()).unwrap();
    let mut file = open(folder.path());
    assert_eq!(file.left().unwrap().last[0], (Some(T + 5_000), None));
    file.commit(Some(&flush(&[(0, &[T + 6_000])]))).unwrap();
    assert_eq!(gaps(&drain(&mut file, Lane::Backlog)), []);
}

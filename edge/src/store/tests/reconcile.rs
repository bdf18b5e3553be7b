//! Either side, or both, may be put back to an earlier state at any time: nothing that is still here
//! stays missing in the cloud.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use riverwatts_shared::receipt::BatchId;

use super::super::file::StoreFile;
use super::super::*;
use super::{ALL, BOOT, T, contents, flush, items, open, settings, times};

/// What the cloud keeps: readings, batches, and how far each store's batches reach.
#[derive(Debug, Clone, Default)]
struct Cloud {
    readings: BTreeSet<(String, i64)>,
    ledger: HashMap<BatchId, BTreeMap<String, Vec<i64>>>,
    last: BTreeMap<Uuid, u64>,
}

enum Answer {
    Receipt(Settlement),
    Forked,
}

impl Cloud {
    fn take(&mut self, id: BatchId, carried: &BTreeMap<String, Vec<i64>>, is_empty: bool) -> Answer {
        let before = self.last.get(&id.store).copied().unwrap_or(0);
        if self.ledger.get(&id).is_some_and(|known| known != carried) {
            return Answer::Forked;
        }
        for (key, times) in carried {
            self.readings.extend(times.iter().map(|&ms| (key.clone(), ms)));
        }
        if !is_empty {
            self.ledger.insert(id, carried.clone());
            self.last.insert(id.store, before.max(id.sequence));
        }
        Answer::Receipt(Settlement { ledger: Some(Ledger::of(id, before, !is_empty)), ..Settlement::default() })
    }
}

/// Sends one batch; with `lost`, its answer does not arrive. Gives whether there was anything to send.
fn send(file: &mut StoreFile, cloud: &mut Cloud, lane: Lane, units: usize, lost: bool) -> bool {
    let Some(outgoing) = file.take(lane, Limits { units, ..ALL }).unwrap() else { return false };
    let id = file.next_id().unwrap();
    match cloud.take(id, &times(&items(&outgoing)), false) {
        _ if lost => file.release(&outgoing.cargo),
        Answer::Receipt(settlement) => {
            file.settle(outgoing.cargo, settlement, Duration::ZERO).unwrap();
        }
        Answer::Forked => {
            file.release(&outgoing.cargo);
            file.fork().unwrap();
        }
    }
    true
}

/// Some batches of a usual day, without readings.
fn go_on(file: &mut StoreFile, cloud: &mut Cloud) {
    for _ in 0..100 {
        let id = file.next_id().unwrap();
        if let Answer::Receipt(settlement) = cloud.take(id, &BTreeMap::new(), false) {
            file.settle(Cargo::default(), settlement, Duration::ZERO).unwrap();
        }
    }
}

/// Gives whether the store found that the cloud was restored.
fn sign_of_life(file: &mut StoreFile, cloud: &mut Cloud) -> bool {
    let id = file.next_id().unwrap();
    match cloud.take(id, &BTreeMap::new(), true) {
        Answer::Receipt(settlement) => file.settle(Cargo::default(), settlement, Duration::ZERO).unwrap(),
        Answer::Forked => {
            file.fork().unwrap();
            false
        }
    }
}

fn drain(file: &mut StoreFile, cloud: &mut Cloud) {
    sign_of_life(file, cloud);
    while send(file, cloud, Lane::Backlog, 3, false) {}
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for name in ["store.db", "store.db-wal"] {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

/// Readings that are here and not in the cloud.
fn missing(file: &StoreFile, cloud: &Cloud) -> Vec<(String, i64)> {
    let here = contents(file).into_iter().map(|(device, ms, _)| (file.devices[&device].key.clone(), ms));
    here.filter(|reading| !cloud.readings.contains(reading)).collect()
}

#[test]
fn a_cloud_that_was_restored_gets_what_it_lost_and_little_more() {
    let folder = tempfile::tempdir().unwrap();
    let (mut file, mut cloud) = (open(folder.path()), Cloud::default());
    for n in 0..40 {
        file.commit(Some(&flush(&[(0, &[T + n])]))).unwrap();
        assert!(send(&mut file, &mut cloud, Lane::Live, 1, false));
        if n % 10 == 9 {
            file.seal(Duration::from_secs(600 * n.unsigned_abs())).unwrap();
        }
    }
    let backup = cloud.clone();
    for n in 40..60 {
        file.commit(Some(&flush(&[(0, &[T + n])]))).unwrap();
        assert!(send(&mut file, &mut cloud, Lane::Live, 1, false));
    }
    file.close().unwrap();

    let mut file = open(folder.path());
    assert!(!sign_of_life(&mut file, &mut cloud), "nothing was lost yet");
    assert_eq!(file.backlog, 0);
    cloud = backup;
    assert!(sign_of_life(&mut file, &mut cloud), "the cloud tells by itself");
    assert!((20..=32).contains(&file.backlog), "{} are sent again", file.backlog);
    drain(&mut file, &mut cloud);
    assert_eq!(missing(&file, &cloud), []);
    assert!(!sign_of_life(&mut file, &mut cloud), "only once");
}

#[test]
fn a_card_that_was_restored_goes_on_under_a_new_id_once_its_numbers_are_forgotten() {
    let (folder, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut file, mut cloud) = (open(folder.path()), Cloud::default());
    file.commit(Some(&flush(&[(0, &[T])]))).unwrap();
    drain(&mut file, &mut cloud);
    copy(folder.path(), image.path());
    for n in 1..2_000 {
        file.commit(Some(&flush(&[(0, &[T + n])]))).unwrap();
        assert!(send(&mut file, &mut cloud, Lane::Live, 1, false));
    }
    let id = file.id;
    drop(file);
    cloud.ledger.clear();
    copy(image.path(), folder.path());
    let mut file = open(folder.path());
    assert_eq!(file.id, id);
    file.commit(Some(&flush(&[(0, &[T + 5_000])]))).unwrap();
    drain(&mut file, &mut cloud);
    assert_ne!(file.id, id, "the numbers that it would use were used");
    assert_eq!(missing(&file, &cloud), []);
}

/// What may happen.
#[derive(Debug, Clone)]
enum Event {
    Flush(u8),
    Send { lane: bool, units: usize, lost: bool },
    SignOfLife,
    Seal,
    Stop { cleanly: bool },
    CloudForgets,
    CloudBackup,
    CloudRestore,
    CardImage,
    CardRestore,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (1u8..4).prop_map(Event::Flush),
        8 => (any::<bool>(), 1usize..4, prop::bool::weighted(0.1))
            .prop_map(|(lane, units, lost)| Event::Send { lane, units, lost }),
        1 => Just(Event::SignOfLife),
        2 => Just(Event::Seal),
        1 => any::<bool>().prop_map(|cleanly| Event::Stop { cleanly }),
        1 => Just(Event::CloudForgets),
        1 => Just(Event::CloudBackup),
        1 => Just(Event::CloudRestore),
        1 => Just(Event::CardImage),
        1 => Just(Event::CardRestore),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_is_restored_all_that_is_here_ends_in_the_cloud(events in prop::collection::vec(event(), 1..80)) {
        let (folder, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dir = folder.path();
        let mut file = Some(open(dir));
        let (mut cloud, mut backup) = (Cloud::default(), Cloud::default());
        let (mut has_image, mut now, mut boot) = (false, T, 1);
        for event in events {
            let store = file.as_mut().unwrap();
            match event {
                Event::Flush(readings) => {
                    let times: Vec<i64> = (0..readings).map(|n| now + i64::from(n)).collect();
                    now += i64::from(readings);
                    store.commit(Some(&flush(&[(0, &times), (1, &times[..1])]))).unwrap();
                }
                Event::Send { lane, units, lost } => {
                    let lane = if lane { Lane::Live } else { Lane::Backlog };
                    send(store, &mut cloud, lane, units, lost);
                }
                Event::SignOfLife => {
                    sign_of_life(store, &mut cloud);
                }
                Event::Seal => store.seal(Duration::ZERO).unwrap(),
                Event::Stop { cleanly } => {
                    let stopped = file.take().unwrap();
                    if cleanly {
                        stopped.close().unwrap();
                    } else {
                        drop(stopped);
                    }
                    boot += 1;
                    file = Some(open::open(settings(dir, Uuid::from_u128(boot)), Duration::ZERO).unwrap());
                }
                Event::CloudForgets => cloud.ledger.clear(),
                Event::CloudBackup => backup = cloud.clone(),
                Event::CloudRestore => {
                    cloud = backup.clone();
                    go_on(store, &mut cloud);
                }
                Event::CardImage => {
                    copy(dir, image.path());
                    has_image = true;
                }
                Event::CardRestore if has_image => {
                    go_on(store, &mut cloud);
                    drop(file.take());
                    copy(image.path(), dir);
                    file = Some(open::open(settings(dir, BOOT), Duration::ZERO).unwrap());
                }
                Event::CardRestore => {}
            }
        }
        let mut file = file.unwrap();
        drain(&mut file, &mut cloud);
        prop_assert_eq!(missing(&file, &cloud), []);
        prop_assert_eq!(file.backlog, 0);
    }
}

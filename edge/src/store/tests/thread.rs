//! The thread: what it does by itself, and what it survives.

use std::fs;
use std::sync::Arc;

use riverwatts_shared::time::{Clock, ManualClock};
use rusqlite::Connection;

use super::*;

fn started(dir: &Path) -> (Store, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let (store, _) = start(settings(dir, BOOT), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    (store, clock)
}

fn count(dir: &Path, what: &str) -> i64 {
    let connection = Connection::open(dir.join(open::FILE)).unwrap();
    connection.query_row(&format!("select count(*) from {what}"), [], |row| row.get(0)).unwrap()
}

/// Waits until there are so many rows.
async fn until(dir: &Path, what: &str, rows: i64) {
    for _ in 0..2_000 {
        if count(dir, what) == rows {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{} {what}, not {rows}", count(dir, what));
}

#[tokio::test]
async fn it_seals_in_its_time_and_writes_receipts_that_no_flush_takes_along() {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock) = started(folder.path());
    for n in 0..5 {
        store.flush(Arc::new(flush(&[(0, &[T + n])]))).await.unwrap();
    }
    let taken = store.take(Lane::Live, ALL).await.unwrap().unwrap();
    store.settle(taken.cargo, Settlement::default()).await.unwrap();
    assert_eq!((store.figures().backlog, store.figures().oldest), (0, None));
    assert_eq!(count(folder.path(), "settled"), 0);
    clock.advance(settle::WRITE_WITHIN);
    assert_eq!(store.take(Lane::Backlog, ALL).await.unwrap(), None);
    until(folder.path(), "settled", 1).await;
    clock.advance(SEAL_EVERY);
    store.flush(Arc::new(flush(&[(0, &[T + 5])]))).await.unwrap();
    until(folder.path(), "segments", 1).await;
    until(folder.path(), "journal", 2).await;
    assert_eq!(store.figures().commits, 7);
    store.close().await.unwrap();
    assert!(matches!(store.take(Lane::Live, ALL).await, Err(StoreError::Stopped)));
}

#[tokio::test]
async fn a_file_that_is_damaged_while_it_is_used_is_set_aside_and_work_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(open::FILE);
    let root: i64 = {
        let mut file = open(folder.path());
        for n in 0..150 {
            file.commit(Some(&flush(&[(0, &[T + n]), (1, &[T + n])]))).unwrap();
            if n % 3 == 0 {
                file.seal(Duration::ZERO).unwrap();
            }
        }
        let root = "select rootpage from sqlite_schema where name = 'segments'";
        let root = file.connection.query_row(root, [], |row| row.get(0)).unwrap();
        file.close().unwrap();
        root
    };
    // Its first child has the oldest segments, which are not looked at when the store is opened.
    let mut bytes = fs::read(&path).unwrap();
    let root = &bytes[(root as usize - 1) * 1_024..][..1_024];
    assert_eq!(root[0], 5, "more than one page of segments");
    let cell = usize::from(u16::from_be_bytes([root[12], root[13]]));
    let child = u32::from_be_bytes(root[cell..cell + 4].try_into().unwrap()) as usize;
    bytes[(child - 1) * 1_024..][..1_024].fill(0xFF);
    fs::write(&path, bytes).unwrap();

    let (store, _) = started(folder.path());
    let old = store.next_id().await.unwrap().store;
    store.flush(Arc::new(flush(&[(0, &[T + 800])]))).await.unwrap();
    let first = store.take(Lane::Live, ALL).await.unwrap().unwrap();
    assert_eq!(store.take(Lane::Backlog, ALL).await.unwrap(), None);
    assert_ne!(store.next_id().await.unwrap().store, old);
    store.flush(Arc::new(flush(&[(0, &[T + 90_000]), (1, &[T + 90_001])]))).await.unwrap();
    store.settle(first.cargo, Settlement::default()).await.unwrap();
    let new = store.take(Lane::Backlog, ALL).await.unwrap().unwrap();
    assert_eq!(times(&items(&new)), expect(&[("a", &[T + 90_000]), ("b", &[T + 90_001])]));
    assert!(gaps(&items(&new)).iter().all(|gap| gap.reason == GapReason::StoreDamaged));
    assert_eq!(gaps(&items(&new)).len(), 2);
    assert!(folder.path().join("store.db.damaged-1").exists());
    store.close().await.unwrap();
    assert_eq!(count(folder.path(), "journal"), 1, "closing the old file took nothing of the new one");
}

#[tokio::test]
async fn a_disk_that_cannot_be_used_at_the_start_is_tried_again_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let mut before = open(&dir);
    before.commit(Some(&flush(&[(0, &[T + 50])]))).unwrap();
    before.close().unwrap();
    fs::rename(&dir, folder.path().join("away")).unwrap();
    fs::write(&dir, "no folder").unwrap();
    let clock = Arc::new(ManualClock::default());
    let refused = start(settings(&dir, BOOT), Arc::clone(&clock) as Arc<dyn Clock>).unwrap_err();
    assert!(matches!(refused, OpenError::Folder { .. }), "{refused}");

    let (store, left) = start_anyway(settings(&dir, BOOT), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    assert_eq!(left, Left { last: vec![(None, None); 2], ..Left::default() });
    assert!(store.figures().error.unwrap().contains("cannot be used"));
    let waiting = Arc::new(flush(&[(0, &[T + 40, T + 60])]));
    assert!(matches!(store.flush(Arc::clone(&waiting)).await, Err(StoreError::Waiting(_))));
    fs::remove_file(&dir).unwrap();
    fs::rename(folder.path().join("away"), &dir).unwrap();
    assert!(store.flush(Arc::clone(&waiting)).await.is_err(), "a pause is a pause");
    clock.advance(trouble::PAUSE_MAX);
    store.flush(waiting).await.unwrap();
    assert_eq!((store.figures().error, *store.committed().borrow()), (None, 2));
    let all = store.take(Lane::Backlog, ALL).await.unwrap().unwrap();
    assert_eq!(times(&items(&all)), expect(&[("a", &[T + 50, T + 51, T + 60])]), "times increase all the same");
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_no_waiting_mends_ends_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = open(folder.path());
    let clock = || Arc::new(ManualClock::default()) as Arc<dyn Clock>;
    let refused = start_anyway(settings(folder.path(), BOOT), clock()).unwrap_err();
    assert!(matches!(refused, OpenError::Locked { .. }), "{refused}");
    file.connection.pragma_update(None, "user_version", 99).unwrap();
    file.close().unwrap();
    let refused = start_anyway(settings(folder.path(), BOOT), clock()).unwrap_err();
    assert!(matches!(refused, OpenError::Newer { .. }), "{refused}");
}

#[test]
fn another_handle_is_taken_of_the_same_file_only() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, other) = (folder.path().join("store"), folder.path().join("other"));
    let mut file = open(&dir);
    file.commit(Some(&flush(&[(0, &[T])]))).unwrap();
    open(&other).close().unwrap();
    assert!(file.reconnect().unwrap());
    file.commit(Some(&flush(&[(0, &[T + 1])]))).unwrap();
    fs::rename(&dir, folder.path().join("away")).unwrap();
    assert!(!file.reconnect().unwrap(), "it is not there");
    fs::rename(other, dir).unwrap();
    assert!(!file.reconnect().unwrap(), "it is another");
}

#[tokio::test]
async fn a_bug_in_it_ends_it_and_that_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = started(folder.path());
    let beyond = flush(&[(99, &[T])]);
    assert!(matches!(store.flush(Arc::new(beyond)).await, Err(StoreError::Stopped)));
    tokio::time::timeout(Duration::from_secs(20), store.ended()).await.unwrap();
}

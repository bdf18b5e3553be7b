//! What the store of readings promises, held to on every engine.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use riverwatts_cloud::readings::{AnsweredBatch, Change, ListQuery, Readings, ReadingsError, Rows, StoredRow, Written};
use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::{Reading, Value};
use riverwatts_shared::receipt::BatchId;
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Quality;
use uuid::Uuid;

/// A store that can be closed and opened again.
trait Engine {
    fn new() -> Self;
    fn open(&self) -> Readings;
}

struct Sqlite(tempfile::TempDir);

impl Engine for Sqlite {
    fn new() -> Sqlite {
        Sqlite(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Readings {
        Readings::open_sqlite(self.0.path()).unwrap()
    }
}

/// Declares each contract as a test on every engine.
macro_rules! contracts {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&<super::Sqlite as super::Engine>::new()).await;
            })+
        }
    };
}

contracts! {
    rows_come_back_as_they_were_stored,
    the_first_stored_value_wins,
    a_correction_replaces_what_has_a_lower_revision,
    the_latest_is_the_newest_by_time,
    pages_give_every_reading_once_in_either_order,
    writers_at_once_each_get_their_own_answer,
    a_mark_stays_when_its_hour_was_touched_again,
    a_batch_is_found_again_with_its_receipt,
    nothing_is_taken_after_the_end,
}

/// One minute before a month ends: rows of most tests stand in two months.
const EDGE: UtcMs = UtcMs(1_796_083_140_000);
const RECEIVED: UtcMs = UtcMs(1_796_090_000_000);

fn reading(time: UtcMs, power: i64) -> Reading {
    Reading { time, values: vec![Value::ok(Metric::POWER, power)] }
}

fn rows(device: i64, readings: &[Reading]) -> Rows {
    Rows::new(Segment::from_readings(readings), RECEIVED, 0).of_device(device, 120_000)
}

fn every_s(count: i64, from: UtcMs) -> Vec<Reading> {
    (0..count).map(|i| reading(from.plus_ms(i * 1_000), i * 10)).collect()
}

fn all(devices: &[i64]) -> ListQuery {
    ListQuery {
        devices: devices.to_vec(),
        from: UtcMs(i64::MIN),
        to: UtcMs(i64::MAX),
        descending: false,
        after: None,
        limit: 10_000,
    }
}

async fn write(readings: &Readings, rows: Rows) -> Written {
    readings.write(vec![rows]).await.unwrap().pop().unwrap().1
}

fn accepted(accepted: u64) -> Written {
    Written { accepted, ..Written::default() }
}

fn expected(rows: &Rows) -> Vec<StoredRow> {
    (0..rows.count()).map(|row| rows.row(row)).collect()
}

async fn rows_come_back_as_they_were_stored(engine: &impl Engine) {
    let readings = engine.open();
    let gate = Metric::named("x_gate").unwrap();
    let mut odd = reading(EDGE.plus_ms(90_500), -5);
    odd.values.push(Value { metric: Metric::canonical(8), value: None, quality: Quality::Sentinel });
    odd.values.push(Value { metric: gate, value: Some(i64::MAX), quality: Quality::Rate });
    let mut plain = every_s(120, EDGE);
    plain.push(odd);
    plain.sort_by_key(|reading| reading.time);
    let rows = rows(3, &plain);
    assert_eq!(write(&readings, rows.clone()).await, accepted(121));
    assert_eq!(readings.list(all(&[3])).await.unwrap(), expected(&rows));
    readings.close().await;
    assert_eq!(engine.open().list(all(&[3])).await.unwrap(), expected(&rows));
}

async fn the_first_stored_value_wins(engine: &impl Engine) {
    let readings = engine.open();
    let first = every_s(120, EDGE);
    assert_eq!(write(&readings, rows(1, &first)).await, accepted(120));
    let mut second = every_s(130, EDGE);
    second[0].values[0].value = Some(7);
    second[119].values[0].quality = Quality::Range;
    let written = write(&readings, rows(1, &second)).await;
    assert_eq!(written, Written { accepted: 10, duplicates: 118, conflicts: vec![0, 119] });
    let stored = readings.list(all(&[1])).await.unwrap();
    assert_eq!(stored[..120], expected(&rows(1, &first)));
    assert_eq!(stored.len(), 130);
    // Another device is another identity.
    assert_eq!(write(&readings, rows(2, &second)).await, accepted(130));
}

async fn a_correction_replaces_what_has_a_lower_revision(engine: &impl Engine) {
    let readings = engine.open();
    let at = |revision, power| {
        Rows::new(Segment::from_readings(&[reading(EDGE, power)]), RECEIVED, revision).of_device(1, 120_000)
    };
    let conflict = Written { conflicts: vec![0], ..Written::default() };
    let duplicate = Written { duplicates: 1, ..Written::default() };
    assert_eq!(write(&readings, at(0, 10)).await, accepted(1));
    assert_eq!(write(&readings, at(2, 10)).await, duplicate);
    assert_eq!(write(&readings, at(2, 12)).await, accepted(1));
    assert_eq!(write(&readings, at(0, 10)).await, conflict);
    assert_eq!(write(&readings, at(2, 13)).await, conflict);
    assert_eq!(write(&readings, at(3, 13)).await, accepted(1));
    let stored = readings.list(all(&[1])).await.unwrap();
    assert_eq!(stored, [at(3, 13).row(0)]);
    assert_eq!(*readings.latest(vec![1]).await.unwrap()[0], at(3, 13).row(0));
}

async fn the_latest_is_the_newest_by_time(engine: &impl Engine) {
    let readings = engine.open();
    let early = rows(1, &every_s(10, EDGE));
    let late = rows(1, &every_s(10, EDGE.plus_ms(3_600_000)));
    let other = rows(2, &every_s(3, EDGE.plus_ms(-86_400_000 * 70)));
    let newest = |rows: &Rows| rows.row(rows.count() - 1);
    let latest = async |readings: &Readings| {
        let found = readings.latest(vec![1, 2, 3]).await.unwrap();
        found.iter().map(|row| (**row).clone()).collect::<Vec<_>>()
    };
    assert_eq!(latest(&readings).await, []);
    write(&readings, late.clone()).await;
    write(&readings, early.clone()).await;
    write(&readings, other.clone()).await;
    assert_eq!(latest(&readings).await, [newest(&late), newest(&other)]);
    readings.close().await;

    // After a start the past is looked up, also when something late was written first.
    let readings = engine.open();
    write(&readings, rows(1, &every_s(10, EDGE.plus_ms(60_000)))).await;
    assert_eq!(latest(&readings).await, [newest(&late), newest(&other)]);
    let later = rows(2, &every_s(1, EDGE));
    write(&readings, later.clone()).await;
    assert_eq!(latest(&readings).await, [newest(&late), newest(&later)]);
}

async fn pages_give_every_reading_once_in_either_order(engine: &impl Engine) {
    let readings = engine.open();
    // Devices 1 and 2 at the same times over two months, device 3 seldom and elsewhere.
    let seldom = [EDGE.plus_ms(-86_400_000 * 40), EDGE, EDGE.plus_ms(500)].map(|time| reading(time, 1));
    let parts = vec![rows(2, &every_s(150, EDGE)), rows(1, &every_s(150, EDGE)), rows(3, &seldom)];
    let mut stored: Vec<StoredRow> = parts.iter().flat_map(expected).collect();
    stored.sort_by_key(|row| (row.time, row.device));
    readings.write(parts).await.unwrap();
    for descending in [false, true] {
        for limit in [1, 7, 100, 1_000] {
            let mut found = Vec::new();
            let mut after = None;
            loop {
                let query = ListQuery { descending, after, limit, ..all(&[1, 2, 3]) };
                let page = readings.list(query).await.unwrap();
                assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                after = Some((last.time, last.device));
                found.extend(page);
                assert!(found.len() <= stored.len(), "{descending} {limit}");
            }
            assert_eq!(found, stored, "{descending} {limit}");
        }
        stored.reverse();
    }
    stored.sort_by_key(|row| (row.time, row.device));
    let (from, to) = (EDGE, EDGE.plus_ms(60_000));
    stored.retain(|row| from <= row.time && row.time < to && row.device != 1);
    assert_eq!(readings.list(ListQuery { from, to, ..all(&[2, 3]) }).await.unwrap(), stored);
}

async fn writers_at_once_each_get_their_own_answer(engine: &impl Engine) {
    let readings = engine.open();
    // 40 gateways, and 40 more that send the same once more at the same time.
    let sent = (0..80).map(|i| {
        let readings = readings.clone();
        tokio::spawn(async move { write(&readings, rows(1 + i % 40, &every_s(50, EDGE.plus_ms(i % 40)))).await })
    });
    let (mut accepted, mut duplicates) = (0, 0);
    for written in sent.collect::<Vec<_>>() {
        let written = written.await.unwrap();
        assert_eq!((written.accepted + written.duplicates, written.conflicts.len()), (50, 0));
        accepted += written.accepted;
        duplicates += written.duplicates;
    }
    assert_eq!((accepted, duplicates), (2_000, 2_000));
    let devices: Vec<i64> = (1..=40).collect();
    assert_eq!(readings.list(all(&devices)).await.unwrap().len(), 2_000);
}

async fn a_mark_stays_when_its_hour_was_touched_again(engine: &impl Engine) {
    let readings = engine.open();
    let dirty = async |readings: &Readings| readings.dirty_hours(1).await.unwrap();
    let hours = async |readings: &Readings| {
        let mut hours: Vec<i64> = dirty(readings).await.iter().map(|hour| hour.start().0).collect();
        hours.sort_unstable();
        hours
    };
    let (first, second) = (EDGE.plus_ms(-59 * 60_000), EDGE.plus_ms(60_000));
    write(&readings, rows(1, &every_s(120, EDGE))).await;
    assert_eq!(hours(&readings).await, [first.0, second.0]);
    let done = dirty(&readings).await;
    write(&readings, rows(1, &every_s(1, EDGE.plus_ms(200_000)))).await;
    readings.replace_windows(vec![Change { device: 1, done, ..Change::default() }]).await.unwrap();
    readings.ping().await.unwrap();
    assert_eq!(hours(&readings).await, [second.0]);
    let done = dirty(&readings).await;
    readings.replace_windows(vec![Change { device: 1, done, ..Change::default() }]).await.unwrap();
    readings.close().await;
    assert_eq!(dirty(&engine.open()).await, []);
}

async fn a_batch_is_found_again_with_its_receipt(engine: &impl Engine) {
    let readings = engine.open();
    let batch = |sequence, hash, receipt: &[u8]| AnsweredBatch {
        id: BatchId { store: Uuid::from_u128(9), sequence },
        hash: [hash; 32],
        receipt: receipt.to_vec(),
        at: RECEIVED,
    };
    let largest = batch(u64::MAX, 1, b"{}");
    assert_eq!(readings.find_batch(largest.id).await.unwrap(), None);
    readings.keep_batch(largest.clone()).await.unwrap();
    readings.keep_batch(batch(u64::MAX, 2, b"{\"late\": 1}")).await.unwrap();
    readings.close().await;
    let readings = engine.open();
    assert_eq!(readings.find_batch(largest.id).await.unwrap().as_ref(), Some(&largest));
    // Old ones are forgotten with the next that is kept.
    let later = AnsweredBatch { at: RECEIVED.plus_ms(100 * 86_400_000), ..batch(1, 3, b"{}") };
    readings.keep_batch(later.clone()).await.unwrap();
    assert_eq!(readings.last_sequence(later.id.store).await.unwrap(), u64::MAX, "that it was there is remembered");
    assert_eq!(readings.last_sequence(Uuid::nil()).await.unwrap(), 0);
    assert_eq!(readings.find_batch(largest.id).await.unwrap(), None);
    assert_eq!(readings.find_batch(later.id).await.unwrap(), Some(later));
}

async fn nothing_is_taken_after_the_end(engine: &impl Engine) {
    let readings = engine.open();
    readings.ping().await.unwrap();
    readings.close().await;
    let refused = readings.write(vec![rows(1, &every_s(1, EDGE))]).await;
    assert!(matches!(refused, Err(ReadingsError::Unavailable(_))), "{refused:?}");
    assert!(readings.ping().await.is_err());
}

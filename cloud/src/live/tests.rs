use riverwatts_shared::reading::Reading;
use riverwatts_shared::segment::Segment;

use super::*;

const DEVICE: Uuid = Uuid::from_u128(7);

fn rows(times: &[i64]) -> Arc<Rows> {
    let readings: Vec<Reading> = times.iter().map(|&time| Reading { time: UtcMs(time), values: Vec::new() }).collect();
    Arc::new(Rows::new(Segment::from_readings(&readings), UtcMs(0), 0))
}

fn check(times: &[i64], known: Option<i64>, newest: i64, span: Option<(i64, i64)>) {
    let stored = Stored { device_id: DEVICE, rows: rows(times), newest: UtcMs(newest) };
    let found = late(&stored, known.map(UtcMs));
    let expected = span.map(|(from, to)| Backfilled { device_id: DEVICE, from: UtcMs(from), to: UtcMs(to) });
    assert_eq!(found, expected, "{times:?} after {known:?}");
}

#[test]
fn what_came_after_later_readings_is_a_span() {
    check(&[10, 20], None, 20, None);
    check(&[10, 20], Some(5), 20, None);
    check(&[10, 20], Some(10), 20, None);
    check(&[10, 20], Some(15), 20, Some((10, 11)));
    check(&[10, 20, 30], Some(90), 90, Some((10, 31)));
    check(&[10, 20], None, 90, Some((10, 21)));
    // The room knows of a commit that came after this one.
    check(&[10, 20], Some(90), 20, None);
    check(&[10, 20], Some(95), 90, Some((10, 21)));
}

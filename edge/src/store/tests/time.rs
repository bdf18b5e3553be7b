//! Rows without a time, and how they get one.

use riverwatts_shared::words::Quality;

use super::*;
use crate::clock::{Anchor, Jump, News, Source};

fn undated(parts: &[(u16, &[i64])]) -> Flush {
    Flush { dated: false, ..flush(parts) }
}

/// The clock is trusted: monotonic zero is `offset_ms`.
fn trusted(offset_ms: i64, bound_ms: i64) -> Flush {
    let anchor = Anchor { offset_ms, bound_ms, at_ms: 0, source: Source::Cloud };
    Flush { news: Some(News { anchor, dating: anchor, jumps: Vec::new() }), ..Flush::default() }
}

fn boot(dir: &Path, number: u128, now_ms: u64) -> StoreFile {
    open::open(settings(dir, Uuid::from_u128(number)), Duration::from_millis(now_ms)).unwrap()
}

fn date_all(file: &mut StoreFile) {
    while file.date_some().unwrap() {}
}

/// Uncertainty and quality of everything that is to be sent.
fn doubts(items: &[Item]) -> Vec<(u32, Quality)> {
    let segments = items.iter().filter_map(|item| match item {
        Item::Segment { segment, .. } => Some(segment),
        _ => None,
    });
    segments.map(|segment| (segment.time_uncertainty_s, segment.reading(0).values[0].quality)).collect()
}

#[test]
fn undated_readings_wait_and_are_dated_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = boot(folder.path(), 1, 0);
    for n in 0..40 {
        file.commit(Some(&undated(&[(0, &[n])]))).unwrap();
    }
    file.seal(Duration::ZERO).unwrap();
    file.commit(Some(&undated(&[(1, &[50])]))).unwrap();
    date_all(&mut file);
    assert_eq!((file.take(Lane::Backlog, ALL).unwrap(), file.backlog), (None, 41));
    file.commit(Some(&trusted(T, 0))).unwrap();
    // Told another time in the middle of it, and killed.
    assert!(file.date_some().unwrap());
    file.commit(Some(&trusted(T + 999, 0))).unwrap();
    drop(file);
    let mut file = boot(folder.path(), 1, 60);
    let left = file.left().unwrap();
    assert_eq!((left.newest_ms, left.floor_ms), (Some(T + 50), Some(T + 51 - 60)), "half dated, its times are known");
    date_all(&mut file);
    let items = drain(&mut file, Lane::Backlog);
    assert_eq!(times(&items), expect(&[("a", &(0..40).map(|n| T + n).collect::<Vec<_>>()), ("b", &[T + 50])]));
    assert!(doubts(&items).iter().all(|doubt| *doubt == (0, Quality::Ok)));
    assert_eq!(file.undated.len(), 0);
    assert_eq!(
        file.left().unwrap().anchor,
        Some(Anchor { offset_ms: T + 999, bound_ms: 0, at_ms: 0, source: Source::Cloud })
    );
}

#[test]
fn a_doubtful_clock_marks_what_it_dates_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = boot(folder.path(), 1, 0);
    file.commit(Some(&undated(&[(0, &[5])]))).unwrap();
    file.commit(Some(&trusted(T, 2_500))).unwrap();
    date_all(&mut file);
    assert_eq!(doubts(&drain(&mut file, Lane::Backlog)), [(3, Quality::Redated)]);
}

#[test]
fn boots_that_never_knew_the_time_are_placed_in_order_between_their_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = boot(folder.path(), 1, 0);
    file.commit(Some(&flush(&[(0, &[T])]))).unwrap();
    drop(file);
    for number in [2, 3] {
        let mut file = boot(folder.path(), number, 1_000);
        file.commit(Some(&undated(&[(0, &[1_000, 61_000])]))).unwrap();
    }
    let mut file = boot(folder.path(), 4, 5_000);
    file.commit(Some(&undated(&[(0, &[5_000])]))).unwrap();
    let floor = file.floor().unwrap().unwrap();
    assert!(floor + 5_000 > T + 120_000 && floor + 5_000 < T + 120_010, "after all that was stored: {}", floor - T);
    // This boot began 10 minutes after the last known time.
    file.commit(Some(&trusted(T + 600_000 - 5_000, 0))).unwrap();
    date_all(&mut file);
    let items = drain(&mut file, Lane::Backlog);
    let found = &times(&items)["a"];
    assert_eq!(found.len(), 6);
    assert!(found.is_sorted() && found[0] == T && found[5] == T + 600_000, "{found:?}");
    assert_eq!(found[2] - found[1], 60_000);
    assert_eq!(found[4] - found[3], 60_000);
    let doubts = doubts(&items);
    assert_eq!(doubts[0], (0, Quality::Ok));
    assert!(doubts[1].0 > 100 && doubts[1].0 <= 240 && doubts[1].1 == Quality::ClockUntrusted, "{doubts:?}");
    assert_eq!(doubts[doubts.len() - 1], (0, Quality::Ok));
    let gaps = gaps(&items);
    assert!(
        gaps.iter().all(|gap| gap.from >= UtcMs(T) && gap.to <= UtcMs(T + 600_000) && gap.from <= gap.to),
        "{gaps:?}"
    );
    assert_eq!(gaps.len(), 3);
    // Final: another start does not place them anew.
    drop(file);
    let file = boot(folder.path(), 4, 9_000);
    let again: Vec<i64> = contents(&file).iter().map(|(_, ms, _)| *ms).collect();
    assert_eq!(&again, found);
}

#[test]
fn a_first_boot_without_a_time_lies_before_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = boot(folder.path(), 1, 0);
    file.commit(Some(&undated(&[(0, &[1_000, 2_000])]))).unwrap();
    file.close().unwrap();
    let mut file = boot(folder.path(), 2, 500);
    assert_eq!(file.floor().unwrap(), None);
    file.commit(Some(&trusted(T, 0))).unwrap();
    date_all(&mut file);
    assert_eq!(times(&drain(&mut file, Lane::Backlog)), expect(&[("a", &[T + 500 - 1_001, T + 499])]));
}

#[test]
fn a_run_knows_where_the_one_before_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = boot(folder.path(), 1, 0);
    file.commit(Some(&undated(&[(1, &[70])]))).unwrap();
    file.close().unwrap();
    let file = boot(folder.path(), 1, 100);
    let left = file.left().unwrap();
    assert_eq!((left.newest_ms, left.floor_ms), (None, None));
    assert_eq!(left.last, [(None, None), (None, Some(70))]);
    drop(file);
    let mut file = boot(folder.path(), 2, 1_000);
    assert_eq!(file.left().unwrap().last, [(None, None), (None, None)], "another boot's monotonic time says nothing");
    file.commit(Some(&flush(&[(0, &[T])]))).unwrap();
    for n in 0..4 {
        file.commit(Some(&flush(&[(0, &[T + 1 + n])]))).unwrap();
    }
    file.seal(Duration::ZERO).unwrap();
    file.close().unwrap();
    let left = boot(folder.path(), 2, 2_000).left().unwrap();
    assert_eq!((left.last[0], left.newest_ms), ((Some(T + 4), None), Some(T + 4)));
}

#[test]
fn corrections_of_the_clock_are_listed_with_their_source_and_their_time_once_that_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = boot(folder.path(), 1, 0);
    let jump = |at_ms, by_ms, source| Jump { at: Duration::from_millis(at_ms), by_ms, source };
    let mut flush = trusted(T, 0);
    let jumps = vec![jump(5, 700, Source::Device), jump(9, -800, Source::TimeServer)];
    flush.news.as_mut().unwrap().jumps = jumps;
    file.commit(Some(&flush)).unwrap();
    file.connection.execute("insert into jumps (boot, at_ms, by_ms) values (99, 3, 600)", []).unwrap();
    let history = History { path: folder.path().join(open::FILE) };
    let found = history.jumps(9).unwrap();
    let told: Vec<_> =
        found.iter().map(|row| (row.boot, row.at_ms, row.time_ms, row.by_ms, row.source.as_deref())).collect();
    let expected = [
        (99, 3, None, 600, None),
        (1, 9, Some(T + 9), -800, Some("time_server")),
        (1, 5, Some(T + 5), 700, Some("device")),
    ];
    assert_eq!(told, expected);
    assert_eq!(history.jumps(1).unwrap().len(), 1);
}

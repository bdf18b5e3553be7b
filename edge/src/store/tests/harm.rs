//! Full, broken and stubborn disks.

use std::fs;
use std::io::{Seek, SeekFrom, Write};

use riverwatts_shared::segment::thinned;

use super::*;

#[test]
fn a_file_that_is_no_database_is_set_aside_and_told() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let path = folder.path().join(open::FILE);
    fs::write(&path, vec![7; 40_000]).unwrap();
    fs::remove_file(folder.path().join("store.db-wal")).ok();
    let id = {
        let mut file = open(folder.path());
        file.commit(Some(&flush(&[(0, &[T])]))).unwrap();
        let gap = |device: &str| Gap {
            device: device.to_owned(),
            from: UtcMs(T),
            to: UtcMs(T),
            rows: None,
            reason: GapReason::StoreDamaged,
        };
        assert_eq!(gaps(&drain(&mut file, Lane::Backlog)), [gap("a")]);
        file.id
    };
    assert!(folder.path().join("store.db.damaged-1").exists());
    assert_eq!(open(folder.path()).id, id);
}

#[test]
fn what_a_damaged_file_still_tells_becomes_the_gap() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    file.commit(Some(&flush(&[(0, &[T - 9])]))).unwrap();
    drain(&mut file, Lane::Backlog);
    for n in 0..40 {
        let many: Vec<i64> = (0..50).map(|i| T + 100 * n + i).collect();
        file.commit(Some(&flush(&[(0, &many), (1, &many)]))).unwrap();
    }
    file.close().unwrap();
    // The root page of the table that is written last in the schema's order.
    let path = folder.path().join(open::FILE);
    let root: i64 = {
        let file = open(folder.path());
        let root = "select rootpage from sqlite_schema where name = 'held'";
        let root = file.connection.query_row(root, [], |row| row.get(0)).unwrap();
        file.close().unwrap();
        root
    };
    let mut raw = fs::File::options().write(true).open(&path).unwrap();
    raw.seek(SeekFrom::Start((root as u64 - 1) * 1_024)).unwrap();
    raw.write_all(&[0xFF; 1_024]).unwrap();
    drop(raw);
    let mut file = open(folder.path());
    file.commit(Some(&flush(&[(0, &[T + 9_000]), (1, &[T + 9_001])]))).unwrap();
    let told: Vec<(String, i64, i64)> = gaps(&drain(&mut file, Lane::Backlog))
        .into_iter()
        .map(|gap| (gap.device, gap.from.0 - T, gap.to.0 - T))
        .collect();
    assert_eq!(told, [("a".to_owned(), 0, 9_000), ("b".to_owned(), 0, 9_001)]);
}

#[test]
fn damaged_files_do_not_pile_up() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..4 {
        drop(open(folder.path()));
        fs::remove_file(folder.path().join("store.db-wal")).ok();
        fs::write(folder.path().join(open::FILE), vec![7; 40_000]).unwrap();
    }
    let file = open(folder.path());
    assert_eq!(file.set_aside_bytes, 80_000);
    assert!(folder.path().join("store.db.damaged-4").exists());
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = open(folder.path());
    file.connection.pragma_update(None, "user_version", 99).unwrap();
    file.close().unwrap();
    let error = open::open(settings(folder.path(), BOOT), Duration::ZERO).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
    assert!(folder.path().join(open::FILE).exists());
}

#[test]
fn a_broken_row_costs_itself_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    for n in 0..5 {
        file.commit(Some(&flush(&[(0, &[T + 10 * n]), (1, &[T + 10 * n])]))).unwrap();
    }
    file.seal(Duration::ZERO).unwrap();
    let broken = file.connection.execute("update segments set readings = x'00' where device = ?1", [file.places[0]]);
    assert_eq!(broken.unwrap(), 1);
    file.connection.execute("update flushes set readings = zeroblob(99) where number = 4", []).unwrap();
    drop(file);
    let mut file = open(folder.path());
    let mut found = Vec::new();
    while let Some(outgoing) = file.mending(|file| file.take(Lane::Backlog, ALL)).unwrap() {
        found.extend(items(&outgoing));
        file.settle(outgoing.cargo, Settlement::default(), Duration::ZERO).unwrap();
        file.commit(None).unwrap();
    }
    assert_eq!(times(&found), expect(&[("a", &[T + 40]), ("b", &[T, T + 10, T + 20, T + 40])]));
    let told: Vec<_> = gaps(&found)
        .into_iter()
        .filter(|gap| gap.reason == GapReason::StoreDamaged)
        .map(|gap| (gap.device, gap.from.0 - T, gap.to.0 - T, gap.rows))
        .collect();
    let gap = |key: &str, from, to, rows| (key.to_owned(), from, to, rows);
    assert_eq!(told, [gap("a", 30, 40, None), gap("b", 30, 40, None), gap("a", 0, 21, Some(3))]);
    assert_eq!(file.backlog, 0);
}

#[test]
fn a_full_store_gives_up_what_is_settled_then_thins_the_oldest_then_drops_it_and_tells_of_both() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    file.settings.max_bytes = (2 << 20) + 120_000;
    let mut now = T;
    let mut fill = |file: &mut StoreFile, settle: bool| {
        for _ in 0..3 {
            let noise: Vec<i64> = (0..400)
                .map(|i| {
                    now += 1 + (now ^ i) % 7_919;
                    now
                })
                .collect();
            file.commit(Some(&flush(&[(0, &noise)]))).unwrap();
        }
        if settle {
            drain(file, Lane::Backlog);
        }
        file.seal(Duration::ZERO).unwrap();
        while file.retain_some().unwrap() {}
    };
    for _ in 0..40 {
        fill(&mut file, true);
    }
    assert!(file.limit_reached().unwrap().is_none());
    let settled: i64 = file.connection.query_row("select count(*) from segments", [], |row| row.get(0)).unwrap();
    assert!(settled > 0 && gaps(&drain(&mut file, Lane::Backlog)).is_empty());
    for _ in 0..80 {
        fill(&mut file, false);
        let count = "select count(*) from gaps where exists \
                     (select 1 from segments where number not in (select segment from unsettled))";
        let told: i64 = file.connection.query_row(count, [], |row| row.get(0)).unwrap();
        assert_eq!(told, 0, "what is settled goes first");
    }
    assert!(file.limit_reached().unwrap().is_none());
    assert_eq!(file.backlog, file.count_backlog().unwrap());
    let items = drain(&mut file, Lane::Backlog);
    let gaps = gaps(&items);
    let told: Vec<_> = gaps.iter().map(|gap| gap.reason).collect();
    assert_eq!(told, [GapReason::StoreFullThinned, GapReason::StoreFullDropped], "gaps that grow: {gaps:?}");
    let left = &times(&items)["a"];
    assert_eq!(gaps[1].to.0, left[0]);
    assert!(gaps[0].to > gaps[1].to, "what is dropped was thinned before: {gaps:?}");
    let rows = gaps.iter().map(|gap| gap.rows.unwrap()).collect::<Vec<_>>();
    assert_eq!(rows.iter().sum::<u64>() + left.len() as u64, 80 * 3 * 400);
    assert_eq!((file.lost.thinned, file.lost.dropped), (rows[0], rows[1]));
    assert!(file.full.unwrap().to_string().ends_with("are dropped"));
}

#[test]
fn what_is_thinned_stands_for_all_of_it_and_nothing_is_thinned_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    let minute = (T / 60_000 + 1) * 60_000;
    let power = |ms: i64| ms / 1_000 % 97;
    let times_of = |n: i64| (0..40).map(move |i| minute + (40 * n + i) * 1_000);
    for n in 0..30 {
        let values = |ms| vec![Value::ok(Metric::POWER, power(ms))];
        let all = times_of(n).map(|ms| Reading { time: UtcMs(ms), values: values(ms) });
        let segment = Segment::from_readings(&all.collect::<Vec<_>>());
        let flush = Flush { dated: true, segments: vec![(0, segment.clone()), (1, segment)], ..Flush::default() };
        file.commit(Some(&flush)).unwrap();
    }
    let on_its_way = file.take(Lane::Backlog, Limits { units: 1, ..ALL }).unwrap().unwrap();
    file.seal(Duration::ZERO).unwrap();
    let sum = |segment: &Segment| {
        let counts = segment.columns.iter().find(|column| column.metric.name() == thinned::COUNT);
        let power = segment.columns.iter().find(|column| column.metric == Metric::POWER).unwrap();
        let points = counts.map_or_else(Vec::new, |counts| thinned::unfold(&segment.times, counts, power));
        points.iter().map(|point| point.value).sum::<i64>()
    };
    while file.thin_unsettled().unwrap() {}
    let (backlog, lost) = (file.backlog, file.lost.thinned);
    assert_eq!(backlog, file.count_backlog().unwrap());
    assert_eq!(backlog + lost, 30 * 40 * 2, "the numbers add up");
    assert!(lost > 2_000, "{lost} are thinned");
    file.thinned_until = 0;
    while file.thin_unsettled().unwrap() {}
    assert_eq!((file.backlog, file.lost.thinned), (backlog, lost), "also after a restart");
    file.release(&on_its_way.cargo);
    let items = drain(&mut file, Lane::Backlog);
    let sealed: BTreeSet<i64> = (1..28).flat_map(times_of).collect();
    let whole: i64 = sealed.iter().map(|&ms| power(ms)).sum();
    let found = items.iter().map(|item| if let Item::Segment { segment, .. } = item { sum(segment) } else { 0 });
    let (found, most_off) = (found.sum::<i64>(), sealed.len() as i64);
    assert!((found - 2 * whole).abs() <= most_off, "{found} is not {}", 2 * whole);
    assert_eq!(gaps(&items).iter().map(|gap| gap.rows.unwrap()).sum::<u64>(), lost);
}

#[test]
fn settled_readings_stay_for_days_and_not_longer() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    const DAY: i64 = 86_400_000;
    for day in 0..10 {
        for n in 0..3 {
            file.commit(Some(&flush(&[(0, &[T + day * DAY + n])]))).unwrap();
        }
        if day > 0 {
            drain(&mut file, Lane::Live);
        }
        file.seal(Duration::ZERO).unwrap();
        while file.retain_some().unwrap() {}
    }
    let days: BTreeSet<i64> = contents(&file).iter().map(|(_, ms, _)| (ms - T) / DAY).collect();
    assert_eq!(days, BTreeSet::from([0, 2, 3, 4, 5, 6, 7, 8, 9]), "the first day is not settled");
}

#[test]
fn a_disk_that_refuses_changes_nothing_and_a_loss_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    file.commit(Some(&flush(&[(0, &[T])]))).unwrap();
    file.connection.pragma_update(None, "query_only", true).unwrap();
    let before = contents(&file);
    assert!(matches!(file.commit(Some(&flush(&[(0, &[T + 1])]))), Err(StoreError::Disk(_))));
    assert_eq!((contents(&file), file.backlog), (before, 1));
    file.connection.pragma_update(None, "query_only", false).unwrap();
    file.commit(Some(&Flush { lost: vec![(0, 4)], ..Flush::default() })).unwrap();
    let later = Flush { lost: vec![(0, 3)], ..flush(&[(0, &[T + 20])]) };
    file.commit(Some(&later)).unwrap();
    let items = drain(&mut file, Lane::Backlog);
    assert_eq!(times(&items), expect(&[("a", &[T, T + 20])]));
    let gaps = gaps(&items);
    assert_eq!(gaps.len(), 1);
    let gap = &gaps[0];
    assert_eq!((gap.reason, gap.rows, gap.from.0, gap.to.0), (GapReason::DiskError, Some(7), T, T + 20));
}

#[test]
fn dead_letters_rest_here_up_to_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    let letter = |ms| DeadLetter {
        key: "a".to_owned(),
        reading: Reading { time: UtcMs(T + ms), values: Vec::new() },
        code: RejectCode::Conflict,
        message: "no".to_owned(),
    };
    let dead_letters = (0..dead_letters::DEAD_LETTERS_MAX as i64 + 2).map(letter).collect();
    file.settle(Cargo::default(), Settlement { dead_letters, ..Settlement::default() }, Duration::ZERO).unwrap();
    file.commit(None).unwrap();
    file.limit_dead_letters().unwrap();
    let items = drain(&mut file, Lane::Backlog);
    let gap = &gaps(&items)[0];
    assert_eq!((gap.reason, gap.rows, gap.from.0, gap.to.0), (GapReason::DeadLetterDiscarded, Some(2), T, T + 2));
    drop(file);
    assert_eq!(open(folder.path()).dead_letters, dead_letters::DEAD_LETTERS_MAX);
}

//! What went over the link is remembered, without commits of its own.

use super::*;

const SOME: Carried = Carried { sent: 1_000, received: 200 };
const MINUTE: Duration = Duration::from_secs(60);

fn written(file: &StoreFile) -> Vec<(i64, i64, i64)> {
    let mut found = file.connection.prepare("select day, sent, received from traffic order by day").unwrap();
    let rows = found.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn counts_wait_for_a_flush_some_minutes_or_some_bytes_and_are_there_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    let step = |file: &mut StoreFile, day, more, minute: u32, n| {
        file.traffic.count(day, more, MINUTE * minute);
        file.commit(Some(&flush(&[(0, &[T + n])]))).unwrap();
        written(file)
    };
    assert_eq!(step(&mut file, 7, SOME, 0, 0), []);
    assert_eq!(step(&mut file, 7, SOME, 4, 1), []);
    assert_eq!(step(&mut file, 8, SOME, 5, 2), [(7, 2_000, 400), (8, 1_000, 200)]);
    let much = Carried { sent: 0, received: 65_536 };
    assert_eq!(step(&mut file, 8, SOME, 5, 3).len(), 2);
    assert_eq!(step(&mut file, 8, much, 5, 4)[1], (8, 2_000, 65_936));
    file.traffic.count(8, SOME, MINUTE * 6);
    let commits = file.commits;
    file.commit(None).unwrap();
    assert_eq!(file.commits, commits, "no commit of its own");
    drop(file);
    let file = open(folder.path());
    assert_eq!(
        *file.traffic.days,
        Days::from([(7, Carried { sent: 2_000, received: 400 }), (8, Carried { sent: 2_000, received: 65_936 })])
    );
}

#[test]
fn a_clean_stop_forgets_no_byte_and_a_file_that_is_begun_again_gets_them_all() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    file.traffic.count(7, SOME, MINUTE);
    file.close().unwrap();
    let mut file = open(folder.path());
    assert_eq!(file.traffic.days[&7], SOME);
    file.traffic.count(9, SOME, MINUTE);
    let other = tempfile::tempdir().unwrap();
    let mut again = open(other.path());
    again.traffic = file.traffic.anew();
    again.commit(Some(&flush(&[(0, &[T])]))).unwrap();
    assert_eq!(written(&again), [(7, 1_000, 200), (9, 1_000, 200)]);
}

#[test]
fn two_billing_months_are_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    for day in 0..100 {
        file.traffic.count(day, SOME, Duration::ZERO);
    }
    file.traffic.end();
    file.commit(Some(&flush(&[(0, &[T])]))).unwrap();
    assert_eq!(written(&file).iter().map(|row| row.0).collect::<Vec<_>>(), (38..100).collect::<Vec<_>>());
    assert_eq!(file.traffic.days.len(), 62);
}

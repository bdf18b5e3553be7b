//! Rows of the journal: used again, brought from an earlier version, and receipts beside them.

use super::*;

/// Flushes of one reading each, from `from` on.
fn commit(file: &mut StoreFile, range: std::ops::Range<i64>) {
    for n in range {
        file.commit(Some(&flush(&[(0, &[T + n])]))).unwrap();
    }
}

fn rows(file: &StoreFile, of: &str) -> i64 {
    file.connection.query_row(&format!("select count(*) from {of}"), [], |row| row.get(0)).unwrap()
}

fn all(range: std::ops::Range<i64>) -> BTreeMap<String, Vec<i64>> {
    expect(&[("a", &range.map(|n| T + n).collect::<Vec<_>>())])
}

#[test]
fn rows_of_sealed_flushes_are_used_again_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    commit(&mut file, 0..10);
    file.seal(Duration::ZERO).unwrap();
    commit(&mut file, 10..14);
    drop(file);
    let mut file = open(folder.path());
    commit(&mut file, 14..20);
    file.seal(Duration::ZERO).unwrap();
    commit(&mut file, 20..26);
    assert_eq!((rows(&file, "flushes"), rows(&file, "journal"), rows(&file, "sealed")), (12, 8, 1));
    assert_eq!(times(&drain(&mut file, Lane::Backlog)), all(0..26));
}

#[test]
fn a_flush_on_its_way_keeps_its_row_while_others_are_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    commit(&mut file, 0..3);
    let first = file.take(Lane::Backlog, Limits { units: 1, ..ALL }).unwrap().unwrap();
    for round in 1..4 {
        commit(&mut file, 3 * round..3 * round + 3);
        file.seal(Duration::ZERO).unwrap();
    }
    drop(file);
    let mut file = open(folder.path());
    assert_eq!(times(&items(&first)), all(0..1));
    let mut found: Vec<i64> = times(&drain(&mut file, Lane::Backlog))["a"].clone();
    found.sort_unstable();
    assert_eq!(found, (0..12).map(|n| T + n).collect::<Vec<_>>());
}

#[test]
fn files_of_earlier_versions_are_brought_to_this_one() {
    const AS_2: &str = "drop table traffic; alter table jumps drop column source; \
         alter table boots drop column anchor_at_ms; alter table boots drop column anchor_source; \
         alter table boots drop column dating_at_ms; drop table drained; \
         alter table store drop column receipted; alter table segments drop column receipted; drop table dead_letters;
         create table dead_letters (number integer primary key, device integer not null, time_ms integer not null,
         code text not null, message text not null, reading blob not null) strict;
         insert into dead_letters values (1, 1, 7, 'invalid', 'no', x'00'), (2, 1, 7, 'conflict', 'no', x'00');
         pragma user_version = 2;";
    const AS_1: &str = "create table old (number integer primary key, boot integer, from_ms integer not null, rows integer not null, \
         readings blob not null) strict;
         insert into old select number, boot, from_ms, rows, readings from journal;
         drop view journal; drop table sealed; drop table written; drop table flushes; alter table old rename to flushes;
         pragma user_version = 1;";
    for as_it_was in [AS_2.to_owned(), format!("{AS_2}{AS_1}")] {
        earlier_version(&as_it_was);
    }
}

fn earlier_version(as_it_was: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    commit(&mut file, 0..8);
    file.seal(Duration::ZERO).unwrap();
    commit(&mut file, 8..12);
    file.connection.execute_batch(as_it_was).unwrap();
    drop(file);
    let mut file = open(folder.path());
    assert_eq!(file.dead_letters, 1, "a reading is refused once");
    commit(&mut file, 12..14);
    file.seal(Duration::ZERO).unwrap();
    drop(file);
    let mut file = open(folder.path());
    commit(&mut file, 14..15);
    assert_eq!(times(&drain(&mut file, Lane::Backlog)), all(0..15));
}

#[test]
fn receipts_let_some_flushes_pass_before_they_go_with_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    commit(&mut file, 0..2);
    let cargo = file.take(Lane::Live, ALL).unwrap().unwrap().cargo;
    file.settle(cargo, Settlement::default(), Duration::ZERO).unwrap();
    for (n, written) in [(2, 0), (19, 0), (20, 1)] {
        file.commit_flush(&flush(&[(0, &[T + n])]), Duration::from_secs(n.unsigned_abs())).unwrap();
        assert_eq!(rows(&file, "settled"), written, "after {n} s");
    }
    assert_eq!(times(&drain(&mut file, Lane::Backlog)), expect(&[("a", &[T + 2, T + 19, T + 20])]));
}

#[test]
fn what_is_carried_out_has_each_reading_once_whatever_is_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    commit(&mut file, 0..10);
    file.seal(Duration::ZERO).unwrap();
    commit(&mut file, 10..14);
    for settled in [false, true] {
        let mut items = Vec::new();
        let history = History { path: folder.path().join(open::FILE) };
        let left = history.walk_all::<rusqlite::Error>(settled, |item| {
            items.push(item);
            Ok(())
        });
        assert_eq!((left.unwrap(), times(&items)), (LeftBehind::default(), all(0..14)));
    }
}

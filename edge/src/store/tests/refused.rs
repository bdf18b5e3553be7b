//! What the cloud refused: each reading of it is in one place, whatever a person does and wherever it is cut.

use proptest::prelude::*;
use riverwatts_shared::words::RejectCode;

use super::*;

fn letter(key: &str, ms: i64, code: RejectCode) -> DeadLetter {
    DeadLetter { key: key.to_owned(), reading: segment(&[ms]).reading(0), code, message: format!("no, {}", ms - T) }
}

/// Commits readings and has them refused.
fn refuse(file: &mut StoreFile, parts: &[(u16, &[i64])], code: RejectCode) {
    file.commit(Some(&flush(parts))).unwrap();
    refuse_what_waits(file, code);
}

fn refuse_what_waits(file: &mut StoreFile, code: RejectCode) {
    while let Some(outgoing) = file.take(Lane::Backlog, ALL).unwrap() {
        let refused = times(&items(&outgoing));
        let refused = refused.iter().flat_map(|(key, times)| times.iter().map(|&ms| letter(key, ms, code)));
        let settlement = Settlement { dead_letters: refused.collect(), ..Settlement::default() };
        file.settle(outgoing.cargo, settlement, Duration::ZERO).unwrap();
        file.commit(None).unwrap();
    }
}

fn all() -> Chosen {
    Chosen::default()
}

fn history(dir: &Path) -> History {
    History { path: dir.join(open::FILE) }
}

#[test]
fn what_is_sent_again_waits_in_the_backlog_once_and_is_shown_once_also_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    refuse(&mut file, &[(0, &[T, T + 1, T + 2]), (1, &[T + 1])], RejectCode::QuarantinedTime);
    file.commit(Some(&flush(&[(0, &[T + 100])]))).unwrap();
    assert_eq!((file.dead_letters, file.backlog), (4, 1));
    assert_eq!(file.end_dead_letters(Fate::Resent, &all()).unwrap(), 4);
    assert_eq!((file.dead_letters, file.backlog, file.count_backlog().unwrap()), (0, 5, 5));
    drop(file);
    let mut file = open(folder.path());
    assert_eq!((file.dead_letters, file.backlog), (0, 5));
    let shown: Vec<i64> = history(folder.path()).newest("a", 100).unwrap().iter().map(|r| r.time.0 - T).collect();
    assert_eq!(shown, [100, 2, 1, 0], "not twice");
    assert_eq!(file.take(Lane::Live, ALL).unwrap(), None, "it is no news");
    let sent = times(&drain(&mut file, Lane::Backlog));
    assert_eq!(sent, expect(&[("a", &[T, T + 1, T + 2, T + 100]), ("b", &[T + 1])]));
    assert_eq!((file.backlog, file.count_backlog().unwrap()), (0, 0));
}

#[test]
fn what_is_refused_again_comes_back_once_with_the_last_word_and_a_number_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    refuse(&mut file, &[(0, &[T, T + 1])], RejectCode::QuarantinedTime);
    let first = history(folder.path()).dead_letters(&all(), None, 10).unwrap();
    file.end_dead_letters(Fate::Resent, &all()).unwrap();
    refuse_what_waits(&mut file, RejectCode::Conflict);
    let second = history(folder.path()).dead_letters(&all(), None, 10).unwrap();
    let told = |rows: &[DeadLetterRow]| rows.iter().map(|row| (row.time.0 - T, row.code.clone())).collect::<Vec<_>>();
    assert_eq!(told(&second), [(1, "conflict".to_owned()), (0, "conflict".to_owned())], "newest first");
    assert!(first.iter().all(|row| row.number < second[1].number), "{first:?} {second:?}");
    assert_eq!(second[0].reading, Some(segment(&[T + 1]).reading(0)));
    // The cloud was restored: the same readings go again, and are refused again.
    file.unsettle_after(0).unwrap();
    refuse_what_waits(&mut file, RejectCode::BeyondRetention);
    assert_eq!((file.dead_letters, history(folder.path()).dead_letters(&all(), None, 10).unwrap().len()), (2, 2));
}

#[test]
fn what_is_discarded_leaves_a_gap_for_each_run_with_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    refuse(&mut file, &[(0, &[T, T + 5_000, T + 10_000, T + 500_000]), (1, &[T])], RejectCode::Invalid);
    assert_eq!(file.end_dead_letters(Fate::Discarded, &all()).unwrap(), 5);
    drop(file);
    let mut file = open(folder.path());
    assert_eq!((file.dead_letters, file.backlog), (0, 0));
    let gap = |device: &str, from, to, rows| Gap {
        device: device.to_owned(),
        from: UtcMs(T + from),
        to: UtcMs(T + to),
        rows: Some(rows),
        reason: GapReason::DeadLetterDiscarded,
    };
    let expected = [gap("a", 0, 10_001, 3), gap("a", 500_000, 500_001, 1), gap("b", 0, 1, 1)];
    assert_eq!(gaps(&drain(&mut file, Lane::Backlog)), expected);
}

#[test]
fn only_what_is_chosen_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    refuse(&mut file, &[(0, &[T, T + 1]), (1, &[T])], RejectCode::Conflict);
    refuse(&mut file, &[(0, &[T + 2]), (1, &[T + 2, T + 3])], RejectCode::Invalid);
    let history = history(folder.path());
    let chosen = |code, device: Option<&str>| Chosen { number: None, code, device: device.map(str::to_owned) };
    let count = |chosen: &Chosen| history.dead_letters(chosen, None, 10).unwrap().len();
    assert_eq!(count(&chosen(Some(RejectCode::Conflict), None)), 3);
    assert_eq!(count(&chosen(None, Some("b"))), 3);
    assert_eq!(count(&chosen(None, Some("ghost"))), 0);
    let groups = history.dead_letter_groups().unwrap();
    let told: Vec<_> = groups.iter().map(|group| (&*group.device, &*group.code, group.count)).collect();
    assert_eq!(told, [("a", "conflict", 2), ("b", "invalid", 2), ("a", "invalid", 1), ("b", "conflict", 1)]);
    assert_eq!(file.end_dead_letters(Fate::Resent, &chosen(Some(RejectCode::Invalid), Some("b"))).unwrap(), 2);
    assert_eq!(times(&drain(&mut file, Lane::Backlog)), expect(&[("b", &[T + 2, T + 3])]));
    let page = history.dead_letters(&all(), None, 2).unwrap();
    let rest = history.dead_letters(&all(), Some(page[1].number), 9).unwrap();
    assert_eq!((page.len(), rest.len()), (2, 2));
    let one = Chosen { number: Some(page[0].number), ..Chosen::default() };
    assert_eq!(file.end_dead_letters(Fate::Discarded, &one).unwrap(), 1);
    assert_eq!(file.end_dead_letters(Fate::Discarded, &one).unwrap(), 0, "it has ended already");
    assert_eq!((file.dead_letters, count(&all())), (3, 3));
}

#[test]
fn one_whose_bytes_are_broken_is_given_up_and_the_others_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    refuse(&mut file, &[(0, &[T, T + 1, T + 2])], RejectCode::Invalid);
    file.connection.execute("update dead_letters set reading = x'00' where time_ms = ?1", [T + 1]).unwrap();
    assert_eq!(history(folder.path()).dead_letters(&all(), None, 10).unwrap()[1].reading, None);
    assert_eq!(file.end_dead_letters(Fate::Resent, &all()).unwrap(), 3);
    let sent = drain(&mut file, Lane::Backlog);
    assert_eq!(times(&sent), expect(&[("a", &[T, T + 2])]));
    assert_eq!(
        gaps(&sent).iter().map(|gap| (gap.reason, gap.rows)).collect::<Vec<_>>(),
        [(GapReason::StoreDamaged, Some(1))]
    );
}

/// A time that was refused tells nothing about a boot that never knew the time.
#[test]
fn what_is_sent_again_is_no_neighbour_of_a_boot_without_a_clock() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    file.commit(Some(&flush(&[(0, &[T])]))).unwrap();
    file.close().unwrap();
    let mut file = open::open(settings(folder.path(), Uuid::from_u128(2)), Duration::ZERO).unwrap();
    file.commit(Some(&Flush { dated: false, ..flush(&[(0, &[10])]) })).unwrap();
    let undated = file.next_flush - 1;
    file.close().unwrap();
    let mut file = open::open(settings(folder.path(), Uuid::from_u128(3)), Duration::ZERO).unwrap();
    drain(&mut file, Lane::Backlog);
    refuse(&mut file, &[(1, &[T + 9_000])], RejectCode::Invalid);
    file.end_dead_letters(Fate::Resent, &all()).unwrap();
    assert_eq!(file.newest_before(undated).unwrap(), Some((UtcMs(T), 0)));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Flush(u8),
    /// Takes everything; of the readings those with an odd time are refused where that is so.
    Send {
        refused: bool,
    },
    End {
        resent: bool,
        one: bool,
    },
    Seal,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1u8..5).prop_map(Step::Flush),
        3 => any::<bool>().prop_map(|refused| Step::Send { refused }),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(resent, one)| Step::End { resent, one }),
        1 => Just(Step::Seal),
        1 => Just(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Each reading waits, is with the cloud, is a dead letter, or stands in a gap: one of them.
    #[test]
    fn a_refused_reading_is_in_one_place(steps in prop::collection::vec(step(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let mut file = open(folder.path());
        let (mut now, mut accepted) = (0, BTreeSet::new());
        for step in steps {
            match step {
                Step::Flush(count) => {
                    let times: Vec<i64> = (0..i64::from(count)).map(|n| T + now + n).collect();
                    now += i64::from(count);
                    file.commit(Some(&flush(&[(0, &times)]))).unwrap();
                }
                Step::Send { refused } => {
                    let Some(outgoing) = file.take(Lane::Backlog, ALL).unwrap() else { continue };
                    let sent = times(&items(&outgoing)).remove("a").unwrap_or_default();
                    let (dead, taken): (Vec<i64>, Vec<i64>) = sent.into_iter().partition(|ms| refused && ms % 2 == 1);
                    accepted.extend(taken);
                    let dead_letters = dead.iter().map(|&ms| letter("a", ms, RejectCode::Invalid)).collect();
                    file.settle(outgoing.cargo, Settlement { dead_letters, ..Settlement::default() }, Duration::ZERO).unwrap();
                    file.commit(None).unwrap();
                }
                Step::End { resent, one } => {
                    let newest = history(folder.path()).dead_letters(&all(), None, 1).unwrap();
                    let number = newest.first().map(|row| row.number).filter(|_| one);
                    let fate = if resent { Fate::Resent } else { Fate::Discarded };
                    file.end_dead_letters(fate, &Chosen { number, ..Chosen::default() }).unwrap();
                }
                Step::Seal => file.seal(Duration::ZERO).unwrap(),
                Step::Kill => {
                    drop(file);
                    file = open(folder.path());
                }
            }
            let dead = history(folder.path()).dead_letters(&all(), None, 10_000).unwrap();
            prop_assert_eq!(file.dead_letters, dead.len() as u64);
            prop_assert_eq!(file.backlog, file.count_backlog().unwrap());
            let given_up: i64 = file.connection
                .query_row("select coalesce(sum(rows), 0) from gaps where reason = ?1", [GapReason::DeadLetterDiscarded.number()], |row| row.get(0))
                .unwrap();
            let places = file.backlog + accepted.len() as u64 + dead.len() as u64 + given_up.unsigned_abs();
            prop_assert_eq!(places, now.unsigned_abs(), "nowhere, or in two places");
            prop_assert_eq!(history(folder.path()).newest("a", 10_000).unwrap().len() as i64, now, "shown once");
        }
    }
}

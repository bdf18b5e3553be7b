//! Trust in the clock, case by case.

mod honest;
mod sources;

use proptest::prelude::*;
use riverwatts_shared::words::Quality;

use super::*;

/// A time like those of readings.
const T: i64 = 1_795_508_000_000;

const fn at(ms: i64) -> Duration {
    Duration::from_millis(ms.unsigned_abs())
}

fn keeper(floor_ms: Option<i64>) -> Timekeeper {
    Timekeeper::new(None, floor_ms, Duration::ZERO)
}

fn time(keeper: &Timekeeper, ms: i64) -> Option<i64> {
    keeper.date(at(ms)).map(|dated| dated.time.0)
}

fn doubt(keeper: &Timekeeper, ms: i64) -> (u32, Quality) {
    let dated = keeper.date(at(ms)).unwrap();
    (dated.uncertainty_s, dated.quality)
}

fn behind_ms(keeper: &Timekeeper) -> Option<i64> {
    match keeper.distrust() {
        Some((_, Distrust::Behind { by_ms })) => Some(by_ms),
        _ => None,
    }
}

fn jumps(keeper: &mut Timekeeper) -> Vec<i64> {
    keeper.take_news().map_or(Vec::new(), |news| news.jumps.iter().map(|jump| jump.by_ms).collect())
}

#[test]
fn without_a_source_there_is_no_time() {
    let mut keeper = keeper(None);
    assert_eq!((time(&keeper, 1_000), keeper.take_news()), (None, None));
}

#[test]
fn a_time_server_is_believed() {
    let mut keeper = keeper(None);
    keeper.observe_synchronised(UtcMs(T + 5_000), at(5_000));
    assert_eq!(time(&keeper, 1_000), Some(T + 1_000), "also what was read before");
    assert_eq!(doubt(&keeper, 9_000), (0, Quality::Ok));
    let news = keeper.take_news().unwrap();
    assert_eq!((news.anchor.offset_ms, news.dating.offset_ms, news.jumps.len()), (T, T, 0));
    assert_eq!(keeper.take_news(), None);
}

/// The wall clock at the end of a request that took 0.4 s, 10 s after boot, and the offset that follows.
fn check_date(wall: i64, date: i64, offset: i64) {
    let mut keeper = keeper(None);
    keeper.observe_date(UtcMs(date), UtcMs(wall), at(9_600), at(10_000));
    assert_eq!(time(&keeper, 0), Some(offset), "wall {wall}, date {date}");
    assert_eq!(doubt(&keeper, 0), (0, Quality::Ok));
}

#[test]
fn a_wall_clock_that_agrees_with_the_date_is_believed_and_another_is_not() {
    check_date(T + 10_000, T + 10_000, T);
    check_date(T + 10_999, T + 10_000, T + 999);
    // The answer was made at most 0.4 s before it was here.
    check_date(T + 11_400, T + 10_000, T + 1_400);
    check_date(T + 11_401, T + 10_000, T + 700);
    check_date(T + 9_999, T + 10_000, T + 700);
    // 1970, and a year from now.
    check_date(10_000, T + 10_000, T + 700);
    check_date(T + 31_536_000_000, T + 10_000, T + 700);
}

#[test]
fn a_slow_answer_leaves_a_doubt() {
    let mut keeper = keeper(None);
    keeper.observe_date(UtcMs(T + 10_000), UtcMs(0), at(7_000), at(10_000));
    assert_eq!(time(&keeper, 10_000), Some(T + 12_000));
    assert_eq!(doubt(&keeper, 10_000), (2, Quality::Ok));
    keeper.observe_date(UtcMs(T + 22_000), UtcMs(0), at(20_000), at(20_100));
    assert_eq!(time(&keeper, 20_000), Some(T + 22_000));
    assert_eq!(doubt(&keeper, 20_000), (0, Quality::Ok), "a quick one takes it away");
}

#[test]
fn a_wall_clock_that_steps_alone_changes_nothing() {
    let mut keeper = keeper(None);
    keeper.observe_date(UtcMs(T), UtcMs(T), at(0), at(100));
    for (ms, wall) in [(60_000, T - 3_600_000), (120_000, 0), (180_000, T + 86_400_000)] {
        keeper.observe_date(UtcMs(T + ms), UtcMs(wall), at(ms), at(ms + 100));
        assert_eq!(time(&keeper, ms), Some(T - 100 + ms));
    }
    assert!(jumps(&mut keeper).is_empty());
}

#[test]
fn a_forward_correction_steps_and_a_backward_one_is_slewed() {
    let mut keeper = keeper(None);
    keeper.observe_synchronised(UtcMs(T), at(0));
    keeper.observe_synchronised(UtcMs(T + 1_000 + 30_000), at(1_000));
    assert_eq!(time(&keeper, 1_000), Some(T + 31_000));
    keeper.observe_synchronised(UtcMs(T + 2_000), at(2_000));
    assert_eq!(time(&keeper, 2_000), Some(T + 32_000), "no time comes twice");
    assert_eq!(time(&keeper, 12_000), Some(T + 42_000 - 1_000));
    assert_eq!(doubt(&keeper, 12_000), (30, Quality::ClockUntrusted));
    assert_eq!(time(&keeper, 302_000), Some(T + 302_000), "after ten times as long it is right");
    assert_eq!(doubt(&keeper, 302_000), (0, Quality::Ok));
    assert_eq!(jumps(&mut keeper), [30_000, -30_000]);
}

#[test]
fn small_corrections_are_no_jumps() {
    let mut keeper = keeper(None);
    keeper.observe_synchronised(UtcMs(T), at(0));
    assert!(keeper.take_news().is_some());
    for (ms, by) in [(1_000, 499), (2_000, 0), (9_000, 300)] {
        keeper.observe_synchronised(UtcMs(T + ms + by), at(ms));
    }
    assert_eq!(keeper.take_news(), None);
    keeper.observe_synchronised(UtcMs(T + 10_000 + 300 + JUMP_MIN_MS), at(10_000));
    assert_eq!(jumps(&mut keeper), [JUMP_MIN_MS]);
}

#[test]
fn a_clock_far_behind_what_was_given_is_not_believed() {
    let mut keeper = keeper(None);
    keeper.observe_synchronised(UtcMs(T), at(0));
    keeper.observe_synchronised(UtcMs(T - SLEW_MAX_MS), at(1_000));
    assert_eq!((time(&keeper, 1_000), behind_ms(&keeper)), (Some(T + 1_000), Some(SLEW_MAX_MS + 1_000)));
    keeper.observe_synchronised(UtcMs(T + 2_000), at(2_000));
    assert_eq!((time(&keeper, 2_000), behind_ms(&keeper)), (Some(T + 2_000), None));
}

#[test]
fn a_time_before_the_newest_stored_one_is_not_believed_as_it_stands() {
    // Stored: up to T.
    let mut keeper = keeper(Some(T));
    keeper.observe_synchronised(UtcMs(T - SLEW_MAX_MS - 1), at(0));
    assert_eq!((time(&keeper, 0), behind_ms(&keeper)), (None, Some(SLEW_MAX_MS + 1)));
    keeper.observe_synchronised(UtcMs(T - 5_000 + 1_000), at(1_000));
    assert_eq!(time(&keeper, 0), Some(T), "what was read before comes after what is stored");
    assert_eq!(time(&keeper, 11_000), Some(T + 10_000));
    assert_eq!(time(&keeper, 51_000), Some(T + 46_000));
    let news = keeper.take_news().unwrap();
    assert_eq!((news.anchor.offset_ms, news.dating.offset_ms), (T - 5_000, T));
    assert_eq!((news.dating.bound_ms, news.jumps[0].by_ms), (5_500, -5_000));
}

#[test]
fn a_run_goes_on_with_the_anchor_of_the_run_before() {
    let anchor = Anchor { offset_ms: T, bound_ms: 0, at_ms: 0, source: Source::Cloud };
    let mut again = Timekeeper::new(Some(anchor), None, at(7_000));
    assert_eq!((time(&again, 7_000), again.take_news()), (Some(T + 7_000), None));
    let ahead = Timekeeper::new(Some(anchor), Some(T + 2_000), at(7_000));
    assert_eq!(time(&ahead, 7_000), Some(T + 9_000), "a slew that was cut short goes on");
    assert_eq!(time(&ahead, 30_000), Some(T + 30_000));
}

#[test]
fn a_boot_that_never_knew_the_time_lies_between_its_neighbours() {
    let check = |lower: Option<i64>, upper, expected, bound_ms| {
        assert_eq!(between(lower.map(|ms| (UtcMs(ms), 0)), UtcMs(upper), 1_000, 11_000), (expected, bound_ms));
    };
    // 10 s of readings in 10 minutes: at most 295 s off.
    check(Some(T), T + 600_000, T + 294_000, 294_999);
    check(None, T + 600_000, T + 588_999, i64::from(u32::MAX) * 1_000);
    // Not a millisecond to spare.
    check(Some(T), T + 10_002, T - 999, 0);
    assert_eq!(uncertainty_s(294_999), 295);
    assert_eq!(uncertainty_s(i64::MAX), u32::MAX);
}

proptest! {
    #[test]
    fn no_time_goes_back_whatever_the_sources_say(
        steps in prop::collection::vec((1i64..100_000, -2_000_000i64..2_000_000, any::<bool>()), 1..40),
        floor in prop::option::of(T - 1_000_000..T + 1_000_000),
    ) {
        let mut keeper = keeper(floor);
        let (mut now, mut last) = (0, None);
        for (passed, error, synchronised) in steps {
            let wall = UtcMs(T + now + error);
            if synchronised {
                keeper.observe_synchronised(wall, at(now));
            } else {
                keeper.observe_date(UtcMs((T + now) / 1_000 * 1_000), wall, at((now - 300).max(0)), at(now));
            }
            for ms in [now, now + passed / 2, now + passed] {
                let given = time(&keeper, ms);
                prop_assert!(given >= last, "{given:?} after {last:?}");
                prop_assert!(last.is_none() || given.is_some(), "trust stays");
                last = given;
            }
            now += passed;
        }
        prop_assert!(floor.is_none_or(|floor| last.is_none_or(|last| last >= floor)));
    }
}

//! Simulated time: a machine whose oscillator drifts, and sources that are right within their
//! bounds. Then the time that is given is right within its own.

use super::*;

/// A machine and the truth about it.
struct Machine {
    /// UTC at which it was started.
    booted: i64,
    /// By how much its oscillator is slow.
    ppm: i64,
}

impl Machine {
    fn truth(&self, ms: i64) -> i64 {
        self.booted + ms + ms * self.ppm / 1_000_000
    }

    fn assert_honest(&self, keeper: &Timekeeper, ms: i64) -> Option<i64> {
        let dated = keeper.date(at(ms))?;
        let off_ms = (dated.time.0 - self.truth(ms)).abs();
        let bound_ms = if dated.uncertainty_s == 0 { 1_500 } else { i64::from(dated.uncertainty_s) * 1_000 };
        assert!(off_ms <= bound_ms + 1, "{off_ms} ms off at {ms}, said to be at most {bound_ms}");
        Some(dated.time.0)
    }

    /// `error`: how wrong the source is, in thousandths of what it may be.
    fn say(&self, keeper: &mut Timekeeper, source: Source, ms: i64, error: i64) {
        let truth = self.truth(ms);
        match source {
            Source::TimeServer => keeper.observe_synchronised(UtcMs(truth + error / 2), at(ms)),
            Source::Cloud => {
                // The answer was made somewhere within the three seconds that it took.
                let sent = (ms - 3_000).max(0);
                let made = sent + (ms - sent) * (error + 1_000) / 2_000;
                let date = UtcMs(self.truth(made).div_euclid(1_000) * 1_000);
                keeper.observe_date(date, UtcMs(truth + error * 1_000), at(sent), at(ms));
            }
            Source::Person => keeper.observe_confirmed(UtcMs(truth + error * 2), at(ms)).unwrap(),
            Source::Device => keeper.observe_device(UtcMs(truth + error * 60), Duration::from_secs(60), at(ms)),
        }
    }
}

#[test]
fn a_boot_that_learns_the_time_after_a_day_knows_how_far_its_first_readings_may_be_off() {
    for ppm in [-99, 0, 99] {
        let machine = Machine { booted: T, ppm };
        let mut keeper = keeper(None);
        machine.say(&mut keeper, Source::TimeServer, 86_400_000, 0);
        for hour in 0..=24 {
            assert!(machine.assert_honest(&keeper, hour * 3_600_000).is_some());
        }
    }
}

#[test]
fn thirty_days_of_drift_are_within_the_bound_with_and_without_a_time_server() {
    for ppm in [-99, 99] {
        let machine = Machine { booted: T, ppm };
        let (mut kept, mut left_alone) = (keeper(None), keeper(None));
        machine.say(&mut left_alone, Source::TimeServer, 0, 0);
        let mut last = None;
        for minute in 0..30 * 24 * 60 {
            let ms = minute * 60_000;
            machine.say(&mut kept, Source::TimeServer, ms, 0);
            let given = machine.assert_honest(&kept, ms);
            assert!(given > last, "{given:?} after {last:?}");
            last = given;
            machine.assert_honest(&left_alone, ms);
        }
        let (uncertainty_s, quality) = doubt(&kept, 30 * 86_400_000);
        assert_eq!((uncertainty_s, quality), (0, Quality::Ok), "a time server takes the drift away");
        machine.say(&mut left_alone, Source::Cloud, 30 * 86_400_000, 0);
        assert!(doubt(&left_alone, 30 * 86_400_000).0 > 200 || ppm > 0, "back it is slewed");
        machine.assert_honest(&left_alone, 30 * 86_400_000);
    }
}

proptest! {
    #[test]
    fn sources_in_any_order_give_times_that_are_right_within_their_bound(
        ppm in -99i64..=99,
        words in prop::collection::vec((0usize..4, 1_000i64..100_000_000, -1_000i64..=1_000), 1..40),
        restart in 0usize..40,
    ) {
        let machine = Machine { booted: T, ppm };
        let mut keeper = keeper(None);
        let (mut now, mut last, mut anchor) = (0, None, None);
        for (n, (source, passed, error)) in words.into_iter().enumerate() {
            for ms in [now + passed / 2, now + passed] {
                let given = machine.assert_honest(&keeper, ms);
                prop_assert!(given.is_none() || given > last, "{given:?} after {last:?}");
                last = given;
            }
            now += passed;
            if n == restart {
                keeper = Timekeeper::new(anchor, last.map(|last| last + 1 - now), at(now));
                prop_assert_eq!(keeper.is_trusted(), last.is_some());
            }
            machine.say(&mut keeper, Source::ALL[source], now, error);
            prop_assert_eq!(keeper.distrust(), None, "all are right");
            if let Some(news) = keeper.take_news() {
                anchor = Some(news.anchor);
            }
        }
    }
}

//! How long a gateway may be silent before it counts as lost: three times the pause that it usually
//! makes. Pure.

/// Shortest and longest silence after which a gateway is lost, in ms.
const PATIENCE_MIN_MS: i64 = 30_000;
const PATIENCE_MAX_MS: i64 = 600_000;
/// The silence allowed to one whose pauses are not known yet.
const PATIENCE_UNKNOWN_MS: i64 = 180_000;
/// Contacts closer together belong to one upload: several batches in a row say nothing of its pauses.
const PAUSE_COUNTS_MS: i64 = 900;
/// Shortest and longest pause that is remembered: those whose threefold are the bounds of patience.
const PAUSE_MIN_MS: i64 = PATIENCE_MIN_MS / 3;
const PAUSE_MAX_MS: i64 = PATIENCE_MAX_MS / 3;
/// Longer pauses are learned by at most this factor at once: one outage is no habit.
const GROWTH_MAX: i64 = 4;
/// Within this time shorter pauses replace a longer one.
const FORGETS_WITHIN_MS: i64 = 600_000;

/// The pauses between the contacts of one gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rhythm {
    /// The usual one; `None` until there was one.
    pause_ms: Option<i64>,
}

impl Rhythm {
    /// Takes in the pause that ended with a contact.
    pub fn after(self, pause_ms: i64) -> Rhythm {
        if pause_ms < PAUSE_COUNTS_MS {
            return self;
        }
        let bounded_ms = pause_ms.clamp(PAUSE_MIN_MS, PAUSE_MAX_MS);
        let usual = match self.pause_ms {
            None => bounded_ms,
            Some(usual) if bounded_ms >= usual => bounded_ms.min(usual * GROWTH_MAX),
            Some(usual) => usual - (usual - bounded_ms) * pause_ms / FORGETS_WITHIN_MS,
        };
        Rhythm { pause_ms: Some(usual) }
    }

    /// The usual pause, in ms, between 10 s and 200 s.
    pub fn pause_ms(self) -> i64 {
        self.pause_ms.unwrap_or(PATIENCE_UNKNOWN_MS / 3)
    }

    /// How long it may be silent, in ms.
    pub fn patience_ms(self) -> i64 {
        3 * self.pause_ms()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pauses_s: &[i64], patience_s: i64) {
        let rhythm = pauses_s.iter().fold(Rhythm::default(), |rhythm, pause_s| rhythm.after(pause_s * 1_000));
        assert_eq!(rhythm.patience_ms() / 1_000, patience_s, "{pauses_s:?}");
    }

    #[test]
    fn patience_is_three_pauses_between_half_a_minute_and_ten() {
        check(&[], 180);
        check(&[1], 30);
        check(&[10; 100], 30);
        check(&[60], 180);
        check(&[60; 100], 180);
        check(&[3_600], 600);
    }

    #[test]
    fn several_batches_in_a_row_are_one_contact() {
        let rhythm = [0, 60_000, 40, 899].iter().fold(Rhythm::default(), |rhythm, &pause_ms| rhythm.after(pause_ms));
        assert_eq!(rhythm.patience_ms(), 180_000);
        assert_eq!(Rhythm::default().after(-5_000), Rhythm::default(), "a clock set back");
    }

    #[test]
    fn an_outage_is_no_habit_and_a_habit_is_learned() {
        check(&[10, 3_600], 120);
        check(&[10, 120, 120], 360);
        // Of 40 s after the outage, ten minutes later.
        let mut pauses = vec![10, 3_600];
        pauses.extend([10; 60]);
        check(&pauses, 62);
        // While somebody watches it sends each second; its own pace is not forgotten in a minute.
        let mut pauses = vec![60];
        pauses.extend([1; 60]);
        check(&pauses, 165);
    }
}

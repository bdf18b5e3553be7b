//! States over time: a state holds until the next one begins and is never interpolated.
//! Availability is what the operating states of a machine come to.

use crate::time::UtcMs;
use crate::words::OperatingState;

/// How long each state held from the first change to `end`, in ms, in order of first appearance.
/// `changes` ascend; those at or after `end` are left out.
pub fn state_durations<S: Copy + PartialEq>(changes: &[(UtcMs, S)], end: UtcMs) -> Vec<(S, i64)> {
    let mut durations: Vec<(S, i64)> = Vec::new();
    for (index, &(from, state)) in changes.iter().enumerate() {
        let to = changes.get(index + 1).map_or(end, |&(next, _)| next.min(end));
        let held_ms = to.since_ms(from).max(0);
        match durations.iter_mut().find(|(known, _)| *known == state) {
            Some((_, duration_ms)) => *duration_ms += held_ms,
            None => durations.push((state, held_ms)),
        }
    }
    durations.retain(|&(_, duration_ms)| duration_ms > 0);
    durations
}

/// What the operating states of one machine come to, after the categories of IEC 61400-26-1.
/// Unknown time is never counted as up; fractions are `None` when nothing is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Availability {
    ms: [i64; OperatingState::ALL.len()],
    /// How often a forced outage began.
    pub failures: u64,
}

impl Availability {
    /// Of the states from the first change to `end`; `changes` ascend.
    pub fn of(changes: &[(UtcMs, OperatingState)], end: UtcMs) -> Availability {
        let mut ms = [0; OperatingState::ALL.len()];
        for (state, duration_ms) in state_durations(changes, end) {
            ms[usize::from(state.number())] = duration_ms;
        }
        let outage = |&(time, state): &(UtcMs, OperatingState)| state == OperatingState::ForcedOutage && time < end;
        let begins = changes.iter().enumerate().filter(|(index, change)| {
            outage(change) && (*index == 0 || changes[index - 1].1 != OperatingState::ForcedOutage)
        });
        Availability { ms, failures: begins.count() as u64 }
    }

    /// How long this state held.
    pub fn hours(&self, state: OperatingState) -> f64 {
        hours(self.sum_ms(&[state]))
    }

    /// Time generating, of what is known.
    pub fn generating_fraction(&self) -> Option<f64> {
        fraction(self.generating_ms(), self.known_ms())
    }

    /// Time generating or ready to, of what is known: the owner's view.
    pub fn operational(&self) -> Option<f64> {
        fraction(self.generating_ms() + self.sum_ms(&[OperatingState::TechnicalStandby]), self.known_ms())
    }

    /// Known time that no failure or its repair took: the maker's view.
    pub fn technical(&self) -> Option<f64> {
        fraction(self.known_ms() - self.failed_ms(), self.known_ms())
    }

    /// Known time, of all.
    pub fn data_coverage(&self) -> Option<f64> {
        fraction(self.known_ms(), self.ms.iter().sum())
    }

    /// Mean hours of generation between failures; `None` without a failure.
    pub fn mtbf_h(&self) -> Option<f64> {
        (self.failures > 0).then(|| hours(self.generating_ms()) / self.failures as f64)
    }

    /// Mean hours to repair; `None` without a failure.
    pub fn mttr_h(&self) -> Option<f64> {
        (self.failures > 0).then(|| hours(self.failed_ms()) / self.failures as f64)
    }

    fn generating_ms(&self) -> i64 {
        self.sum_ms(&[OperatingState::FullPerformance, OperatingState::PartialPerformance])
    }

    fn failed_ms(&self) -> i64 {
        self.sum_ms(&[OperatingState::ForcedOutage, OperatingState::PlannedCorrectiveAction])
    }

    fn known_ms(&self) -> i64 {
        self.ms.iter().sum::<i64>() - self.sum_ms(&[OperatingState::InformationUnavailable])
    }

    fn sum_ms(&self, states: &[OperatingState]) -> i64 {
        states.iter().map(|state| self.ms[usize::from(state.number())]).sum()
    }
}

fn fraction(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn hours(ms: i64) -> f64 {
    ms as f64 / 3_600_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_holds_until_the_next_and_not_beyond_the_end() {
        let changes = [(0, 'a'), (10, 'b'), (10, 'c'), (25, 'a'), (60, 'd')].map(|(ms, state)| (UtcMs(ms), state));
        assert_eq!(state_durations(&changes, UtcMs(40)), [('a', 25), ('c', 15)]);
        assert_eq!(state_durations::<char>(&[], UtcMs(40)), []);
    }

    #[test]
    fn unknown_time_is_never_up() {
        let unknown = [(UtcMs(0), OperatingState::InformationUnavailable)];
        let availability = Availability::of(&unknown, UtcMs(3_600_000));
        assert_eq!((availability.operational(), availability.data_coverage()), (None, Some(0.0)));
    }

    #[test]
    fn an_outage_announced_twice_is_one_failure() {
        use OperatingState::{ForcedOutage, FullPerformance};
        let changes = [(0, FullPerformance), (10, ForcedOutage), (20, ForcedOutage), (30, FullPerformance)];
        let changes = changes.map(|(ms, state)| (UtcMs(ms), state));
        assert_eq!(Availability::of(&changes, UtcMs(40)).failures, 1);
        assert_eq!(Availability::of(&changes, UtcMs(10)).failures, 0);
    }
}

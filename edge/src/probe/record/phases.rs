//! Whether a meter's voltages and current transformers sit where they belong: pure.
//!
//! A current transformer that is turned round shows as power with the other sign on its phase. Two that are
//! exchanged are turned by 120° against their voltages, to either side: a load with a power factor of 1 then shows
//! −0.5 on both.

use serde::Serialize;

/// Voltages further apart than this share of their mean are told.
const APART_MAX: f64 = 0.1;
/// Below this share of the largest voltage a phase counts as dead.
const DEAD: f64 = 0.2;
/// Current below which a phase says nothing about its transformer, A.
const CURRENT_MIN_A: f64 = 0.1;
/// Power factors beyond are none.
const FACTOR_MAX: f64 = 1.1;
/// Power factors count as equal up to this difference.
const NEAR: f64 = 0.15;
/// Angle between two phases, rad.
const TURN: f64 = 2.0 * std::f64::consts::FRAC_PI_3;
/// Power factor that the third phase must have for its angle to say something about the others.
const THIRD_MIN: f64 = 0.7;
/// What to do about transformers on other phases.
const ON_ITS_PHASE: &str = "put each current transformer on the phase whose voltage its terminal pair belongs to";
/// How far the sum of the phases may be from the total, as a share of the apparent power.
const SUM_SHARE: f64 = 0.02;
/// And at the least, kW.
const SUM_KW: f64 = 0.01;
/// How far a frequency may be from 50 or 60 Hz.
const HERTZ_MAX: f64 = 1.0;

/// What the meter shows; what it does not show is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measured {
    /// Voltages of the phases, V.
    pub volts: [Option<f64>; 3],
    /// Currents of the phases, A.
    pub amps: [Option<f64>; 3],
    /// Powers of the phases, kW.
    pub kilowatts: [Option<f64>; 3],
    /// Power of all, kW.
    pub total_kw: Option<f64>,
    /// Frequency, Hz.
    pub hertz: Option<f64>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What.
    pub check: &'static str,
    /// How it is.
    pub verdict: CheckVerdict,
    /// What was seen.
    pub message: String,
    /// What to do; empty when nothing.
    pub remedy: String,
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckVerdict {
    /// As it should be.
    Ok,
    /// Not as it should be.
    Wrong,
    /// It cannot be told now.
    Unknown,
}

fn ok(check: &'static str, message: String) -> Check {
    Check { check, verdict: CheckVerdict::Ok, message, remedy: String::new() }
}

fn wrong(check: &'static str, message: String, remedy: &str) -> Check {
    Check { check, verdict: CheckVerdict::Wrong, message, remedy: remedy.to_owned() }
}

fn unknown(check: &'static str, message: String, remedy: &str) -> Check {
    Check { check, verdict: CheckVerdict::Unknown, message, remedy: remedy.to_owned() }
}

/// Every check that the meter's values allow; none for a device without phases.
pub fn checks(measured: &Measured) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.extend(voltages(measured));
    checks.extend(frequency(measured));
    checks.extend(clamps(measured));
    checks.extend(sum(measured));
    checks
}

fn all(phases: [Option<f64>; 3]) -> Option<[f64; 3]> {
    let [Some(a), Some(b), Some(c)] = phases else { return None };
    Some([a, b, c])
}

fn phases(places: impl IntoIterator<Item = usize>) -> String {
    places.into_iter().map(|place| format!("L{}", place + 1)).collect::<Vec<_>>().join(" and ")
}

fn voltages(measured: &Measured) -> Option<Check> {
    const CHECK: &str = "voltages";
    let volts = all(measured.volts)?;
    let shown = format!("{:.1} / {:.1} / {:.1} V", volts[0], volts[1], volts[2]);
    let largest = volts.into_iter().fold(0.0, f64::max);
    if largest < 1.0 {
        return Some(unknown(CHECK, format!("no voltage: {shown}"), "switch the supply on, then record again"));
    }
    let dead: Vec<_> = (0..3).filter(|&place| volts[place] < largest * DEAD).collect();
    if !dead.is_empty() {
        let remedy =
            "check the fuse and the voltage wire of that phase; on a single-phase supply there is nothing to do";
        return Some(wrong(CHECK, format!("{} has no voltage: {shown}", phases(dead)), remedy));
    }
    let mean = volts.iter().sum::<f64>() / 3.0;
    let off = (0..3).max_by(|&a, &b| (volts[a] - mean).abs().total_cmp(&(volts[b] - mean).abs()))?;
    if (volts[off] - mean).abs() > mean * APART_MAX {
        let remedy = "check the neutral and the clamps of the voltage wires";
        return Some(wrong(CHECK, format!("{} is far from the others: {shown}", phases([off])), remedy));
    }
    Some(ok(CHECK, format!("near each other: {shown}")))
}

fn frequency(measured: &Measured) -> Option<Check> {
    const CHECK: &str = "frequency";
    let hertz = measured.hertz?;
    let near = [50.0, 60.0].iter().any(|nominal: &f64| (hertz - nominal).abs() <= HERTZ_MAX);
    Some(match (near, hertz) {
        (true, _) => ok(CHECK, format!("{hertz} Hz")),
        (_, 0.0) => unknown(CHECK, "0 Hz: there is no supply".to_owned(), "switch the supply on, then record again"),
        _ => wrong(CHECK, format!("{hertz} Hz"), "check the generator's speed, and the word order of the profile"),
    })
}

fn clamps(measured: &Measured) -> Option<Check> {
    const CHECK: &str = "current transformers";
    let (volts, amps) = (all(measured.volts)?, all(measured.amps)?);
    let kilowatts = all(measured.kilowatts)?;
    let factor = |place: usize| {
        let apparent = volts[place] * amps[place].abs() / 1_000.0;
        (amps[place].abs() >= CURRENT_MIN_A && apparent > 0.0).then(|| kilowatts[place] / apparent)
    };
    let loaded: Vec<(usize, f64)> = (0..3).filter_map(|place| Some((place, factor(place)?))).collect();
    let shown = (0..3).map(|place| factor(place).map_or("-".to_owned(), |factor| format!("{factor:.2}")));
    let shown = format!("power factors {}", shown.collect::<Vec<_>>().join(" / "));
    if loaded.len() < 3 {
        let idle = (0..3).filter(|place| loaded.iter().all(|(other, _)| other != place));
        let remedy = "load every phase, for example by a heater, then record again";
        return Some(unknown(CHECK, format!("{} carries no current; {shown}", phases(idle)), remedy));
    }
    let factors = [loaded[0].1, loaded[1].1, loaded[2].1];
    let beyond: Vec<usize> = (0..3).filter(|&place| factors[place].abs() > FACTOR_MAX).collect();
    if !beyond.is_empty() {
        let words = format!("{} shows more power than voltage times current: {shown}", phases(beyond));
        return Some(wrong(
            CHECK,
            words,
            "check the ratio of the current transformers, set at the meter, and the profile",
        ));
    }
    if let Some((pair, turned)) = exchanged(factors) {
        let also = match turned {
            Some(place) => format!(", and that of {} is turned round as well", phases([place])),
            None => String::new(),
        };
        return Some(wrong(CHECK, format!("those of {} are exchanged{also}: {shown}", phases(pair)), ON_ITS_PHASE));
    }
    if factors.iter().all(|factor| near(factor.abs(), 0.5)) && factors.iter().any(|factor| *factor < 0.0) {
        return Some(wrong(CHECK, format!("all are one phase further than their voltages: {shown}"), ON_ITS_PHASE));
    }
    let negative: Vec<usize> = loaded.iter().filter(|(_, factor)| *factor < 0.0).map(|(place, _)| *place).collect();
    Some(match negative.len() {
        0 => ok(CHECK, format!("power is positive on every phase: {shown}")),
        3 => unknown(
            CHECK,
            format!("power is negative on every phase: {shown}"),
            "right if power flows into the device now; else turn all three round, or exchange S1 and S2 of each",
        ),
        1 => wrong(
            CHECK,
            format!("that of {} is turned round: {shown}", phases(negative)),
            "turn it round, or exchange its wires S1 and S2",
        ),
        _ => {
            let odd: Vec<_> = (0..3).filter(|place| !negative.contains(place)).collect();
            wrong(
                CHECK,
                format!("those of {} and of {} look into opposite directions: {shown}", phases(negative), phases(odd)),
                "turn round those whose arrow does not point with the power, or exchange their wires S1 and S2",
            )
        }
    })
}

fn near(factor: f64, at: f64) -> bool {
    (factor - at).abs() <= NEAR
}

/// Two phases whose power factors are those of the third, turned by 120° to either side; and which of the two has
/// its sign changed besides.
fn exchanged(factors: [f64; 3]) -> Option<([usize; 2], Option<usize>)> {
    [[0, 1], [0, 2], [1, 2]].into_iter().find_map(|pair| {
        let third = factors[3 - pair[0] - pair[1]];
        if third < THIRD_MIN {
            return None;
        }
        let angle = third.min(1.0).acos();
        let turned = [(angle + TURN).cos(), (angle - TURN).cos()];
        let [a, b] = pair.map(|place| factors[place]);
        let fits = |signs: [f64; 2]| {
            [turned, [turned[1], turned[0]]].iter().any(|[x, y]| near(a * signs[0], *x) && near(b * signs[1], *y))
        };
        let negative = a < 0.0 || b < 0.0;
        match () {
            () if fits([1.0, 1.0]) => Some((pair, None)),
            () if negative && fits([-1.0, 1.0]) => Some((pair, Some(pair[0]))),
            () if negative && fits([1.0, -1.0]) => Some((pair, Some(pair[1]))),
            () => None,
        }
    })
}

fn sum(measured: &Measured) -> Option<Check> {
    const CHECK: &str = "sum of the phases";
    let kilowatts = all(measured.kilowatts)?;
    let total = measured.total_kw?;
    let sum: f64 = kilowatts.iter().sum();
    let size: f64 = kilowatts.iter().map(|power| power.abs()).sum();
    let shown = format!("{sum:.3} kW, total {total:.3} kW");
    Some(match (sum - total).abs() <= (size * SUM_SHARE).max(SUM_KW) {
        true => ok(CHECK, shown),
        false => {
            wrong(CHECK, shown, "the profile or the ratio of the current transformers is wrong; compare the display")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A balanced load of 10 A at 230 V with these power factors.
    fn meter(factors: [f64; 3]) -> Measured {
        let kilowatts = factors.map(|factor| factor * 2.3);
        Measured {
            volts: [Some(230.0), Some(231.0), Some(229.0)],
            amps: [Some(10.0); 3],
            kilowatts: kilowatts.map(Some),
            total_kw: Some(kilowatts.iter().sum()),
            hertz: Some(50.0),
        }
    }

    fn of<'a>(checks: &'a [Check], check: &str) -> &'a Check {
        checks.iter().find(|found| found.check == check).unwrap_or_else(|| panic!("{check} in {checks:#?}"))
    }

    #[test]
    fn a_meter_as_it_should_be_passes_every_check() {
        let checks = checks(&meter([0.99, 0.98, 1.0]));
        assert_eq!(checks.len(), 4);
        assert!(checks.iter().all(|check| check.verdict == CheckVerdict::Ok), "{checks:#?}");
    }

    #[test]
    fn a_clamp_turned_round_and_clamps_exchanged_are_told_with_their_phase() {
        use CheckVerdict::{Unknown, Wrong};
        for (factors, verdict, words) in [
            ([0.99, -0.98, 1.0], Wrong, "that of L2 is turned round"),
            ([-0.99, -0.98, 1.0], Wrong, "those of L1 and L2 and of L3 look into opposite directions"),
            ([-0.99, -0.98, -1.0], Unknown, "negative on every phase"),
            ([0.99, -0.5, -0.49], Wrong, "those of L2 and L3 are exchanged:"),
            ([-0.52, 1.0, 0.5], Wrong, "those of L1 and L3 are exchanged, and that of L3 is turned round as well"),
            ([0.9, -0.07, -0.83], Wrong, "those of L2 and L3 are exchanged:"),
            ([0.99, 2.2, 1.0], Wrong, "L2 shows more power than voltage times current"),
            ([-0.5, -0.5, -0.5], Wrong, "all are one phase further"),
        ] {
            let checks = checks(&meter(factors));
            let check = of(&checks, "current transformers");
            assert_eq!(check.verdict, verdict, "{factors:?}: {check:?}");
            assert!(check.message.contains(words), "{factors:?}: {}", check.message);
            assert!(!check.remedy.is_empty());
        }
    }

    #[test]
    fn an_inductive_load_of_one_half_is_no_mistake() {
        for factors in [[0.5, 0.52, 0.48], [0.5, 0.52, 1.0]] {
            let checks = checks(&meter(factors));
            assert_eq!(of(&checks, "current transformers").verdict, CheckVerdict::Ok, "{factors:?}");
        }
    }

    #[test]
    fn without_current_nothing_is_said_of_the_clamps() {
        let measured = Measured { amps: [Some(10.0), Some(0.0), Some(10.0)], ..meter([1.0, 0.0, 1.0]) };
        let checks = checks(&measured);
        let check = of(&checks, "current transformers");
        assert_eq!(check.verdict, CheckVerdict::Unknown);
        assert!(check.message.starts_with("L2 carries no current"), "{}", check.message);
    }

    #[test]
    fn voltages_that_do_not_belong_together_are_told() {
        for (volts, verdict, words) in [
            ([230.0, 3.0, 230.0], CheckVerdict::Wrong, "L2 has no voltage"),
            ([230.0, 230.0, 400.0], CheckVerdict::Wrong, "L3 is far from the others"),
            ([0.0, 0.0, 0.0], CheckVerdict::Unknown, "no voltage"),
        ] {
            let checks = checks(&Measured { volts: volts.map(Some), ..meter([1.0; 3]) });
            let check = of(&checks, "voltages");
            assert_eq!(check.verdict, verdict, "{volts:?}");
            assert!(check.message.contains(words), "{}", check.message);
        }
    }

    #[test]
    fn a_total_that_is_no_sum_and_an_odd_frequency_are_told() {
        let checks = checks(&Measured { total_kw: Some(3.0), hertz: Some(41.0), ..meter([1.0; 3]) });
        assert_eq!(of(&checks, "sum of the phases").verdict, CheckVerdict::Wrong);
        assert_eq!(of(&checks, "frequency").verdict, CheckVerdict::Wrong);
        assert_eq!(super::checks(&Measured::default()), []);
    }
}

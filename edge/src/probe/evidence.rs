//! What speaks for and against a profile, after the device was asked what the profile would ask: pure.

use std::collections::BTreeMap;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::profile::{Feeds, Kind, Profile, Register};
use riverwatts_shared::words::Quality;

use super::look::{Look, NoLook};
use super::usual::is_usual;
use crate::bus::wire::Failure;

/// Weight of a register or model that is there to tell devices apart.
const PROOF: f64 = 12.0;
/// Weight of a float that makes sense: hardly ever by chance.
const FLOAT: f64 = 2.0;
/// Weight of an integer that makes sense: often by chance.
const INTEGER: f64 = 0.5;
/// Weight of an integer that makes none.
const ODD_INTEGER: f64 = 1.0;
/// Weight of nought, which unused registers hold as well.
const NOUGHT: f64 = 0.1;
/// Weight of a relation between values that holds.
const RELATION: f64 = 3.0;
/// Weight of a block that is refused.
const REFUSED: f64 = 2.0;
/// How far values that belong together may be apart, as a share.
const APART_MAX: f64 = 0.1;
/// Most metrics that are named in a sentence.
const NAMED_MAX: usize = 4;

/// Arguments for and against, with their weight.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// What speaks for it.
    pub pro: Vec<String>,
    /// What speaks against it.
    pub contra: Vec<String>,
    /// Weight of what speaks for it.
    pub weight: f64,
    /// Weight of what speaks against it.
    pub counterweight: f64,
    /// Whether something that tells devices apart says yes.
    pub proven: bool,
    /// Whether something that tells devices apart says no.
    pub refuted: bool,
}

impl Evidence {
    fn add(&mut self, weight: f64, words: String) {
        self.weight += weight;
        self.pro.push(words);
    }

    fn subtract(&mut self, weight: f64, words: String) {
        self.counterweight += weight;
        self.contra.push(words);
    }

    /// The evidence of a device that could not be looked at as the profile wants.
    pub fn of_no_look(reason: &NoLook) -> Evidence {
        let words = match reason {
            NoLook::NoModels(error) => error.to_string(),
            NoLook::OtherModels(models) => format!("its SunSpec models are others: {models:?}"),
        };
        Evidence { contra: vec![words], counterweight: PROOF, refuted: true, ..Evidence::default() }
    }

    /// The evidence of what was read.
    pub fn of_look(profile: &Profile, look: &Look) -> Evidence {
        let mut evidence = Evidence::default();
        evidence.expectations(profile, look);
        evidence.answers(look);
        evidence.texts(profile, look);
        evidence.values(look);
        evidence.relations(look);
        evidence
    }

    fn expectations(&mut self, profile: &Profile, look: &Look) {
        if profile.discovery.is_some() {
            let models = look.layout.areas().iter().filter(|placed| placed.area.models.iter().any(|&id| id != 1));
            let names: Vec<_> = models.map(|placed| placed.area.name.as_str()).collect();
            if !names.is_empty() {
                self.proven = true;
                self.add(PROOF, format!("has the SunSpec models of {}", names.join(", ")));
            }
        }
        let expected = look.registers().filter(|(_, register)| register.expect.is_some());
        let read: Vec<_> = expected.filter(|(placed, register)| look.words(placed, register).is_some()).collect();
        match &look.decoded.unexpected {
            Some(name) => {
                self.refuted = true;
                self.subtract(PROOF, format!("register {name} holds something else than this device's"));
            }
            None => {
                for (_, register) in read {
                    self.proven = true;
                    self.add(PROOF, format!("register {} (address {}) is this device's", register.name, register.at));
                }
            }
        }
    }

    fn answers(&mut self, look: &Look) {
        let about =
            |failure: &Failure| !matches!(failure, Failure::Bad(_) | Failure::Lost(_) | Failure::Unreachable(_));
        let refused = look.refused.iter().filter(|(_, failure)| about(failure)).count();
        if look.answered.is_empty() {
            self.refuted = true;
            let why = look.refused.first().map_or("it has nothing to read".to_owned(), |(_, why)| why.to_string());
            self.subtract(REFUSED, format!("gives none of its registers: {why}"));
        } else if refused > 0 {
            let first = &look.refused[0];
            let words = format!("refuses {} of its blocks, the first at address {}", refused, first.0.start);
            self.subtract(REFUSED * refused as f64, words);
        }
    }

    /// Texts that are texts, and the maker's name among them.
    fn texts(&mut self, profile: &Profile, look: &Look) {
        let said: Vec<&String> = look.decoded.identity.values().collect();
        let maker = profile.manufacturer.split_whitespace().next().unwrap_or_default().to_lowercase();
        if maker.len() > 2 && said.iter().any(|text| text.to_lowercase().contains(&maker)) {
            self.proven = true;
            self.add(PROOF, format!("calls itself {}", profile.manufacturer));
        }
        for (placed, register) in look.registers() {
            let Kind::Text(_) = register.kind else { continue };
            let Some(words) = look.words(placed, register) else { continue };
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            if bytes.iter().all(|&byte| byte == 0) {
                continue;
            }
            match bytes.iter().all(|byte| matches!(byte, 0 | 0x20..=0x7E)) {
                true => self.weight += INTEGER,
                false => self.subtract(FLOAT, format!("where it has text ({}) stands none", register.name)),
            }
        }
    }

    fn values(&mut self, look: &Look) {
        let floats: BTreeMap<Metric, bool> = look.registers().filter_map(|(_, register)| source(register)).collect();
        let (mut good, mut odd, mut none, mut nought) = (Vec::new(), Vec::new(), 0, 0);
        for value in &look.decoded.values {
            let is_float = floats.get(&value.metric).copied().unwrap_or(false);
            let Some(stored) = value.value else {
                none += 1;
                if is_float || value.quality == Quality::Range {
                    odd.push((value.metric, "no number".to_owned()));
                }
                continue;
            };
            let number = value.metric.to_unit(stored);
            let shown = format!("{number} {}", value.metric.info().unit);
            match is_usual(value.metric, number) {
                _ if value.quality != Quality::Ok => odd.push((value.metric, shown)),
                Some(false) => odd.push((value.metric, shown)),
                _ if stored == 0 => nought += 1,
                // Any number would do.
                None => self.weight += NOUGHT,
                Some(true) => {
                    self.weight += if is_float { FLOAT } else { INTEGER };
                    good.push((value.metric, shown));
                }
            }
        }
        self.weight += NOUGHT * f64::from(nought);
        let odd_floats = odd.iter().filter(|(metric, _)| floats.get(metric) == Some(&true)).count();
        self.counterweight += odd_floats as f64 * FLOAT + (odd.len() - odd_floats) as f64 * ODD_INTEGER;
        if !good.is_empty() {
            self.pro.push(format!("{} values make sense: {}", good.len(), listed(&good)));
        }
        if !odd.is_empty() {
            self.contra.push(format!("{} values make none: {}", odd.len(), listed(&odd)));
        }
        if nought > 0 && good.is_empty() {
            self.contra.push(format!("all {nought} numbers are 0"));
        }
        if none > 0 && good.is_empty() && nought == 0 {
            self.contra.push(format!("has no value for any of {none} metrics"));
        }
    }

    fn relations(&mut self, look: &Look) {
        let number = |name: &str| {
            let metric = Metric::named(name).ok()?;
            let value = look.decoded.values.iter().find(|value| value.metric == metric)?;
            value.value.map(|stored| metric.to_unit(stored))
        };
        let phases = |name: &str, unit: &str| -> Option<[f64; 3]> {
            let phase = |index: usize| number(&format!("{name}_l{index}_{unit}"));
            Some([phase(1)?, phase(2)?, phase(3)?])
        };
        if let Some(hertz) = number("frequency_hz").filter(|hertz| *hertz != 0.0) {
            let near = [50.0, 60.0].iter().any(|nominal: &f64| (hertz - nominal).abs() < 1.0);
            self.relation(near, format!("frequency {hertz} Hz"));
        }
        if let Some(volts) = phases("voltage", "v").filter(|volts| volts.iter().all(|volt| *volt > 1.0)) {
            let mean = volts.iter().sum::<f64>() / 3.0;
            let near = volts.iter().all(|volt| (volt - mean).abs() <= mean * APART_MAX);
            self.relation(near, format!("voltages of the phases {volts:?}"));
        }
        let total = number("power_output_kw").filter(|total| total.abs() > 0.01);
        if let Some((parts, total)) = phases("power", "kw").zip(total) {
            let sum: f64 = parts.iter().sum();
            let near = (sum - total).abs() <= total.abs() * APART_MAX;
            self.relation(near, format!("power of the phases {sum:.3} kW, of all {total} kW"));
        }
    }

    fn relation(&mut self, holds: bool, words: String) {
        if holds { self.add(RELATION, words) } else { self.subtract(RELATION, words) }
    }
}

/// The metric that a register feeds, and whether it is a float.
fn source(register: &Register) -> Option<(Metric, bool)> {
    match register.feeds {
        Feeds::Metric { metric, .. } => Some((metric, register.kind.is_float())),
        _ => None,
    }
}

fn listed(metrics: &[(Metric, String)]) -> String {
    let named: Vec<_> = metrics.iter().take(NAMED_MAX).map(|(metric, shown)| format!("{metric} {shown}")).collect();
    let more = if metrics.len() > NAMED_MAX { ", …" } else { "" };
    format!("{}{more}", named.join(", "))
}

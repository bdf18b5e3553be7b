//! A virtual device of any profile: its registers are made from the profile, by the inverse of what
//! the gateway does. The site's own instruments are not: those check the profiles.

mod encode;
mod layout;
mod number;
mod rest;
mod states;
mod targets;
mod values;
mod words;
mod written;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use riverwatts_shared::profile::{Feeds, Profile, builtin, builtin_names, parse};
use riverwatts_shared::time::Clock;

use crate::devices::{Image, Refusal};
use encode::{Said, encode};
use layout::Placed;
use written::Written;

pub use encode::EncodeError;
pub use values::{Names, Script, Values, ValuesError};

/// Most registers that it answers at once of what is only there to be written.
const WRITTEN_MAX: u16 = 4;
/// Unit id of a device whose profile names none.
const UNIT: u8 = 1;

/// Why no device can be made of a profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Neither a name nor a file.
    #[error("there is no profile `{name}`; take one of {}, or name a file like ./maker-model.toml", builtins())]
    Unknown { name: String },
    /// The file cannot be read.
    #[error("profile {} cannot be read", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// The file has mistakes.
    #[error("profile {name} has mistakes:\n{problems}")]
    Faulty { name: String, problems: String },
    /// The registers do not fit the addresses, or there are none.
    #[error("profile {name}: its models reach beyond address 65535; correct `bases` or `at`")]
    NoRoom { name: String },
    /// A value does not fit.
    #[error("profile {name}: {cause}")]
    Value { name: String, cause: EncodeError },
    /// A value is not meant for any of them.
    #[error(transparent)]
    Values(#[from] ValuesError),
}

fn builtins() -> String {
    builtin_names().collect::<Vec<_>>().join(", ")
}

/// The profile with this name, or in this file.
pub fn load(name_or_file: &str) -> Result<Profile, ProfileError> {
    let faulty = |name: &str| {
        let name = name.to_owned();
        |problems: Vec<riverwatts_shared::problem::Problem>| {
            let problems = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            ProfileError::Faulty { name, problems }
        }
    };
    if let Some(text) = builtin(name_or_file) {
        return parse(&format!("{name_or_file}.toml"), text).map_err(faulty(name_or_file));
    }
    let path = Path::new(name_or_file);
    if !name_or_file.ends_with(".toml") {
        return Err(ProfileError::Unknown { name: name_or_file.to_owned() });
    }
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| ProfileError::Unreadable { path: path.to_owned(), source })?;
    parse(name_or_file, &text).map_err(faulty(name_or_file))
}

/// What the profile can show: metrics and alarms of the areas that a virtual device has.
pub fn names(profile: &Profile) -> Result<Names, ProfileError> {
    let mut names = Names::default();
    for placed in placed(profile)? {
        names.metrics.extend(placed.area.computed.iter().map(|computed| computed.metric));
        for register in &placed.area.registers {
            match &register.feeds {
                Feeds::Metric { metric, .. } => drop(names.metrics.insert(*metric)),
                Feeds::Alarms(alarms) => names.alarms.extend(alarms.iter().map(|alarm| alarm.name.clone())),
                Feeds::Clock(_) | Feeds::Identity(_) | Feeds::Others => {}
            }
        }
    }
    Ok(names)
}

fn placed(profile: &Profile) -> Result<Vec<Placed>, ProfileError> {
    layout::place(profile).ok_or_else(|| ProfileError::NoRoom { name: profile.name.clone() })
}

/// A device of a profile that shows the values of a script.
pub struct Profiled {
    unit: u8,
    areas: Vec<Placed>,
    /// By area and register.
    powers: Vec<Vec<i16>>,
    said: Said,
    script: Script,
    written: Written,
    speed: f64,
    clock: Arc<dyn Clock>,
}

impl Profiled {
    /// The device number `number` of this program; every row of the script is tried at once, so that
    /// what does not fit is told before anything is served.
    pub fn new(
        profile: &Profile,
        number: u16,
        script: &Script,
        speed: f64,
        clock: Arc<dyn Clock>,
    ) -> Result<Profiled, ProfileError> {
        let areas = placed(profile)?;
        let script = script.of(&names(profile)?);
        let failed = |cause| ProfileError::Value { name: profile.name.clone(), cause };
        let mut powers = Vec::with_capacity(areas.len());
        for placed in &areas {
            let rows = script.rows.iter().map(|(_, values)| values);
            let extremes = targets::extremes(&placed.area, rows).map_err(failed)?;
            powers.push(states::powers(&placed.area, &extremes));
        }
        let said = Said {
            manufacturer: format!("virtual {}", profile.manufacturer),
            model: format!("virtual {}", profile.model),
            serial_number: format!("VIRTUAL-{number}"),
            number,
            time_s: clock.wall().0 / 1_000,
        };
        let unit = profile.link.unit.unwrap_or(UNIT);
        let written = Written::nothing(&profile.writes, unit);
        let device = Profiled { unit, areas, powers, said, script, written, speed, clock };
        for (_, values) in &device.script.rows {
            let mut seen = BTreeSet::new();
            for (placed, powers) in device.areas.iter().zip(&device.powers) {
                encode(&placed.area, values, powers, &device.said, &mut seen).map_err(failed)?;
            }
            if let Some(metric) = values.metrics().find(|metric| !seen.contains(metric)) {
                return Err(failed(EncodeError::Unshown { metric }));
            }
        }
        Ok(device)
    }

    /// Its unit ids, the device's own first.
    pub fn units(&self) -> Vec<u8> {
        let others: BTreeSet<u8> = self.areas.iter().filter_map(|placed| placed.area.unit).collect();
        std::iter::once(self.unit).chain(others.into_iter().filter(|&unit| unit != self.unit)).collect()
    }

    /// Most registers that it answers at once.
    pub fn registers_max(&self, unit: u8, function: u8) -> u16 {
        self.areas_of(unit, function).map(|(placed, _)| placed.area.registers_max).max().unwrap_or(WRITTEN_MAX)
    }

    /// Its registers now; `None` for a function that it does not have.
    pub fn registers(&self, unit: u8, function: u8) -> Option<Image> {
        let values = self.script.at(self.clock.monotonic().as_secs_f64() * self.speed);
        if !self.written.has(unit, function) {
            self.areas_of(unit, function).next()?;
        }
        let said = Said { time_s: self.clock.wall().0 / 1_000, ..self.said.clone() };
        let mut image = Image::default();
        let mut write = |(at, word)| image.words(at, &[word]);
        self.areas_of(unit, function).flat_map(|(placed, _)| placed.filling.clone()).for_each(&mut write);
        for (placed, powers) in self.areas_of(unit, function) {
            let registers = encode(&placed.area, values, powers, &said, &mut BTreeSet::new());
            registers.expect("every row was tried when the device was made").into_iter().for_each(&mut write);
        }
        self.written.show(unit, function, &mut image);
        Some(image)
    }

    /// Takes what a master writes from an address on.
    pub fn write(&self, unit: u8, function: u8, at: u16, words: &[u16]) -> Result<(), Refusal> {
        self.written.take((self.unit, unit), (function, at), words, &self.areas)
    }

    fn areas_of(&self, unit: u8, function: u8) -> impl Iterator<Item = (&Placed, &[i16])> {
        let all = self.areas.iter().zip(self.powers.iter().map(Vec::as_slice));
        all.filter(move |(placed, _)| {
            placed.area.unit.unwrap_or(self.unit) == unit && placed.area.function.code() == function
        })
    }
}

impl fmt::Debug for Profiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiled").field("model", &self.said.model).field("unit", &self.unit).finish_non_exhaustive()
    }
}

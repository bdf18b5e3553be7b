//! Samples of a profile: raw words and what they must decode to, in `<profile>.samples.toml` beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::ops::Range;
use std::path::PathBuf;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::problem::{Problem, line_at};
use riverwatts_shared::profile::sunspec::Model;
use riverwatts_shared::profile::{Decimal, Function, Profile};
use toml_edit::{Document, InlineTable, Item, Table, Value as Toml};

use crate::config::Config;
use crate::decode::{Decoded, Image, decode};
use crate::plan::{Block, Layout};

/// What a sample may hold.
const KEYS: [&str; 8] = ["alarms", "blocks", "clock", "identity", "models", "name", "quality", "values"];
/// What a block and a model of it may hold.
const BLOCK_KEYS: [&str; 4] = ["function", "start", "unit", "words"];
const MODEL_KEYS: [&str; 3] = ["id", "length", "start"];
const REMEDY: &str = "correct the sample, or the profile; docs/device-profiles.md shows both";

/// What is wrong with the samples that lie beside the site's own profiles.
pub fn beside_profiles(config: &Config) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let profiles = config.devices.iter().map(|device| &device.profile).filter(|profile| seen.insert(&profile.name));
    profiles.flat_map(|profile| beside(profile, &config.profiles)).collect()
}

fn beside(profile: &Profile, folders: &[PathBuf]) -> Vec<Problem> {
    let own = |folder: &&PathBuf| folder.join(format!("{}.toml", profile.name)).is_file();
    let Some(folder) = folders.iter().find(own) else { return Vec::new() };
    let path = folder.join(format!("{}.samples.toml", profile.name));
    match std::fs::read_to_string(&path) {
        Ok(text) => problems(profile, &path.display().to_string(), &text),
        // A profile without samples is none the worse.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => vec![Problem {
            file: path.display().to_string(),
            line: None,
            key: String::new(),
            message: format!("cannot be read: {error}"),
            remedy: "give the gateway the right to read it, or remove it".to_owned(),
        }],
    }
}

/// Where a profile does not make of the words of its samples what they say; none: everywhere it does.
pub fn problems(profile: &Profile, file: &str, text: &str) -> Vec<Problem> {
    let problem = |span: Option<Range<usize>>, key: String, message: String| Problem {
        file: file.to_owned(),
        line: span.map(|span| line_at(text, span.start)),
        key,
        message,
        remedy: REMEDY.to_owned(),
    };
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            return vec![problem(error.span(), String::new(), format!("is no TOML: {}", error.message()))];
        }
    };
    let samples = document.get("sample").and_then(Item::as_array_of_tables);
    let Some(samples) = samples.filter(|samples| !samples.is_empty() && document.as_table().len() == 1) else {
        return vec![problem(None, "sample".to_owned(), "must be the only key, a list [[sample]]".to_owned())];
    };
    let mut problems = Vec::new();
    for (index, table) in samples.iter().enumerate() {
        let name = table.get("name").and_then(Item::as_str).map_or_else(|| index.to_string(), str::to_owned);
        let mut add = |key: &str, message: String| {
            let span = table.get(key).and_then(Item::span).or_else(|| table.span());
            problems.push(problem(span, format!("sample.{name}.{key}"), message));
        };
        for (key, _) in table.iter().filter(|(key, _)| !KEYS.contains(key)) {
            add(key, format!("is an unknown key; known are {}", KEYS.join(", ")));
        }
        match Sample::read(table, text) {
            Ok(sample) => sample.compare(profile, add),
            Err((key, expected)) => add(key, format!("is not {expected}")),
        }
    }
    problems
}

/// One sample.
struct Sample {
    image: Image,
    models: Option<Vec<Model>>,
    values: BTreeMap<Metric, (Option<i64>, String)>,
    identity: BTreeMap<String, String>,
    alarms: Vec<String>,
    clock: Option<i64>,
}

/// The key that is wrong, and what it should be.
type Slip = (&'static str, &'static str);

impl Sample {
    fn read(table: &Table, text: &str) -> Result<Sample, Slip> {
        const BLOCKS: Slip = ("blocks", "a list of { function = …, start = …, words = […] }");
        const MODELS: Slip = ("models", "a list of { id = …, start = …, length = … }");
        const VALUES: Slip = ("values", "a table of metrics and numbers that their units can keep");
        const QUALITY: Slip = ("quality", "a table of metrics and words");
        const IDENTITY: Slip = ("identity", "a table of texts");
        const ALARMS: Slip = ("alarms", "a list of names");
        const CLOCK: Slip = ("clock", "a whole number of seconds");
        let mut image = Image::new();
        for block in tables(table, "blocks").ok_or(BLOCKS)? {
            let (block, words) = block_of(block).ok_or(BLOCKS)?;
            image.put(&block, &words);
        }
        let models = match table.contains_key("models") {
            true => {
                let models = tables(table, "models").ok_or(MODELS)?;
                Some(models.into_iter().map(model_of).collect::<Option<_>>().ok_or(MODELS)?)
            }
            false => None,
        };
        let mut values = BTreeMap::new();
        for (name, number) in entries(table, "values").ok_or(VALUES)? {
            let metric = Metric::named(name).map_err(|_| VALUES)?;
            let number: Option<Decimal> =
                number.span().and_then(|span| text.get(span)).and_then(|text| text.trim().parse().ok());
            let stored = number.and_then(|number| number.in_units_of(metric.info().exponent.into())).ok_or(VALUES)?;
            values.insert(metric, (Some(stored), "ok".to_owned()));
        }
        for (name, word) in entries(table, "quality").ok_or(QUALITY)? {
            let metric = Metric::named(name).map_err(|_| QUALITY)?;
            values.entry(metric).or_insert((None, String::new())).1 = word.as_str().ok_or(QUALITY)?.to_owned();
        }
        let identity = entries(table, "identity").ok_or(IDENTITY)?.into_iter();
        let identity = identity.map(|(field, text)| Some((field.to_owned(), text.as_str()?.to_owned())));
        let alarms = table.get("alarms").and_then(Item::as_array).ok_or(ALARMS)?;
        let alarms = alarms.iter().map(|name| name.as_str().map(str::to_owned));
        Ok(Sample {
            image,
            models,
            values,
            identity: identity.collect::<Option<_>>().ok_or(IDENTITY)?,
            alarms: alarms.collect::<Option<_>>().ok_or(ALARMS)?,
            clock: table.get("clock").map(|seconds| seconds.as_integer().ok_or(CLOCK)).transpose()?,
        })
    }

    fn compare(&self, profile: &Profile, mut add: impl FnMut(&str, String)) {
        let layout = match &self.models {
            Some(models) => Layout::discovered(profile, models),
            None => Layout::fixed(profile),
        };
        let Decoded { values, identity, alarms, clock, .. } = decode(&layout, &self.image);
        let found: BTreeMap<_, _> =
            values.iter().map(|value| (value.metric, (value.value, value.quality.word().to_owned()))).collect();
        for metric in found.keys().chain(self.values.keys()).collect::<BTreeSet<_>>() {
            let told = |value: Option<&(Option<i64>, String)>| match value {
                None => "nothing".to_owned(),
                Some((None, quality)) => format!("no value ({quality})"),
                Some((Some(stored), quality)) => format!("{} ({quality})", metric.to_unit(*stored)),
            };
            let (found, expected) = (found.get(metric), self.values.get(metric));
            if found != expected {
                add("values", format!("{metric} is {}, not {}", told(found), told(expected)));
            }
        }
        let field = |field| serde_json::to_value(field).ok().and_then(|word| word.as_str().map(str::to_owned));
        let identity: BTreeMap<_, _> =
            identity.into_iter().filter_map(|(name, text)| Some((field(name)?, text))).collect();
        differs(&mut add, "identity", &identity, &self.identity);
        let on: Vec<_> = alarms.into_iter().filter(|alarm| alarm.active).map(|alarm| alarm.name).collect();
        differs(&mut add, "alarms", &on, &self.alarms);
        differs(&mut add, "clock", &clock.map(|(_, seconds)| seconds), &self.clock);
    }
}

fn differs<T: PartialEq + Debug>(mut add: impl FnMut(&str, String), key: &str, found: &T, expected: &T) {
    if found != expected {
        add(key, format!("are {found:?}, not {expected:?}"));
    }
}

/// The tables of a list in one line each.
fn tables<'a>(table: &'a Table, key: &str) -> Option<Vec<&'a InlineTable>> {
    table.get(key)?.as_array()?.iter().map(Toml::as_inline_table).collect()
}

/// The entries of a table that may be missing.
fn entries<'a>(table: &'a Table, key: &str) -> Option<Vec<(&'a str, &'a Toml)>> {
    let Some(item) = table.get(key) else { return Some(Vec::new()) };
    item.as_table_like()?.iter().map(|(key, item)| Some((key, item.as_value()?))).collect()
}

fn number<T: TryFrom<i64>>(table: &InlineTable, key: &str) -> Option<T> {
    table.get(key)?.as_integer()?.try_into().ok()
}

fn has_only(table: &InlineTable, known: &[&str]) -> bool {
    table.iter().all(|(key, _)| known.contains(&key))
}

fn block_of(table: &InlineTable) -> Option<(Block, Vec<u16>)> {
    has_only(table, &BLOCK_KEYS).then_some(())?;
    let word = |word: &Toml| u16::try_from(word.as_integer()?).ok();
    let words: Vec<u16> = table.get("words")?.as_array()?.iter().map(word).collect::<Option<_>>()?;
    let function = Function::named(table.get("function")?.as_str()?)?;
    let unit = match table.contains_key("unit") {
        true => Some(number(table, "unit")?),
        false => None,
    };
    Some((Block { unit, function, start: number(table, "start")?, count: words.len().try_into().ok()? }, words))
}

fn model_of(table: &InlineTable) -> Option<Model> {
    has_only(table, &MODEL_KEYS).then_some(())?;
    Some(Model { id: number(table, "id")?, start: number(table, "start")?, length: number(table, "length")? })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::decode::samples::profile;

    const RIGHT: &str = r#"[[sample]]
name = "basin"
blocks = [
  { function = "holding", start = 1, words = [0x0D80] },
  { function = "holding", start = 3, words = [0x0608] },
]
alarms = []
[sample.values]
water_distance_m = 3.456
[sample.quality]
"#;

    /// What `check` says of samples of a radar with one text replaced.
    fn told(from: &str, to: &str) -> Vec<String> {
        assert!(RIGHT.contains(from), "{from}");
        let problems = problems(&profile("dfrobot-sen0676"), "s.toml", &RIGHT.replacen(from, to, 1));
        let told = |problem: &Problem| format!("{}: {}: {}", problem.line.unwrap_or(0), problem.key, problem.message);
        problems.iter().map(told).collect()
    }

    #[test]
    fn a_sample_that_says_something_else_is_told_with_its_place() {
        assert_eq!(told("basin", "basin"), [""; 0]);
        for (from, to, expected) in [
            ("3.456", "3.457", "8: sample.basin.values: water_distance_m is 3.456 (ok), not 3.457 (ok)"),
            ("3.456", "0.0000001", "8: sample.basin.values: is not a table of metrics and numbers"),
            ("water_distance_m", "distance", "8: sample.basin.values: is not a table of metrics and numbers"),
            ("water_distance_m = 3.456", "", "8: sample.basin.values: water_distance_m is 3.456 (ok), not nothing"),
            ("[sample.quality]", "water_level_m = 1", "8: sample.basin.values: water_level_m is nothing, not 1 (ok)"),
            (
                "[sample.quality]",
                "[sample.quality]\nwater_distance_m = \"range\"",
                "8: sample.basin.values: water_distance_m is 3.456 (ok), not 3.456 (range)",
            ),
            ("alarms = []", "alarms = [\"hot\"]", "7: sample.basin.alarms: are [], not [\"hot\"]"),
            ("alarms = []", "", "1: sample.basin.alarms: is not a list of names"),
            ("alarms = []", "alarms = []\nmodels = [7]", "8: sample.basin.models: is not a list of {"),
            (
                "[sample.quality]",
                "[sample.identity]\nmodel = \"M\"",
                "10: sample.basin.identity: are {}, not {\"model\"",
            ),
            ("start = 1", "start = 1, end = 1", "3: sample.basin.blocks: is not a list of {"),
            ("0x0D80", "70000", "3: sample.basin.blocks: is not a list of {"),
            ("holding", "registers", "3: sample.basin.blocks: is not a list of {"),
            ("[sample.quality]", "[sample.qualty]", "10: sample.basin.qualty: is an unknown key"),
            ("[[sample]]", "[[sampel]]", "0: sample: must be the only key"),
            ("[[sample]]", "[[sample", "1: : is no TOML"),
        ] {
            let found = told(from, to);
            assert!(found.iter().any(|problem| problem.starts_with(expected)), "{from} -> {to}: {found:#?}");
        }
    }

    #[test]
    fn editors_know_the_same_keys() {
        let schema = include_str!("../../firmware-configs/samples.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        let sample = &schema["properties"]["sample"]["items"];
        let keys = |table: &serde_json::Value| {
            let mut keys: Vec<_> = table["properties"].as_object().unwrap().keys().cloned().collect();
            keys.sort();
            keys
        };
        assert_eq!(keys(sample), KEYS);
        assert_eq!(keys(&sample["properties"]["blocks"]["items"]), BLOCK_KEYS);
        assert_eq!(keys(&sample["properties"]["models"]["items"]), MODEL_KEYS);
    }

    #[test]
    fn the_samples_beside_a_sites_own_profile_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let text = riverwatts_shared::profile::builtin("dfrobot-sen0676").unwrap();
        let samples = RIGHT.replace("3.456", "3.457");
        let other = tempfile::tempdir().unwrap();
        for folder in [&folder, &other] {
            std::fs::write(folder.path().join("own.toml"), text).unwrap();
        }
        std::fs::write(folder.path().join("own.samples.toml"), &samples).unwrap();
        let check = |first: &Path, second: &Path, name: &str| {
            let text = format!(
                "profiles = [{first:?}, {second:?}]\n[[bus]]\nid = \"b\"\nkind = \"tcp\"\naddress = \"a\"\n
                 [[device]]\nid = \"one\"\nbus = \"b\"\nprofile = \"{name}\"\n[[device]]\nid = \"two\"\nbus = \"b\"\nunit = 9\nprofile = \"{name}\"\n"
            );
            let config = crate::config::parse(&text, "edge.toml", Path::new(""), &Default::default()).unwrap();
            beside_profiles(&config).len()
        };
        assert_eq!(check(folder.path(), other.path(), "own"), 1, "once, though two devices have the profile");
        assert_eq!(check(other.path(), folder.path(), "own"), 0, "those beside the profile that is used");
        assert_eq!(check(folder.path(), other.path(), "eastron-sdm630"), 0);
        std::fs::create_dir(other.path().join("own.samples.toml")).unwrap();
        assert_eq!(check(other.path(), folder.path(), "own"), 1, "what cannot be read is told");
    }
}

//! Decodes every `*.samples.toml` beside the profiles: raw words and what they must mean.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::profile::sunspec::Model;
use riverwatts_shared::profile::{Decimal, Function, Profile, builtin, builtin_names, parse};
use toml_edit::{Document, Table, TableLike, Value as Toml};

use super::{Decoded, Image, decode};
use crate::plan::{Block, Layout};

/// A built-in profile, parsed.
pub(crate) fn profile(name: &str) -> Profile {
    let text = builtin(name).unwrap_or_else(|| panic!("no profile {name}"));
    parse(&format!("{name}.toml"), text).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../firmware-configs")
}

#[test]
fn every_sample_of_every_profile_decodes_to_what_it_says() {
    for name in builtin_names() {
        let profile = profile(name);
        let path = folder().join(format!("{name}.samples.toml"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let document = Document::parse(text.as_str()).unwrap();
        let samples = document.get("sample").unwrap().as_array_of_tables().unwrap();
        assert!(samples.len() >= 2, "{name} has too few samples");
        for sample in samples {
            check(&profile, sample, &text);
        }
    }
}

#[test]
fn every_profile_in_the_folder_is_built_in() {
    let files: BTreeSet<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|file| file.strip_suffix(".toml").map(str::to_owned))
        .filter(|name| !name.ends_with(".samples"))
        .collect();
    assert_eq!(files, builtin_names().map(str::to_owned).collect());
}

fn check(profile: &Profile, sample: &Table, text: &str) {
    let name = format!("{}: {}", profile.name, sample["name"].as_str().unwrap());
    let decoded = decode(&layout(profile, sample), &image(sample));
    let mut expected = BTreeMap::new();
    for (metric, number) in table(sample, "values") {
        let metric = Metric::named(metric).unwrap();
        let number: Decimal = text[number.span().unwrap()].trim().parse().unwrap();
        let stored = number.in_units_of(metric.info().exponent.into());
        expected.insert(metric, (Some(stored.unwrap_or_else(|| panic!("{name}: {metric} is too fine"))), "ok"));
    }
    for (metric, word) in table(sample, "quality") {
        let metric = Metric::named(metric).unwrap();
        expected.entry(metric).or_insert((None, "")).1 = word.as_str().unwrap();
    }
    let values: BTreeMap<_, _> =
        decoded.values.iter().map(|value| (value.metric, (value.value, value.quality.word()))).collect();
    assert_eq!(values, expected, "{name}");
    assert_eq!(values.len(), decoded.values.len(), "{name}: a metric twice");
    check_rest(&name, &decoded, sample);
}

fn check_rest(name: &str, decoded: &Decoded, sample: &Table) {
    let identity: BTreeMap<String, String> = decoded
        .identity
        .iter()
        .map(|(field, text)| (serde_json::to_value(field).unwrap().as_str().unwrap().to_owned(), text.clone()))
        .collect();
    let expected =
        table(sample, "identity").map(|(field, text)| (field.to_owned(), text.as_str().unwrap().to_owned())).collect();
    assert_eq!(identity, expected, "{name}");
    let active: Vec<_> = decoded.alarms.iter().filter(|alarm| alarm.active).map(|alarm| alarm.name.as_str()).collect();
    let expected: Vec<_> = sample["alarms"].as_array().unwrap().iter().filter_map(Toml::as_str).collect();
    assert_eq!(active, expected, "{name}");
}

fn table<'a>(sample: &'a Table, key: &str) -> impl Iterator<Item = (&'a str, &'a Toml)> {
    let entries = sample.get(key).map(|item| item.as_table().unwrap());
    entries.into_iter().flat_map(Table::iter).map(|(key, item)| (key, item.as_value().unwrap()))
}

fn number(table: &dyn TableLike, key: &str) -> u16 {
    table.get(key).unwrap().as_integer().unwrap().try_into().unwrap()
}

fn layout(profile: &Profile, sample: &Table) -> Layout {
    let Some(models) = sample.get("models") else { return Layout::fixed(profile) };
    let models: Vec<_> = models
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model.as_inline_table().unwrap())
        .map(|model| Model { id: number(model, "id"), start: number(model, "start"), length: number(model, "length") })
        .collect();
    Layout::discovered(profile, &models)
}

fn image(sample: &Table) -> Image {
    let mut image = Image::new();
    for block in sample["blocks"].as_array().unwrap().iter().map(|block| block.as_inline_table().unwrap()) {
        let words: Vec<u16> = block["words"]
            .as_array()
            .unwrap()
            .iter()
            .map(|word| word.as_integer().unwrap().try_into().unwrap())
            .collect();
        let function = match block["function"].as_str().unwrap() {
            "holding" => Function::Holding,
            "input" => Function::Input,
            "coil" => Function::Coil,
            "discrete" => Function::Discrete,
            other => panic!("no function {other}"),
        };
        let unit = block.get("unit").map(|unit| unit.as_integer().unwrap().try_into().unwrap());
        let block = Block { unit, function, start: number(block, "start"), count: words.len() as u16 };
        image.put(&block, &words);
    }
    image
}

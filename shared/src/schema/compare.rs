//! Holds a schema against the parser of the same file: both must know the same keys, and refuse the
//! same slips: an unknown key, a missing one, a wrong type, a wrong word, a number beyond a limit.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::json_of;
use crate::problem::Problem;

/// A key that no file has.
const UNKNOWN: &str = "zzzzzzzz";

/// Compares by `full` files, right to both, that together have every key at least once, and by these
/// files with one slip at a time.
///
/// # Panics
/// Where the two disagree.
pub fn compare(
    schema: &Value,
    full: &[&str],
    is_valid: impl Fn(&Value) -> bool,
    problems: impl Fn(&str) -> Vec<Problem>,
) {
    let mut slips = Slips::default();
    let mut known = BTreeMap::new();
    for text in full {
        let whole = json_of(text).expect("a full file is TOML");
        assert_eq!(problems(&toml_of(&whole)), [], "to the parser a full file is right");
        assert!(is_valid(&whole), "to the schema a full file is right");
        slips.collect(schema, &whole, "");
        try_slips(slips.found.drain(..), &whole, &mut known, &is_valid, &problems);
    }
    let missing: Vec<_> = slips.keys.difference(&slips.present).collect();
    assert!(missing.is_empty(), "the full files have no {missing:?}");
    assert_eq!(known, slips.tables, "left: what the parser knows, right: what the schema knows");
}

/// Makes each slip in a file; gathers by table the keys that are `known` to the parser.
fn try_slips(
    slips: impl Iterator<Item = Slip>,
    whole: &Value,
    known: &mut BTreeMap<String, BTreeSet<String>>,
    is_valid: impl Fn(&Value) -> bool,
    problems: impl Fn(&str) -> Vec<Problem>,
) {
    for slip in slips {
        let mut changed = whole.clone();
        slip.make(&mut changed);
        let (valid, found) = (is_valid(&changed), problems(&toml_of(&changed)));
        let key = slip.pointer.rsplit('/').next().unwrap_or_default();
        let about_it = |problem: &&Problem| problem.key.rsplit('.').next() == Some(key);
        let mut about_it = found.iter().filter(about_it);
        match slip.verdict {
            Verdict::Right => {
                assert!(valid || !found.is_empty(), "only the schema refuses {slip:?}");
                assert_eq!(about_it.next(), None, "{slip:?}");
            }
            Verdict::Wrong => {
                assert!(!valid, "the schema takes {slip:?}");
                assert!(!found.is_empty(), "the parser takes {slip:?}");
            }
            Verdict::Parsers => {
                let missed = about_it.any(|problem| problem.message == "is missing");
                assert!(!(valid && missed), "the schema takes {slip:?}");
            }
        }
        if key == UNKNOWN {
            let problem = about_it.next().expect("the parser names the unknown key");
            known.entry(place(&slip.pointer)).or_default().extend(keys_of(&problem.remedy));
        }
    }
}

/// The keys that the remedy for an unknown one lists.
fn keys_of(remedy: &str) -> impl Iterator<Item = String> + '_ {
    let list = remedy.trim_start_matches("known here: ").trim_start_matches("known are ");
    list.split(", ").map(str::to_owned)
}

/// A pointer without the numbers of list entries, and without the unknown key.
fn place(pointer: &str) -> String {
    let counts = |step: &&str| !step.is_empty() && *step != UNKNOWN && step.parse::<usize>().is_err();
    let steps = pointer.split('/').filter(counts);
    steps.collect::<Vec<_>>().join(".")
}

/// One change of a full file.
#[derive(Debug)]
struct Slip {
    /// Where.
    pointer: String,
    /// What is there instead; `None`: nothing.
    value: Option<Value>,
    verdict: Verdict,
}

/// Who may take a changed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Both, as far as this key goes; what else it leads to is for both to say.
    Right,
    /// Neither.
    Wrong,
    /// The schema, unless the parser misses the key.
    Parsers,
}

impl Slip {
    fn make(&self, whole: &mut Value) {
        let (table, key) = self.pointer.rsplit_once('/').expect("a pointer begins with /");
        match whole.pointer_mut(table).expect("the full file has the place") {
            Value::Array(list) => {
                list[key.parse::<usize>().expect("a number")] = self.value.clone().unwrap_or_default()
            }
            table => match (&self.value, table.as_object_mut().expect("a key stands in a table")) {
                (Some(value), table) => drop(table.insert(key.to_owned(), value.clone())),
                (None, table) => drop(table.remove(key)),
            },
        }
    }
}

#[derive(Default)]
struct Slips {
    found: Vec<Slip>,
    /// Every key of the schema, and those that the full file has.
    keys: BTreeSet<String>,
    present: BTreeSet<String>,
    /// The keys of each table of the full file, as the schema has them.
    tables: BTreeMap<String, BTreeSet<String>>,
}

impl Slips {
    fn add(&mut self, pointer: &str, value: impl Into<Option<Value>>, verdict: Verdict) {
        self.found.push(Slip { pointer: pointer.to_owned(), value: value.into(), verdict });
    }

    fn collect(&mut self, schema: &Value, value: &Value, pointer: &str) {
        match schema["type"].as_str() {
            Some("object") => self.table(schema, value, pointer),
            Some("array") => {
                self.add(pointer, json!(true), Verdict::Wrong);
                if schema["minItems"].is_u64() {
                    self.add(pointer, json!([]), Verdict::Wrong);
                }
                for (index, entry) in value.as_array().into_iter().flatten().enumerate() {
                    self.collect(&schema["items"], entry, &format!("{pointer}/{index}"));
                }
            }
            Some("string") => {
                self.add(pointer, json!(7), Verdict::Wrong);
                if schema["pattern"].is_string() {
                    self.add(pointer, json!(""), Verdict::Wrong);
                }
                for word in schema["enum"].as_array().into_iter().flatten() {
                    self.add(pointer, word.clone(), Verdict::Right);
                    self.add(pointer, json!(format!("{}x", word.as_str().unwrap_or_default())), Verdict::Wrong);
                }
            }
            Some("integer") => {
                self.add(pointer, json!("7"), Verdict::Wrong);
                self.add(pointer, json!(1.5), Verdict::Wrong);
                for (limit, beyond) in [("minimum", -1), ("maximum", 1)] {
                    let Some(limit) = schema[limit].as_i64() else { continue };
                    self.add(pointer, json!(limit), Verdict::Right);
                    self.add(pointer, json!(limit + beyond), Verdict::Wrong);
                }
            }
            Some("number") => self.add(pointer, json!("7"), Verdict::Wrong),
            Some("boolean") => self.add(pointer, json!(7), Verdict::Wrong),
            _ => {
                self.add(pointer, json!([true]), Verdict::Wrong);
                self.add(pointer, json!("?"), Verdict::Wrong);
            }
        }
    }

    fn table(&mut self, schema: &Value, value: &Value, pointer: &str) {
        if !pointer.is_empty() {
            self.add(pointer, json!(true), Verdict::Wrong);
        }
        self.add(&format!("{pointer}/{UNKNOWN}"), json!(1), Verdict::Wrong);
        let required = schema["required"].as_array().expect("a table says what it requires");
        let keys = self.tables.entry(place(pointer)).or_default();
        let properties = schema["properties"].as_object().expect("a table has keys");
        keys.extend(properties.keys().cloned());
        for (key, schema) in properties {
            let pointer = format!("{pointer}/{key}");
            self.keys.insert(place(&pointer));
            if let Some(value) = value.get(key) {
                self.present.insert(place(&pointer));
                let required = required.iter().any(|required| required == key);
                self.add(&pointer, None, if required { Verdict::Wrong } else { Verdict::Parsers });
                self.collect(schema, value, &pointer);
            }
        }
    }
}

/// JSON as TOML: tables of the file, and all lists of tables, with heads of their own.
fn toml_of(whole: &Value) -> String {
    body(whole, "")
}

fn body(table: &Value, path: &str) -> String {
    let (mut plain, mut tables) = (String::new(), String::new());
    for (key, value) in table.as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Object(_) if path == *key => tables += &format!("[{path}]\n{}", body(value, &path)),
            Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_object) => {
                list.iter().for_each(|table| tables += &format!("[[{path}]]\n{}", body(table, &path)));
            }
            value => plain += &format!("{key} = {}\n", inline(value)),
        }
    }
    plain + &tables
}

fn inline(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let entries: Vec<_> = table.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", ")),
        value => value.to_string(),
    }
}

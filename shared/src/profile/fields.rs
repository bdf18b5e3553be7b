//! Reads typed values out of TOML tables and collects every mistake with its line: for profiles, and
//! for other files that people write.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml_edit::{Item, TableLike, Value};

use super::decimal::Decimal;
use crate::problem::{Problem, line_at};
use crate::time::parse_duration;

/// The file being read, and what is wrong with it so far.
#[derive(Debug)]
pub struct Report<'a> {
    file: &'a str,
    text: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Report<'a> {
    /// Nothing is wrong so far with the file `file` and its text.
    pub fn new(file: &'a str, text: &'a str) -> Self {
        Report { file, text, problems: Vec::new() }
    }

    /// Adds a mistake.
    pub fn add(&mut self, line: usize, key: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem {
            file: self.file.to_owned(),
            line: Some(line),
            key: key.to_owned(),
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// The line of a place in the file.
    pub fn line(&self, span: Option<std::ops::Range<usize>>) -> usize {
        line_at(self.text, span.map_or(0, |span| span.start))
    }

    /// All mistakes in order of line; none means that the file is right.
    pub fn finish(mut self) -> Vec<Problem> {
        self.problems.sort();
        self.problems.dedup();
        self.problems
    }

    /// Whether nothing is wrong so far.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

/// The keys of one table. Keys that nobody asked for are mistakes, see [`Fields::finish`].
pub struct Fields<'a> {
    table: &'a dyn TableLike,
    /// Path of the table, for messages.
    pub(super) path: String,
    /// Line at which the table begins.
    pub(super) line: usize,
    asked: BTreeSet<&'static str>,
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fields").field("path", &self.path).field("line", &self.line).finish_non_exhaustive()
    }
}

impl<'a> Fields<'a> {
    /// The keys of `table`, which stands at `path` and begins in `line`.
    pub fn new(table: &'a dyn TableLike, path: String, line: usize) -> Self {
        Fields { table, path, line, asked: BTreeSet::new() }
    }

    /// The path of a key of this table.
    pub fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The line of a key of this table; that of the table where the key is missing.
    pub fn line_of(&self, report: &Report<'_>, key: &str) -> usize {
        match self.table.key(key).and_then(|key| key.span()) {
            Some(span) => report.line(Some(span)),
            None => self.line,
        }
    }

    /// Adds a mistake at a key of this table.
    pub fn wrong(&self, report: &mut Report<'_>, key: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let line = self.line_of(report, key);
        report.add(line, &self.key(key), message, remedy);
    }

    /// The item under a key, if there is one.
    pub(super) fn item(&mut self, key: &'static str) -> Option<&'a Item> {
        self.asked.insert(key);
        self.table.get(key).filter(|item| !item.is_none())
    }

    /// Whether the key is there (it counts as asked for).
    pub fn has(&mut self, key: &'static str) -> bool {
        self.item(key).is_some()
    }

    /// Reports a key that must be there and is not.
    pub fn require<T>(&self, report: &mut Report<'_>, key: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.table.contains_key(key) {
            self.wrong(report, key, "is missing", format!("add `{key} = …`"));
        }
        value
    }

    /// A value converted by `read`, or a mistake that says what was `expected`.
    fn read<T>(
        &mut self,
        report: &mut Report<'_>,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let item = self.item(key)?;
        let value = item.as_value().and_then(read);
        if value.is_none() {
            self.wrong(report, key, format!("is not {expected}"), format!("write {expected}"));
        }
        value
    }

    /// A text that is not empty.
    pub fn text(&mut self, report: &mut Report<'_>, key: &'static str) -> Option<String> {
        self.read(report, key, "a text that is not empty", |value| {
            value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
        })
    }

    /// A name: lower-case letters, digits, `_` and `-`.
    pub(super) fn name(&mut self, report: &mut Report<'_>, key: &'static str) -> Option<String> {
        self.read(report, key, "a name of a-z, 0-9, _ and -, of at most 48 characters", |value| {
            value.as_str().filter(|text| is_name(text)).map(str::to_owned)
        })
    }

    pub(super) fn flag(&mut self, report: &mut Report<'_>, key: &'static str) -> Option<bool> {
        self.read(report, key, "true or false", Value::as_bool)
    }

    /// A whole number within a range.
    pub fn integer<T: TryFrom<i64>>(
        &mut self,
        report: &mut Report<'_>,
        key: &'static str,
        range: RangeInclusive<i64>,
    ) -> Option<T> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.read(report, key, &expected, |value| {
            value.as_integer().filter(|number| range.contains(number)).and_then(|number| T::try_from(number).ok())
        })
    }

    /// A decimal number, exactly.
    pub fn decimal(&mut self, report: &mut Report<'_>, key: &'static str) -> Option<Decimal> {
        let text = report.text;
        self.read(report, key, "a plain decimal number such as 0.001", |value| decimal(value, text))
    }

    /// A pair `[low, high]` of decimals.
    pub(super) fn decimals(&mut self, report: &mut Report<'_>, key: &'static str) -> Option<(Decimal, Decimal)> {
        let text = report.text;
        self.read(report, key, "a pair of decimal numbers such as [-40, 125]", |value| {
            let pair: Vec<_> = value.as_array()?.iter().map(|value| decimal(value, text)).collect::<Option<_>>()?;
            <[Decimal; 2]>::try_from(pair).ok().map(|[low, high]| (low, high))
        })
    }

    /// A list of whole numbers with at least one.
    pub fn integers(&mut self, report: &mut Report<'_>, key: &'static str) -> Option<Vec<i64>> {
        self.read(report, key, "a list of whole numbers such as [0, 2]", |value| {
            let list: Vec<_> = value.as_array()?.iter().map(Value::as_integer).collect::<Option<_>>()?;
            (!list.is_empty()).then_some(list)
        })
    }

    /// A whole number, or a list of them.
    pub(super) fn one_or_more(&mut self, report: &mut Report<'_>, key: &'static str) -> Option<Vec<i64>> {
        self.read(report, key, "a list of whole numbers such as [0, 2]", |value| {
            let list: Vec<_> = match value.as_array() {
                Some(list) => list.iter().map(Value::as_integer).collect::<Option<_>>()?,
                None => vec![value.as_integer()?],
            };
            (!list.is_empty()).then_some(list)
        })
    }

    pub(super) fn texts(&mut self, report: &mut Report<'_>, key: &'static str) -> Option<Vec<String>> {
        self.read(report, key, "a list of texts", |value| {
            let list: Vec<_> =
                value.as_array()?.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<_>>()?;
            (!list.is_empty()).then_some(list)
        })
    }

    /// One of a closed set of words.
    pub fn word<T: Clone>(&mut self, report: &mut Report<'_>, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let known: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        self.read(report, key, &format!("one of {}", known.join(", ")), |value| {
            let text = value.as_str()?;
            words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| meaning.clone())
        })
    }

    /// A word, or a list of words.
    pub(super) fn words<T: Clone>(
        &mut self,
        report: &mut Report<'_>,
        key: &'static str,
        words: &[(&str, T)],
    ) -> Option<Vec<T>> {
        if self.item(key).is_none_or(|item| item.as_array().is_none()) {
            return self.word(report, key, words).map(|word| vec![word]);
        }
        let known: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        self.read(report, key, &format!("a list of {}", known.join(", ")), |value| {
            let meaning = |text: &str| words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| meaning.clone());
            value.as_array()?.iter().map(|value| meaning(value.as_str()?)).collect()
        })
    }

    /// A duration such as `50ms` or `1s`.
    pub fn duration(
        &mut self,
        report: &mut Report<'_>,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let expected = format!("a duration from {:?} to {:?}, such as \"50ms\" or \"1s\"", range.start(), range.end());
        self.read(report, key, &expected, |value| {
            parse_duration(value.as_str()?).ok().filter(|duration| range.contains(duration))
        })
    }

    /// A table under a key.
    pub(super) fn table(&mut self, report: &mut Report<'_>, key: &'static str) -> Option<Fields<'a>> {
        let item = self.item(key)?;
        match item.as_table_like() {
            Some(table) => Some(Fields::new(table, self.key(key), self.line_of(report, key))),
            None => {
                self.wrong(report, key, "is not a table", format!("write `[{key}]` or `{key} = {{ … }}`"));
                None
            }
        }
    }

    /// A list of tables under a key, written `[[key]]` or `key = [{ … }]`; each with its own line.
    pub fn tables(&mut self, report: &mut Report<'_>, key: &'static str) -> Vec<Fields<'a>> {
        let Some(item) = self.item(key) else { return Vec::new() };
        let path = self.key(key);
        let named = |index: usize, table: &'a dyn TableLike, line: usize| {
            let name = table.get("name").and_then(Item::as_str).filter(|name| is_name(name));
            let name = name.map_or_else(|| index.to_string(), str::to_owned);
            Fields::new(table, format!("{path}.{name}"), line)
        };
        if let Some(tables) = item.as_array_of_tables() {
            let table = |(index, table): (usize, &'a toml_edit::Table)| named(index, table, report.line(table.span()));
            return tables.iter().enumerate().map(table).collect();
        }
        let Some(array) = item.as_array() else {
            self.wrong(report, key, "is not a list of tables", format!("write `{key} = [{{ … }}]`"));
            return Vec::new();
        };
        let mut list = Vec::with_capacity(array.len());
        for (index, value) in array.iter().enumerate() {
            let line = report.line(value.span());
            match value.as_inline_table() {
                Some(table) => list.push(named(index, table, line)),
                None => report.add(line, &format!("{path}.{index}"), "is not a table", "write `{ … }`"),
            }
        }
        list
    }

    /// Reports the keys that nobody asked for.
    pub fn finish(self, report: &mut Report<'_>) {
        for (key, _) in self.table.iter() {
            if !self.asked.contains(key) {
                let known: Vec<_> = self.asked.iter().copied().collect();
                self.wrong(report, key, "is an unknown key", format!("known here: {}", known.join(", ")));
            }
        }
    }
}

/// A TOML number exactly as it was written.
fn decimal(value: &Value, text: &str) -> Option<Decimal> {
    if !(value.is_integer() || value.is_float()) {
        return None;
    }
    text.get(value.span()?)?.trim().parse().ok()
}

/// Lower-case letters, digits, `_` and `-`, at most 48 of them.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 48
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

//! Takes settings out of TOML tables and the layers above them, noting every mistake with its place.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use riverwatts_shared::problem::{Problem, line_at};
use riverwatts_shared::time::parse_duration;
use toml_edit::{Item, TableLike, TomlError};

use super::Overrides;
use super::distance::distance;
use super::tables::tables_of;

/// Longest id of a bus, a device or a site, in characters.
const ID_MAX: usize = 48;

/// What is wrong with one setting, and what to do about it.
pub(super) struct Wrong {
    message: String,
    remedy: String,
}

/// Makes a [`Wrong`].
pub(super) fn wrong(message: impl Into<String>, remedy: impl Into<String>) -> Wrong {
    Wrong { message: message.into(), remedy: remedy.into() }
}

impl Wrong {
    /// The same mistake with another remedy.
    pub(super) fn with_remedy(self, remedy: &str) -> Wrong {
        Wrong { remedy: remedy.to_owned(), ..self }
    }
}

/// Where a setting stands.
#[derive(Clone)]
pub(super) struct Place {
    file: String,
    /// Byte of the file; which line that is, is only counted for a mistake.
    offset: Option<usize>,
    key: String,
}

/// A setting as it was written: in the file, or as plain text in a layer above.
#[derive(Clone, Copy)]
pub(super) enum Raw<'a> {
    Item(&'a Item),
    Text(&'a str),
}

/// The text that is being read and the mistakes found so far.
pub(super) struct Reader<'a> {
    text: &'a str,
    file: &'a str,
    folder: &'a Path,
    overrides: &'a Overrides,
    asked: RefCell<Vec<String>>,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, file: &'a str, folder: &'a Path, overrides: &'a Overrides) -> Self {
        Reader { text, file, folder, overrides, asked: RefCell::default(), problems: RefCell::default() }
    }

    /// The whole file as a section.
    pub(super) fn root<'r>(&'r self, table: &'r dyn TableLike) -> Section<'r> {
        Section {
            reader: self,
            table: Some(table),
            path: String::new(),
            offset: None,
            layered: true,
            known: Vec::new(),
        }
    }

    /// Notes problems that were found elsewhere, such as those of a profile.
    pub(super) fn extend(&self, problems: Vec<Problem>) {
        self.problems.borrow_mut().extend(problems);
    }

    /// Refuses variables and arguments that no setting asked for.
    pub(super) fn unknown_overrides(&self) {
        let asked = self.asked.borrow();
        for (file, key, name) in self.overrides.unused(&asked) {
            let place = Place { file: file.to_owned(), offset: None, key: name };
            self.push(&place, wrong("means nothing", did_you_mean(&key, asked.iter().map(String::as_str))));
        }
    }

    fn push(&self, place: &Place, wrong: Wrong) {
        self.problems.borrow_mut().push(Problem {
            file: place.file.clone(),
            line: place.offset.map(|offset| line_at(self.text, offset)),
            key: place.key.clone(),
            message: wrong.message,
            remedy: wrong.remedy,
        });
    }

    /// `config` when nothing was wrong, else every mistake in order of line.
    pub(super) fn into_result<T>(self, config: T) -> Result<T, Vec<Problem>> {
        let mut problems = self.problems.into_inner();
        if problems.is_empty() {
            return Ok(config);
        }
        let order = |problem: &Problem| (problem.file != self.file, problem.line);
        problems.sort_by_key(order);
        problems.dedup();
        Err(problems)
    }

    fn offset_of(table: &dyn TableLike, key: &str) -> Option<usize> {
        let (name, item) = table.get_key_value(key)?;
        Some(name.span().or_else(|| item.span())?.start)
    }
}

/// One table of the file. Each setting is taken by name; [`Section::finish`] refuses the rest.
pub(super) struct Section<'r> {
    pub(super) reader: &'r Reader<'r>,
    table: Option<&'r dyn TableLike>,
    path: String,
    offset: Option<usize>,
    layered: bool,
    known: Vec<&'static str>,
}

impl<'r> Section<'r> {
    /// The table `[key]`; empty where the file has none.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'r> {
        self.known.push(key);
        let item = self.table.and_then(|table| table.get(key));
        let table = item.and_then(Item::as_table_like);
        if item.is_some() && table.is_none() {
            self.problem(key, wrong("must be a table", format!("write it as [{key}] with its settings below")));
        }
        let offset = self.table.and_then(|table| Reader::offset_of(table, key)).or(self.offset);
        Section { reader: self.reader, table, path: self.key(key), offset, layered: self.layered, known: Vec::new() }
    }

    /// The tables `[[key]]`, in order, at most `max`.
    pub(super) fn sections(&mut self, key: &'static str, max: usize) -> Vec<Section<'r>> {
        self.known.push(key);
        let Some(item) = self.table.and_then(|table| table.get(key)) else { return Vec::new() };
        let Some(tables) = tables_of(item) else {
            self.problem(key, wrong("must be a list of tables", format!("write each as [[{key}]]")));
            return Vec::new();
        };
        if tables.len() > max {
            self.problem(key, wrong(format!("has {} entries, more than {max}", tables.len()), "split the site"));
        }
        let path = self.key(key);
        let section = |(index, (table, offset)): (usize, (&'r dyn TableLike, Option<usize>))| {
            let name = table.get("id").and_then(Item::as_str).map(str::to_owned);
            Section {
                reader: self.reader,
                table: Some(table),
                path: name.map_or_else(|| format!("{path}[{index}]"), |name| format!("{path}.{name}")),
                offset,
                layered: false,
                known: Vec::new(),
            }
        };
        tables.into_iter().take(max).enumerate().map(section).collect()
    }

    /// Refuses every key that nobody took.
    pub(super) fn finish(self) {
        for (key, _) in self.table.iter().flat_map(|table| table.iter()) {
            if !self.known.contains(&key) {
                self.problem(key, wrong("means nothing here", did_you_mean(key, self.known.iter().copied())));
            }
        }
    }

    /// Notes a mistake in `key`.
    pub(super) fn problem(&self, key: &str, wrong: Wrong) {
        self.reader.push(&self.place(key), wrong);
    }

    /// Where `key` stands, or would.
    pub(super) fn place(&self, key: &str) -> Place {
        let offset = self.table.and_then(|table| Reader::offset_of(table, key)).or(self.offset);
        Place { file: self.reader.file.to_owned(), offset, key: self.key(key) }
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Whether the setting is given anywhere.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// The setting, if it is given and `convert` likes it; a mistake is noted.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        convert: impl FnOnce(Raw<'_>) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.known.push(key);
        let full = self.key(key);
        let (place, found) = match self.reader.overrides.find(&full).filter(|_| self.layered) {
            Some(value) => {
                let place = Place { file: value.layer().to_owned(), offset: None, key: value.name(&full) };
                (place, convert(Raw::Text(value.text())))
            }
            None => (self.place(key), convert(Raw::Item(self.table.and_then(|table| table.get(key))?))),
        };
        found.map_err(|wrong| self.reader.push(&place, wrong)).ok()
    }

    /// Like [`Section::take`] for a setting that the layers above may give; remembers that it exists.
    pub(super) fn setting<T>(
        &mut self,
        key: &'static str,
        convert: impl FnOnce(Raw<'_>) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.reader.asked.borrow_mut().push(self.key(key));
        self.take(key, convert)
    }

    /// A required setting.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        remedy: &str,
        convert: impl FnOnce(Raw<'_>) -> Result<T, Wrong>,
    ) -> Option<T> {
        if !self.has(key) {
            self.known.push(key);
            self.reader.push(&Place { offset: self.offset, ..self.place(key) }, wrong("is missing", remedy));
            return None;
        }
        self.take(key, convert)
    }

    /// A list of paths, those that are relative counting from the folder of the file.
    pub(super) fn paths(&mut self, key: &'static str) -> Vec<PathBuf> {
        let folder = self.reader.folder;
        self.setting(key, |raw| texts(raw).map(|paths| paths.iter().map(|path| folder.join(path)).collect()))
            .unwrap_or_default()
    }

    /// A path, counting from the folder of the file when relative.
    pub(super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let folder = self.reader.folder;
        self.setting(key, |raw| filled(raw).map(|path| folder.join(path)))
    }
}

/// A text.
pub(super) fn text(raw: Raw<'_>) -> Result<String, Wrong> {
    match raw {
        Raw::Text(text) => Ok(text.to_owned()),
        Raw::Item(item) => item
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| wrong(format!("is {}, not a text", item.type_name()), "put it in quotes")),
    }
}

/// A text that is not empty.
pub(super) fn filled(raw: Raw<'_>) -> Result<String, Wrong> {
    text(raw).and_then(|text| match text.trim() {
        "" => Err(wrong("is empty", "fill it in, or remove the line")),
        _ => Ok(text),
    })
}

pub(super) fn texts(raw: Raw<'_>) -> Result<Vec<String>, Wrong> {
    let list = || wrong("must be a list of texts", "write it like [\"profiles\"]");
    match raw {
        Raw::Text(text) => Ok(text.split(':').filter(|part| !part.is_empty()).map(str::to_owned).collect()),
        Raw::Item(item) => {
            let array = item.as_array().ok_or_else(list)?;
            array.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(list)).collect()
        }
    }
}

/// An id: `[a-z0-9-]+`.
pub(super) fn id(raw: Raw<'_>) -> Result<String, Wrong> {
    let id = text(raw)?;
    let well_formed = !id.is_empty()
        && id.len() <= ID_MAX
        && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if well_formed {
        Ok(id)
    } else {
        let shown: String = id.chars().take(ID_MAX).collect();
        Err(wrong(
            format!("`{shown}` is no id"),
            format!("use lower-case letters, digits and `-`, at most {ID_MAX}: like turbine-1"),
        ))
    }
}

/// `true` or `false`.
pub(super) fn flag(raw: Raw<'_>) -> Result<bool, Wrong> {
    let flag = match raw {
        Raw::Item(item) => item.as_bool(),
        Raw::Text(text) => text.parse().ok(),
    };
    flag.ok_or_else(|| wrong("is neither true nor false", "write true or false, without quotes"))
}

/// One of these words; `what` they are.
pub(super) fn word<T: Copy>(raw: Raw<'_>, what: &str, words: &[(&str, T)]) -> Result<T, Wrong> {
    let text = text(raw)?;
    let known = words.iter().find(|(word, _)| *word == text);
    known.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let (last, others) = words.split_last().expect("there are words");
        wrong(format!("`{text}` is no {what}"), format!("write {} or {last}", others.join(", ")))
    })
}

/// A whole number in `range`.
pub(super) fn integer(raw: Raw<'_>, range: RangeInclusive<i64>) -> Result<i64, Wrong> {
    let remedy = || format!("write a whole number from {} to {}", range.start(), range.end());
    let number = match raw {
        Raw::Item(item) => item.as_integer(),
        Raw::Text(text) => text.parse().ok(),
    };
    match number {
        None => Err(wrong("is no whole number", remedy())),
        Some(number) if !range.contains(&number) => Err(wrong(format!("{number} is out of range"), remedy())),
        Some(number) => Ok(number),
    }
}

/// A positive number, with or without a point.
pub(super) fn positive(raw: Raw<'_>) -> Result<f64, Wrong> {
    let number = match raw {
        Raw::Item(item) => item.as_float().or_else(|| item.as_integer().map(|number| number as f64)),
        Raw::Text(text) => text.parse().ok(),
    };
    number
        .filter(|number| number.is_finite() && *number > 0.0)
        .ok_or_else(|| wrong("is no number above nought", "write it like 2.5"))
}

/// A duration in `range`.
pub(super) fn duration(raw: Raw<'_>, range: RangeInclusive<Duration>) -> Result<Duration, Wrong> {
    let bounds =
        || format!("write a duration from {:?} to {:?}, like 500ms, 10s, 15m or 24h", range.start(), range.end());
    let text = text(raw).map_err(|wrong| Wrong { remedy: bounds(), ..wrong })?;
    let duration = parse_duration(&text).map_err(|_| wrong(format!("`{text}` is no duration"), bounds()))?;
    if range.contains(&duration) { Ok(duration) } else { Err(wrong(format!("{text} is out of range"), bounds())) }
}

/// A duration of at most `max`.
pub(super) fn up_to(raw: Raw<'_>, max: Duration) -> Result<Duration, Wrong> {
    duration(raw, Duration::ZERO..=max)
}

/// What TOML itself does not like.
pub(super) fn syntax_problem(error: &TomlError, text: &str, file: &str) -> Problem {
    Problem {
        file: file.to_owned(),
        line: error.span().map(|span| line_at(text, span.start)),
        key: String::new(),
        message: error.message().replace('\n', ", "),
        remedy: "correct the line: key = value, texts in quotes, tables in brackets".to_owned(),
    }
}

/// A hint at the nearest of `known`, or all of them.
pub(super) fn did_you_mean<'k>(key: &str, known: impl Iterator<Item = &'k str>) -> String {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    known.dedup();
    match known.iter().map(|name| (distance(key, name), name)).min() {
        Some((steps, name)) if steps <= 1 + key.chars().count() / 3 => format!("did you mean `{name}`?"),
        _ if known.is_empty() => "remove it".to_owned(),
        _ => format!("known are {}", known.join(", ")),
    }
}

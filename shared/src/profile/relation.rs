//! Reads how a register leans on others: references, factors, signs, conditions, copies of itself.

use super::condition::*;
use super::fields::{Fields, Report};
use super::model::REPEAT_MAX;
use super::register::Names;

/// The index of the register that a key names.
pub(super) fn reference(
    report: &mut Report<'_>,
    table: &mut Fields<'_>,
    key: &'static str,
    names: &Names,
) -> Option<usize> {
    let name = table.name(report, key)?;
    let index = names.get(&name).copied();
    if index.is_none() {
        table.wrong(
            report,
            key,
            format!("names `{name}`, which is no register of this area"),
            "name a register of this area",
        );
    }
    index
}

/// The registers whose values a register is multiplied with.
pub(super) fn read_times(report: &mut Report<'_>, table: &mut Fields<'_>, names: &Names) -> Vec<usize> {
    let Some(factors) = table.texts(report, "times") else { return Vec::new() };
    indices(report, table, "times", &factors, names)
}

pub(super) fn read_sign(report: &mut Report<'_>, table: &mut Fields<'_>, names: &Names) -> Option<SignFrom> {
    let mut sign = table.table(report, "sign_from")?;
    let register = reference(report, &mut sign, "register", names);
    let register = sign.require(report, "register", register);
    let below = sign.flag(report, "below_zero").unwrap_or(false).then_some(Test::Between(i64::MIN, -1));
    let above = sign.flag(report, "above_zero").unwrap_or(false).then_some(Test::Between(1, i64::MAX));
    let negative = sign.integers(report, "negative").map(Test::Is).or(below).or(above);
    let negative = sign.require(report, "negative", negative);
    sign.finish(report);
    Some(SignFrom { register: register?, negative: negative? })
}

pub(super) fn read_condition(report: &mut Report<'_>, table: &mut Fields<'_>, names: &Names) -> Option<Condition> {
    let mut condition = table.table(report, "valid_when")?;
    let register = reference(report, &mut condition, "register", names);
    let register = condition.require(report, "register", register);
    let test = read_test(report, &mut condition);
    if test.is_none() {
        let remedy = "write `is = [1]`, `not = [0]`, `at_least = 1` or `at_most = 9`";
        condition.wrong(report, "is", "needs one of `is`, `not` and limits", remedy);
    }
    condition.finish(report);
    Some(Condition { register: register?, test: test? })
}

/// A test of a raw number: one of `is`, `not`, or the limits `at_least` and `at_most`.
pub(super) fn read_test(report: &mut Report<'_>, table: &mut Fields<'_>) -> Option<Test> {
    let is = table.one_or_more(report, "is");
    let not = table.one_or_more(report, "not");
    let least: Option<i64> = table.integer(report, "at_least", i64::MIN..=i64::MAX);
    let most: Option<i64> = table.integer(report, "at_most", i64::MIN..=i64::MAX);
    match (is, not, least.is_some() || most.is_some()) {
        (Some(numbers), None, false) => Some(Test::Is(numbers)),
        (None, Some(numbers), false) => Some(Test::Not(numbers)),
        (None, None, true) => Some(Test::Between(least.unwrap_or(i64::MIN), most.unwrap_or(i64::MAX))),
        _ => None,
    }
}

pub(super) fn read_expect(report: &mut Report<'_>, table: &mut Fields<'_>) -> Option<Expect> {
    let mut expect = table.table(report, "expect")?;
    let begins = expect.text(report, "begins");
    let test = read_test(report, &mut expect);
    if begins.is_some() == test.is_some() {
        let remedy = "write `begins = \"AGC150\"` for a text, `is = [7]` or the like for a number";
        expect.wrong(report, "is", "needs one of `begins`, `is`, `not` and limits", remedy);
    }
    expect.finish(report);
    begins.map(Expect::Begins).or(test.map(Expect::Number))
}

/// Registers of one kind, a step apart.
pub(super) struct Repeat {
    pub(super) count: u16,
    pub(super) step: i64,
    /// The number of the first.
    pub(super) from: i64,
    /// The register that tells how many there are, where devices differ.
    pub(super) count_from: Option<usize>,
}

impl Repeat {
    /// The name of a copy: that of the register, with its number.
    pub(super) fn name(repeat: Option<&Repeat>, name: &str, copy: usize) -> String {
        repeat.map_or_else(|| name.to_owned(), |repeat| format!("{name}_{}", repeat.from + copy as i64))
    }

    /// What makes the device have this copy.
    pub(super) fn condition(&self, copy: u16) -> Option<Condition> {
        let register = self.count_from?;
        Some(Condition { register, test: Test::Between(i64::from(copy) + 1, i64::MAX) })
    }
}

/// `names` are not known yet when the copies are counted.
pub(super) fn read_repeat(report: &mut Report<'_>, table: &mut Fields<'_>, names: Option<&Names>) -> Option<Repeat> {
    let mut repeat = table.table(report, "repeat")?;
    let count = repeat.integer(report, "count", 1..=REPEAT_MAX);
    let count = repeat.require(report, "count", count);
    let step = repeat.integer(report, "step", 1..=65_535);
    let step = repeat.require(report, "step", step);
    let from = repeat.integer(report, "from", 0..=999).unwrap_or(1);
    let count_from = match names {
        // Nothing to count by, as in a write.
        Some(names) if names.is_empty() => None,
        Some(names) => reference(report, &mut repeat, "count_from", names),
        None => {
            repeat.has("count_from");
            None
        }
    };
    repeat.finish(report);
    Some(Repeat { count: count?, step: step?, from, count_from })
}

/// The indices of the registers that a list under a key names.
pub(super) fn indices(
    report: &mut Report<'_>,
    table: &Fields<'_>,
    key: &str,
    list: &[String],
    names: &Names,
) -> Vec<usize> {
    let mut indices = Vec::with_capacity(list.len());
    for name in list {
        match names.get(name) {
            Some(&index) => indices.push(index),
            None => {
                let message = format!("names `{name}`, which is no register of this area");
                table.wrong(report, key, message, "name registers of this area");
            }
        }
    }
    indices
}

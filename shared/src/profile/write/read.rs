//! Reads the `[[write]]` tables of a profile.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use super::*;
use crate::profile::fields::{Fields, Report};
use crate::profile::kind::{Kind, Order};
use crate::profile::model::Area;
use crate::profile::parse::read_models;
use crate::profile::register::ORDERS;
use crate::profile::relation::{Repeat, read_repeat, read_test};

pub(in crate::profile) const FUNCTIONS: &[(&str, WriteFunction)] = &[
    ("coil", WriteFunction::Coil),
    ("coils", WriteFunction::Coils),
    ("register", WriteFunction::Register),
    ("registers", WriteFunction::Registers),
];
/// The types that can be written.
pub(in crate::profile) const KINDS: &[(&str, Kind)] =
    &[("u16", Kind::U16), ("i16", Kind::I16), ("u32", Kind::U32), ("i32", Kind::I32)];
pub(in crate::profile) const ACCESSES: &[(&str, Access)] = &[("rw", Access::ReadWrite), ("wo", Access::WriteOnly)];
/// What function code 5 sends for on and for off, and what the coil then reads.
const COIL: [(i64, i64); 2] = [(0xFF00, 1), (0, 0)];
/// In what time devices fall back.
pub(in crate::profile) const REFRESH: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);

/// The writes of a profile, copies of repeated ones included. `discovers`: models are found.
pub(in crate::profile) fn read_writes(
    report: &mut Report<'_>,
    top: &mut Fields<'_>,
    areas: &[Area],
    discovers: bool,
) -> Vec<Write> {
    let tables = top.tables(report, "write");
    let mut writes = Vec::new();
    let mut lines = HashMap::new();
    for mut table in tables {
        let repeat = read_repeat(report, &mut table, Some(&HashMap::new()));
        for copy in 0..repeat.as_ref().map_or(1, |repeat| repeat.count) {
            let mut place = Place { report: &mut *report, areas, discovers, repeat: repeat.as_ref(), copy };
            let write = place.write(&mut table);
            if let Some(first) = write.as_ref().and_then(|write| lines.insert(write.name.clone(), table.line)) {
                let message = format!("is also the name of the write in line {first}");
                table.wrong(report, "name", message, "choose another name");
            }
            writes.extend(write);
        }
        table.finish(report);
    }
    if writes.len() > WRITES_MAX {
        top.wrong(report, "write", format!("are {}", writes.len()), format!("keep to {WRITES_MAX}"));
        writes.truncate(WRITES_MAX);
    }
    writes
}

/// One copy of a table, and what its references may name.
struct Place<'p, 'r> {
    report: &'p mut Report<'r>,
    areas: &'p [Area],
    discovers: bool,
    repeat: Option<&'p Repeat>,
    copy: u16,
}

impl Place<'_, '_> {
    fn write(&mut self, table: &mut Fields<'_>) -> Option<Write> {
        let name = table.name(self.report, "name");
        let name = table.require(self.report, "name", name)?;
        let name = Repeat::name(self.repeat, &name, self.copy.into());
        let unit = table.integer(self.report, "unit", 1..=255);
        let models = match table.integers(self.report, "models") {
            Some(models) => read_models(self.report, table, &models),
            None => Vec::new(),
        };
        if !models.is_empty() && !self.discovers {
            table.wrong(self.report, "models", "needs `[discovery]`", "add `[discovery]`, or remove `models`");
        }
        let target = self.target(table, true)?;
        let access = table.word(self.report, "access", ACCESSES).unwrap_or(Access::ReadWrite);
        let complement = table.flag(self.report, "complement").unwrap_or(false);
        self.check_complement(table, complement, access, target);
        let (shows, within, reads) = self.read_back(table, (&name, unit, &models), target, access)?;
        let elsewhere = access == Access::WriteOnly || shows.name != name;
        let allowed = self.allowed(table, target, elsewhere, reads);
        let refresh = table.duration(self.report, "refresh", REFRESH);
        let unlock = self.unlock(table, unit);
        let allowed_when = self.guards(table);
        Some(Write {
            name,
            unit,
            models,
            target,
            access,
            allowed: allowed?,
            complement,
            unlock,
            allowed_when,
            shows,
            within,
            refresh,
            warns: table.text(self.report, "warns"),
        })
    }

    /// Where a table writes: the write itself (its address moves when `repeated`), or a step before it.
    fn target(&mut self, table: &mut Fields<'_>, repeated: bool) -> Option<Target> {
        let function = table.word(self.report, "function", FUNCTIONS);
        let function = table.require(self.report, "function", function)?;
        let at: Option<i64> = table.integer(self.report, "at", 0..=65_535);
        let at = table.require(self.report, "at", at)?;
        let kind = table.word(self.report, "type", KINDS);
        let kind = match (function, kind) {
            (WriteFunction::Coils, None) => Kind::Bit,
            (_, kind) => kind.unwrap_or(Kind::U16),
        };
        let form = Form {
            kind,
            word_order: table.word(self.report, "word_order", ORDERS).unwrap_or(Order::HighFirst),
            byte_order: table.word(self.report, "byte_order", ORDERS).unwrap_or(Order::HighFirst),
            mask: None,
        };
        match function {
            WriteFunction::Coils if kind != Kind::Bit => {
                table.wrong(self.report, "type", "does not fit a coil", "remove it: a coil is 0 or 1");
            }
            WriteFunction::Coil | WriteFunction::Register if kind.width() != 1 => {
                let remedy = "take a type of 16 bits, or `function = \"registers\"`";
                table.wrong(self.report, "type", "is wider than what this function writes", remedy);
            }
            _ => {}
        }
        let step = self.repeat.filter(|_| repeated).map_or(0, |repeat| i64::from(self.copy) * repeat.step);
        let Ok(first) = u16::try_from(at + step) else {
            table.wrong(self.report, "repeat", "leaves the addresses", "repeat less often, or with a smaller step");
            return None;
        };
        if first.checked_add(kind.width() - 1).is_none() {
            let line = table.line_of(self.report, "at");
            self.report.add(line, &table.path, "ends beyond address 65535", "correct `at` or the type");
        }
        Some(Target { function, at: first, form })
    }

    fn check_complement(&mut self, table: &Fields<'_>, complement: bool, access: Access, target: Target) {
        let wide = target.function != WriteFunction::Registers || target.form.kind != Kind::U16;
        if complement && (wide || access != Access::WriteOnly) {
            let message = "needs a number of 16 bits, two registers, and another register that shows what it did";
            let remedy = "write `function = \"registers\"`, `type = \"u16\"`, `access = \"wo\"` and `read_back`";
            table.wrong(self.report, "complement", message, remedy);
        }
    }

    /// Where the value shows, within what time, and what number then, if that is always the same.
    fn read_back(
        &mut self,
        table: &mut Fields<'_>,
        (name, unit, models): (&str, Option<u8>, &[u16]),
        target: Target,
        access: Access,
    ) -> Option<(Seen, Duration, Option<i64>)> {
        let own = Seen {
            name: name.to_owned(),
            unit,
            function: target.function.reads(),
            models: models.to_vec(),
            at: target.at,
            count: target.form.kind.width(),
            form: Some(match target.function {
                WriteFunction::Coil => Form { kind: Kind::Bit, ..target.form },
                _ => target.form,
            }),
        };
        let Some(mut back) = table.table(self.report, "read_back") else {
            if access == Access::WriteOnly {
                let remedy = "name a register that shows what was written; what shows nowhere is not written";
                table.wrong(self.report, "read_back", "is missing although this cannot be read itself", remedy);
            }
            return Some((own, WITHIN, None));
        };
        let within = back.duration(self.report, "within", Duration::ZERO..=WITHIN_MAX).unwrap_or(WITHIN);
        let reads = back.integer(self.report, "reads", i64::MIN..=i64::MAX);
        let shows = match back.has("register") {
            true => self.seen(&mut back, "register", true),
            false if access == Access::WriteOnly => {
                let remedy = "name the register that shows what was written";
                back.wrong(self.report, "register", "is needed where this cannot be read itself", remedy);
                None
            }
            false => Some(own),
        };
        back.finish(self.report);
        Some((shows?, within, reads))
    }

    /// The register of the profile that a key names, as `area.register`.
    fn seen(&mut self, table: &mut Fields<'_>, key: &'static str, understood: bool) -> Option<Seen> {
        let name = table.text(self.report, key)?;
        let number = self.repeat.map(|repeat| (repeat.from + i64::from(self.copy)).to_string());
        let name = number.map_or(name.clone(), |number| name.replace('#', &number));
        let found = self.areas.iter().find_map(|area| {
            let (of, register) = name.split_once('.')?;
            let register = area.registers.iter().find(|known| of == area.name && known.name == register)?;
            Some((area, register))
        });
        let Some((area, register)) = found else {
            let remedy = "write it as `area.register`, such as `main.mode`";
            table.wrong(self.report, key, format!("names `{name}`, which is no register of this profile"), remedy);
            return None;
        };
        let kind = register.kind;
        let form = Form { kind, word_order: register.word_order, byte_order: register.byte_order, mask: register.mask };
        let whole = !(kind.is_text() || kind.is_float() || matches!(kind, Kind::Bcd16 | Kind::Sm16));
        if understood && !whole {
            let message = format!("names `{name}`, which holds no plain whole number");
            table.wrong(self.report, key, message, "name a register of another type");
        }
        Some(Seen {
            unit: area.unit,
            function: area.function,
            models: area.models.clone(),
            at: register.at,
            count: register.width(),
            form: whole.then_some(form),
            name,
        })
    }

    /// The values, by name or as a range.
    fn allowed(
        &mut self,
        table: &mut Fields<'_>,
        target: Target,
        elsewhere: bool,
        reads: Option<i64>,
    ) -> Option<Allowed> {
        let scale = table.decimal(self.report, "scale");
        let offset = table.decimal(self.report, "offset");
        let range = table.has("range").then(|| table.decimals(self.report, "range"));
        let named = table.has("values");
        match (named, range) {
            (true, None) => {
                if reads.is_some() || scale.is_some() || offset.is_some() {
                    let remedy = "write `reads` beside each value, and remove `scale` and `offset`";
                    table.wrong(self.report, "values", "stand beside keys of a range", remedy);
                }
                self.named(table, target, elsewhere).map(Allowed::Named)
            }
            (false, Some(range)) => {
                let scale = scale.unwrap_or(Decimal::ONE);
                self.range(table, target, range?, scale, offset.unwrap_or(Decimal::ZERO), reads)
            }
            _ => {
                let remedy = "write `values = [{ name = \"on\", raw = 1 }, …]` or `range = [0, 100]`";
                table.wrong(self.report, "values", "needs one of `values` and `range`", remedy);
                None
            }
        }
    }

    fn named(&mut self, table: &mut Fields<'_>, target: Target, elsewhere: bool) -> Option<Vec<Named>> {
        let mut values: Vec<Named> = Vec::new();
        for mut entry in table.tables(self.report, "values") {
            let name = entry.name(self.report, "name");
            let name = entry.require(self.report, "name", name);
            let raw: Option<i64> = entry.integer(self.report, "raw", i64::MIN..=i64::MAX);
            let raw = entry.require(self.report, "raw", raw);
            let reads = entry.integer(self.report, "reads", i64::MIN..=i64::MAX);
            if raw.is_some_and(|raw| !fits(target.form.kind, raw)) {
                let message = format!("does not fit {} bits", target.form.kind.bits());
                entry.wrong(self.report, "raw", message, "write a number of the type");
            }
            let usual = raw.and_then(|raw| match target.function {
                WriteFunction::Coil => COIL.iter().find(|(sent, _)| *sent == raw).map(|(_, reads)| *reads),
                _ if elsewhere => None,
                _ => Some(raw),
            });
            let reads = reads.or(usual);
            if raw.is_some() && reads.is_none() {
                let remedy = "add `reads = …`, the number that `read_back` then holds";
                entry.wrong(self.report, "reads", "is missing: what shows is not what is written", remedy);
            }
            if let (Some(name), Some(raw), Some(reads)) = (name, raw, reads) {
                if values.iter().any(|other| other.name == name) {
                    entry.wrong(self.report, "name", "is there twice", "give each value its own name");
                }
                values.push(Named { name, raw, reads });
            }
            entry.finish(self.report);
        }
        if values.is_empty() || values.len() > WRITE_PARTS_MAX {
            table.wrong(self.report, "values", "are none or too many", format!("keep to {WRITE_PARTS_MAX}"));
        }
        Some(values)
    }

    fn range(
        &mut self,
        table: &Fields<'_>,
        target: Target,
        (low, high): (Decimal, Decimal),
        scale: Decimal,
        offset: Decimal,
        reads: Option<i64>,
    ) -> Option<Allowed> {
        if scale.is_zero() || target.form.kind == Kind::Bit {
            table.wrong(self.report, "range", "has no steps", "write `values`, or a `scale` that is not 0");
            return None;
        }
        let ends = [low, high].map(|end| number::raw(end, scale, offset));
        let in_order = number::lies_between(high, low, high);
        if !in_order || ends.iter().any(|end| end.is_none_or(|raw| !fits(target.form.kind, raw))) {
            let remedy = "write [lowest, highest], both whole steps of `scale` that the type can hold";
            table.wrong(self.report, "range", "is none that can be written", remedy);
            return None;
        }
        Some(Allowed::Range { low, high, scale, offset, reads })
    }

    fn guards(&mut self, table: &mut Fields<'_>) -> Vec<Guard> {
        let mut guards = Vec::new();
        for mut entry in table.tables(self.report, "allowed_when").into_iter().take(WRITE_PARTS_MAX) {
            let seen = self.seen(&mut entry, "register", true);
            let seen = entry.require(self.report, "register", seen);
            let test = read_test(self.report, &mut entry);
            if test.is_none() {
                let remedy = "write `is = [1]`, `not = [0]`, `at_least = 1` or `at_most = 9`";
                entry.wrong(self.report, "is", "needs one of `is`, `not` and limits", remedy);
            }
            if let (Some(seen), Some(test)) = (seen, test) {
                guards.push(Guard { seen, test });
            }
            entry.finish(self.report);
        }
        guards
    }

    fn unlock(&mut self, table: &mut Fields<'_>, unit: Option<u8>) -> Vec<Unlock> {
        let mut steps = Vec::new();
        for mut entry in table.tables(self.report, "unlock").into_iter().take(WRITE_PARTS_MAX) {
            let target = self.target(&mut entry, false);
            let raw: Option<i64> = entry.integer(self.report, "raw", i64::MIN..=i64::MAX);
            let copied = entry.has("register");
            let seen = if copied { self.seen(&mut entry, "register", false) } else { None };
            let with = match (raw, seen) {
                (Some(raw), None) if !copied => {
                    if target.is_some_and(|target| !fits(target.form.kind, raw)) {
                        entry.wrong(self.report, "raw", "does not fit the type", "write a number of the type");
                    }
                    Some(Key::Raw(raw))
                }
                (None, Some(seen)) => Some(Key::Copy(seen)),
                (None, None) if copied => None,
                _ => {
                    let remedy = "write `raw = 7`, or `register = \"identity.serial\"` to write what that holds";
                    entry.wrong(self.report, "raw", "needs one of `raw` and `register`", remedy);
                    None
                }
            };
            if let (Some(target), Some(with)) = (target, with) {
                if matches!(&with, Key::Copy(seen) if seen.count > 1 && target.function != WriteFunction::Registers) {
                    let remedy = "write `function = \"registers\"`";
                    entry.wrong(self.report, "register", "holds more than this function writes", remedy);
                }
                steps.push(Unlock { unit, target, with });
            }
            entry.finish(self.report);
        }
        steps
    }
}

/// Whether a raw number has room in the type.
fn fits(kind: Kind, raw: i64) -> bool {
    let bits = kind.bits();
    if kind.is_signed() { (-(1 << (bits - 1))..1 << (bits - 1)).contains(&raw) } else { (0..1 << bits).contains(&raw) }
}

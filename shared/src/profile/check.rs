//! What a profile must fulfil beyond its grammar, so that no register is read or decoded wrongly.

use std::collections::HashMap;

use super::condition::*;
use super::decimal::Decimal;
use super::fields::Report;
use super::kind::Kind;
use super::model::*;
use super::write::Write;
use crate::metric::Metric;

/// Reports what is wrong between the parts of a profile.
pub(super) fn check(profile: &Profile, report: &mut Report<'_>) {
    check_sources(profile, report);
    for area in &profile.areas {
        check_place(profile, area, report);
        let used = used_by_others(area);
        for (index, register) in area.registers.iter().enumerate() {
            let mut at = At { report, area, line: register.line, key: register_key(area, register) };
            check_addresses(&mut at, register);
            check_number(&mut at, register);
            check_references(&mut at, register);
            let used = used[index] || is_looked_at(profile, area, register);
            if register.feeds == Feeds::Others && register.expect.is_none() && !used {
                at.wrong(
                    "feeds nothing",
                    "add `metric`, `identity`, `alarms`, `clock` or `expect`, refer to it, or remove it",
                );
            }
        }
        for computed in &area.computed {
            let key = format!("area.{}.computed.{}", area.name, computed.metric);
            check_computed(&mut At { report, area, line: computed.line, key }, computed);
        }
    }
    check_metrics_once(profile, report);
}

/// A place in the file, to report at.
struct At<'r, 'f, 'a> {
    report: &'r mut Report<'f>,
    area: &'a Area,
    line: usize,
    key: String,
}

impl At<'_, '_, '_> {
    fn wrong(&mut self, message: impl Into<String>, remedy: impl Into<String>) {
        self.report.add(self.line, &self.key, message, remedy);
    }
}

fn register_key(area: &Area, register: &Register) -> String {
    format!("area.{}.registers.{}", area.name, register.name)
}

fn check_sources(profile: &Profile, report: &mut Report<'_>) {
    if profile.sources.iter().any(|source| source.trim().is_empty()) {
        report.add(1, "sources", "holds an empty text", "name the document, its version and page");
    }
}

/// Areas of SunSpec models need discovery, and discovery needs models.
fn check_place(profile: &Profile, area: &Area, report: &mut Report<'_>) {
    let key = format!("area.{}.models", area.name);
    let line = area.registers.first().map_or(1, |register| register.line);
    match (&profile.discovery, area.models.is_empty()) {
        (None, false) => report.add(line, &key, "needs `[discovery]`", "add `[discovery]`, or remove `models`"),
        (Some(_), true) => {
            report.add(line, &key, "is missing although addresses are discovered", "add `models = [101, …]`");
        }
        _ => {}
    }
}

fn check_addresses(at: &mut At<'_, '_, '_>, register: &Register) {
    let (first, width) = (u32::from(register.at), u32::from(register.width()));
    let last = first + width - 1;
    if last > u32::from(u16::MAX) {
        at.wrong(format!("ends at address {last}, beyond 65535"), "correct `at` or the type");
    }
    let most = at.area.registers_max;
    if register.width() > most {
        let message = format!("takes {width} registers, and one request of this area reads {most}");
        at.wrong(message, "raise `registers_max`, or remove the register");
    }
    let hits =
        |range: &std::ops::RangeInclusive<u16>| u32::from(*range.start()) <= last && u32::from(*range.end()) >= first;
    if let Some(range) = at.area.forbidden.iter().find(|range| hits(range)) {
        let message = format!("lies in the forbidden addresses {} to {}", range.start(), range.end());
        at.wrong(message, "correct `at`, or the forbidden range");
    }
}

/// Scale, offset, resolution, limits and modulus must suit type and metric.
fn check_number(at: &mut At<'_, '_, '_>, register: &Register) {
    let kind = register.kind;
    let measured = at
        .area
        .computed
        .iter()
        .any(|computed| computed.from.iter().any(|&index| std::ptr::eq(&at.area.registers[index], register)));
    if register.scale.is_zero() {
        at.wrong("has the scale 0", "write the factor that turns the raw number into the metric's unit");
    }
    if register.modulus.is_some_and(|modulus| kind.bits() < 64 && modulus > 1 << kind.bits())
        || kind.is_float() && register.modulus.is_some()
    {
        at.wrong(
            "has a modulus that its type cannot reach",
            "write the count at which the raw number begins again at 0",
        );
    }
    if let Some((low, high)) = register.plausible
        && low.as_f64() >= high.as_f64()
    {
        at.wrong("has no plausible value", "write `plausible = [lowest, highest]`");
    }
    if register
        .mask
        .is_some_and(|mask| kind.bits() < 64 && mask >> kind.bits() != 0 || kind.is_float() || kind.is_text())
    {
        at.wrong("has a mask that its type has no bits for", "write the bits that count, such as 0x00F0");
    }
    let plain = register.scale == Decimal::ONE
        && register.offset.is_zero()
        && register.scale_from.is_none()
        && register.sign_from.is_none()
        && register.times.is_empty()
        && register.resolution.is_none()
        && register.plausible.is_none();
    match &register.feeds {
        Feeds::Metric { metric, .. } => {
            if kind.is_text() || kind.is_bits() {
                at.wrong("is no number, so it feeds no metric", "choose another type, or `identity` or `alarms`");
            }
            if (kind.is_float() || !register.times.is_empty()) && register.resolution.is_none() {
                at.wrong(
                    "is a float or a product without `resolution`",
                    "add the step that the device really resolves, in the metric's unit",
                );
            }
            check_unit(at, *metric, register.scale, register.offset, register.resolution, register.plausible);
        }
        Feeds::Alarms(alarms) => check_alarms(at, register, alarms),
        Feeds::Identity(_) if kind.is_float() || kind.is_bits() => {
            at.wrong("is neither text nor a whole number, so it is no identity", "choose another type");
        }
        Feeds::Clock(_) if kind.is_float() || kind.is_text() || kind.is_bits() || kind.bits() < 32 => {
            at.wrong("cannot count the seconds since 1970, so it is no clock", "choose u32, i32, u64 or i64");
        }
        Feeds::Clock(_) if register.poll != Poll::Demand => {
            at.wrong("is a clock that is polled", "write `poll = \"demand\"`: it is read where a site trusts it");
        }
        Feeds::Clock(_) | Feeds::Identity(_) | Feeds::Others => {}
    }
    let factor = at
        .area
        .registers
        .iter()
        .flat_map(|other| &other.times)
        .any(|&index| std::ptr::eq(&at.area.registers[index], register));
    if !plain && !measured && !factor && !matches!(register.feeds, Feeds::Metric { .. }) {
        at.wrong(
            "is scaled but not measured",
            "remove scale, offset, resolution, sign and plausible range, or add `metric`",
        );
    }
}

/// Decimals must be whole multiples of the metric's fixed unit, so that arithmetic stays exact.
fn check_unit(
    at: &mut At<'_, '_, '_>,
    metric: Metric,
    scale: Decimal,
    offset: Decimal,
    resolution: Option<Decimal>,
    plausible: Option<(Decimal, Decimal)>,
) {
    let info = metric.info();
    let exponent = i32::from(info.exponent);
    let fits = |decimal: Decimal| decimal.in_units_of(exponent);
    let unit = format!("whole multiples of 1e{exponent} {} are kept", info.unit);
    if scale.exponent < exponent && resolution.is_none() {
        at.wrong(format!("scales by {scale}, finer than {metric} is kept"), format!("add `resolution`: {unit}"));
    }
    if fits(offset).is_none() {
        at.wrong(format!("has the offset {offset}, finer than {metric} is kept"), unit.clone());
    }
    if resolution.is_some_and(|step| fits(step).is_none_or(|step| step <= 0)) {
        at.wrong(format!("has a resolution that {metric} cannot keep"), unit.clone());
    }
    if plausible.is_some_and(|(low, high)| fits(low).is_none() || fits(high).is_none()) {
        at.wrong(format!("has a plausible range that {metric} cannot keep"), unit);
    }
}

fn check_alarms(at: &mut At<'_, '_, '_>, register: &Register, alarms: &[AlarmBit]) {
    if alarms.is_empty() {
        at.wrong("lists no alarms", "add `{ bit = 0, name = …, severity = … }`");
    }
    if register.kind.is_text() {
        at.wrong("is no number, so it tells no alarms", "choose bits16, bits32 or a number");
    }
    let beyond = |alarm: &&AlarmBit| matches!(alarm.when, AlarmWhen::Bit(bit) if bit >= register.kind.bits());
    if let Some(alarm) = alarms.iter().find(beyond) {
        let message = format!("has no bit for alarm `{}`", alarm.name);
        at.wrong(message, format!("count bits from 0 to {}", register.kind.bits().saturating_sub(1)));
    }
}

/// What a register looks at must be a number.
fn check_references(at: &mut At<'_, '_, '_>, register: &Register) {
    let area = at.area;
    if let Some(index) = register.scale_from
        && area.registers[index].kind != Kind::I16
    {
        at.wrong(
            format!("takes its scale from `{}`, which is no i16", area.registers[index].name),
            "make that register i16",
        );
    }
    for &index in &register.times {
        let factor = &area.registers[index];
        if factor.kind.is_text() || factor.kind.is_bits() || !factor.times.is_empty() || factor.scale_from.is_some() {
            let message = format!("is multiplied with `{}`, which is no plain number", factor.name);
            at.wrong(message, "name registers that are numbers with a fixed scale");
        }
    }
    if matches!(
        (&register.expect, register.kind.is_text()),
        (Some(Expect::Begins(_)), false) | (Some(Expect::Number(_)), true)
    ) {
        at.wrong("expects what its type cannot hold", "write `begins` for a text, `is` or the like for a number");
    }
    if register.expect.is_some() && register.poll == Poll::Demand {
        at.wrong("expects something but is never read by polling", "poll it `once`, or remove `expect`");
    }
    if at.area.function.reads_bits() != (register.kind == Kind::Bit) {
        at.wrong(
            "has a type that its function does not read",
            "coils and discrete inputs are of type `bit`, registers of the others",
        );
    }
    let sign = register.sign_from.as_ref().map(|sign| sign.register);
    let condition = register.valid_when.as_ref().map(|condition| condition.register);
    for index in [sign, condition].into_iter().flatten() {
        let other = &area.registers[index];
        if other.kind.is_text() {
            at.wrong(format!("looks at `{}`, which is no number", other.name), "name a register that is a number");
        }
    }
}

fn check_computed(at: &mut At<'_, '_, '_>, computed: &Computed) {
    let info = computed.metric.info();
    check_unit(at, computed.metric, Decimal::ONE, Decimal::ZERO, Some(computed.resolution), None);
    for &index in &computed.from {
        let register = &at.area.registers[index];
        if register.kind.is_text() || register.kind.is_bits() {
            at.wrong(
                format!("is computed from `{}`, which is no number", register.name),
                "name registers that are numbers",
            );
        }
        if register.offset.in_units_of(info.exponent.into()).is_none() {
            at.wrong(format!("cannot keep the offset of `{}`", register.name), "write a coarser offset");
        }
        // An x_ metric has no unit of its own in the catalogue, so nothing to compare.
        if let Feeds::Metric { metric, .. } = register.feeds
            && metric.number().is_some()
            && (metric.info().unit, metric.info().exponent) != (info.unit, info.exponent)
        {
            let message =
                format!("is computed from `{}`, which is in {}, not {}", register.name, metric.info().unit, info.unit);
            at.wrong(message, "name registers that are scaled to the same unit");
        }
    }
}

/// By register: whether another one, or a computed value, refers to it.
fn used_by_others(area: &Area) -> Vec<bool> {
    let mut used = vec![false; area.registers.len()];
    let references = area.registers.iter().flat_map(Register::depends_on);
    let parts = area.computed.iter().flat_map(|computed| computed.from.iter().copied());
    references.chain(parts).for_each(|index| used[index] = true);
    used
}

/// Whether a write looks at it.
fn is_looked_at(profile: &Profile, area: &Area, register: &Register) -> bool {
    let name = format!("{}.{}", area.name, register.name);
    profile.writes.iter().flat_map(Write::looks_at).any(|seen| seen.name == name)
}

/// A metric has one source, unless the later ones say that they are a fallback, or their areas
/// are alternatives.
fn check_metrics_once(profile: &Profile, report: &mut Report<'_>) {
    let mut sources: HashMap<Metric, Vec<(usize, &Area)>> = HashMap::new();
    for area in &profile.areas {
        let measured = area.registers.iter().filter_map(|register| match register.feeds {
            Feeds::Metric { metric, fallback } => Some((metric, fallback, register.line, register_key(area, register))),
            _ => None,
        });
        let computed = area.computed.iter().map(|computed| {
            let key = format!("area.{}.computed.{}", area.name, computed.metric);
            (computed.metric, computed.fallback, computed.line, key)
        });
        for (metric, fallback, line, key) in measured.chain(computed) {
            let earlier = sources.entry(metric).or_default();
            let alternative =
                |other: &Area| !std::ptr::eq(other, area) && other.one_of.is_some() && other.one_of == area.one_of;
            match earlier.iter().find(|(_, other)| !alternative(other)) {
                Some((first, _)) if !fallback => {
                    let message = format!("feeds {metric}, as line {first} does");
                    report.add(line, &key, message, "remove one, or write `fallback = true` at the second choice");
                }
                None if fallback => {
                    report.add(
                        line,
                        &key,
                        "is a fallback for nothing",
                        "remove `fallback`, or list it after the first choice",
                    );
                }
                _ => earlier.push((line, area)),
            }
        }
    }
}

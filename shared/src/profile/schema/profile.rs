//! The schema of profiles.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::model::*;
use super::super::parse::{CONFIDENCES, FUNCTIONS, PARITIES, POLLS};
use super::super::register::{CLOCKS, IDENTITIES, KINDS, OPERATIONS, ORDERS, REASONS};
use crate::metric::CATALOGUE;
use crate::schema::{any_list, duration, either, file, flag, integer, list, matching, number, table, text, word};
use crate::words::{DeviceType, Severity};

pub(super) const NAME: &str = "^[a-z0-9_-]{1,48}$";
pub(super) const ADDRESS_MAX: i64 = 65_535;
pub(super) const ANY: std::ops::RangeInclusive<i64> = i64::MIN..=i64::MAX;

/// The schema of `<maker>-<model>.toml`.
pub(super) fn schema() -> Value {
    let kinds = KINDS.iter().filter(|(_, kind)| !kind.is_text());
    let sentinels: Vec<_> =
        kinds.map(|&(word, _)| (word, sentinels(&format!("What no {word} holds as a value")))).collect();
    file(
        "RiverWatts device profile",
        "What the registers of one family of devices mean",
        &[
            ("format", integer("Version of the format", FORMAT..=FORMAT)),
            ("manufacturer", text("Who makes it, for devices that do not tell")),
            ("model", text("The model or family, for devices that do not tell")),
            (
                "device",
                word(
                    "What kind of machine it is",
                    &DeviceType::ALL.iter().map(|device| (device.word(), ())).collect::<Vec<_>>(),
                ),
            ),
            ("kind", matching("A narrower word, such as meter or radar", NAME)),
            (
                "confidence",
                word(
                    "How sure the registers are: high: the manufacturer's document or two independent tested implementations; medium: one maintained implementation; low: community text, or sources in conflict",
                    CONFIDENCES,
                ),
            ),
            ("sources", list("The documents, with version and page", text("A document"))),
            ("link", link()),
            ("discovery", discovery()),
            ("sentinels", table("What is no value, for every register of a type", &sentinels, &[])),
            ("area", list("Registers that are read alike; a request never crosses areas", area())),
            ("write", any_list("What can be written; nothing else can", super::write::schema())),
        ],
        &["format", "manufacturer", "model", "device", "confidence", "sources", "area"],
    )
}

fn link() -> Value {
    table(
        "Defaults of the link, which edge.toml overrides",
        &[
            ("unit", integer("Unit id (Modbus address) of a device as it leaves the factory", 0..=255)),
            ("baud", integer("Serial speed, bit/s", 300..=1_000_000)),
            ("parity", word("Serial parity", PARITIES)),
            ("stop_bits", integer("Serial stop bits", 1..=2)),
            (
                "quiet",
                duration(
                    "Silence before a request, where the device needs more than Modbus asks",
                    Duration::ZERO..=QUIET_MAX,
                ),
            ),
            ("timeout", duration("How long an answer may take", TIMEOUT)),
            (
                "retries",
                integer(
                    "How often a request that got no answer, or a bad frame, is asked again within a poll; 0 unless set",
                    0..=RETRIES_MAX.into(),
                ),
            ),
            ("one_request", flag("Whether the device closes the connection after each answer")),
        ],
        &[],
    )
}

fn discovery() -> Value {
    table(
        "How the addresses of a SunSpec device are found",
        &[
            ("kind", word("The way of finding them", &[("sunspec", ())])),
            (
                "bases",
                list(
                    "Addresses at which the marker may stand, in the order to try them",
                    address("An address on the wire"),
                ),
            ),
            ("function", word("Function to read with", FUNCTIONS)),
        ],
        &["kind", "bases", "function"],
    )
}

pub(super) fn address(description: &str) -> Value {
    integer(description, 0..=ADDRESS_MAX)
}

fn area() -> Value {
    let most = i64::from(REGISTERS_PER_REQUEST_MAX);
    let function = word("Function to read with", FUNCTIONS);
    let mut functions = list(
        "The function to ask with first, and the one for devices that answer it with illegal function",
        function.clone(),
    );
    functions["maxItems"] = json!(2);
    let range = table(
        "Addresses, both ends included",
        &[("from", address("The first")), ("to", address("The last"))],
        &["from", "to"],
    );
    table(
        "Registers that are read alike",
        &[
            ("name", matching("For messages", NAME)),
            (
                "function",
                either(
                    "holding: function code 3; input: 4; coil: 1; discrete: 2. A list of two where devices of the family differ",
                    &[function, functions],
                ),
            ),
            ("unit", integer("Unit id, where it is not the device's own", 0..=255)),
            (
                "models",
                list(
                    "SunSpec models with this layout; addresses then count from the model's id word",
                    integer("A model", 0..=ADDRESS_MAX - 1),
                ),
            ),
            ("one_of", matching("Of the areas with the same word here, the first that the device has is read", NAME)),
            ("registers_max", integer("Most registers in one request; 125 unless set", 1..=most)),
            (
                "gap_max",
                integer("How many unused registers a request may read over to save another; 0 unless set", 0..=most),
            ),
            ("alone", flag("Whether each value is read by a request of its own")),
            ("stride", integer("By how much the address advances from one register to the next", 1..=16)),
            ("forbidden", any_list("Addresses that no request touches", range)),
            ("poll", poll("fast unless set")),
            ("every", every()),
            ("registers", list("One line each", register())),
            ("computed", any_list("Values computed from registers of the area", computed())),
        ],
        &["name", "function", "registers"],
    )
}

fn poll(default: &str) -> Value {
    word(
        &format!(
            "fast: at every poll; slow: now and then; once: when the device is first reached; demand: only when someone asks; {default}"
        ),
        POLLS,
    )
}

fn every() -> Value {
    duration("Instead of poll: a pace of its own, never faster than the device's interval", EVERY)
}

fn register() -> Value {
    let kinds: Vec<_> = KINDS.iter().map(|&(word, _)| (word, ())).collect();
    let texts: Vec<_> = KINDS.iter().filter(|(_, kind)| kind.is_text()).map(|(word, _)| word).collect();
    let mut plausible = list("Values outside, in the unit of the metric, are marked range", number("A limit"));
    (plausible["minItems"], plausible["maxItems"]) = (json!(2), json!(2));
    let mut schema = table(
        "One register, or the few that together hold one value",
        &[
            ("name", matching("Its name within the area", NAME)),
            (
                "at",
                address(
                    "The address on the wire, counted from 0, whatever the manual prints; with models, counted from the model's id word",
                ),
            ),
            ("document", text("What the manual calls it, for people")),
            ("type", word("How its words are read", &kinds)),
            ("length", integer("Of a text: how many registers", 1..=STRING_REGISTERS_MAX.into())),
            ("mask", integer("The bits that count, shifted down to the lowest of them", 1..=i64::MAX)),
            ("repeat", repeat()),
            ("word_order", word("Order of the words of wider values; high_first unless set", ORDERS)),
            ("byte_order", word("Order of the two bytes of each register; high_first unless set", ORDERS)),
            ("scale", number("value = raw × scale + offset, in the unit of the metric; 1 unless set")),
            ("offset", number("Added after scaling, in the unit of the metric")),
            ("scale_from", matching("An i16 register that holds a further power of ten", NAME)),
            (
                "times",
                list(
                    "Registers whose values it is multiplied with; such a product needs resolution",
                    text("A register of the area"),
                ),
            ),
            ("sign_from", sign()),
            ("resolution", number("Step to round to, in the unit of the metric; required for floats and products")),
            ("sentinels", sentinels("What is no value, instead of what holds for the type")),
            ("valid_when", condition()),
            ("expect", expect()),
            ("plausible", plausible),
            ("modulus", integer("Of a counter: the raw count at which it begins again at 0", 2..=i64::MAX)),
            (
                "optional",
                flag(
                    "Whether a device without it, or for which it is not valid, gives no value instead of one marked sentinel",
                ),
            ),
            ("poll", poll("as of the area unless set")),
            ("every", every()),
            ("metric", metric("The metric that it feeds; # stands for the number of a repeated register")),
            ("fallback", flag("Whether it counts only where no earlier register of the metric gave a value")),
            ("identity", word("The field of the device's identity that it feeds", IDENTITIES)),
            ("alarms", list("The alarms that it tells, by bit or by value", alarm())),
            (
                "clock",
                word(
                    "The device's clock, in seconds since 1970: unix_s in UTC, local_s as people set it; with poll = \"demand\"",
                    CLOCKS,
                ),
            ),
        ],
        &["name", "at", "type"],
    );
    schema["if"] = json!({ "properties": { "type": { "enum": texts } }, "required": ["type"] });
    schema["then"] = json!({ "required": ["length"] });
    schema
}

fn metric(description: &str) -> Value {
    let names: Vec<_> = CATALOGUE.iter().map(|metric| (metric.name, ())).collect();
    let own = matching("Beyond the catalogue; the unit stands last", "^x_[a-z0-9_#]{1,46}$");
    either(description, &[word("Of the catalogue", &names), own])
}

pub(super) fn repeat() -> Value {
    table(
        "So many registers of this kind, numbered; the number follows the name",
        &[
            ("count", integer("How many", 1..=REPEAT_MAX)),
            ("step", integer("How many addresses apart", 1..=ADDRESS_MAX)),
            ("from", integer("The number of the first; 1 unless set", 0..=999)),
            ("count_from", matching("A register that tells how many of them the device has", NAME)),
        ],
        &["count", "step"],
    )
}

fn sentinels(description: &str) -> Value {
    let entry = table(
        "A raw value that is none",
        &[
            ("raw", integer("The bits as wide as the register, or the signed number", ANY)),
            ("reason", word("What the device says by it", REASONS)),
        ],
        &["raw", "reason"],
    );
    any_list(description, entry)
}

fn sign() -> Value {
    table(
        "The sign stands in another register; one of negative, below_zero and above_zero",
        &[
            ("register", matching("A register of the area", NAME)),
            ("negative", list("Its raw numbers that make the value negative", integer("A raw number", ANY))),
            ("below_zero", flag("The value is negative where that register is")),
            ("above_zero", flag("The value is negative where that register is above 0")),
        ],
        &["register"],
    )
}

/// The keys of a test of a raw number.
pub(super) fn test() -> [(&'static str, Value); 4] {
    let numbers = |description| {
        either(description, &[integer("A raw number", ANY), list("Raw numbers", integer("A raw number", ANY))])
    };
    [
        ("is", numbers("One of these")),
        ("not", numbers("None of these")),
        ("at_least", integer("The least", ANY)),
        ("at_most", integer("The most", ANY)),
    ]
}

fn condition() -> Value {
    let register = ("register", matching("A register of the area, or itself", NAME));
    table("It has a value only while a raw number is so", &[&[register], &test()[..]].concat(), &["register"])
}

fn expect() -> Value {
    let begins = ("begins", text("The text begins so"));
    table("What it must hold, or the device is another one", &[&[begins], &test()[..]].concat(), &[])
}

fn alarm() -> Value {
    let severities: Vec<_> = Severity::ALL.iter().map(|severity| (severity.word(), ())).collect();
    let own = [
        ("name", text("In lower case with underscores; # stands for the number of a repeated register")),
        ("severity", word("How urgent it is", &severities)),
        ("bit", integer("The bit that switches it on, counted from the least significant, 0", 0..=31)),
    ];
    table("An alarm; one of bit, is, not and limits", &[&own[..], &test()[..]].concat(), &["name", "severity"])
}

fn computed() -> Value {
    table(
        "A metric computed from registers",
        &[
            ("metric", metric("What is computed")),
            ("operation", word("How", OPERATIONS)),
            ("from", list("From which registers, each scaled to the metric's unit", text("A register of the area"))),
            ("resolution", number("Step that the value is rounded to, in the unit of the metric")),
            ("fallback", flag("Whether it counts only where no earlier register of the metric gave a value")),
        ],
        &["metric", "operation", "from", "resolution"],
    )
}

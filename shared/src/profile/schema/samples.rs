//! The schema of samples.

use serde_json::{Value, json};

use super::super::parse::FUNCTIONS;
use super::super::register::IDENTITIES;
use super::profile::{ADDRESS_MAX, address};
use crate::metric::CATALOGUE;
use crate::schema::{any_list, file, integer, list, number, table, text, word};
use crate::words::Quality;

/// The schema of `<maker>-<model>.samples.toml`.
pub(super) fn schema() -> Value {
    let word16 = || integer("A word", 0..=ADDRESS_MAX);
    let block = table(
        "What one request brought",
        &[
            ("unit", integer("Unit id, where the area has one", 0..=255)),
            ("function", word("Function that read it", FUNCTIONS)),
            ("start", address("The first address, on the wire")),
            ("words", list("The words as they came", word16())),
        ],
        &["function", "start", "words"],
    );
    let model = table(
        "A SunSpec model that was found",
        &[
            ("id", integer("Its id", 0..=ADDRESS_MAX - 1)),
            ("start", address("The address of its id word")),
            ("length", integer("Its length as it says, in registers", 0..=ADDRESS_MAX)),
        ],
        &["id", "start", "length"],
    );
    let by_metric = |description: &str, value: Value| {
        let names: Vec<_> = CATALOGUE.iter().map(|metric| (metric.name, value.clone())).collect();
        let mut schema = table(description, &names, &[]);
        schema["patternProperties"] = json!({ "^x_[a-z0-9_]{1,46}$": value });
        schema
    };
    let qualities: Vec<_> = Quality::ALL.iter().map(|quality| (quality.word(), ())).collect();
    let identity: Vec<_> = IDENTITIES.iter().map(|&(word, _)| (word, text("What the device says"))).collect();
    let sample = table(
        "Raw words, and what they must decode to",
        &[
            ("name", text("What it shows")),
            ("blocks", list("The words of one poll", block)),
            ("models", list("The SunSpec models of the device", model)),
            ("alarms", any_list("The alarms that are on, in the order of the profile", text("An alarm"))),
            ("values", by_metric("Every value that comes out, in the unit of its metric", number("The value"))),
            (
                "quality",
                by_metric(
                    "The quality of the values that are not ok; one without a value stands only here",
                    word("The quality", &qualities),
                ),
            ),
            ("identity", table("What the device says about itself", &identity, &[])),
            ("clock", integer("What its clock says, in seconds since 1970", 0..=i64::MAX)),
        ],
        &["name", "blocks", "alarms"],
    );
    let samples = list("One entry each", sample);
    file(
        "RiverWatts samples",
        "Samples of a device profile: words and their meaning",
        &[("sample", samples)],
        &["sample"],
    )
}

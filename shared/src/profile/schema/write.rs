//! The schema of what can be written.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::register::ORDERS;
use super::super::write::{ACCESSES, FUNCTIONS, KINDS, REFRESH, WITHIN_MAX};
use super::profile::{ADDRESS_MAX, ANY, NAME, address, repeat, test};
use crate::schema::{any_list, duration, flag, integer, list, matching, number, table, text, word};

/// Where a number is written, and of which type.
fn target() -> [(&'static str, Value); 5] {
    let function = "coil: function code 5; coils: 15, of one coil; register: 6; registers: 16";
    [
        ("function", word(function, FUNCTIONS)),
        ("at", address("The address on the wire, counted from 0; with models, counted from the model's id word")),
        ("type", word("The type of the number; u16 unless set", KINDS)),
        ("word_order", word("Order of the words of wider numbers; high_first unless set", ORDERS)),
        ("byte_order", word("Order of the two bytes of each register; high_first unless set", ORDERS)),
    ]
}

/// The schema of a `[[write]]`.
pub(super) fn schema() -> Value {
    let value = table(
        "A value with a name",
        &[
            ("name", matching("What people call it", NAME)),
            ("raw", integer("The number that is sent", ANY)),
            ("reads", integer("The number that shows then, where it is another", ANY)),
        ],
        &["name", "raw"],
    );
    let guard = &[("register", text("A register of the profile, as area.register"))];
    let guard = table("What the device must hold", &[guard, &test()[..]].concat(), &["register"]);
    let step = [
        ("raw", integer("The number that is sent", ANY)),
        ("register", text("Instead: the register whose words are sent, as area.register")),
    ];
    let step = table("A write before the write", &[&target()[..], &step].concat(), &["function", "at"]);
    let back = table(
        "Where the value shows",
        &[
            ("register", text("A register of the profile, as area.register; what is written itself unless set")),
            ("within", duration("How long it may take; 1s unless set", Duration::ZERO..=WITHIN_MAX)),
            ("reads", integer("Of a range: the number that shows then, whatever is written", ANY)),
        ],
        &[],
    );
    let mut repeat = repeat();
    repeat["properties"].as_object_mut().expect("a table has keys").remove("count_from");
    let mut range = list("Instead of values: the lowest and the highest", number("A limit"));
    (range["minItems"], range["maxItems"]) = (json!(2), json!(2));
    let own = [
        ("name", matching("What people write", NAME)),
        ("unit", integer("Unit id, where it is not the device's own", 1..=255)),
        ("models", list("SunSpec models of which one has it", integer("A model", 0..=ADDRESS_MAX - 1))),
        ("repeat", repeat),
        ("access", word("rw: it can be read itself, the default; wo: another register shows it", ACCESSES)),
        ("scale", number("Of a range: value = raw × scale + offset; 1 unless set")),
        ("offset", number("Of a range: added after scaling")),
        ("values", list("The values by name", value)),
        ("range", range),
        ("complement", flag("Whether the next register takes the complement of the number")),
        ("unlock", any_list("What to write before, in this order", step)),
        ("allowed_when", any_list("What must hold just before", guard)),
        ("read_back", back),
        ("refresh", duration("How soon the device falls back by itself unless it is written again", REFRESH)),
        ("warns", text("What else it does, for who opens it")),
    ];
    let mut schema =
        table("Something that can be written", &[&own[..], &target()].concat(), &["name", "function", "at"]);
    schema["if"] = json!({ "properties": { "access": { "const": "wo" } }, "required": ["access"] });
    schema["then"] = json!({ "required": ["read_back"], "properties": { "read_back": { "required": ["register"] } } });
    schema
}

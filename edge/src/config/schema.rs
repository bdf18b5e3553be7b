//! The schema of `edge.toml`, held against its parser.

use std::path::Path;
use std::time::Duration;

use riverwatts_shared::profile::{EVERY, QUIET_MAX, RETRIES_MAX, TIMEOUT};
use riverwatts_shared::schema::{
    any_list, any_text, compare, duration, either, file, flag, integer, keep, list, matching, number, table, text, word,
};
use serde_json::{Value, json};

use super::bus::{KINDS, PARITIES};
use super::device::PRIORITIES;
use super::settings::PLAN_MB_MAX;
use super::{EXAMPLE, Overrides, parse};

const ID: &str = "^[a-z0-9-]{1,48}$";
const HOURS: &str = "^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$";
const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// A site with every key.
const FULL: &str = r#"
profiles = ["profiles"]
[site]
key = "weir"
name = "Weir"
timezone = "Europe/Vienna"
[cloud]
url = "https://cloud.example"
ca = "ca.pem"
[store]
dir = "store"
flush = "5s"
max_bytes = 1073741824
keep_free = 134217728
card_endurance_tb = 10
[upload]
every = "30s"
metered = true
bandwidth = 10000
backlog_hours = ["22:00-06:00"]
plan_mb = 500
plan_day = 15
[panel]
listen = "127.0.0.1:8080"
hosts = ["gateway.river.example"]
[mqtt]
listen = "127.0.0.1:1883"
anonymous_read = true
[[bus]]
id = "lan"
kind = "tcp"
address = "192.168.1.20:502"
timeout = "500ms"
[[bus]]
id = "wire"
kind = "rtu"
port = "/dev/ttyUSB0"
baud = 9600
parity = "none"
stop_bits = 1
rs485_rts = false
quiet = "5ms"
gap = "5ms"
[[device]]
id = "turbine-1"
bus = "lan"
profile = "eastron-sdm630"
unit = 3
interval = "2s"
slow_interval = "1m"
priority = "high"
timeout = "200ms"
retries = 1
quiet = "5ms"
rated = { power_w = 5000, rpm = 90, voltage_v = 400, cut_in_mps = 0.7 }
[[device]]
id = "relay-1"
bus = "wire"
profile = "waveshare-relay-8ch"
writes = ["relay_1", "relay_2"]
interlock = [{ writes = ["relay_1"], device = "turbine-1", metric = "power_output_kw", at_least = -1, at_most = 0.5 }, { writes = ["relay_2"], always = true }]
"#;

fn schema() -> Value {
    file(
        "RiverWatts gateway",
        "edge.toml: what a site tells its gateway",
        &[
            ("profiles", any_list("Folders with device profiles, beside the built-in ones", any_text("A folder"))),
            ("site", site()),
            ("cloud", cloud()),
            ("store", store()),
            ("upload", upload()),
            ("panel", panel()),
            ("mqtt", mqtt()),
            ("bus", list("Wires and sockets, each with one master", bus())),
            ("device", list("What hangs on the buses", device())),
        ],
        &[],
    )
}

fn site() -> Value {
    let zone = text("IANA time zone, for example America/Anchorage");
    let key = matching("In topics and host names", ID);
    table("The place on the river", &[("key", key), ("name", text("For people")), ("timezone", zone)], &[])
}

fn cloud() -> Value {
    let url = any_text("Base address, like https://cloud.example; empty: as the gateway was enrolled");
    let ca = text("PEM file with authorities to trust besides those of the system");
    table("Where readings go", &[("url", url), ("ca", ca)], &[])
}

fn store() -> Value {
    table(
        "Where readings rest",
        &[
            ("dir", text("Folder of the store and of the credential")),
            ("flush", duration("How long readings may wait in memory; 10s unless set", 100 * MS..=600 * SECOND)),
            ("max_bytes", integer("Most bytes that the store may take on the disk", 16 << 20..=1 << 46)),
            (
                "keep_free",
                integer("Bytes of the partition left to others; 256 MiB or a twentieth of it unless set", 0..=1 << 46),
            ),
            ("card_endurance_tb", integer("What its card bears, in TB written; 10 unless set", 1..=100_000)),
        ],
        &[],
    )
}

fn upload() -> Value {
    table(
        "How readings leave",
        &[
            ("every", duration("Pause between two uploads; 10s unless set, 60s when metered", SECOND..=DAY)),
            ("metered", flag("Whether every byte costs money")),
            ("bandwidth", integer("Most bytes a second; 0: no limit", 0..=i64::MAX)),
            (
                "backlog_hours",
                any_list(
                    "When what waits is sent, in the site's time; empty: always",
                    matching("A span of every day, like 22:00-06:00", HOURS),
                ),
            ),
            ("plan_mb", integer("What the link may carry in a billing month, in MB; 0: no limit", 0..=PLAN_MB_MAX)),
            ("plan_day", integer("Day of the month on which the billing month begins; 1 unless set", 1..=28)),
        ],
        &[],
    )
}

fn panel() -> Value {
    let hosts = any_list(
        "Names that it is opened by; addresses, names without a dot and those under .local need none",
        matching("A name, without http:// and port", "^[A-Za-z0-9._-]+$"),
    );
    table("The technician's page", &[("listen", listen("127.0.0.1:8080")), ("hosts", hosts)], &[])
}

fn listen(default: &str) -> Value {
    any_text(&format!("Where it listens, like 0.0.0.0:8080; empty: nowhere; {default} unless set"))
}

fn mqtt() -> Value {
    let anonymous = flag("Whether clients may read without a name");
    table("The broker on the site's network", &[("listen", listen("nowhere")), ("anonymous_read", anonymous)], &[])
}

fn bus() -> Value {
    let factory = "as the devices leave the factory unless set";
    let mut schema = table(
        "A wire or a socket",
        &[
            ("id", matching("Its name", ID)),
            ("kind", word("tcp: Modbus TCP; rtu: a serial port; rtu-tcp: RTU frames in a socket", KINDS)),
            ("address", text("Of tcp and rtu-tcp: host, or host:port")),
            ("port", text("Of rtu: the device file, best one below /dev/serial/by-id")),
            ("baud", integer(&format!("Of rtu: speed, bit/s; {factory}"), 300..=4_000_000)),
            ("parity", word(&format!("Of rtu: {factory}"), PARITIES)),
            ("stop_bits", integer(&format!("Of rtu: {factory}"), 1..=2)),
            (
                "rs485_rts",
                either(
                    "Of rtu: whether the transmitter is switched by RTS, or by RTS inverted",
                    &[flag("By RTS"), word("By RTS, off while it sends", &[("inverted", ())])],
                ),
            ),
            ("timeout", duration("How long an answer may take; as the profiles say unless set", TIMEOUT)),
            ("quiet", duration("Silence before each request, besides what Modbus asks", Duration::ZERO..=QUIET_MAX)),
            ("gap", duration("Silence when the next request goes to another unit", Duration::ZERO..=QUIET_MAX)),
        ],
        &["id", "kind"],
    );
    schema["if"] = json!({ "properties": { "kind": { "const": "rtu" } } });
    schema["then"] = json!({ "required": ["port"] });
    schema["else"] = json!({ "required": ["address"] });
    schema
}

fn device() -> Value {
    let mut positive = number("Above 0");
    positive["exclusiveMinimum"] = json!(0);
    let plate = |what: &str| {
        let mut schema = positive.clone();
        schema["description"] = json!(what);
        schema
    };
    let rated = table(
        "What the plate says",
        &[
            ("power_w", integer("Rated electrical power, W", 1..=1_000_000_000)),
            ("rpm", plate("Rated speed, revolutions a minute")),
            ("voltage_v", plate("Rated voltage, V")),
            ("cut_in_mps", plate("Water speed at which it begins to turn, m/s")),
        ],
        &[],
    );
    table(
        "A machine on a bus",
        &[
            ("id", matching("Its name within the site; alert and status are taken", ID)),
            ("bus", matching("The id of its bus", ID)),
            ("profile", matching("What its registers mean: a built-in profile, or a file of the folders", ID)),
            ("unit", integer("Modbus address; as the profile says unless set", 0..=255)),
            ("interval", duration("How often it is polled; 1s unless set", EVERY)),
            (
                "slow_interval",
                duration(
                    "How often its slow registers are read; 10s unless set, never more often than it is polled",
                    EVERY,
                ),
            ),
            (
                "priority",
                word("Which of several devices that wait for the bus goes first; normal unless set", PRIORITIES),
            ),
            ("timeout", duration("How long an answer may take; as the bus or the profile says unless set", TIMEOUT)),
            (
                "retries",
                integer(
                    "How often a request that got no answer, or a bad frame, is asked again within a poll; as the profile says unless set",
                    0..=RETRIES_MAX.into(),
                ),
            ),
            (
                "quiet",
                duration("Silence before a request to it; as the profile says unless set", Duration::ZERO..=QUIET_MAX),
            ),
            ("rated", rated),
            ("writes", any_list("What of its profile may be written; each needs an interlock", any_text("Its name"))),
            ("interlock", list("What must hold while something is written", interlock())),
        ],
        &["id", "bus", "profile"],
    )
}

fn interlock() -> Value {
    table(
        "A condition on the newest value of a device, or the word that there is none",
        &[
            ("writes", any_list("What it is for", any_text("A name in writes of the device"))),
            ("device", matching("The device whose value counts", ID)),
            ("metric", text("The value, one that comes with every poll")),
            ("at_least", number("The smallest that it may be")),
            ("at_most", number("The largest that it may be")),
            ("always", flag("Instead of a condition: it can do no harm at any time")),
        ],
        &["writes"],
    )
}

#[test]
fn the_schema_beside_the_parser_is_that_of_the_code() {
    keep(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/edge.schema.json"), &schema());
}

#[test]
fn the_schema_knows_what_the_parser_knows_and_refuses_its_slips() {
    let schema = schema();
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let problems =
        |text: &str| parse(text, "edge.toml", Path::new(""), &Overrides::default()).err().unwrap_or_default();
    compare(&schema, &[FULL], |file| validator.is_valid(file), problems);
    assert!(validator.is_valid(&riverwatts_shared::schema::json_of(EXAMPLE).unwrap()));
}

//! The table: what befalls `plain-2`, and what is to be seen of it. Its neighbours keep their rate.

use std::ops::RangeInclusive;

use Medium::{Line, RtuTcp, Tcp};

/// What carries the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    Tcp,
    RtuTcp,
    Line,
}

/// One script and its expectation.
#[derive(Debug)]
pub struct Case {
    /// The fault of `plain-2`, as a script has it.
    pub fault: &'static str,
    /// Where it is tried.
    pub media: &'static [Medium],
    /// Of 100 polls of `plain-2`, how many bring a reading without any failure.
    pub own: RangeInclusive<u64>,
    /// The counters of the device or its bus that grow; other counters of failures do not, except
    /// for those that may.
    pub grow: &'static [&'static str],
    pub may: &'static [&'static str],
    /// The condition of `plain-2` on its bus.
    pub condition: &'static str,
    /// What its last failure is called.
    pub told: &'static str,
}

const ALL: &[Medium] = &[Tcp, RtuTcp, Line];
const SOCKETS: &[Medium] = &[Tcp, RtuTcp];
const RTU: &[Medium] = &[RtuTcp, Line];
const TCP: &[Medium] = &[Tcp];

const SILENT: &str = "no answer within";
const BROKE_OFF: &str = "broke off";
const CLOSED: &str = "closed by the other side";
const BUSY: &str = "exception 6: device busy";
const NO_ADDRESS: &str = "exception 2: illegal address";

/// Every fault of `riverwatts-demo devices --faults`, and what the gateway makes of it.
#[rustfmt::skip]
pub const CASES: &[Case] = &[
    //   fault                                   media    own        counters that grow               condition  told
    case("do = 'silence'",                       ALL,     0..=0,     &["timeout"],                    "silent",  SILENT),
    case("do = 'silence'\nevery = 2",            ALL,     35..=65,   &["timeout"],                    "",        SILENT),
    case("do = 'silence'\nchance = 0.3",         ALL,     45..=95,   &["timeout"],                    "",        SILENT),
    case("do = 'delay'\nby = '100ms'",           ALL,     93..=100,  &[],                             "ok",      ""),
    case("do = 'delay'\nby = '2500ms'",          TCP,     0..=0,     &["timeout", "late"],            "silent",  SILENT),
    // Nothing but the unit tells an RTU answer from another's.
    case("do = 'delay'\nby = '2500ms'",          RTU,     0..=0,     &["timeout", "foreign"],         "silent",  SILENT),
    case("do = 'exception'\ncode = 6",           ALL,     0..=0,     &["exception"],                  "failing", BUSY),
    case("do = 'exception'\nregisters = [3, 4]", ALL,     90..=100,  &[],                             "ok",      NO_ADDRESS),
    case("do = 'sentinel'\nregisters = [8, 8]\nwords = [0xFFFF]", ALL, 93..=100,  &[],               "ok",      ""),
    case("do = 'wrong_unit'",                    ALL,     0..=0,     &["timeout", "foreign"],         "silent",  SILENT),
    case("do = 'wrong_transaction'",             TCP,     0..=0,     &["timeout", "late"],            "silent",  SILENT),
    case("do = 'bad_crc'",                       RTU,     0..=0,     &["bad_frame", "stray_bytes"],   "silent",  "wrong check sum"),
    case("do = 'truncated'\nmissing = 3",        RTU,     0..=0,     &["bad_frame", "stray_bytes"],   "silent",  BROKE_OFF),
    // A socket that lost its step is closed.
    case("do = 'truncated'\nmissing = 3",        TCP,     0..=0,     &["bad_frame", "connections"],   "silent",  BROKE_OFF),
    case("do = 'garbage'",                       RTU,     0..=0,     &["bad_frame", "stray_bytes"],   "silent",  ""),
    case("do = 'garbage'",                       TCP,     0..=0,     &["bad_frame", "connections"],   "silent",  "not Modbus TCP"),
    case("do = 'noise'",                         RTU,     93..=100,  &["stray_bytes"],                "ok",      ""),
    case("do = 'noise'\nat = 'after'",           RTU,     93..=100,  &["stray_bytes"],                "ok",      ""),
    case("do = 'noise'",                         TCP,     0..=0,     &["bad_frame", "connections"],   "silent",  "not Modbus TCP"),
    case("do = 'foreign'",                       ALL,     93..=100,  &["foreign"],                    "ok",      ""),
    case("do = 'slow'\npause = '2ms'",           ALL,     93..=100,  &[],                             "ok",      ""),
    // What is still on its way when the time is over becomes whole or not, as long as the line is listened to.
    case("do = 'slow'\npause = '20ms'",          RTU,     0..=0,     &["bad_frame"],                  "silent",  BROKE_OFF).may(&["late", "stray_bytes"]),
    case("do = 'slow'\npause = '20ms'",          TCP,     0..=0,     &["bad_frame", "connections"],   "silent",  BROKE_OFF),
    case("do = 'drop'",                          SOCKETS, 0..=0,     &["lost", "connections"],        "",        CLOSED),
    case("do = 'drop'\nat = 'middle'",           SOCKETS, 0..=0,     &["lost", "connections"],        "",        CLOSED),
    case("do = 'drop'\nat = 'after'",            SOCKETS, 93..=100,  &["connections"],                "ok",      ""),
];

const fn case(
    fault: &'static str,
    media: &'static [Medium],
    own: RangeInclusive<u64>,
    grow: &'static [&'static str],
    condition: &'static str,
    told: &'static str,
) -> Case {
    Case { fault, media, own, grow, may: &[], condition, told }
}

impl Case {
    const fn may(self, may: &'static [&'static str]) -> Case {
        Case { may, ..self }
    }
}

//! `[[bus]]`: wires and sockets.

use riverwatts_shared::profile::{Parity, QUIET_MAX, TIMEOUT};

use super::read::{Raw, Section, Wrong, duration, filled, flag, id, integer, text, up_to, word, wrong};
use super::{BUSES_MAX, Bus, Link, Rts, Serial};

/// Port of Modbus TCP where the address has none.
const MODBUS_PORT: u16 = 502;

pub(super) const KINDS: &[(&str, Kind)] = &[("tcp", Kind::Tcp), ("rtu", Kind::Rtu), ("rtu-tcp", Kind::RtuTcp)];
pub(super) const PARITIES: &[(&str, Parity)] = &[("none", Parity::None), ("even", Parity::Even), ("odd", Parity::Odd)];

/// A bus whose serial settings may still come from the profiles of its devices.
pub(super) struct Draft<'r> {
    pub(super) bus: Bus,
    pub(super) section: Section<'r>,
    pub(super) baud: Option<u32>,
    pub(super) parity: Option<Parity>,
    pub(super) stop_bits: Option<u8>,
}

/// Every bus, also those with mistakes, so that devices still find them.
pub(super) fn read<'r>(root: &mut Section<'r>) -> Vec<Draft<'r>> {
    let mut drafts: Vec<Draft<'r>> = Vec::new();
    for section in root.sections("bus", BUSES_MAX) {
        let draft = bus(section);
        if let Some(other) = drafts.iter().find(|other| other.bus.id == draft.bus.id && !draft.bus.id.is_empty()) {
            draft
                .section
                .problem("id", wrong(format!("bus `{}` is there twice", other.bus.id), "give each its own id"));
        }
        let target = draft.bus.link.target();
        if let Some(other) = drafts.iter().find(|other| !target.is_empty() && other.bus.link.target() == target) {
            let key = if draft.bus.link.serial().is_some() { "port" } else { "address" };
            let message = format!("`{target}` belongs to bus `{}` already", other.bus.id);
            draft.section.problem(key, wrong(message, "put all its devices on one bus: a wire has one master"));
        }
        drafts.push(draft);
    }
    drafts
}

fn bus(mut section: Section<'_>) -> Draft<'_> {
    let id = section.required("id", "name the bus, like id = \"tcp-1\"", id).unwrap_or_default();
    let kind = section.required("kind", "write \"tcp\", \"rtu\" or \"rtu-tcp\"", kind);
    let (mut baud, mut parity_bit, mut stop_bits) = (None, None, None);
    let mut link = Link::Tcp { address: String::new() };
    // Of a bus whose kind is unknown, the settings of each kind are welcome.
    if kind.is_none_or(|kind| kind != Kind::Rtu) {
        let remedy = "name the device server, like address = \"192.168.1.20:502\"";
        let address = match kind {
            Some(_) => section.required("address", remedy, address),
            None => section.take("address", address),
        };
        let address = address.unwrap_or_default();
        link = if kind == Some(Kind::RtuTcp) { Link::RtuTcp { address } } else { Link::Tcp { address } };
    }
    if kind.is_none_or(|kind| kind == Kind::Rtu) {
        let remedy = "name the port, best by its lasting name below /dev/serial/by-id";
        let port = match kind {
            Some(_) => section.required("port", remedy, filled),
            None => section.take("port", filled),
        };
        baud = section.take("baud", |raw| integer(raw, 300..=4_000_000)).map(|baud| baud as u32);
        parity_bit = section.take("parity", parity);
        stop_bits = section.take("stop_bits", |raw| integer(raw, 1..=2)).map(|bits| bits as u8);
        let rs485_rts = section.take("rs485_rts", rts).unwrap_or(Rts::Unused);
        if let Some(port) = port {
            // Speed, parity and stop bits are filled in once the devices are known.
            link = Link::Rtu(Serial { port, baud: 0, parity: Parity::None, stop_bits: 1, rs485_rts });
        }
    }
    let bus = Bus {
        id,
        link,
        timeout: section.take("timeout", |raw| duration(raw, TIMEOUT)),
        quiet: section.take("quiet", |raw| up_to(raw, QUIET_MAX)).unwrap_or_default(),
        gap: section.take("gap", |raw| up_to(raw, QUIET_MAX)).unwrap_or_default(),
    };
    Draft { bus, section, baud, parity: parity_bit, stop_bits }
}

/// How frames travel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp,
    Rtu,
    RtuTcp,
}

fn kind(raw: Raw<'_>) -> Result<Kind, Wrong> {
    word(raw, "kind of bus", KINDS)
}

fn parity(raw: Raw<'_>) -> Result<Parity, Wrong> {
    word(raw, "parity", PARITIES)
}

fn rts(raw: Raw<'_>) -> Result<Rts, Wrong> {
    match flag(raw) {
        Ok(talk) => Ok(if talk { Rts::Talk } else { Rts::Unused }),
        Err(_) if text(raw).is_ok_and(|text| text == "inverted") => Ok(Rts::Inverted),
        Err(_) => Err(wrong("is no use of RTS", "write true, false or \"inverted\"")),
    }
}

/// `host:port`, `host` or an IP address; the port of Modbus is added where there is none.
fn address(raw: Raw<'_>) -> Result<String, Wrong> {
    let text = filled(raw)?;
    if text.parse::<std::net::SocketAddr>().is_ok() {
        return Ok(text);
    }
    if let Ok(ip) = text.parse::<std::net::IpAddr>() {
        return Ok(std::net::SocketAddr::new(ip, MODBUS_PORT).to_string());
    }
    let (host, port) =
        text.rsplit_once(':').map_or((text.as_str(), Ok(MODBUS_PORT)), |(host, port)| (host, port.parse()));
    let named = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    match port {
        Ok(port) if named && port > 0 => Ok(format!("{host}:{port}")),
        _ => Err(wrong(format!("`{text}` is no address"), "write it like 192.168.1.20:502 or gateway.local:502")),
    }
}

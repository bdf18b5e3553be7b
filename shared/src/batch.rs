//! The upload of a gateway: a container of versioned, length-prefixed items.
//! Its byte layout stands in `docs/batch-format.md`.

use serde::{Deserialize, Serialize};

use uuid::Uuid;

use crate::bytes::{Malformed, Reader, Writer, crc32, with_sum, without_sum};
use crate::configuration;
use crate::reading::Gap;
use crate::receipt::BatchId;
use crate::segment::Segment;
use crate::time::UtcMs;
use crate::words::{DeviceType, GapReason};

/// Media type of an encoded batch.
pub const MEDIA_TYPE: &str = "application/vnd.riverwatts.batch";
/// Largest encoded batch, in bytes.
pub const BYTES_MAX: usize = 4 << 20;
/// Most items in one batch.
pub const ITEMS_MAX: usize = 4_096;
/// Most readings in one batch, over all its segments.
pub const READINGS_MAX: usize = 100_000;
/// Most values (readings × metrics) in one batch, over all its segments.
pub const VALUES_MAX: usize = 1 << 22;
/// Longest key of a device, in bytes.
pub const KEY_MAX: usize = 64;

const MAGIC: &[u8; 3] = b"RWB";
const VERSION: u8 = 2;
/// Without a checksum: what gateways sent first, and what stands in files that they wrote.
const VERSION_BARE: u8 = 1;
const ITEM_VERSION: u8 = 1;
const ANNOUNCEMENT: u8 = 1;
const SEGMENT: u8 = 2;
const GAP: u8 = 3;
const CONFIGURATION: u8 = 4;

/// What a gateway sends in one request.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    /// Its identity.
    pub id: BatchId,
    /// 0 for readings sent for the first time; a *correction* has a higher revision and may replace values.
    pub revision: u32,
    /// What it carries.
    pub items: Vec<Item>,
}

/// One thing that a batch carries.
#[derive(Clone, PartialEq, Debug)]
pub enum Item {
    /// A device introduces itself; sent when new or changed.
    Announcement(Announcement),
    /// Readings of one device, by key.
    Segment {
        /// Key of the device in `edge.toml`.
        device: String,
        /// The readings, in UTC.
        segment: Segment,
    },
    /// Readings that will never come.
    Gap(Gap),
    /// The gateway's `edge.toml`, without secrets; sent when the cloud has another version.
    Configuration(String),
}

/// What a gateway knows of one device.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Announcement {
    /// Key in `edge.toml`, unique within the site.
    pub key: String,
    /// Kind of machine, from the profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_type: Option<DeviceType>,
    /// Name of the profile.
    pub profile: String,
    /// As the device or the profile says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manufacturer: Option<String>,
    /// As the device or the profile says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// As the device says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// As the device says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware_version: Option<String>,
    /// As the device says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hardware_version: Option<String>,
    /// `rated.power_w` of `edge.toml`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rated_power_w: Option<u64>,
    /// How often the gateway polls it, in ms; readings further apart than three intervals have a hole between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u64>,
    /// Marks a meter: `"meter"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A segment as it rests, for a batch that need not look into it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// Key of the device in `edge.toml`.
    pub device: String,
    /// What [`Segment::encode`] wrote, this version or an earlier one.
    pub bytes: Vec<u8>,
}

impl Batch {
    /// The bytes of `docs/batch-format.md`.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with(&[])
    }

    /// The same, with these segments before the items.
    pub fn encode_with(&self, sealed: &[Sealed]) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.raw(MAGIC);
        writer.u8(VERSION);
        writer.raw(self.id.store.as_bytes());
        writer.varint(self.id.sequence);
        writer.varint(u64::from(self.revision));
        writer.varint((sealed.len() + self.items.len()) as u64);
        let sealed = sealed.iter().map(|Sealed { device, bytes }| (SEGMENT, segment_payload(device, bytes)));
        for (kind, payload) in sealed.chain(self.items.iter().map(Item::encode)) {
            writer.u8(kind);
            writer.u8(ITEM_VERSION);
            writer.block(&payload);
        }
        with_sum(writer.into_bytes())
    }

    /// Reads what [`Batch::encode`] wrote, this version or the one before. Every count is checked against its bound before memory is taken.
    pub fn decode(bytes: &[u8]) -> Result<Batch, Malformed> {
        if bytes.len() > BYTES_MAX {
            return Err(Malformed::TooLarge { what: "batch", found: bytes.len() as u64, max: BYTES_MAX as u64 });
        }
        let is_bare = bytes.strip_prefix(MAGIC).is_some_and(|rest| rest.starts_with(&[VERSION_BARE]));
        let (version, content) = if is_bare { (VERSION_BARE, bytes) } else { (VERSION, without_sum(bytes)?) };
        let reader = &mut Reader::new(content);
        if reader.raw("batch magic", MAGIC.len())? != MAGIC {
            return Err(Malformed::Invalid("batch magic"));
        }
        check_version("batch", reader.u8("batch version")?, version)?;
        let store = Uuid::from_slice(reader.raw("store id", 16)?).map_err(|_| Malformed::Invalid("store id"))?;
        let sequence = reader.varint("batch sequence")?;
        let revision = reader.bounded("batch revision", u32::MAX as usize)? as u32;
        let count = reader.bounded("batch items", ITEMS_MAX)?;
        let mut items = Vec::with_capacity(count.min(64));
        let (mut readings, mut values) = (0, 0);
        for _ in 0..count {
            let kind = reader.u8("item kind")?;
            check_version("item", reader.u8("item version")?, ITEM_VERSION)?;
            let item = Item::decode(kind, reader.block("item", BYTES_MAX)?)?;
            if let Item::Segment { segment, .. } = &item {
                readings += segment.rows();
                values += segment.rows() * segment.columns.len();
            }
            for (what, found, max) in [("batch readings", readings, READINGS_MAX), ("batch values", values, VALUES_MAX)]
            {
                if found > max {
                    return Err(Malformed::TooLarge { what, found: found as u64, max: max as u64 });
                }
            }
            items.push(item);
        }
        if !reader.is_empty() {
            return Err(Malformed::Invalid("end of a batch"));
        }
        Ok(Batch { id: BatchId { store, sequence }, revision, items })
    }
}

/// How a refusal names the batch that it refuses, so that its gateway knows that just this was received.
/// `None` of bytes that were changed on their way.
pub fn name(bytes: &[u8]) -> Option<String> {
    let content = without_sum(bytes).ok()?;
    Some(format!("crc32 {:08x}", crc32(content)))
}

impl Item {
    fn encode(&self) -> (u8, Vec<u8>) {
        match self {
            Item::Announcement(announcement) => {
                (ANNOUNCEMENT, serde_json::to_vec(announcement).expect("plain strings and numbers are JSON"))
            }
            Item::Segment { device, segment } => (SEGMENT, segment_payload(device, &segment.encode())),
            Item::Gap(gap) => {
                let mut writer = Writer::default();
                writer.block(gap.device.as_bytes());
                writer.signed(gap.from.0);
                writer.signed(gap.to.0);
                writer.varint(gap.rows.map_or(0, |rows| rows.saturating_add(1)));
                writer.u8(gap.reason.number());
                (GAP, writer.into_bytes())
            }
            Item::Configuration(text) => (CONFIGURATION, text.as_bytes().to_vec()),
        }
    }

    fn decode(kind: u8, payload: &[u8]) -> Result<Item, Malformed> {
        let reader = &mut Reader::new(payload);
        match kind {
            ANNOUNCEMENT => {
                let announcement: Announcement =
                    serde_json::from_slice(payload).map_err(|_| Malformed::Invalid("announcement"))?;
                check_key(&announcement.key)?;
                Ok(Item::Announcement(announcement))
            }
            SEGMENT => {
                let device = key(reader)?;
                let segment = Segment::decode(reader.rest())?;
                Ok(Item::Segment { device, segment })
            }
            GAP => {
                let device = key(reader)?;
                let from = UtcMs(reader.signed("gap from")?);
                let to = UtcMs(reader.signed("gap to")?);
                let rows = reader.varint("gap rows")?.checked_sub(1);
                let reason =
                    GapReason::from_number(reader.u8("gap reason")?).ok_or(Malformed::Invalid("gap reason"))?;
                if to < from || !reader.is_empty() {
                    return Err(Malformed::Invalid("gap"));
                }
                Ok(Item::Gap(Gap { device, from, to, rows, reason }))
            }
            CONFIGURATION => {
                let (found, max) = (payload.len() as u64, configuration::BYTES_MAX as u64);
                if found > max {
                    return Err(Malformed::TooLarge { what: "configuration", found, max });
                }
                let text = str::from_utf8(payload).map_err(|_| Malformed::Invalid("configuration"))?;
                Ok(Item::Configuration(text.to_owned()))
            }
            _ => Err(Malformed::Invalid("item kind")),
        }
    }
}

fn segment_payload(device: &str, segment: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.block(device.as_bytes());
    writer.raw(segment);
    writer.into_bytes()
}

fn check_version(what: &'static str, found: u8, max: u8) -> Result<(), Malformed> {
    if found == max { Ok(()) } else { Err(Malformed::Version { what, found, max }) }
}

fn key(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    let key = reader.text("device key", KEY_MAX)?;
    check_key(key)?;
    Ok(key.to_owned())
}

/// Ids of `edge.toml` are `[a-z0-9-]+`.
fn check_key(key: &str) -> Result<(), Malformed> {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if key.is_empty() || key.len() > KEY_MAX || !key.bytes().all(known) {
        return Err(Malformed::Invalid("device key"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric::Metric;
    use crate::reading::{Reading, Value};

    fn example() -> Batch {
        let reading = |ms, power| Reading { time: UtcMs(ms), values: vec![Value::ok(Metric::POWER, power)] };
        let segment = Segment::from_readings(&[
            reading(1_795_508_130_000, 12_300_000),
            reading(1_795_508_131_000, 12_400_000),
            reading(1_795_508_132_000, 12_100_000),
        ]);
        Batch {
            id: BatchId { store: Uuid::from_u128(0x0102_0304_0506_4708_890a_0b0c_0d0e_0f10), sequence: 300 },
            revision: 0,
            items: vec![
                Item::Announcement(Announcement {
                    key: "turbine-1".into(),
                    profile: "sunspec-inverter".into(),
                    ..Default::default()
                }),
                Item::Segment { device: "turbine-1".into(), segment },
                Item::Gap(Gap {
                    device: "turbine-1".into(),
                    from: UtcMs(1_795_508_120_000),
                    to: UtcMs(1_795_508_130_000),
                    rows: Some(9),
                    reason: GapReason::UncleanStop,
                }),
            ],
        }
    }

    #[test]
    fn a_batch_comes_back_from_its_bytes() {
        let mut batch = example();
        assert_eq!(Batch::decode(&batch.encode()), Ok(batch.clone()));
        batch.items.push(Item::Configuration("[site]\nkey = \"a\"\n".into()));
        assert_eq!(Batch::decode(&batch.encode()), Ok(batch));
    }

    /// The example of the document, written as hex with spaces, decodes to [`example`] and is what we write.
    #[test]
    fn the_documented_example_is_what_is_written() {
        let document = include_str!("../../docs/batch-format.md");
        let example_hex = document.split("```hex").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let digits: String = example_hex
            .lines()
            .filter_map(|line| line.split('#').next())
            .flat_map(str::chars)
            .filter(char::is_ascii_hexdigit)
            .collect();
        let written: String = example().encode().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digits, written);
    }

    #[test]
    fn a_configuration_is_text_within_its_bound() {
        let mut batch = Batch { items: vec![Item::Configuration("x".repeat(configuration::BYTES_MAX))], ..example() };
        assert!(Batch::decode(&batch.encode()).is_ok());
        batch.items = vec![Item::Configuration("x".repeat(configuration::BYTES_MAX + 1))];
        assert!(matches!(Batch::decode(&batch.encode()), Err(Malformed::TooLarge { what: "configuration", .. })));
        batch.items = vec![Item::Configuration("~".into())];
        let mut bytes = without_sum(&batch.encode()).unwrap().to_vec();
        *bytes.last_mut().unwrap() = 0xff;
        assert_eq!(Batch::decode(&with_sum(bytes)), Err(Malformed::Invalid("configuration")));
    }

    #[test]
    fn a_segment_goes_as_it_rests() {
        let batch = example();
        let (mut items, mut sealed) = (Vec::new(), Vec::new());
        for item in batch.items.clone() {
            match item {
                Item::Segment { device, segment } => sealed.push(Sealed { device, bytes: segment.encode() }),
                other => items.push(other),
            }
        }
        let decoded = Batch::decode(&Batch { items, ..batch.clone() }.encode_with(&sealed)).unwrap();
        let [first, second, third] = &batch.items[..] else { panic!() };
        assert_eq!(decoded.items, [second.clone(), first.clone(), third.clone()]);
    }

    #[test]
    fn every_cut_and_every_appended_byte_is_refused() {
        let bytes = example().encode();
        for end in 0..bytes.len() {
            assert_eq!(Batch::decode(&bytes[..end]), Err(Malformed::Damaged), "cut at {end}");
        }
        assert_eq!(Batch::decode(&[&bytes[..], &[0]].concat()), Err(Malformed::Damaged));
        let content = &bytes[..bytes.len() - 4];
        for end in 0..content.len() {
            assert!(Batch::decode(&with_sum(content[..end].to_vec())).is_err(), "written up to {end}");
        }
        let longer = with_sum([content, &[0]].concat());
        assert_eq!(Batch::decode(&longer), Err(Malformed::Invalid("end of a batch")));
    }

    #[test]
    fn a_batch_without_a_checksum_is_read_as_it_was_before_there_was_one() {
        let bytes = example().encode();
        let bare = [MAGIC.as_slice(), &[VERSION_BARE], &bytes[4..bytes.len() - 4]].concat();
        assert_eq!(Batch::decode(&bare), Ok(example()));
        assert_eq!(name(&bare), None);
        let newer = with_sum([MAGIC.as_slice(), &[3]].concat());
        assert_eq!(Batch::decode(&newer), Err(Malformed::Version { what: "batch", found: 3, max: VERSION }));
    }

    #[test]
    fn a_batch_that_unfolds_beyond_its_bounds_is_refused() {
        let segment = Segment { times: (0..60_000).collect(), ..Default::default() };
        let item = |key: &str| Item::Segment { device: key.into(), segment: segment.clone() };
        let batch = Batch { items: vec![item("a"), item("b")], ..example() };
        let refused = Malformed::TooLarge { what: "batch readings", found: 120_000, max: 100_000 };
        assert_eq!(Batch::decode(&batch.encode()), Err(refused));
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_seen_and_such_a_batch_has_no_name(at: prop::sample::Index, change in 1u8..) {
            let mut bytes = example().encode();
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            prop_assert!(Batch::decode(&bytes).is_err());
            prop_assert_eq!(name(&bytes), None);
        }

        #[test]
        fn bytes_of_no_batch_never_panic_whatever_their_checksum(at: prop::sample::Index, byte: u8) {
            let mut bytes = example().encode();
            bytes.truncate(bytes.len() - 4);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = Batch::decode(&with_sum(bytes));
        }
    }
}

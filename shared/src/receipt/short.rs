//! The short form of a receipt, for links on which bytes cost money. It leaves out `stored`, which
//! says nothing that the gateway does not know.
//!
//! In the words of `docs/batch-format.md`: version (byte, 2), store (16 bytes), sequence (number), the store's
//! last sequence before this batch (number), epoch (16 bytes), time of the answer (signed, UTC ms), upload
//! interval in seconds + 1 (number, 0 = none), accepted and duplicates (numbers),
//! devices (count, then key and 16 bytes of each), waiting (count, then keys), rejected (count, then of
//! each: key, device id or nothing (block), time or nothing (block with a signed number), code (byte),
//! message (text)), configuration version or nothing (text), commands (JSON); the checksum of all that
//! (CRC-32, 4 bytes, lowest first).

use uuid::Uuid;

use super::{BYTES_MAX, BatchId, NamedDevice, Receipt, Rejected};
use crate::bytes::{Malformed, Reader, Writer, with_sum, without_sum};
use crate::time::UtcMs;
use crate::words::RejectCode;

const VERSION: u8 = 2;
/// Most things in each list, as a batch may have readings.
const LIST_MAX: usize = crate::batch::READINGS_MAX;
/// Memory taken before anything was read of a list.
const TAKEN_AHEAD_MAX: usize = 64;

impl Receipt {
    /// The short form, answered at `now`.
    pub fn to_short(&self, now: UtcMs) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u8(VERSION);
        writer.raw(self.batch.store.as_bytes());
        writer.varint(self.batch.sequence);
        writer.varint(self.last_sequence);
        writer.raw(self.epoch.as_bytes());
        writer.signed(now.0);
        writer.varint(self.upload_every_s.map_or(0, |seconds| u64::from(seconds) + 1));
        writer.varint(self.accepted);
        writer.varint(self.duplicates);
        writer.varint(self.devices.len() as u64);
        for device in &self.devices {
            writer.block(device.key.as_bytes());
            writer.raw(device.device_id.as_bytes());
        }
        writer.varint(self.waiting.len() as u64);
        for key in &self.waiting {
            writer.block(key.as_bytes());
        }
        writer.varint(self.rejected.len() as u64);
        for rejected in &self.rejected {
            writer.block(rejected.key.as_bytes());
            writer.block(rejected.device_id.as_ref().map_or(&[][..], |id| id.as_bytes()));
            let mut time = Writer::default();
            rejected.timestamp.iter().for_each(|at| time.signed(at.0));
            writer.block(&time.into_bytes());
            writer.u8(rejected.code.number());
            writer.block(rejected.message.as_bytes());
        }
        writer.block(self.config_version.as_deref().unwrap_or_default().as_bytes());
        if self.commands.is_empty() {
            writer.block(&[]);
        } else {
            writer.block(&serde_json::to_vec(&self.commands).expect("JSON is JSON"));
        }
        with_sum(writer.into_bytes())
    }

    /// The inverse, without what it leaves out; and when it was answered.
    pub fn from_short(bytes: &[u8]) -> Result<(Receipt, UtcMs), Malformed> {
        let reader = &mut Reader::new(without_sum(bytes)?);
        let version = reader.u8("receipt version")?;
        if version != VERSION {
            return Err(Malformed::Version { what: "receipt", found: version, max: VERSION });
        }
        let batch = BatchId { store: id(reader)?, sequence: reader.varint("sequence")? };
        let last_sequence = reader.varint("last sequence")?;
        let epoch = id(reader)?;
        let answered_at = UtcMs(reader.signed("time of the answer")?);
        let every = reader.bounded("upload interval", 1 << 32)?;
        let (accepted, duplicates) = (reader.varint("accepted")?, reader.varint("duplicates")?);
        let devices = list(reader, |reader| Ok(NamedDevice { key: text(reader)?, device_id: id(reader)? }))?;
        let waiting = list(reader, text)?;
        let rejected = list(reader, |reader| {
            let (key, device_id) = (text(reader)?, reader.block("device id", 16)?);
            let mut time = Reader::new(reader.block("time", 10)?);
            Ok(Rejected {
                key,
                device_id: (!device_id.is_empty()).then(|| Uuid::from_slice(device_id)).transpose().map_err(no_id)?,
                timestamp: (!time.is_empty()).then(|| time.signed("time").map(UtcMs)).transpose()?,
                code: RejectCode::from_number(reader.u8("code")?).ok_or(Malformed::Invalid("code"))?,
                message: text(reader)?,
            })
        })?;
        let config_version = Some(text(reader)?).filter(|version| !version.is_empty());
        let commands = match reader.block("commands", BYTES_MAX)? {
            [] => Vec::new(),
            json => serde_json::from_slice(json).map_err(|_| Malformed::Invalid("commands"))?,
        };
        if !reader.is_empty() {
            return Err(Malformed::Invalid("end of a receipt"));
        }
        let receipt = Receipt {
            batch,
            epoch,
            devices,
            waiting,
            stored: Vec::new(),
            accepted,
            duplicates,
            rejected,
            last_sequence,
            upload_every_s: every.checked_sub(1).map(|seconds| seconds as u32),
            config_version,
            commands,
        };
        Ok((receipt, answered_at))
    }
}

fn list<T>(
    reader: &mut Reader<'_>,
    take: impl Fn(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let count = reader.bounded("list of a receipt", LIST_MAX)?;
    let mut list = Vec::with_capacity(count.min(TAKEN_AHEAD_MAX));
    for _ in 0..count {
        list.push(take(reader)?);
    }
    Ok(list)
}

fn text(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    Ok(reader.text("text of a receipt", BYTES_MAX)?.to_owned())
}

fn id(reader: &mut Reader<'_>) -> Result<Uuid, Malformed> {
    Uuid::from_slice(reader.raw("id", 16)?).map_err(no_id)
}

fn no_id(_: uuid::Error) -> Malformed {
    Malformed::Invalid("id")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn receipt() -> Receipt {
        let device = |n| NamedDevice { key: format!("plain-{n}"), device_id: Uuid::from_u128(n) };
        let rejected = |device_id, timestamp| Rejected {
            device_id,
            key: "meter-1".into(),
            timestamp,
            code: RejectCode::Conflict,
            message: "another value is stored".into(),
        };
        Receipt {
            batch: BatchId { store: Uuid::from_u128(7), sequence: 300 },
            epoch: Uuid::from_u128(8),
            devices: (1..=10).map(device).collect(),
            waiting: vec!["radar-1".into()],
            stored: Vec::new(),
            accepted: 600,
            duplicates: 1,
            rejected: vec![rejected(None, None), rejected(Some(Uuid::from_u128(9)), Some(UtcMs(-5)))],
            upload_every_s: Some(0),
            last_sequence: 299,
            config_version: Some("a".into()),
            commands: vec![json!({"probe": 1})],
        }
    }

    #[test]
    fn a_receipt_comes_back_from_its_short_form() {
        let bare = Receipt { rejected: Vec::new(), waiting: Vec::new(), config_version: None, ..receipt() };
        let bare = Receipt { upload_every_s: None, commands: Vec::new(), ..bare };
        let now = UtcMs(1_795_508_130_000);
        assert_eq!(bare.to_short(now).len(), 297, "of a minute of ten devices");
        for receipt in [receipt(), bare, Receipt { upload_every_s: Some(u32::MAX), ..receipt() }] {
            assert_eq!(Receipt::from_short(&receipt.to_short(now)), Ok((receipt, now)));
        }
    }

    #[test]
    fn every_cut_and_every_appended_byte_is_refused() {
        let bytes = receipt().to_short(UtcMs(-1));
        for end in 0..bytes.len() {
            assert_eq!(Receipt::from_short(&bytes[..end]), Err(Malformed::Damaged), "cut at {end}");
        }
        let content = &bytes[..bytes.len() - 4];
        for end in 0..content.len() {
            assert!(Receipt::from_short(&with_sum(content[..end].to_vec())).is_err(), "written up to {end}");
        }
        let longer = with_sum([content, &[0]].concat());
        assert_eq!(Receipt::from_short(&longer), Err(Malformed::Invalid("end of a receipt")));
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_seen(at: prop::sample::Index, change in 1u8..) {
            let mut bytes = receipt().to_short(UtcMs(0));
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            prop_assert_eq!(Receipt::from_short(&bytes), Err(Malformed::Damaged));
        }

        #[test]
        fn bytes_of_no_receipt_never_panic_whatever_their_checksum(at: prop::sample::Index, byte: u8) {
            let mut bytes = receipt().to_short(UtcMs(0));
            bytes.truncate(bytes.len() - 4);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = Receipt::from_short(&with_sum(bytes));
        }
    }
}

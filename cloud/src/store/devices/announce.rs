//! From a gateway's announcement to a registered device.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use riverwatts_shared::batch::Announcement;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::{DeviceStatus, DeviceType};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Device, INSERT, NamedDevice, UPDATE, next_number, write};
use crate::db::column::{At, Object, Word};
use crate::db::{Db, DbError, Tx, on, transact};
use crate::store::gateways::Gateway;
use crate::store::next_version;

/// What stands in columns that the plan requires and nobody knows.
const UNKNOWN: &str = "unknown";

/// What became of a gateway's announcements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Announced {
    /// Devices that this gateway reads now.
    pub devices: Vec<NamedDevice>,
    /// Keys that another active gateway of the site holds: their readings wait, unsettled, until an
    /// admin confirms the move.
    pub waiting: Vec<String>,
}

/// Registers what a gateway announces, or takes what is new about it. The same again changes nothing.
pub async fn announce(
    db: &Db,
    gateway: &Gateway,
    announcements: &[Announcement],
    now: UtcMs,
) -> Result<Announced, DbError> {
    transact!(db, |tx| {
        let timezone: String = on!(tx, |conn| {
            sqlx::query_scalar("select timezone from sites where id = $1")
                .bind(gateway.site_id)
                .fetch_optional(conn)
                .await
        })?
        .ok_or(DbError::MissingReference)?;
        let mut announced = Announced::default();
        for announcement in announcements {
            match register(tx, gateway, announcement, &timezone, now).await? {
                Some(device) => announced.devices.push(NamedDevice {
                    id: device.id,
                    number: device.number,
                    site_id: device.site_id,
                    device_type: device.device_type,
                    key: device.key,
                    gateway_id: device.gateway_id,
                    interval_ms: device.interval_ms,
                    timezone: timezone.clone(),
                }),
                None => announced.waiting.push(announcement.key.clone()),
            }
        }
        Ok(announced)
    })
}

/// One device; `None` while another gateway holds its key.
async fn register(
    tx: &mut Tx,
    gateway: &Gateway,
    announcement: &Announcement,
    timezone: &str,
    now: UtcMs,
) -> Result<Option<Device>, DbError> {
    let found: Option<Device> = on!(tx, |conn| {
        sqlx::query_as("select * from devices where site_id = $1 and key = $2")
            .bind(gateway.site_id)
            .bind(&announcement.key)
            .fetch_optional(conn)
            .await
    })?;
    let serial_is_free = match &announcement.serial_number {
        None => false,
        Some(serial) => is_free(tx, serial, found.as_ref().map(|device| device.id)).await?,
    };
    let Some(before) = found else {
        let zone = TimeZone::get(timezone).unwrap_or(TimeZone::UTC);
        let first_seen = now.to_timestamp().to_zoned(zone).date();
        let mut device = fresh(gateway, announcement, serial_is_free, first_seen, now);
        device.number = next_number(tx).await?;
        write(tx, &device, INSERT).await?;
        return Ok(Some(device));
    };
    let mut device = before.clone();
    let holder = before.gateway_id.filter(|&holder| holder != gateway.id);
    let moves = match holder {
        Some(holder) => !is_active(tx, holder).await?,
        None => true,
    };
    if moves {
        device.gateway_id = Some(gateway.id);
        device.pending_gateway_id = None;
        learn(&mut device, announcement, serial_is_free);
    } else {
        device.pending_gateway_id = Some(gateway.id);
    }
    if device != before {
        device.updated_at = next_version(before.updated_at, now);
        write(tx, &device, UPDATE).await?;
    }
    Ok(moves.then_some(device))
}

/// Whether no other device holds the serial number.
async fn is_free(tx: &mut Tx, serial: &str, own: Option<Uuid>) -> Result<bool, DbError> {
    let holder: Option<Uuid> = on!(tx, |conn| {
        sqlx::query_scalar("select id from devices where serial_number = $1").bind(serial).fetch_optional(conn).await
    })?;
    Ok(holder.is_none() || holder == own)
}

async fn is_active(tx: &mut Tx, gateway_id: Uuid) -> Result<bool, DbError> {
    let active: Option<Uuid> = on!(tx, |conn| {
        sqlx::query_scalar("select id from gateways where id = $1 and revoked_at is null")
            .bind(gateway_id)
            .fetch_optional(conn)
            .await
    })?;
    Ok(active.is_some())
}

/// A device that was never seen before.
fn fresh(gateway: &Gateway, from: &Announcement, serial_is_free: bool, first_seen: Date, now: UtcMs) -> Device {
    let mut device = Device {
        id: Uuid::now_v7(),
        number: 0,
        site_id: gateway.site_id,
        key: Some(from.key.clone()),
        gateway_id: Some(gateway.id),
        pending_gateway_id: None,
        device_name: from.key.clone(),
        device_type: Word(from.device_type.unwrap_or(DeviceType::Sensor)),
        serial_number: stand_in_serial(gateway.site_id, &from.key),
        model: UNKNOWN.to_owned(),
        manufacturer: UNKNOWN.to_owned(),
        capacity_kw: 0.0,
        installation_date: Word(first_seen),
        last_maintenance: None,
        next_maintenance: None,
        status: Word(DeviceStatus::Active),
        firmware_version: None,
        hardware_version: None,
        interval_ms: None,
        created_at: At(now),
        updated_at: At(now),
        metadata: Word(Object::default()),
    };
    let Object(metadata) = &mut device.metadata.0;
    metadata.insert("unknown".to_owned(), json!(["capacity_kw", "manufacturer", "model", "serial_number"]));
    if let Some(kind) = &from.kind {
        metadata.insert("kind".to_owned(), kind.as_str().into());
    }
    learn(&mut device, from, serial_is_free);
    device
}

/// Takes what the announcement knows and the record does not; what a person wrote stays.
fn learn(device: &mut Device, from: &Announcement, serial_is_free: bool) {
    let Object(metadata) = &mut device.metadata.0;
    metadata.insert("profile".to_owned(), from.profile.as_str().into());
    if let Some(power_w) = from.rated_power_w.filter(|_| is_unknown(metadata, "capacity_kw")) {
        device.capacity_kw = power_w as f64 / 1_000.0;
        now_known(metadata, "capacity_kw");
    }
    if let Some(manufacturer) = from.manufacturer.clone().filter(|_| is_unknown(metadata, "manufacturer")) {
        device.manufacturer = manufacturer;
        now_known(metadata, "manufacturer");
    }
    if let Some(model) = from.model.clone().filter(|_| is_unknown(metadata, "model")) {
        device.model = model;
        now_known(metadata, "model");
    }
    if let Some(version) = &from.firmware_version {
        device.firmware_version = Some(version.clone());
    }
    if let Some(version) = &from.hardware_version {
        device.hardware_version = Some(version.clone());
    }
    if let Some(interval_ms) = from.interval_ms {
        device.interval_ms = Some(i64::try_from(interval_ms).unwrap_or(i64::MAX));
    }
    match &from.serial_number {
        Some(serial) if serial_is_free && is_unknown(metadata, "serial_number") => {
            device.serial_number = serial.clone();
            now_known(metadata, "serial_number");
            metadata.remove("reported_serial");
        }
        // Held by another device, or another machine under the same key: shown, not believed.
        Some(serial) if *serial != device.serial_number => {
            metadata.insert("reported_serial".to_owned(), serial.as_str().into());
        }
        _ => {}
    }
}

/// Stands for a serial number that the device does not say, or that another device holds.
fn stand_in_serial(site_id: Uuid, key: &str) -> String {
    format!("{site_id}/{key}")
}

/// The list `metadata.unknown` names the fields whose value nobody has said yet.
fn is_unknown(metadata: &Map<String, Value>, field: &str) -> bool {
    metadata.get("unknown").and_then(Value::as_array).is_some_and(|fields| fields.iter().any(|name| name == field))
}

/// Takes a field off `metadata.unknown`.
pub(super) fn now_known(metadata: &mut Map<String, Value>, field: &str) {
    if let Some(Value::Array(fields)) = metadata.get_mut("unknown") {
        fields.retain(|name| name != field);
        if fields.is_empty() {
            metadata.remove("unknown");
        }
    }
}

//! Devices: turbines, sensors, controllers, batteries, and how the gateways' announcements become them.

mod announce;

use jiff::civil::Date;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::{DeviceStatus, DeviceType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::FromRow;
use uuid::Uuid;

use super::sites::set;
use super::{Sight, check_version, next_version};
use crate::db::column::{At, Object, Word, present, seconds_or_null, shortest};
use crate::db::page::{Listed, Page};
use crate::db::{Db, DbError, Tx, on, read, transact};

pub use announce::{Announced, announce};

/// Most devices that one query of [`of_site`] and the like answers.
pub const DEVICES_MAX: i64 = 10_000;

/// A device as the API shows it.
#[derive(Clone, Debug, PartialEq, FromRow, Serialize, JsonSchema)]
#[expect(missing_docs, reason = "the plan's columns")]
pub struct Device {
    pub id: Uuid,
    /// Its name in stored readings.
    #[serde(skip)]
    pub number: i64,
    pub site_id: Uuid,
    /// Its id in `edge.toml`.
    pub key: Option<String>,
    /// The gateway that reads it.
    pub gateway_id: Option<Uuid>,
    /// A gateway that announced the key too: a move that an admin confirms by `gateway_id`.
    pub pending_gateway_id: Option<Uuid>,
    pub device_name: String,
    pub device_type: Word<DeviceType>,
    pub serial_number: String,
    pub model: String,
    pub manufacturer: String,
    /// 0 and named in `metadata.unknown` when nobody said.
    #[serde(serialize_with = "shortest")]
    pub capacity_kw: f64,
    pub installation_date: Word<Date>,
    pub last_maintenance: Option<Word<Date>>,
    pub next_maintenance: Option<Word<Date>>,
    pub status: Word<DeviceStatus>,
    pub firmware_version: Option<String>,
    pub hardware_version: Option<String>,
    /// How often its gateway polls it, in s; `null` when no gateway does.
    #[serde(rename = "interval_s", serialize_with = "seconds_or_null")]
    #[schemars(with = "Option<f64>")]
    pub interval_ms: Option<i64>,
    pub created_at: At,
    pub updated_at: At,
    pub metadata: Word<Object>,
}

/// A device by its names, for those who store, sum and find readings.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct NamedDevice {
    /// Its id in the API.
    pub id: Uuid,
    /// Its name in stored readings.
    pub number: i64,
    /// Its site.
    pub site_id: Uuid,
    /// What kind of machine it is.
    pub device_type: Word<DeviceType>,
    /// Its id in `edge.toml`.
    pub key: Option<String>,
    /// The gateway whose readings are taken.
    pub gateway_id: Option<Uuid>,
    /// How often its gateway polls it, where that is known.
    pub interval_ms: Option<i64>,
    /// IANA zone of the site, whose calendar makes its days.
    pub timezone: String,
}

/// Body of `POST /devices`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "as in Device")]
pub struct NewDevice {
    pub site_id: Uuid,
    pub key: Option<String>,
    pub device_name: String,
    pub device_type: DeviceType,
    pub serial_number: String,
    pub model: String,
    pub manufacturer: String,
    pub capacity_kw: f64,
    pub installation_date: Word<Date>,
    pub last_maintenance: Option<Word<Date>>,
    pub next_maintenance: Option<Word<Date>>,
    pub status: Option<DeviceStatus>,
    pub firmware_version: Option<String>,
    pub hardware_version: Option<String>,
    #[serde(default)]
    pub metadata: Object,
}

/// Body of `PUT /devices/{id}`: absent keeps, `null` clears. A device never changes its site.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "as in Device")]
pub struct UpdateDevice {
    #[serde(deserialize_with = "present")]
    pub key: Option<Option<String>>,
    /// Gives the device to this gateway of its site, which confirms a pending move.
    #[serde(deserialize_with = "present")]
    pub gateway_id: Option<Option<Uuid>>,
    #[serde(deserialize_with = "present")]
    pub device_name: Option<String>,
    #[serde(deserialize_with = "present")]
    pub device_type: Option<DeviceType>,
    #[serde(deserialize_with = "present")]
    pub serial_number: Option<String>,
    #[serde(deserialize_with = "present")]
    pub model: Option<String>,
    #[serde(deserialize_with = "present")]
    pub manufacturer: Option<String>,
    #[serde(deserialize_with = "present")]
    pub capacity_kw: Option<f64>,
    #[serde(deserialize_with = "present")]
    pub installation_date: Option<Word<Date>>,
    #[serde(deserialize_with = "present")]
    pub last_maintenance: Option<Option<Word<Date>>>,
    #[serde(deserialize_with = "present")]
    pub next_maintenance: Option<Option<Word<Date>>>,
    #[serde(deserialize_with = "present")]
    pub status: Option<DeviceStatus>,
    #[serde(deserialize_with = "present")]
    pub firmware_version: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    pub hardware_version: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    pub metadata: Option<Object>,
}

impl UpdateDevice {
    fn apply(&self, device: &mut Device) {
        let change = self.clone();
        set(&mut device.key, change.key);
        if let Some(gateway_id) = change.gateway_id {
            device.gateway_id = gateway_id;
            device.pending_gateway_id = None;
        }
        set(&mut device.device_name, change.device_name);
        set(&mut device.device_type.0, change.device_type);
        set(&mut device.installation_date, change.installation_date);
        set(&mut device.last_maintenance, change.last_maintenance);
        set(&mut device.next_maintenance, change.next_maintenance);
        set(&mut device.status.0, change.status);
        set(&mut device.firmware_version, change.firmware_version);
        set(&mut device.hardware_version, change.hardware_version);
        set(&mut device.metadata.0, change.metadata);
        // What a person says is known; announcements leave it alone from now on.
        let Object(metadata) = &mut device.metadata.0;
        set_known(metadata, "serial_number", &mut device.serial_number, change.serial_number);
        set_known(metadata, "model", &mut device.model, change.model);
        set_known(metadata, "manufacturer", &mut device.manufacturer, change.manufacturer);
        set_known(metadata, "capacity_kw", &mut device.capacity_kw, change.capacity_kw);
    }
}

fn set_known<T>(metadata: &mut Map<String, Value>, name: &str, field: &mut T, update: Option<T>) {
    if let Some(value) = update {
        *field = value;
        announce::now_known(metadata, name);
    }
}

const SEEN: &str = "select * from devices where site_id in (select site_id from sight where user_id = $3)
    and ($4 or site_id = $5)";
const NAMED: &str = "select d.id, d.number, d.site_id, d.device_type, d.key, d.gateway_id, d.interval_ms, s.timezone
    from devices d join sites s on s.id = d.site_id";

/// A page of the devices in sight, of one site or of all.
pub async fn list(db: &Db, sight: Sight, site_id: Option<Uuid>, page: &Page) -> Result<Listed<Device>, DbError> {
    let rows = read!(db, |conn| {
        sqlx::query_as::<_, Device>(page.sql(SEEN, "id"))
            .bind(page.start())
            .bind(page.fetch_limit())
            .bind(sight.user_id())
            .bind(site_id.is_none())
            .bind(site_id.unwrap_or_default())
            .fetch_all(conn)
            .await
    })?;
    Ok(page.cut(rows, |device| device.id))
}

/// The device, when it is in sight.
pub async fn find(db: &Db, sight: Sight, id: Uuid) -> Result<Option<Device>, DbError> {
    Ok(read!(db, |conn| {
        sqlx::query_as(
            "select * from devices where id = $1 and site_id in (select site_id from sight where user_id = $2)",
        )
        .bind(id)
        .bind(sight.user_id())
        .fetch_optional(conn)
        .await
    })?)
}

/// The names of one device, when it is in sight.
pub async fn find_named(db: &Db, sight: Sight, id: Uuid) -> Result<Option<NamedDevice>, DbError> {
    Ok(read!(db, |conn| {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{NAMED} where d.id = $1 and d.site_id in (select site_id from sight where user_id = $2)"
        )))
        .bind(id)
        .bind(sight.user_id())
        .fetch_optional(conn)
        .await
    })?)
}

/// The names of one device, for what the service does by itself.
pub async fn named(db: &Db, id: Uuid) -> Result<Option<NamedDevice>, DbError> {
    Ok(read!(db, |conn| {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{NAMED} where d.id = $1"))).bind(id).fetch_optional(conn).await
    })?)
}

/// The names of the devices in sight, of one site or of all, by number; at most [`DEVICES_MAX`].
pub async fn in_sight(db: &Db, sight: Sight, site_id: Option<Uuid>) -> Result<Vec<NamedDevice>, DbError> {
    Ok(read!(db, |conn| {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{NAMED} where d.site_id in (select site_id from sight where user_id = $1) and ($2 or d.site_id = $3)
            order by d.number limit $4"
        )))
        .bind(sight.user_id())
        .bind(site_id.is_none())
        .bind(site_id.unwrap_or_default())
        .bind(DEVICES_MAX)
        .fetch_all(conn)
        .await
    })?)
}

/// The names of the devices of a site, by number; at most [`DEVICES_MAX`].
pub async fn of_site(db: &Db, site_id: Uuid) -> Result<Vec<NamedDevice>, DbError> {
    Ok(read!(db, |conn| {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{NAMED} where d.site_id = $1 order by d.number limit $2")))
            .bind(site_id)
            .bind(DEVICES_MAX)
            .fetch_all(conn)
            .await
    })?)
}

/// The names of the devices with a number above `after`, by number; at most [`DEVICES_MAX`]. For
/// the service's own work over all sites.
pub async fn all_named(db: &Db, after: i64) -> Result<Vec<NamedDevice>, DbError> {
    Ok(read!(db, |conn| {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{NAMED} where d.number > $1 order by d.number limit $2")))
            .bind(after)
            .bind(DEVICES_MAX)
            .fetch_all(conn)
            .await
    })?)
}

/// A new device, made by a person.
///
/// # Errors
/// [`DbError::Taken`] for the serial number, or the key within the site; [`DbError::MissingReference`]
/// when there is no such site.
pub async fn create(db: &Db, new: &NewDevice, now: UtcMs) -> Result<Device, DbError> {
    let mut device = Device {
        id: Uuid::now_v7(),
        number: 0,
        site_id: new.site_id,
        key: new.key.clone(),
        gateway_id: None,
        pending_gateway_id: None,
        device_name: new.device_name.clone(),
        device_type: Word(new.device_type),
        serial_number: new.serial_number.clone(),
        model: new.model.clone(),
        manufacturer: new.manufacturer.clone(),
        capacity_kw: new.capacity_kw,
        installation_date: new.installation_date,
        last_maintenance: new.last_maintenance,
        next_maintenance: new.next_maintenance,
        status: Word(new.status.unwrap_or(DeviceStatus::Active)),
        firmware_version: new.firmware_version.clone(),
        hardware_version: new.hardware_version.clone(),
        interval_ms: None,
        created_at: At(now),
        updated_at: At(now),
        metadata: Word(new.metadata.clone()),
    };
    device.number = transact!(db, |tx| {
        let number = next_number(tx).await?;
        write(tx, &Device { number, ..device.clone() }, INSERT).await?;
        Ok(number)
    })?;
    Ok(device)
}

/// Changes a device; `None` when there is none.
///
/// # Errors
/// [`DbError::Stale`], [`DbError::Taken`], and [`DbError::MissingReference`] for a gateway that is
/// not of the device's site.
pub async fn update(
    db: &Db,
    id: Uuid,
    version: Option<UtcMs>,
    change: &UpdateDevice,
    now: UtcMs,
) -> Result<Option<Device>, DbError> {
    transact!(db, |tx| {
        let found: Option<Device> = on!(tx, |conn| {
            sqlx::query_as("select * from devices where id = $1").bind(id).fetch_optional(conn).await
        })?;
        let Some(mut device) = found else { return Ok(None) };
        check_version(device.updated_at, version)?;
        change.apply(&mut device);
        if let Some(Some(gateway_id)) = change.gateway_id {
            let of_site: Option<Uuid> = on!(tx, |conn| {
                sqlx::query_scalar("select id from gateways where id = $1 and site_id = $2")
                    .bind(gateway_id)
                    .bind(device.site_id)
                    .fetch_optional(conn)
                    .await
            })?;
            of_site.ok_or(DbError::MissingReference)?;
        }
        device.updated_at = next_version(device.updated_at, now);
        write(tx, &device, UPDATE).await?;
        Ok(Some(device))
    })
}

/// Removes a device; `false` when there is none. Its number is never given again.
pub async fn delete(db: &Db, id: Uuid, version: Option<UtcMs>) -> Result<bool, DbError> {
    transact!(db, |tx| {
        let stored: Option<At> = on!(tx, |conn| {
            sqlx::query_scalar("select updated_at from devices where id = $1").bind(id).fetch_optional(conn).await
        })?;
        let Some(stored) = stored else { return Ok(false) };
        check_version(stored, version)?;
        on!(tx, |conn| sqlx::query("delete from devices where id = $1").bind(id).execute(conn).await.map(|_| ()))?;
        Ok(true)
    })
}

/// Takes the next device number.
async fn next_number(tx: &mut Tx) -> Result<i64, DbError> {
    Ok(on!(tx, |conn| {
        sqlx::query_scalar(
            "update meta set value = cast(cast(value as bigint) + 1 as text) where name = 'next_device_number'
            returning cast(value as bigint) - 1",
        )
        .fetch_one(conn)
        .await
    })?)
}

const INSERT: &str =
    "insert into devices (key, gateway_id, pending_gateway_id, device_name, device_type, serial_number,
        model, manufacturer, capacity_kw, installation_date, last_maintenance, next_maintenance, status,
        firmware_version, hardware_version, interval_ms, updated_at, metadata, id, number, site_id, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)";
const UPDATE: &str = "update devices set key = $1, gateway_id = $2, pending_gateway_id = $3, device_name = $4,
        device_type = $5, serial_number = $6, model = $7, manufacturer = $8, capacity_kw = $9,
        installation_date = $10, last_maintenance = $11, next_maintenance = $12, status = $13,
        firmware_version = $14, hardware_version = $15, interval_ms = $16, updated_at = $17, metadata = $18
    where id = $19 and number = $20 and site_id = $21 and created_at = $22";

/// Writes every column by [`INSERT`] or [`UPDATE`].
async fn write(tx: &mut Tx, device: &Device, sql: &'static str) -> Result<(), DbError> {
    on!(tx, |conn| {
        sqlx::query(sql)
            .bind(&device.key)
            .bind(device.gateway_id)
            .bind(device.pending_gateway_id)
            .bind(&device.device_name)
            .bind(device.device_type)
            .bind(&device.serial_number)
            .bind(&device.model)
            .bind(&device.manufacturer)
            .bind(device.capacity_kw)
            .bind(device.installation_date)
            .bind(device.last_maintenance)
            .bind(device.next_maintenance)
            .bind(device.status)
            .bind(&device.firmware_version)
            .bind(&device.hardware_version)
            .bind(device.interval_ms)
            .bind(device.updated_at)
            .bind(&device.metadata)
            .bind(device.id)
            .bind(device.number)
            .bind(device.site_id)
            .bind(device.created_at)
            .execute(conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

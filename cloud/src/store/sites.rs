//! Sites: a stretch of river with its devices.

use jiff::civil::Date;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::SiteStatus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Sight, check_version, next_version};
use crate::db::column::{At, Object, Word, present, shortest, shortest_or_null};
use crate::db::page::{Listed, Page};
use crate::db::{Db, DbError, Tx, on, read, transact};

/// Most sites that one query of [`zones`] answers.
pub const SITES_MAX: i64 = 10_000;

/// A stretch of river. Depth and elevation in m, flow in m³/s, angles in degrees.
#[derive(Clone, Debug, PartialEq, FromRow, Serialize, JsonSchema)]
#[expect(missing_docs, reason = "the plan's columns")]
pub struct Site {
    pub id: Uuid,
    pub name: String,
    pub region: String,
    pub river_name: String,
    #[serde(serialize_with = "shortest")]
    pub latitude: f64,
    #[serde(serialize_with = "shortest")]
    pub longitude: f64,
    #[serde(serialize_with = "shortest_or_null")]
    pub elevation: Option<f64>,
    #[serde(serialize_with = "shortest_or_null")]
    pub water_depth: Option<f64>,
    #[serde(serialize_with = "shortest_or_null")]
    pub flow_rate: Option<f64>,
    #[serde(serialize_with = "shortest")]
    pub capacity_kw: f64,
    pub installation_date: Option<Word<Date>>,
    pub status: Word<SiteStatus>,
    /// IANA name.
    pub timezone: String,
    /// ISO 4217.
    pub currency: String,
    pub created_at: At,
    pub updated_at: At,
    pub metadata: Word<Object>,
}

/// Body of `POST /sites`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "as in Site")]
pub struct NewSite {
    pub name: String,
    pub region: String,
    pub river_name: String,
    pub latitude: f64,
    pub longitude: f64,
    pub elevation: Option<f64>,
    pub water_depth: Option<f64>,
    pub flow_rate: Option<f64>,
    pub capacity_kw: f64,
    pub installation_date: Option<Word<Date>>,
    pub status: Option<SiteStatus>,
    pub timezone: String,
    pub currency: String,
    #[serde(default)]
    pub metadata: Object,
}

/// Body of `PUT /sites/{id}`: absent keeps, `null` clears.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "as in Site")]
pub struct UpdateSite {
    #[serde(deserialize_with = "present")]
    pub name: Option<String>,
    #[serde(deserialize_with = "present")]
    pub region: Option<String>,
    #[serde(deserialize_with = "present")]
    pub river_name: Option<String>,
    #[serde(deserialize_with = "present")]
    pub latitude: Option<f64>,
    #[serde(deserialize_with = "present")]
    pub longitude: Option<f64>,
    #[serde(deserialize_with = "present")]
    pub elevation: Option<Option<f64>>,
    #[serde(deserialize_with = "present")]
    pub water_depth: Option<Option<f64>>,
    #[serde(deserialize_with = "present")]
    pub flow_rate: Option<Option<f64>>,
    #[serde(deserialize_with = "present")]
    pub capacity_kw: Option<f64>,
    #[serde(deserialize_with = "present")]
    pub installation_date: Option<Option<Word<Date>>>,
    #[serde(deserialize_with = "present")]
    pub status: Option<SiteStatus>,
    #[serde(deserialize_with = "present")]
    pub timezone: Option<String>,
    #[serde(deserialize_with = "present")]
    pub currency: Option<String>,
    #[serde(deserialize_with = "present")]
    pub metadata: Option<Object>,
}

impl UpdateSite {
    fn apply(&self, site: &mut Site) {
        let UpdateSite {
            name,
            region,
            river_name,
            latitude,
            longitude,
            elevation,
            water_depth,
            flow_rate,
            capacity_kw,
            installation_date,
            status,
            timezone,
            currency,
            metadata,
        } = self.clone();
        set(&mut site.name, name);
        set(&mut site.region, region);
        set(&mut site.river_name, river_name);
        set(&mut site.latitude, latitude);
        set(&mut site.longitude, longitude);
        set(&mut site.elevation, elevation);
        set(&mut site.water_depth, water_depth);
        set(&mut site.flow_rate, flow_rate);
        set(&mut site.capacity_kw, capacity_kw);
        set(&mut site.installation_date, installation_date);
        set(&mut site.status.0, status);
        set(&mut site.timezone, timezone);
        set(&mut site.currency, currency);
        set(&mut site.metadata.0, metadata);
    }
}

/// Replaces `field` where the update names it.
pub(super) fn set<T>(field: &mut T, update: Option<T>) {
    if let Some(value) = update {
        *field = value;
    }
}

const SEEN: &str = "select * from sites where id in (select site_id from sight where user_id = $3)";

/// A page of the sites in sight.
pub async fn list(db: &Db, sight: Sight, page: &Page) -> Result<Listed<Site>, DbError> {
    let rows = read!(db, |conn| {
        sqlx::query_as::<_, Site>(page.sql(SEEN, "id"))
            .bind(page.start())
            .bind(page.fetch_limit())
            .bind(sight.user_id())
            .fetch_all(conn)
            .await
    })?;
    Ok(page.cut(rows, |site| site.id))
}

/// Id and IANA zone of the sites in sight, the first made first; at most [`SITES_MAX`].
pub async fn zones(db: &Db, sight: Sight) -> Result<Vec<(Uuid, String)>, DbError> {
    Ok(read!(db, |conn| {
        sqlx::query_as(
            "select id, timezone from sites where id in (select site_id from sight where user_id = $1)
            order by id limit $2",
        )
        .bind(sight.user_id())
        .bind(SITES_MAX)
        .fetch_all(conn)
        .await
    })?)
}

/// The site, when it is in sight.
pub async fn find(db: &Db, sight: Sight, id: Uuid) -> Result<Option<Site>, DbError> {
    Ok(read!(db, |conn| {
        sqlx::query_as("select * from sites where id = $1 and id in (select site_id from sight where user_id = $2)")
            .bind(id)
            .bind(sight.user_id())
            .fetch_optional(conn)
            .await
    })?)
}

/// The ids of the sites in sight.
pub async fn ids_in_sight(db: &Db, sight: Sight) -> Result<Vec<Uuid>, DbError> {
    Ok(read!(db, |conn| {
        sqlx::query_scalar("select site_id from sight where user_id = $1").bind(sight.user_id()).fetch_all(conn).await
    })?)
}

/// A new site.
pub async fn create(db: &Db, new: &NewSite, now: UtcMs) -> Result<Site, DbError> {
    let site = Site {
        id: Uuid::now_v7(),
        name: new.name.clone(),
        region: new.region.clone(),
        river_name: new.river_name.clone(),
        latitude: new.latitude,
        longitude: new.longitude,
        elevation: new.elevation,
        water_depth: new.water_depth,
        flow_rate: new.flow_rate,
        capacity_kw: new.capacity_kw,
        installation_date: new.installation_date,
        status: Word(new.status.unwrap_or(SiteStatus::Active)),
        timezone: new.timezone.clone(),
        currency: new.currency.clone(),
        created_at: At(now),
        updated_at: At(now),
        metadata: Word(new.metadata.clone()),
    };
    transact!(db, |tx| {
        write(
            tx,
            &site,
            "insert into sites (name, region, river_name, latitude, longitude, elevation, water_depth, flow_rate,
                capacity_kw, installation_date, status, timezone, currency, updated_at, metadata, id, created_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        )
        .await
    })?;
    Ok(site)
}

/// Changes a site; `None` when there is none. `version`: only if it was last updated then.
pub async fn update(
    db: &Db,
    id: Uuid,
    version: Option<UtcMs>,
    change: &UpdateSite,
    now: UtcMs,
) -> Result<Option<Site>, DbError> {
    transact!(db, |tx| {
        let found: Option<Site> = on!(tx, |conn| {
            sqlx::query_as("select * from sites where id = $1").bind(id).fetch_optional(conn).await
        })?;
        let Some(mut site) = found else { return Ok(None) };
        check_version(site.updated_at, version)?;
        change.apply(&mut site);
        site.updated_at = next_version(site.updated_at, now);
        write(
            tx,
            &site,
            "update sites set name = $1, region = $2, river_name = $3, latitude = $4, longitude = $5, elevation = $6,
                water_depth = $7, flow_rate = $8, capacity_kw = $9, installation_date = $10, status = $11,
                timezone = $12, currency = $13, updated_at = $14, metadata = $15
            where id = $16 and created_at = $17",
        )
        .await?;
        Ok(Some(site))
    })
}

/// Removes a site with its devices and gateways; `false` when there is none.
pub async fn delete(db: &Db, id: Uuid, version: Option<UtcMs>) -> Result<bool, DbError> {
    transact!(db, |tx| {
        let stored: Option<At> = on!(tx, |conn| {
            sqlx::query_scalar("select updated_at from sites where id = $1").bind(id).fetch_optional(conn).await
        })?;
        let Some(stored) = stored else { return Ok(false) };
        check_version(stored, version)?;
        on!(tx, |conn| sqlx::query("delete from sites where id = $1").bind(id).execute(conn).await.map(|_| ()))?;
        Ok(true)
    })
}

async fn write(tx: &mut Tx, site: &Site, sql: &'static str) -> Result<(), DbError> {
    on!(tx, |conn| {
        sqlx::query(sql)
            .bind(&site.name)
            .bind(&site.region)
            .bind(&site.river_name)
            .bind(site.latitude)
            .bind(site.longitude)
            .bind(site.elevation)
            .bind(site.water_depth)
            .bind(site.flow_rate)
            .bind(site.capacity_kw)
            .bind(site.installation_date)
            .bind(site.status)
            .bind(&site.timezone)
            .bind(&site.currency)
            .bind(site.updated_at)
            .bind(&site.metadata)
            .bind(site.id)
            .bind(site.created_at)
            .execute(conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

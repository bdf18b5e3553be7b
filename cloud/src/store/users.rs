//! People who sign in.

use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::UserRole;
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use super::sites::set;
use super::{check_version, next_version, sessions};
use crate::db::column::{At, Object, Word};
use crate::db::page::{Listed, Page};
use crate::db::{Db, DbError, Tx, on, read, transact};

/// A person, without the password's hash.
#[derive(Clone, Debug, PartialEq, FromRow, Serialize, JsonSchema)]
#[expect(missing_docs, reason = "the plan's columns")]
pub struct User {
    pub id: Uuid,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub role: Word<UserRole>,
    pub is_active: bool,
    pub email_verified: bool,
    pub last_login: Option<At>,
    pub created_at: At,
    pub updated_at: At,
    pub created_by: Option<Uuid>,
    pub metadata: Word<Object>,
}

/// What a new user is made of; `email` in lower case.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as in User")]
pub struct NewUser {
    pub email: String,
    pub password_hash: String,
    pub first_name: String,
    pub last_name: String,
    pub role: UserRole,
    pub is_active: bool,
    pub email_verified: bool,
    pub created_by: Option<Uuid>,
    pub metadata: Object,
}

/// What changes of a user; `None` keeps.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "as in User")]
pub struct UpdateUser {
    pub email: Option<String>,
    pub password_hash: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub role: Option<UserRole>,
    pub is_active: Option<bool>,
    pub email_verified: Option<bool>,
    /// Replaces `metadata.preferences`.
    pub preferences: Option<Object>,
    pub metadata: Option<Object>,
}

/// A change of a user and the sign-ins that it ended.
#[derive(Debug)]
pub struct Changed {
    /// The user afterwards.
    pub user: User,
    /// Sessions that ended by it: the caller revokes their access tokens.
    pub ended: Vec<Uuid>,
}

const LAST_ADMIN: &str = "the last active admin stays: make another one first";
const COLUMNS: &str = "select id, email, first_name, last_name, role, is_active, email_verified, last_login,
    created_at, updated_at, created_by, metadata from users where 1 = 1";
const BY_ID: &str = "select * from users where id = $1";

/// A page of all users.
pub async fn list(db: &Db, page: &Page) -> Result<Listed<User>, DbError> {
    let rows = read!(db, |conn| {
        sqlx::query_as::<_, User>(page.sql(COLUMNS, "id"))
            .bind(page.start())
            .bind(page.fetch_limit())
            .fetch_all(conn)
            .await
    })?;
    Ok(page.cut(rows, |user| user.id))
}

/// The user with this id.
pub async fn find(db: &Db, id: Uuid) -> Result<Option<User>, DbError> {
    Ok(read!(db, |conn| sqlx::query_as(BY_ID).bind(id).fetch_optional(conn).await)?)
}

/// The user with this e-mail address (in lower case) and the hash of the password.
pub async fn find_for_sign_in(db: &Db, email: &str) -> Result<Option<(User, String)>, DbError> {
    #[derive(FromRow)]
    struct Row {
        #[sqlx(flatten)]
        user: User,
        password_hash: String,
    }
    let row: Option<Row> = read!(db, |conn| {
        sqlx::query_as("select * from users where email = $1").bind(email).fetch_optional(conn).await
    })?;
    Ok(row.map(|row| (row.user, row.password_hash)))
}

/// A new user.
///
/// # Errors
/// [`DbError::Taken`] when the e-mail address is.
pub async fn create(db: &Db, new: &NewUser, now: UtcMs) -> Result<User, DbError> {
    let id = Uuid::now_v7();
    transact!(db, |tx| {
        Ok(on!(tx, |conn| {
            sqlx::query_as(
                "insert into users (id, email, password_hash, first_name, last_name, role, is_active, email_verified,
                    created_at, updated_at, created_by, metadata)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11) returning *",
            )
            .bind(id)
            .bind(&new.email)
            .bind(&new.password_hash)
            .bind(&new.first_name)
            .bind(&new.last_name)
            .bind(Word(new.role))
            .bind(new.is_active)
            .bind(new.email_verified)
            .bind(At(now))
            .bind(new.created_by)
            .bind(Word(new.metadata.clone()))
            .fetch_one(conn)
            .await
        })?)
    })
}

/// Changes a user; `None` when there is none. A new password, a new role and deactivation end all
/// the user's sessions.
///
/// # Errors
/// [`DbError::Stale`], [`DbError::Taken`], and [`DbError::Refused`] for the last active admin.
pub async fn update(
    db: &Db,
    id: Uuid,
    version: Option<UtcMs>,
    change: &UpdateUser,
    now: UtcMs,
) -> Result<Option<Changed>, DbError> {
    transact!(db, |tx| {
        let found: Option<User> = on!(tx, |conn| sqlx::query_as(BY_ID).bind(id).fetch_optional(conn).await)?;
        let Some(before) = found else { return Ok(None) };
        check_version(before.updated_at, version)?;
        let mut user = before.clone();
        apply(change, &mut user);
        user.updated_at = next_version(before.updated_at, now);
        on!(tx, |conn| {
            sqlx::query(
                "update users set email = $1, first_name = $2, last_name = $3, role = $4, is_active = $5,
                    email_verified = $6, updated_at = $7, metadata = $8, password_hash = coalesce($9, password_hash)
                where id = $10",
            )
            .bind(&user.email)
            .bind(&user.first_name)
            .bind(&user.last_name)
            .bind(user.role)
            .bind(user.is_active)
            .bind(user.email_verified)
            .bind(user.updated_at)
            .bind(&user.metadata)
            .bind(&change.password_hash)
            .bind(id)
            .execute(conn)
            .await
            .map(|_| ())
        })?;
        keep_an_admin(tx, &before).await?;
        let ends_access = change.password_hash.is_some() || user.role != before.role || !user.is_active;
        let ended = if ends_access { sessions::revoke_of_user(tx, id, now).await? } else { Vec::new() };
        Ok(Some(Changed { user, ended }))
    })
}

fn apply(change: &UpdateUser, user: &mut User) {
    let UpdateUser { email, first_name, last_name, role, is_active, email_verified, preferences, metadata, .. } =
        change.clone();
    if email.as_ref().is_some_and(|email| *email != user.email) {
        user.email_verified = false;
    }
    set(&mut user.email, email);
    set(&mut user.first_name, first_name);
    set(&mut user.last_name, last_name);
    set(&mut user.role.0, role);
    set(&mut user.is_active, is_active);
    set(&mut user.email_verified, email_verified);
    set(&mut user.metadata.0, metadata);
    if let Some(Object(preferences)) = preferences {
        user.metadata.0.0.insert("preferences".to_owned(), preferences.into());
    }
}

/// Removes a user and ends their sessions; `None` when there is none, else the ended sessions.
///
/// # Errors
/// [`DbError::Refused`] for the last active admin.
pub async fn delete(db: &Db, id: Uuid, version: Option<UtcMs>, now: UtcMs) -> Result<Option<Vec<Uuid>>, DbError> {
    transact!(db, |tx| {
        let found: Option<User> = on!(tx, |conn| sqlx::query_as(BY_ID).bind(id).fetch_optional(conn).await)?;
        let Some(before) = found else { return Ok(None) };
        check_version(before.updated_at, version)?;
        let ended = sessions::revoke_of_user(tx, id, now).await?;
        on!(tx, |conn| sqlx::query("delete from users where id = $1").bind(id).execute(conn).await.map(|_| ()))?;
        keep_an_admin(tx, &before).await?;
        Ok(Some(ended))
    })
}

/// Refuses what would leave nobody to administrate. Two admins who remove each other at once are
/// told apart by the transaction's isolation.
async fn keep_an_admin(tx: &mut Tx, before: &User) -> Result<(), DbError> {
    if before.role.0 != UserRole::Admin || !before.is_active {
        return Ok(());
    }
    let admins: i64 = on!(tx, |conn| {
        sqlx::query_scalar("select count(*) from users where role = 'admin' and is_active").fetch_one(conn).await
    })?;
    if admins == 0 { Err(DbError::Refused(LAST_ADMIN)) } else { Ok(()) }
}

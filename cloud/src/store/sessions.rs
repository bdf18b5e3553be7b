//! Sign-ins: a session per sign-in, its tree of refresh tokens, its end.

use riverwatts_shared::time::UtcMs;
use sqlx::FromRow;
use uuid::Uuid;

use super::users::User;
use crate::db::column::At;
use crate::db::{Db, DbError, Tx, on, read, transact};

/// Two tabs that refresh with the same token within this time are no reuse, in ms.
pub const REUSE_GRACE_MS: i64 = 10_000;

/// What became of a refresh token.
#[derive(Debug)]
pub enum Refreshed {
    /// It was good; the new one is stored.
    Renewed {
        /// Whose it is.
        user: Box<User>,
        /// The session it belongs to.
        session_id: Uuid,
    },
    /// It had been used before: somebody has a copy, so the session ended.
    Reused {
        /// The session that ended.
        session_id: Uuid,
    },
    /// It is unknown, expired or ended.
    Refused,
}

/// A refresh token as it is stored.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Hash of its id.
    pub hash: String,
    /// Its end.
    pub expires_at: UtcMs,
}

/// Stores a new session with its first refresh token and notes the user's last sign-in.
pub async fn start(db: &Db, user_id: Uuid, token: &NewToken, now: UtcMs) -> Result<Uuid, DbError> {
    let session_id = Uuid::now_v7();
    transact!(db, |tx| {
        on!(tx, |conn| {
            sqlx::query("insert into sessions (id, user_id, created_at, expires_at) values ($1, $2, $3, $4)")
                .bind(session_id)
                .bind(user_id)
                .bind(At(now))
                .bind(At(token.expires_at))
                .execute(conn)
                .await
                .map(|_| ())
        })?;
        insert_token(tx, session_id, token).await?;
        on!(tx, |conn| {
            sqlx::query("update users set last_login = $1 where id = $2")
                .bind(At(now))
                .bind(user_id)
                .execute(conn)
                .await
                .map(|_| ())
        })?;
        Ok(session_id)
    })
}

/// Trades the refresh token with `old_hash` for `new`.
pub async fn refresh(db: &Db, old_hash: &str, new: &NewToken, now: UtcMs) -> Result<Refreshed, DbError> {
    #[derive(FromRow)]
    struct Row {
        session_id: Uuid,
        user_id: Option<Uuid>,
        expires_at: At,
        used_at: Option<At>,
    }
    transact!(db, |tx| {
        let row: Option<Row> = on!(tx, |conn| {
            sqlx::query_as(
                "select t.session_id, s.user_id, t.expires_at, t.used_at
                from refresh_tokens t join sessions s on s.id = t.session_id
                where t.token_hash = $1 and s.revoked_at is null",
            )
            .bind(old_hash)
            .fetch_optional(conn)
            .await
        })?;
        let Some(Row { session_id, user_id: Some(user_id), expires_at, used_at }) = row else {
            return Ok(Refreshed::Refused);
        };
        if expires_at.0 <= now {
            return Ok(Refreshed::Refused);
        }
        if used_at.is_some_and(|used| now.since_ms(used.0) > REUSE_GRACE_MS) {
            end(tx, session_id, now).await?;
            return Ok(Refreshed::Reused { session_id });
        }
        let user: Option<User> = on!(tx, |conn| {
            sqlx::query_as("select * from users where id = $1 and is_active").bind(user_id).fetch_optional(conn).await
        })?;
        let Some(user) = user else { return Ok(Refreshed::Refused) };
        on!(tx, |conn| {
            sqlx::query("update refresh_tokens set used_at = coalesce(used_at, $1) where token_hash = $2")
                .bind(At(now))
                .bind(old_hash)
                .execute(conn)
                .await
                .map(|_| ())
        })?;
        on!(tx, |conn| {
            sqlx::query("delete from refresh_tokens where session_id = $1 and expires_at < $2")
                .bind(session_id)
                .bind(At(now))
                .execute(conn)
                .await
                .map(|_| ())
        })?;
        insert_token(tx, session_id, new).await?;
        on!(tx, |conn| {
            sqlx::query("update sessions set expires_at = $1 where id = $2")
                .bind(At(new.expires_at))
                .bind(session_id)
                .execute(conn)
                .await
                .map(|_| ())
        })?;
        Ok(Refreshed::Renewed { user: Box::new(user), session_id })
    })
}

/// The user and the session of a refresh token that would be traded for a new one.
pub async fn find(db: &Db, token_hash: &str, now: UtcMs) -> Result<Option<(User, Uuid)>, DbError> {
    #[derive(FromRow)]
    struct Row {
        session_id: Uuid,
        #[sqlx(flatten)]
        user: User,
    }
    let row: Option<Row> = read!(db, |conn| {
        sqlx::query_as(
            "select t.session_id, u.*
            from refresh_tokens t join sessions s on s.id = t.session_id join users u on u.id = s.user_id
            where t.token_hash = $1 and t.expires_at > $2 and (t.used_at is null or t.used_at >= $3)
            and s.revoked_at is null and u.is_active",
        )
        .bind(token_hash)
        .bind(At(now))
        .bind(At(UtcMs(now.0 - REUSE_GRACE_MS)))
        .fetch_optional(conn)
        .await
    })?;
    Ok(row.map(|Row { session_id, user }| (user, session_id)))
}

/// Ends a session.
pub async fn revoke(db: &Db, session_id: Uuid, now: UtcMs) -> Result<(), DbError> {
    transact!(db, |tx| { end(tx, session_id, now).await })
}

/// Ends all sessions of a user and names those that were open.
pub(super) async fn revoke_of_user(tx: &mut Tx, user_id: Uuid, now: UtcMs) -> Result<Vec<Uuid>, DbError> {
    Ok(on!(tx, |conn| {
        sqlx::query_scalar("update sessions set revoked_at = $1 where user_id = $2 and revoked_at is null returning id")
            .bind(At(now))
            .bind(user_id)
            .fetch_all(conn)
            .await
    })?)
}

/// Sessions that ended at `since` or later, by any instance.
pub async fn revoked_since(db: &Db, since: UtcMs) -> Result<Vec<Uuid>, DbError> {
    Ok(read!(db, |conn| {
        sqlx::query_scalar("select id from sessions where revoked_at >= $1").bind(At(since)).fetch_all(conn).await
    })?)
}

/// Takes at most `limit` sessions away that are over, with their tokens; answers how many.
pub async fn prune(db: &Db, now: UtcMs, limit: i64) -> Result<u64, DbError> {
    transact!(db, |tx| {
        Ok(on!(tx, |conn| {
            sqlx::query("delete from sessions where id in (select id from sessions where expires_at < $1 limit $2)")
                .bind(At(now))
                .bind(limit)
                .execute(conn)
                .await
                .map(|done| done.rows_affected())
        })?)
    })
}

async fn end(tx: &mut Tx, session_id: Uuid, now: UtcMs) -> Result<(), DbError> {
    on!(tx, |conn| {
        sqlx::query("update sessions set revoked_at = coalesce(revoked_at, $1) where id = $2")
            .bind(At(now))
            .bind(session_id)
            .execute(conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

async fn insert_token(tx: &mut Tx, session_id: Uuid, token: &NewToken) -> Result<(), DbError> {
    on!(tx, |conn| {
        sqlx::query("insert into refresh_tokens (token_hash, session_id, expires_at) values ($1, $2, $3)")
            .bind(&token.hash)
            .bind(session_id)
            .bind(At(token.expires_at))
            .execute(conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

//! Join tokens.

use super::SqliteStore;
use super::fault::Fault;
use crate::time::DateTime;
use async_trait::async_trait;
use finial_identity::{Code, UnixTime};
use finial_plugin::datastore::{JoinToken, StoreError, StoreResult, TokenStore};
use rusqlite::OptionalExtension;
use std::time::SystemTime;

const INSERT: &str =
    "INSERT INTO join_tokens (created_at, updated_at, token, expiry) VALUES (?1, ?1, ?2, ?3)";
const TAKE: &str = "DELETE FROM join_tokens WHERE token = ?1 RETURNING expiry";

#[async_trait]
impl TokenStore for SqliteStore {
    async fn token_create(&self, token: JoinToken, now: SystemTime) -> StoreResult<()> {
        if token.value.is_empty() {
            return Err(StoreError::new(Code::InvalidArgument, "token and expiry are required"));
        }
        self.write(move |db| {
            let columns = (DateTime::from(now), &token.value, token.expires_at.seconds());
            db.prepare_cached(INSERT)?.execute(columns)?;
            Ok(())
        })
        .await
    }

    async fn token_take(&self, value: &str) -> StoreResult<Option<JoinToken>> {
        let value = value.to_owned();
        self.write(move |db| {
            let expiry: Option<i64> =
                db.prepare_cached(TAKE)?.query_row([&value], |row| row.get(0)).optional()?;
            Ok::<_, Fault>(
                expiry.map(|expiry| JoinToken { value, expires_at: UnixTime::from_seconds(expiry) }),
            )
        })
        .await
    }
}

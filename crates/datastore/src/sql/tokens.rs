//! Join tokens.

use super::SqlStore;
use super::fault::Fault;
use super::session::{Session, Value};
use super::transaction::transaction;
use crate::time::DateTime;
use async_trait::async_trait;
use finial_identity::{Code, UnixTime};
use finial_plugin::datastore::{JoinToken, StoreError, StoreResult, TokenStore};
use std::time::SystemTime;

const INSERT: &str = "INSERT INTO join_tokens (created_at, updated_at, token, expiry) VALUES (?, ?, ?, ?)";
/// The row of a token, locked: of two who take it the second finds nothing.
const LOCK: &str = "SELECT id, token, expiry FROM join_tokens WHERE token = ? FOR UPDATE";
const DELETE: &str = "DELETE FROM join_tokens WHERE id = ?";

#[async_trait]
impl TokenStore for SqlStore {
    async fn token_create(&self, token: JoinToken, now: SystemTime) -> StoreResult<()> {
        if token.value.is_empty() {
            return Err(StoreError::new(Code::InvalidArgument, "token and expiry are required"));
        }
        let now = self.moment(now);
        transaction!(&self.primary, db => create(db, &token, now))
    }

    async fn token_take(&self, value: &str) -> StoreResult<Option<JoinToken>> {
        transaction!(&self.primary, db => take(db, value))
    }
}

async fn create(db: &mut dyn Session, token: &JoinToken, now: DateTime) -> Result<(), Fault> {
    let now = Value::Moment(Some(now));
    let values = [now, now, Value::Text(&token.value), Value::Int(token.expires_at.seconds())];
    db.execute(INSERT, &values).await?;
    Ok(())
}

async fn take(db: &mut dyn Session, value: &str) -> Result<Option<JoinToken>, Fault> {
    for mut row in db.query(LOCK, &[Value::Text(value)]).await? {
        let (row_id, text) = (row.int()?, row.text()?);
        let expires_at = UnixTime::from_seconds(row.int()?);
        // A database that does not tell capitals apart finds more than was asked for.
        if text == value {
            db.execute(DELETE, &[Value::Int(row_id)]).await?;
            return Ok(Some(JoinToken { value: text, expires_at }));
        }
    }
    Ok(None)
}

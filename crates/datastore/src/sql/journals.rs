//! Journals of signing authorities, one row for each server that shares this database.

use super::SqlStore;
use super::fault::Fault;
use super::session::{Session, Value, first};
use super::transaction::{reading, transaction};
use crate::time::DateTime;
use async_trait::async_trait;
use finial_plugin::datastore::{JournalStore, StoreResult, StoredJournal};
use std::time::SystemTime;

const LIST: &str = "SELECT id, data, active_x509_authority_id FROM ca_journals ORDER BY id";
const INSERT: &str = "INSERT INTO ca_journals (created_at, updated_at, data, active_x509_authority_id, \
     active_jwt_authority_id) VALUES (?, ?, ?, ?, ?)";
const UPDATE: &str = "UPDATE ca_journals SET updated_at = ?, data = ?, active_x509_authority_id = ?, \
     active_jwt_authority_id = ? WHERE id = ?";
const DELETE: &str = "DELETE FROM ca_journals WHERE id = ?";

#[async_trait]
impl JournalStore for SqlStore {
    async fn journal_list(&self) -> StoreResult<Vec<StoredJournal>> {
        reading!(&self.primary, db => journals(db))
    }

    async fn journal_save(
        &self,
        row_id: Option<i64>,
        data: Vec<u8>,
        active_x509_authority_id: &str,
        active_jwt_authority_id: &str,
        now: SystemTime,
    ) -> StoreResult<i64> {
        let journal = Journal {
            data: &data,
            x509: active_x509_authority_id,
            jwt: active_jwt_authority_id,
            now: self.moment(now),
        };
        match row_id {
            None => transaction!(&self.primary, db => insert(db, &journal)),
            Some(row_id) => transaction!(&self.primary, db => update(db, row_id, &journal)),
        }
    }

    async fn journal_delete(&self, row_id: i64) -> StoreResult<()> {
        transaction!(&self.primary, db => delete(db, row_id))
    }
}

struct Journal<'a> {
    data: &'a [u8],
    x509: &'a str,
    jwt: &'a str,
    now: DateTime,
}

async fn journals(db: &mut dyn Session) -> Result<Vec<StoredJournal>, Fault> {
    let mut journals = Vec::new();
    for mut row in db.query(LIST, &[]).await? {
        let (row_id, data, active_x509_authority_id) = (row.int()?, row.blob()?, row.text()?);
        journals.push(StoredJournal { row_id, data, active_x509_authority_id });
    }
    Ok(journals)
}

async fn insert(db: &mut dyn Session, journal: &Journal<'_>) -> Result<i64, Fault> {
    let now = Value::Moment(Some(journal.now));
    let texts = [Value::Text(journal.x509), Value::Text(journal.jwt)];
    let values = [now, now, Value::Blob(Some(journal.data)), texts[0], texts[1]];
    if !db.dialect().returning {
        return Ok(db.insert(INSERT, &values).await?);
    }
    let row = first(db, &format!("{INSERT} RETURNING id"), &values).await?;
    row.ok_or_else(Fault::not_found)?.int()
}

async fn update(db: &mut dyn Session, row_id: i64, journal: &Journal<'_>) -> Result<i64, Fault> {
    let values = [
        Value::Moment(Some(journal.now)),
        Value::Blob(Some(journal.data)),
        Value::Text(journal.x509),
        Value::Text(journal.jwt),
        Value::Int(row_id),
    ];
    match db.execute(UPDATE, &values).await? {
        0 => Err(Fault::not_found()),
        _ => Ok(row_id),
    }
}

async fn delete(db: &mut dyn Session, row_id: i64) -> Result<(), Fault> {
    match db.execute(DELETE, &[Value::Int(row_id)]).await? {
        0 => Err(Fault::not_found()),
        _ => Ok(()),
    }
}

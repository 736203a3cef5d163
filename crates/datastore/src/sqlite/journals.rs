//! Journals of signing authorities, one row for each server that shares this database.

use super::SqliteStore;
use super::fault::Fault;
use crate::time::DateTime;
use async_trait::async_trait;
use finial_plugin::datastore::{JournalStore, StoreResult, StoredJournal};
use std::time::SystemTime;

const LIST: &str =
    "SELECT id, COALESCE(data, x''), COALESCE(active_x509_authority_id, '') FROM ca_journals ORDER BY id";
const INSERT: &str = "INSERT INTO ca_journals (created_at, updated_at, data, active_x509_authority_id, \
     active_jwt_authority_id) VALUES (?1, ?1, ?2, ?3, ?4)";
const UPDATE: &str = "UPDATE ca_journals SET updated_at = ?1, data = ?2, active_x509_authority_id = ?3, \
     active_jwt_authority_id = ?4 WHERE id = ?5";
const DELETE: &str = "DELETE FROM ca_journals WHERE id = ?1";

#[async_trait]
impl JournalStore for SqliteStore {
    async fn journal_list(&self) -> StoreResult<Vec<StoredJournal>> {
        self.read(|db| {
            let mut statement = db.prepare_cached(LIST)?;
            let journals = statement.query_map([], |row| {
                Ok(StoredJournal {
                    row_id: row.get(0)?,
                    data: row.get(1)?,
                    active_x509_authority_id: row.get(2)?,
                })
            })?;
            Ok(journals.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn journal_save(
        &self,
        row_id: Option<i64>,
        data: Vec<u8>,
        active_x509_authority_id: &str,
        active_jwt_authority_id: &str,
        now: SystemTime,
    ) -> StoreResult<i64> {
        let (x509, jwt) = (active_x509_authority_id.to_owned(), active_jwt_authority_id.to_owned());
        self.write(move |db| {
            let now = DateTime::from(now);
            let Some(row_id) = row_id else {
                db.prepare_cached(INSERT)?.execute((now, data, x509, jwt))?;
                return Ok(db.last_insert_rowid());
            };
            match db.prepare_cached(UPDATE)?.execute((now, data, x509, jwt, row_id))? {
                0 => Err(Fault::not_found()),
                _ => Ok(row_id),
            }
        })
        .await
    }

    async fn journal_delete(&self, row_id: i64) -> StoreResult<()> {
        self.write(move |db| match db.prepare_cached(DELETE)?.execute([row_id])? {
            0 => Err(Fault::not_found()),
            _ => Ok(()),
        })
        .await
    }
}

//! Reading entries: a row of `registered_entries` and its rows in three other tables.
//!
//! A page is four scans over one range of rows, merged here; SPIRE joins the same by a `UNION`.

use super::fault::Fault;
use crate::stored::{EntryParts, StoredEntry};
use finial_identity::{EntryId, RegistrationEntry, Selector};
use finial_plugin::datastore::Row;
use rusqlite::types::FromSql;
use rusqlite::{Connection, Params};
use std::collections::HashMap;

/// Columns in the order of [`read_entry`].
macro_rules! select_entries {
    ($where:literal) => {
        concat!(
            "SELECT id, created_at, entry_id, spiffe_id, parent_id, COALESCE(ttl, 0), COALESCE(admin, 0), ",
            "COALESCE(downstream, 0), COALESCE(expiry, 0), COALESCE(revision_number, 0), ",
            "COALESCE(store_svid, 0), COALESCE(hint, ''), COALESCE(jwt_svid_ttl, 0), additional_attributes ",
            "FROM registered_entries ",
            $where
        )
    };
}

const BY_ENTRY_ID: &str = select_entries!("WHERE entry_id = ?1");
const BY_ROW: &str = select_entries!("WHERE id = ?1");
const PAGE: &str = select_entries!("WHERE id > ?1 ORDER BY id LIMIT ?2");

const SELECTORS: &str = "SELECT registered_entry_id, type, value FROM selectors \
     WHERE registered_entry_id BETWEEN ?1 AND ?2 ORDER BY registered_entry_id, id";
const DNS_NAMES: &str = "SELECT registered_entry_id, value FROM dns_names \
     WHERE registered_entry_id BETWEEN ?1 AND ?2 ORDER BY registered_entry_id, id";
const FEDERATIONS: &str = "SELECT F.registered_entry_id, B.trust_domain \
     FROM federated_registration_entries F JOIN bundles B ON B.id = F.bundle_id \
     WHERE F.registered_entry_id BETWEEN ?1 AND ?2 ORDER BY F.registered_entry_id, B.id";

/// The entry with this ID.
pub(super) fn by_entry_id(db: &Connection, id: &EntryId) -> Result<Option<Row<RegistrationEntry>>, Fault> {
    one(db, BY_ENTRY_ID, [id.as_str()])
}

/// The entry in this row.
pub(super) fn by_row(db: &Connection, row_id: i64) -> Result<Option<Row<RegistrationEntry>>, Fault> {
    one(db, BY_ROW, [row_id])
}

fn one(db: &Connection, sql: &str, key: impl Params) -> Result<Option<Row<RegistrationEntry>>, Fault> {
    let Some(stored) = db.prepare_cached(sql)?.query_map(key, read_entry)?.next().transpose()? else {
        return Ok(None);
    };
    let mut parts = parts_of_rows(db, stored.row_id, stored.row_id)?;
    Ok(Some(stored.into_entry(&mut parts)?))
}

/// Entries after a row. One that makes no sense is told and left out; a page is empty only at the end.
pub(super) fn page(
    db: &Connection,
    after_row: i64,
    limit: u32,
) -> Result<Vec<Row<RegistrationEntry>>, Fault> {
    let mut after = after_row;
    loop {
        let stored = db
            .prepare_cached(PAGE)?
            .query_map((after, limit), read_entry)?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let (Some(first), Some(last)) = (stored.first(), stored.last()) else {
            return Ok(Vec::new());
        };
        after = last.row_id;
        let mut parts = parts_of_rows(db, first.row_id, last.row_id)?;
        let sound: Vec<_> =
            stored.into_iter().filter_map(|entry| entry.into_sound_entry(&mut parts)).collect();
        if !sound.is_empty() {
            return Ok(sound);
        }
    }
}

fn parts_of_rows(db: &Connection, first: i64, last: i64) -> Result<EntryParts, Fault> {
    let range = (first, last);
    Ok(EntryParts {
        selectors: grouped(db, SELECTORS, range, |row| {
            Ok(Selector { kind: row.get(1)?, value: row.get(2)? })
        })?,
        dns_names: grouped(db, DNS_NAMES, range, second)?,
        federations: grouped(db, FEDERATIONS, range, second)?,
    })
}

fn second<T: FromSql>(row: &rusqlite::Row<'_>) -> rusqlite::Result<T> {
    row.get(1)
}

/// Values by the row they belong to, which is the first column.
fn grouped<T>(
    db: &Connection,
    sql: &str,
    range: (i64, i64),
    value: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<HashMap<i64, Vec<T>>, Fault> {
    let mut groups: HashMap<i64, Vec<T>> = HashMap::new();
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(range)?;
    while let Some(row) = rows.next()? {
        groups.entry(row.get(0)?).or_default().push(value(row)?);
    }
    Ok(groups)
}

fn read_entry(row: &rusqlite::Row<'_>) -> rusqlite::Result<StoredEntry> {
    Ok(StoredEntry {
        row_id: row.get(0)?,
        created_at: row.get(1)?,
        entry_id: row.get(2)?,
        spiffe_id: row.get(3)?,
        parent_id: row.get(4)?,
        x509_svid_ttl: row.get(5)?,
        admin: row.get(6)?,
        downstream: row.get(7)?,
        expiry: row.get(8)?,
        revision: row.get(9)?,
        store_svid: row.get(10)?,
        hint: row.get(11)?,
        jwt_svid_ttl: row.get(12)?,
        attributes: row.get(13)?,
    })
}

/// Every query of this module, for the test that none walks a whole table.
#[cfg(test)]
pub(super) const ALL_SQL: &[&str] = &[BY_ENTRY_ID, BY_ROW, PAGE, SELECTORS, DNS_NAMES, FEDERATIONS];

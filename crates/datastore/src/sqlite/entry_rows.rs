//! Reading entries: a row of `registered_entries` and its rows in three other tables.
//!
//! A page is four scans over one range of rows, merged here; SPIRE joins the same by a `UNION`.

use super::fault::Fault;
use crate::codec::{self, CodecError};
use crate::time::DateTime;
use finial_identity::{EntryId, EntrySpec, RegistrationEntry, Selector, SpiffeId, TrustDomain, UnixTime};
use finial_plugin::datastore::Row;
use rusqlite::types::FromSql;
use rusqlite::{Connection, Params};
use std::collections::HashMap;

/// Columns in the order of [`StoredEntry::read`].
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
    let Some(stored) = db.prepare_cached(sql)?.query_map(key, StoredEntry::read)?.next().transpose()? else {
        return Ok(None);
    };
    let mut parts = Parts::of_rows(db, stored.row_id, stored.row_id)?;
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
            .query_map((after, limit), StoredEntry::read)?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let (Some(first), Some(last)) = (stored.first(), stored.last()) else {
            return Ok(Vec::new());
        };
        after = last.row_id;
        let mut parts = Parts::of_rows(db, first.row_id, last.row_id)?;
        let sound: Vec<_> =
            stored.into_iter().filter_map(|entry| entry.into_sound_entry(&mut parts)).collect();
        if !sound.is_empty() {
            return Ok(sound);
        }
    }
}

/// What entries in a range of rows have in other tables.
struct Parts {
    selectors: HashMap<i64, Vec<Selector>>,
    dns_names: HashMap<i64, Vec<String>>,
    federations: HashMap<i64, Vec<String>>,
}

impl Parts {
    fn of_rows(db: &Connection, first: i64, last: i64) -> Result<Self, Fault> {
        let range = (first, last);
        Ok(Self {
            selectors: grouped(db, SELECTORS, range, |row| {
                Ok(Selector { kind: row.get(1)?, value: row.get(2)? })
            })?,
            dns_names: grouped(db, DNS_NAMES, range, second)?,
            federations: grouped(db, FEDERATIONS, range, second)?,
        })
    }
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

/// A row of `registered_entries` as it stands there.
struct StoredEntry {
    row_id: i64,
    created_at: Option<DateTime>,
    entry_id: Option<String>,
    spiffe_id: Option<String>,
    parent_id: Option<String>,
    x509_svid_ttl: i32,
    admin: bool,
    downstream: bool,
    expiry: i64,
    revision: i64,
    store_svid: bool,
    hint: String,
    jwt_svid_ttl: i32,
    attributes: Option<Vec<u8>>,
}

impl StoredEntry {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
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

    fn into_sound_entry(self, parts: &mut Parts) -> Option<Row<RegistrationEntry>> {
        let row_id = self.row_id;
        match self.into_entry(parts) {
            Ok(entry) => Some(entry),
            Err(error) => {
                tracing::warn!(row_id, %error, "A registration entry in the database makes no sense; left out");
                None
            }
        }
    }

    fn into_entry(self, parts: &mut Parts) -> Result<Row<RegistrationEntry>, CodecError> {
        let row_id = self.row_id;
        let federates_with = parts.federations.remove(&row_id).unwrap_or_default();
        let spec = EntrySpec {
            spiffe_id: spiffe_id(self.spiffe_id)?,
            parent_id: spiffe_id(self.parent_id)?,
            selectors: parts.selectors.remove(&row_id).unwrap_or_default(),
            x509_svid_ttl: self.x509_svid_ttl,
            jwt_svid_ttl: self.jwt_svid_ttl,
            federates_with: trust_domains(&federates_with)?,
            admin: self.admin,
            downstream: self.downstream,
            expires_at: (self.expiry != 0).then(|| UnixTime::from_seconds(self.expiry)),
            dns_names: parts.dns_names.remove(&row_id).unwrap_or_default(),
            store_svid: self.store_svid,
            hint: self.hint,
            additional: codec::decode_attributes(self.attributes.as_deref())?,
        };
        let text = self.entry_id.unwrap_or_default();
        let id = EntryId::parse(text.as_str()).map_err(|_| CodecError::Name { what: "entry ID", text })?;
        let created_at = self.created_at.map(DateTime::rounded).unwrap_or_default();
        let value = RegistrationEntry { id, revision: self.revision, created_at, spec };
        Ok(Row { row_id, value })
    }
}

/// A column that holds a SPIFFE ID.
pub(super) fn spiffe_id(text: Option<String>) -> Result<SpiffeId, CodecError> {
    let text = text.unwrap_or_default();
    SpiffeId::parse(&text).map_err(|_| CodecError::Name { what: "SPIFFE ID", text })
}

fn trust_domains(texts: &[String]) -> Result<Vec<TrustDomain>, CodecError> {
    texts.iter().map(|text| codec::trust_domain(text)).collect()
}

/// Every query of this module, for the test that none walks a whole table.
#[cfg(test)]
pub(super) const ALL_SQL: &[&str] = &[BY_ENTRY_ID, BY_ROW, PAGE, SELECTORS, DNS_NAMES, FEDERATIONS];

//! Registration entries: admission, change, removal.

use super::entry_rows;
use super::events::ENTRIES;
use super::fault::Fault;
use super::{SqliteStore, similar, writer};
use crate::stored::as_read_back;
use crate::time::DateTime;
use crate::{codec, rules};
use async_trait::async_trait;
use finial_identity::{Code, EntryDraft, EntryId, EntrySpec, RegistrationEntry, TrustDomain, UnixTime};
use finial_plugin::datastore::{Admission, ChangeEvent, EntryStore, Row, StoreError, StoreResult};
use rusqlite::{Connection, OptionalExtension};
use std::time::SystemTime;

const INSERT: &str = "INSERT INTO registered_entries (created_at, updated_at, entry_id, spiffe_id, parent_id, ttl, \
     admin, downstream, expiry, revision_number, store_svid, hint, jwt_svid_ttl, \
     additional_attributes) VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?10, ?11, ?12)";
const UPDATE: &str = "UPDATE registered_entries SET updated_at = ?1, spiffe_id = ?2, parent_id = ?3, ttl = ?4, admin = \
     ?5, downstream = ?6, expiry = ?7, store_svid = ?8, hint = ?9, jwt_svid_ttl = ?10, \
     additional_attributes = ?11, revision_number = COALESCE(revision_number, 0) + 1 WHERE id = ?12";
const INSERT_SELECTOR: &str = "INSERT INTO selectors (created_at, updated_at, registered_entry_id, type, value) VALUES (?1, ?1, \
     ?2, ?3, ?4)";
const INSERT_DNS_NAME: &str =
    "INSERT INTO dns_names (created_at, updated_at, registered_entry_id, value) VALUES (?1, ?1, ?2, ?3)";
const INSERT_FEDERATION: &str =
    "INSERT OR IGNORE INTO federated_registration_entries (bundle_id, registered_entry_id) VALUES (?1, ?2)";
const BUNDLE_ROW: &str = "SELECT id FROM bundles WHERE trust_domain = ?1";
const ROW_BY_ENTRY_ID: &str = "SELECT id FROM registered_entries WHERE entry_id = ?1";
const DELETE_PARTS: [&str; 3] = [
    "DELETE FROM federated_registration_entries WHERE registered_entry_id = ?1",
    "DELETE FROM selectors WHERE registered_entry_id = ?1",
    "DELETE FROM dns_names WHERE registered_entry_id = ?1",
];
const DELETE: &str = "DELETE FROM registered_entries WHERE id = ?1";
pub(super) const ENDED: &str = "SELECT id, COALESCE(entry_id, '') FROM registered_entries WHERE (expiry > 0 AND expiry < ?1) OR \
     expiry < 0 LIMIT ?2";

#[async_trait]
impl EntryStore for SqliteStore {
    async fn entry_create_or_get(&self, draft: EntryDraft, now: SystemTime) -> StoreResult<Admission> {
        self.write(move |db| admit(db, draft, now.into())).await
    }

    async fn entry_create_batch(
        &self,
        drafts: Vec<EntryDraft>,
        now: SystemTime,
    ) -> StoreResult<Vec<StoreResult<Admission>>> {
        let file = self.file();
        self.write(move |db| {
            let mut verdicts = Vec::with_capacity(drafts.len());
            for draft in drafts {
                let verdict = writer::in_savepoint(db, |db| admit(db, draft, now.into()))?;
                verdicts.push(verdict.map_err(|fault| fault.told(&file)));
            }
            Ok(verdicts)
        })
        .await
    }

    async fn entry_get(&self, id: &EntryId) -> StoreResult<Option<Row<RegistrationEntry>>> {
        let id = id.clone();
        self.read(move |db| entry_rows::by_entry_id(db, &id)).await
    }

    async fn entry_page(&self, after_row: i64, limit: u32) -> StoreResult<Vec<Row<RegistrationEntry>>> {
        self.read(move |db| entry_rows::page(db, after_row, limit)).await
    }

    async fn entry_update(
        &self,
        id: &EntryId,
        spec: EntrySpec,
        now: SystemTime,
    ) -> StoreResult<Row<RegistrationEntry>> {
        let id = id.clone();
        self.write(move |db| update(db, &id, &spec, now.into())).await
    }

    async fn entry_delete(&self, id: &EntryId, now: SystemTime) -> StoreResult<RegistrationEntry> {
        let id = id.clone();
        self.write(move |db| {
            let entry = entry_rows::by_entry_id(db, &id)?.ok_or_else(Fault::not_found)?;
            delete_row(db, entry.row_id, id.as_str(), now.into())?;
            Ok(entry.value)
        })
        .await
    }

    async fn entry_prune(&self, now: SystemTime, limit: u32) -> StoreResult<Vec<RegistrationEntry>> {
        self.write(move |db| prune(db, now, limit)).await
    }

    async fn entry_events(&self, after: i64, limit: u32) -> StoreResult<Vec<ChangeEvent<EntryId>>> {
        self.read(move |db| ENTRIES.page(db, after, limit, |text| EntryId::parse(text).ok())).await
    }

    async fn entry_event_newest(&self) -> StoreResult<i64> {
        self.read(|db| ENTRIES.newest(db)).await
    }
}

/// Writes a draft and its event, or finds the entry it would double.
fn admit(db: &Connection, draft: EntryDraft, now: DateTime) -> Result<Admission, Fault> {
    rules::check_draft(&draft)?;
    if let Some(row_id) = similar::find(db, &draft.spec)? {
        let entry = entry_rows::by_row(db, row_id)?.ok_or_else(Fault::not_found)?;
        return Ok(Admission::Similar(entry));
    }
    let id = draft.id.unwrap_or_else(EntryId::random);
    let mut spec = draft.spec;
    db.prepare_cached(INSERT)?.execute((
        now,
        id.as_str(),
        spec.spiffe_id.as_str(),
        spec.parent_id.as_str(),
        spec.x509_svid_ttl,
        spec.admin,
        spec.downstream,
        spec.expires_at.map_or(0, |end| end.seconds()),
        spec.store_svid,
        spec.hint.as_str(),
        spec.jwt_svid_ttl,
        codec::encode_attributes(spec.additional),
    ))?;
    let row_id = db.last_insert_rowid();
    write_parts(db, row_id, &mut spec, now)?;
    ENTRIES.append(db, id.as_str(), now)?;
    let value = RegistrationEntry { id, revision: 0, created_at: now.rounded(), spec: as_read_back(spec) };
    Ok(Admission::Created(Row { row_id, value }))
}

/// Writes the rows that an entry has in other tables, and brings `federates_with` into the order in
/// which it will be read.
fn write_parts(db: &Connection, row_id: i64, spec: &mut EntrySpec, now: DateTime) -> Result<(), Fault> {
    let mut bundles = Vec::with_capacity(spec.federates_with.len());
    for trust_domain in spec.federates_with.drain(..) {
        let bundle_row = bundle_row(db, &trust_domain)?;
        db.prepare_cached(INSERT_FEDERATION)?.execute((bundle_row, row_id))?;
        bundles.push((bundle_row, trust_domain));
    }
    bundles.sort_unstable();
    bundles.dedup();
    spec.federates_with.extend(bundles.into_iter().map(|(_, trust_domain)| trust_domain));
    for selector in &spec.selectors {
        db.prepare_cached(INSERT_SELECTOR)?.execute((now, row_id, &selector.kind, &selector.value))?;
    }
    for dns_name in &spec.dns_names {
        db.prepare_cached(INSERT_DNS_NAME)?.execute((now, row_id, dns_name))?;
    }
    Ok(())
}

fn bundle_row(db: &Connection, trust_domain: &TrustDomain) -> Result<i64, Fault> {
    let name = codec::trust_domain_text(trust_domain);
    let row = db.prepare_cached(BUNDLE_ROW)?.query_row([&name], |row| row.get(0)).optional()?;
    row.ok_or_else(|| {
        StoreError::new(Code::Internal, format!("unable to find federated bundle {name:?}")).into()
    })
}

fn update(
    db: &Connection,
    id: &EntryId,
    spec: &EntrySpec,
    now: DateTime,
) -> Result<Row<RegistrationEntry>, Fault> {
    rules::check_spec(spec)?;
    let row_id: i64 = db
        .prepare_cached(ROW_BY_ENTRY_ID)?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?
        .ok_or_else(Fault::not_found)?;
    delete_parts(db, row_id)?;
    db.prepare_cached(UPDATE)?.execute((
        now,
        spec.spiffe_id.as_str(),
        spec.parent_id.as_str(),
        spec.x509_svid_ttl,
        spec.admin,
        spec.downstream,
        spec.expires_at.map_or(0, |end| end.seconds()),
        spec.store_svid,
        spec.hint.as_str(),
        spec.jwt_svid_ttl,
        codec::encode_attributes(spec.additional),
        row_id,
    ))?;
    write_parts(db, row_id, &mut spec.clone(), now)?;
    ENTRIES.append(db, id.as_str(), now)?;
    entry_rows::by_row(db, row_id)?.ok_or_else(Fault::not_found)
}

/// Removes an entry with all its rows and tells the feed.
pub(super) fn delete_row(db: &Connection, row_id: i64, entry_id: &str, now: DateTime) -> Result<(), Fault> {
    delete_parts(db, row_id)?;
    db.prepare_cached(DELETE)?.execute([row_id])?;
    ENTRIES.append(db, entry_id, now)
}

fn delete_parts(db: &Connection, row_id: i64) -> Result<(), Fault> {
    for sql in DELETE_PARTS {
        db.prepare_cached(sql)?.execute([row_id])?;
    }
    Ok(())
}

fn prune(db: &Connection, now: SystemTime, limit: u32) -> Result<Vec<RegistrationEntry>, Fault> {
    let ended = db
        .prepare_cached(ENDED)?
        .query_map((UnixTime::from(now).seconds(), limit), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(i64, String)>>>()?;
    let mut pruned = Vec::with_capacity(ended.len());
    for (row_id, entry_id) in ended {
        match entry_rows::by_row(db, row_id) {
            Ok(entry) => pruned.extend(entry.map(|row| row.value)),
            Err(Fault::Store(error)) => {
                tracing::warn!(entry_id, %error, "Pruned an entry that made no sense")
            }
            Err(fault) => return Err(fault),
        }
        delete_row(db, row_id, &entry_id, now.into())?;
    }
    Ok(pruned)
}

/// Every query of this module, for the test that none walks a whole table.
#[cfg(test)]
pub(super) const ALL_SQL: &[&str] =
    &[UPDATE, BUNDLE_ROW, ROW_BY_ENTRY_ID, DELETE_PARTS[0], DELETE_PARTS[1], DELETE_PARTS[2], DELETE, ENDED];

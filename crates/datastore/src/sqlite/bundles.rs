//! Trust bundles: one blob for each trust domain, changed by the rules of `identity::bundle`.

use super::events::ENTRIES;
use super::fault::Fault;
use super::{SqliteStore, entries};
use crate::codec;
use crate::rules;
use crate::time::DateTime;
use async_trait::async_trait;
use finial_identity::{Bundle, EntryId, TrustDomain};
use finial_plugin::datastore::{BundleChange, BundleDeletion, BundleStore, Row, StoreResult};
use rusqlite::{Connection, OptionalExtension};
use std::time::SystemTime;

const ROW_BY_TRUST_DOMAIN: &str = "SELECT id FROM bundles WHERE trust_domain = ?1";
const BY_TRUST_DOMAIN: &str = "SELECT id, COALESCE(data, x'') FROM bundles WHERE trust_domain = ?1";
const PAGE: &str = "SELECT id, COALESCE(data, x'') FROM bundles WHERE id > ?1 ORDER BY id LIMIT ?2";
const COUNT: &str = "SELECT COUNT(*) FROM bundles";
const INSERT: &str =
    "INSERT INTO bundles (created_at, updated_at, trust_domain, data) VALUES (?1, ?1, ?2, ?3)";
const UPDATE: &str = "UPDATE bundles SET updated_at = ?1, data = ?3 WHERE id = ?2";
const DELETE: &str = "DELETE FROM bundles WHERE id = ?1";
const FEDERATED_COUNT: &str = "SELECT COUNT(*) FROM federated_registration_entries WHERE bundle_id = ?1";
const FEDERATED_ENTRIES: &str = "SELECT E.id, COALESCE(E.entry_id, '') FROM federated_registration_entries F \
     JOIN registered_entries E ON E.id = F.registered_entry_id WHERE F.bundle_id = ?1 ORDER BY E.id";
const CUT_LINKS: &str = "DELETE FROM federated_registration_entries WHERE bundle_id = ?1";
const RAISE_REVISION: &str = "UPDATE registered_entries SET updated_at = ?1, \
     revision_number = COALESCE(revision_number, 0) + 1 WHERE id = ?2";

#[async_trait]
impl BundleStore for SqliteStore {
    async fn bundle_get(&self, trust_domain: &TrustDomain) -> StoreResult<Option<Bundle>> {
        let trust_domain = trust_domain.clone();
        self.read(move |db| Ok(find(db, &trust_domain)?.map(|row| row.value))).await
    }

    async fn bundle_page(&self, after_row: i64, limit: u32) -> StoreResult<Vec<Row<Bundle>>> {
        self.read(move |db| page(db, after_row, limit)).await
    }

    async fn bundle_count(&self) -> StoreResult<u64> {
        let count: i64 =
            self.read(|db| Ok(db.prepare_cached(COUNT)?.query_row([], |row| row.get(0))?)).await?;
        Ok(count.unsigned_abs())
    }

    async fn bundle_change(
        &self,
        trust_domain: &TrustDomain,
        change: BundleChange,
        now: SystemTime,
    ) -> StoreResult<Bundle> {
        let trust_domain = trust_domain.clone();
        self.write(move |db| apply(db, &trust_domain, change, now.into())).await
    }

    async fn bundle_delete(
        &self,
        trust_domain: &TrustDomain,
        mode: BundleDeletion,
        now: SystemTime,
    ) -> StoreResult<Vec<EntryId>> {
        let trust_domain = trust_domain.clone();
        self.write(move |db| delete(db, &trust_domain, mode, now.into())).await
    }
}

fn find(db: &Connection, trust_domain: &TrustDomain) -> Result<Option<Row<Bundle>>, Fault> {
    let stored: Option<(i64, Vec<u8>)> = db
        .prepare_cached(BY_TRUST_DOMAIN)?
        .query_row([codec::trust_domain_text(trust_domain)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match stored {
        Some((row_id, blob)) => Ok(Some(Row { row_id, value: codec::decode_bundle(&blob)? })),
        None => Ok(None),
    }
}

/// Bundles after a row. One that makes no sense is told and left out; a page is empty only at the end.
fn page(db: &Connection, after_row: i64, limit: u32) -> Result<Vec<Row<Bundle>>, Fault> {
    let mut after = after_row;
    loop {
        let stored = db
            .prepare_cached(PAGE)?
            .query_map((after, limit), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<Vec<(i64, Vec<u8>)>>>()?;
        let Some((last, _)) = stored.last() else {
            return Ok(Vec::new());
        };
        after = *last;
        let sound = |(row_id, blob): (i64, Vec<u8>)| match codec::decode_bundle(&blob) {
            Ok(value) => Some(Row { row_id, value }),
            Err(error) => {
                tracing::warn!(row_id, %error, "A bundle in the database makes no sense; left out");
                None
            }
        };
        let bundles: Vec<_> = stored.into_iter().filter_map(sound).collect();
        if !bundles.is_empty() {
            return Ok(bundles);
        }
    }
}

pub(super) fn apply(
    db: &Connection,
    trust_domain: &TrustDomain,
    change: BundleChange,
    now: DateTime,
) -> Result<Bundle, Fault> {
    // What replaces a bundle does not read it, so that one which makes no sense can be put right.
    match change {
        BundleChange::Create(bundle) => insert(db, trust_domain, bundle, now),
        BundleChange::Set(bundle) => match row_of(db, trust_domain)? {
            Some(row_id) => overwrite(db, row_id, bundle, now),
            None => insert(db, trust_domain, bundle, now),
        },
        change => match (find(db, trust_domain)?, change) {
            (Some(row), change) => {
                let mut bundle = row.value.clone();
                rules::alter_bundle(&mut bundle, change)?;
                if bundle == row.value { Ok(bundle) } else { overwrite(db, row.row_id, bundle, now) }
            }
            (None, BundleChange::Append { x509, jwt }) => {
                let mut bundle = Bundle::new(trust_domain.clone());
                (bundle.x509_authorities, bundle.jwt_authorities) = (x509, jwt);
                insert(db, trust_domain, bundle, now)
            }
            (None, _) => Err(Fault::not_found()),
        },
    }
}

fn insert(
    db: &Connection,
    trust_domain: &TrustDomain,
    bundle: Bundle,
    now: DateTime,
) -> Result<Bundle, Fault> {
    let name = codec::trust_domain_text(trust_domain);
    db.prepare_cached(INSERT)?.execute((now, name, codec::encode_bundle(&bundle)))?;
    Ok(bundle)
}

fn overwrite(db: &Connection, row_id: i64, bundle: Bundle, now: DateTime) -> Result<Bundle, Fault> {
    db.prepare_cached(UPDATE)?.execute((now, row_id, codec::encode_bundle(&bundle)))?;
    Ok(bundle)
}

fn row_of(db: &Connection, trust_domain: &TrustDomain) -> Result<Option<i64>, Fault> {
    let name = codec::trust_domain_text(trust_domain);
    Ok(db.prepare_cached(ROW_BY_TRUST_DOMAIN)?.query_row([name], |row| row.get(0)).optional()?)
}

fn delete(
    db: &Connection,
    trust_domain: &TrustDomain,
    mode: BundleDeletion,
    now: DateTime,
) -> Result<Vec<EntryId>, Fault> {
    let bundle_row = row_of(db, trust_domain)?.ok_or_else(Fault::not_found)?;
    let linked: i64 = db.prepare_cached(FEDERATED_COUNT)?.query_row([bundle_row], |row| row.get(0))?;
    rules::check_bundle_deletion(linked, mode)?;
    let affected = db
        .prepare_cached(FEDERATED_ENTRIES)?
        .query_map([bundle_row], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(i64, String)>>>()?;
    for (row_id, entry_id) in &affected {
        if mode == BundleDeletion::DeleteEntries {
            entries::delete_row(db, *row_id, entry_id, now)?;
        } else {
            db.prepare_cached(RAISE_REVISION)?.execute((now, row_id))?;
            ENTRIES.append(db, entry_id, now)?;
        }
    }
    db.prepare_cached(CUT_LINKS)?.execute([bundle_row])?;
    db.prepare_cached(DELETE)?.execute([bundle_row])?;
    Ok(affected.into_iter().filter_map(|(_, id)| EntryId::parse(id).ok()).collect())
}

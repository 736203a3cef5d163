//! Trust bundles: one blob for each trust domain, changed by the rules of `identity::bundle`.

use super::SqlStore;
use super::entries::{delete_rows, raise_revisions};
use super::fault::Fault;
use super::session::{Session, Value, first};
use super::transaction::{reading, transaction};
use crate::time::DateTime;
use crate::{codec, rules};
use async_trait::async_trait;
use finial_identity::{Bundle, EntryId, TrustDomain};
use finial_plugin::datastore::{BundleChange, BundleDeletion, BundleStore, Row, StoreResult};
use std::time::SystemTime;

const BY_TRUST_DOMAIN: &str = "SELECT id, data FROM bundles WHERE trust_domain = ?";
/// The row of a bundle, locked until the transaction ends.
const LOCK: &str = "SELECT id, data FROM bundles WHERE trust_domain = ? FOR UPDATE";
const PAGE: &str = "SELECT id, data FROM bundles WHERE id > ? ORDER BY id LIMIT ?";
const COUNT: &str = "SELECT COUNT(*) FROM bundles";
const INSERT: &str = "INSERT INTO bundles (created_at, updated_at, trust_domain, data) VALUES (?, ?, ?, ?)";
const UPDATE: &str = "UPDATE bundles SET updated_at = ?, data = ? WHERE id = ?";
const DELETE: &str = "DELETE FROM bundles WHERE id = ?";
const FEDERATED_COUNT: &str = "SELECT COUNT(*) FROM federated_registration_entries WHERE bundle_id = ?";
const FEDERATED_ENTRIES: &str = "SELECT E.id, E.entry_id FROM federated_registration_entries F \
     JOIN registered_entries E ON E.id = F.registered_entry_id WHERE F.bundle_id = ? ORDER BY E.id FOR UPDATE";
const CUT_LINKS: &str = "DELETE FROM federated_registration_entries WHERE bundle_id = ?";

#[async_trait]
impl BundleStore for SqlStore {
    async fn bundle_get(&self, trust_domain: &TrustDomain) -> StoreResult<Option<Bundle>> {
        reading!(&self.primary, db => find(db, trust_domain))
    }

    async fn bundle_page(&self, after_row: i64, limit: u32) -> StoreResult<Vec<Row<Bundle>>> {
        reading!(&self.primary, db => page(db, after_row, limit))
    }

    async fn bundle_count(&self) -> StoreResult<u64> {
        let count: i64 = reading!(&self.primary, db => count(db, COUNT, &[]))?;
        Ok(count.unsigned_abs())
    }

    async fn bundle_change(
        &self,
        trust_domain: &TrustDomain,
        change: BundleChange,
        now: SystemTime,
    ) -> StoreResult<Bundle> {
        let now = self.moment(now);
        let bundle = transaction!(&self.primary, db => apply(db, trust_domain, change.clone(), now))?;
        self.changed();
        Ok(bundle)
    }

    async fn bundle_delete(
        &self,
        trust_domain: &TrustDomain,
        mode: BundleDeletion,
        now: SystemTime,
    ) -> StoreResult<Vec<EntryId>> {
        let now = self.moment(now);
        let affected = transaction!(&self.primary, db => delete(db, trust_domain, mode, now))?;
        self.changed();
        Ok(affected)
    }
}

async fn count(db: &mut dyn Session, sql: &str, values: &[Value<'_>]) -> Result<i64, Fault> {
    match first(db, sql, values).await? {
        Some(mut row) => row.int(),
        None => Ok(0),
    }
}

/// The bundle of a trust domain.
pub(super) async fn find(db: &mut dyn Session, trust_domain: &TrustDomain) -> Result<Option<Bundle>, Fault> {
    let name = codec::trust_domain_text(trust_domain);
    match first(db, BY_TRUST_DOMAIN, &[Value::Text(&name)]).await? {
        Some(mut row) => {
            row.int()?;
            Ok(Some(codec::decode_bundle(&row.blob()?)?))
        }
        None => Ok(None),
    }
}

/// Bundles after a row. One that makes no sense is told and left out; a page is empty only at the end.
async fn page(db: &mut dyn Session, after_row: i64, limit: u32) -> Result<Vec<Row<Bundle>>, Fault> {
    let mut after = after_row.max(0);
    loop {
        let stored = db.query(PAGE, &[Value::Int(after), Value::Int(limit.into())]).await?;
        if stored.is_empty() {
            return Ok(Vec::new());
        }
        let mut bundles = Vec::with_capacity(stored.len());
        for mut row in stored {
            let row_id = row.int()?;
            after = row_id;
            match codec::decode_bundle(&row.blob()?) {
                Ok(value) => bundles.push(Row { row_id, value }),
                Err(error) => {
                    tracing::warn!(row_id, %error, "A bundle in the database makes no sense; left out");
                }
            }
        }
        if !bundles.is_empty() {
            return Ok(bundles);
        }
    }
}

/// Number and blob of a bundle's row, locked.
async fn lock(db: &mut dyn Session, trust_domain: &TrustDomain) -> Result<Option<(i64, Vec<u8>)>, Fault> {
    let name = codec::trust_domain_text(trust_domain);
    match first(db, LOCK, &[Value::Text(&name)]).await? {
        Some(mut row) => Ok(Some((row.int()?, row.blob()?))),
        None => Ok(None),
    }
}

async fn apply(
    db: &mut dyn Session,
    trust_domain: &TrustDomain,
    change: BundleChange,
    now: DateTime,
) -> Result<Bundle, Fault> {
    match change {
        BundleChange::Create(bundle) => insert(db, trust_domain, bundle, now).await,
        BundleChange::Set(bundle) => set(db, trust_domain, bundle, now).await,
        change => match (lock(db, trust_domain).await?, change) {
            (Some((row_id, blob)), change) => {
                let before = codec::decode_bundle(&blob)?;
                let mut bundle = before.clone();
                rules::alter_bundle(&mut bundle, change)?;
                if bundle == before { Ok(bundle) } else { overwrite(db, row_id, bundle, now).await }
            }
            (None, BundleChange::Append { x509, jwt }) => {
                let mut bundle = Bundle::new(trust_domain.clone());
                (bundle.x509_authorities, bundle.jwt_authorities) = (x509, jwt);
                insert(db, trust_domain, bundle, now).await.map_err(Fault::duplicate_is_conflict)
            }
            (None, _) => Err(Fault::not_found()),
        },
    }
}

/// Replaces a bundle without reading it, so that one which makes no sense can be put right; or makes it.
pub(super) async fn set(
    db: &mut dyn Session,
    trust_domain: &TrustDomain,
    bundle: Bundle,
    now: DateTime,
) -> Result<Bundle, Fault> {
    match lock(db, trust_domain).await? {
        Some((row_id, _)) => overwrite(db, row_id, bundle, now).await,
        None => insert(db, trust_domain, bundle, now).await.map_err(Fault::duplicate_is_conflict),
    }
}

async fn insert(
    db: &mut dyn Session,
    trust_domain: &TrustDomain,
    bundle: Bundle,
    now: DateTime,
) -> Result<Bundle, Fault> {
    let (name, blob) = (codec::trust_domain_text(trust_domain), codec::encode_bundle(&bundle));
    let now = Value::Moment(Some(now));
    db.execute(INSERT, &[now, now, Value::Text(&name), Value::Blob(Some(&blob))]).await?;
    Ok(bundle)
}

async fn overwrite(
    db: &mut dyn Session,
    row_id: i64,
    bundle: Bundle,
    now: DateTime,
) -> Result<Bundle, Fault> {
    let blob = codec::encode_bundle(&bundle);
    db.execute(UPDATE, &[Value::Moment(Some(now)), Value::Blob(Some(&blob)), Value::Int(row_id)]).await?;
    Ok(bundle)
}

async fn delete(
    db: &mut dyn Session,
    trust_domain: &TrustDomain,
    mode: BundleDeletion,
    now: DateTime,
) -> Result<Vec<EntryId>, Fault> {
    let (bundle_row, _) = lock(db, trust_domain).await?.ok_or_else(Fault::not_found)?;
    let bundle_row = [Value::Int(bundle_row)];
    rules::check_bundle_deletion(count(db, FEDERATED_COUNT, &bundle_row).await?, mode)?;
    let mut affected = Vec::new();
    for mut row in db.query(FEDERATED_ENTRIES, &bundle_row).await? {
        affected.push((row.int()?, row.text()?));
    }
    let entries: Vec<_> = affected.iter().map(|(row_id, entry_id)| (*row_id, entry_id.as_str())).collect();
    match mode {
        BundleDeletion::DeleteEntries => delete_rows(db, &entries, now).await?,
        BundleDeletion::Dissociate | BundleDeletion::Restrict => raise_revisions(db, &entries, now).await?,
    }
    db.execute(CUT_LINKS, &bundle_row).await?;
    db.execute(DELETE, &bundle_row).await?;
    Ok(affected.into_iter().filter_map(|(_, id)| EntryId::parse(id).ok()).collect())
}

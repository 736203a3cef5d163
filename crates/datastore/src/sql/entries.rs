//! Registration entries: admission, change, removal.

use super::events::ENTRIES;
use super::fault::Fault;
use super::session::{CHUNK, Session, Value, list};
use super::transaction::{reading, transaction};
use super::{SqlStore, admission, entry_rows, parts};
use crate::stored::as_read_back;
use crate::time::DateTime;
use crate::{codec, rules};
use async_trait::async_trait;
use finial_identity::{EntryDraft, EntryId, EntrySpec, RegistrationEntry, UnixTime};
use finial_plugin::datastore::{Admission, ChangeEvent, EntryStore, Row, StoreResult};
use std::time::SystemTime;

/// The row of an entry, locked until the transaction ends.
const LOCK: &str = "SELECT id, entry_id, created_at, revision_number FROM registered_entries \
     WHERE entry_id = ? FOR UPDATE";
const UPDATE: &str = "UPDATE registered_entries SET updated_at = ?, spiffe_id = ?, parent_id = ?, ttl = ?, admin = ?, \
     downstream = ?, expiry = ?, store_svid = ?, hint = ?, jwt_svid_ttl = ?, additional_attributes = ?, \
     revision_number = ? WHERE id = ?";
const DELETE: &str = "DELETE FROM registered_entries WHERE id IN ";
const ENDED: &str = "SELECT id, entry_id FROM registered_entries WHERE (expiry > 0 AND expiry < ?) OR expiry < 0 \
     ORDER BY id LIMIT ? FOR UPDATE";

#[async_trait]
impl EntryStore for SqlStore {
    async fn entry_create_or_get(&self, draft: EntryDraft, now: SystemTime) -> StoreResult<Admission> {
        self.admissions.admit(self.moment(now), draft).await
    }

    async fn entry_create_batch(
        &self,
        drafts: Vec<EntryDraft>,
        now: SystemTime,
    ) -> StoreResult<Vec<StoreResult<Admission>>> {
        let now = self.moment(now);
        let wishes: Vec<_> = drafts.into_iter().map(|draft| (draft, now)).collect();
        let verdicts = admission::admit_all(&self.primary, &wishes).await?;
        self.changed();
        Ok(verdicts)
    }

    async fn entry_get(&self, id: &EntryId) -> StoreResult<Option<Row<RegistrationEntry>>> {
        reading!(&self.primary, db => entry_rows::by_entry_id(db, id))
    }

    async fn entry_page(&self, after_row: i64, limit: u32) -> StoreResult<Vec<Row<RegistrationEntry>>> {
        if let Some(mut replica) = self.level_replica(&ENTRIES).await
            && let Ok(page) = entry_rows::page(&mut *replica, after_row, limit).await
        {
            replica.release();
            return Ok(page);
        }
        reading!(&self.primary, db => entry_rows::page(db, after_row, limit))
    }

    async fn entry_update(
        &self,
        id: &EntryId,
        spec: EntrySpec,
        now: SystemTime,
    ) -> StoreResult<Row<RegistrationEntry>> {
        rules::check_spec(&spec)?;
        let now = self.moment(now);
        let row = transaction!(&self.primary, db => update(db, id, spec.clone(), now))?;
        self.changed();
        Ok(row)
    }

    async fn entry_delete(&self, id: &EntryId, now: SystemTime) -> StoreResult<RegistrationEntry> {
        let now = self.moment(now);
        let entry = transaction!(&self.primary, db => delete(db, id, now))?;
        self.changed();
        Ok(entry)
    }

    async fn entry_prune(&self, now: SystemTime, limit: u32) -> StoreResult<Vec<RegistrationEntry>> {
        let (ended_before, moment) = (UnixTime::from(now), self.moment(now));
        let pruned = transaction!(&self.primary, db => prune(db, ended_before, limit, moment))?;
        self.changed();
        Ok(pruned)
    }

    async fn entry_events(&self, after: i64, limit: u32) -> StoreResult<Vec<ChangeEvent<EntryId>>> {
        reading!(&self.primary, db => ENTRIES.page(db, after, limit, |text| EntryId::parse(text).ok()))
    }

    async fn entry_event_newest(&self) -> StoreResult<i64> {
        reading!(&self.primary, db => ENTRIES.newest(db))
    }
}

/// A locked row.
struct Locked {
    row_id: i64,
    created_at: Option<DateTime>,
    revision: i64,
}

async fn lock(db: &mut dyn Session, id: &EntryId) -> Result<Locked, Fault> {
    for mut row in db.query(LOCK, &[Value::Text(id.as_str())]).await? {
        let (row_id, text) = (row.int()?, row.text()?);
        if text == id.as_str() {
            return Ok(Locked { row_id, created_at: row.moment()?, revision: row.int()? });
        }
    }
    Err(Fault::not_found())
}

async fn update(
    db: &mut dyn Session,
    id: &EntryId,
    mut spec: EntrySpec,
    now: DateTime,
) -> Result<Row<RegistrationEntry>, Fault> {
    let Locked { row_id, created_at, revision } = lock(db, id).await?;
    let bundles = parts::lock_bundles(db, spec.federates_with.iter()).await?;
    parts::check_bundles(&spec, &bundles)?;
    parts::order_federation(&mut spec, &bundles);
    parts::delete(db, &[row_id]).await?;
    let attributes = codec::encode_attributes(spec.additional);
    let values = [
        Value::Moment(Some(now)),
        Value::Text(spec.spiffe_id.as_str()),
        Value::Text(spec.parent_id.as_str()),
        Value::Int(spec.x509_svid_ttl.into()),
        Value::Flag(spec.admin),
        Value::Flag(spec.downstream),
        Value::Int(spec.expires_at.map_or(0, |end| end.seconds())),
        Value::Flag(spec.store_svid),
        Value::Text(&spec.hint),
        Value::Int(spec.jwt_svid_ttl.into()),
        Value::Blob(attributes.as_deref()),
        Value::Int(revision + 1),
        Value::Int(row_id),
    ];
    db.execute(UPDATE, &values).await?;
    parts::write(db, &[(row_id, &spec, now)], &bundles).await?;
    ENTRIES.append(db, &[(id.as_str(), now)]).await?;
    let created_at = created_at.map(DateTime::rounded).unwrap_or_default();
    let (id, revision, spec) = (id.clone(), revision + 1, as_read_back(spec));
    Ok(Row { row_id, value: RegistrationEntry { id, revision, created_at, spec } })
}

async fn delete(db: &mut dyn Session, id: &EntryId, now: DateTime) -> Result<RegistrationEntry, Fault> {
    let Locked { row_id, .. } = lock(db, id).await?;
    let entry = entry_rows::by_entry_id(db, id).await?.ok_or_else(Fault::not_found)?;
    delete_rows(db, &[(row_id, id.as_str())], now).await?;
    Ok(entry.value)
}

/// Removes entries with all their rows and tells the feed.
pub(super) async fn delete_rows(
    db: &mut dyn Session,
    entries: &[(i64, &str)],
    now: DateTime,
) -> Result<(), Fault> {
    let row_ids: Vec<i64> = entries.iter().map(|(row_id, _)| *row_id).collect();
    parts::delete(db, &row_ids).await?;
    for chunk in row_ids.chunks(CHUNK) {
        let values: Vec<_> = chunk.iter().map(|row_id| Value::Int(*row_id)).collect();
        db.execute(&format!("{DELETE}{}", list(chunk.len())), &values).await?;
    }
    let events: Vec<_> = entries.iter().map(|(_, entry_id)| (*entry_id, now)).collect();
    ENTRIES.append(db, &events).await
}

async fn prune(
    db: &mut dyn Session,
    ended_before: UnixTime,
    limit: u32,
    now: DateTime,
) -> Result<Vec<RegistrationEntry>, Fault> {
    let values = [Value::Int(ended_before.seconds()), Value::Int(limit.into())];
    let mut ended = Vec::new();
    for mut row in db.query(ENDED, &values).await? {
        ended.push((row.int()?, row.text()?));
    }
    let row_ids: Vec<i64> = ended.iter().map(|(row_id, _)| *row_id).collect();
    let pruned = entry_rows::by_rows(db, &row_ids).await?;
    let named: Vec<_> = ended.iter().map(|(row_id, entry_id)| (*row_id, entry_id.as_str())).collect();
    delete_rows(db, &named, now).await?;
    Ok(pruned.into_iter().map(|row| row.value).collect())
}

/// The aliases that the server made with a join token: under the agent, with the agent's ID as the only
/// selector.
pub(super) async fn token_aliases(db: &mut dyn Session, agent: &str) -> Result<Vec<(i64, String)>, Fault> {
    const ALIASES: &str = "SELECT E.id, E.entry_id, E.parent_id FROM registered_entries E WHERE E.parent_id = ? AND EXISTS \
         (SELECT 1 FROM selectors S WHERE S.registered_entry_id = E.id AND S.type = 'spiffe_id' \
         AND S.value = ?) AND (SELECT COUNT(*) FROM selectors S WHERE S.registered_entry_id = E.id) = 1 \
         ORDER BY E.id FOR UPDATE";
    let mut aliases = Vec::new();
    for mut row in db.query(ALIASES, &[Value::Text(agent), Value::Text(agent)]).await? {
        let (row_id, entry_id) = (row.int()?, row.text()?);
        if row.text()? == agent {
            aliases.push((row_id, entry_id));
        }
    }
    Ok(aliases)
}

/// Counts a change of an entry that another change made, and tells the feed.
pub(super) async fn raise_revisions(
    db: &mut dyn Session,
    entries: &[(i64, &str)],
    now: DateTime,
) -> Result<(), Fault> {
    const RAISE: &str = "UPDATE registered_entries SET updated_at = ?, \
         revision_number = COALESCE(revision_number, 0) + 1 WHERE id IN ";
    for chunk in entries.chunks(CHUNK) {
        let mut values = vec![Value::Moment(Some(now))];
        values.extend(chunk.iter().map(|(row_id, _)| Value::Int(*row_id)));
        db.execute(&format!("{RAISE}{}", list(chunk.len())), &values).await?;
    }
    let events: Vec<_> = entries.iter().map(|(_, entry_id)| (*entry_id, now)).collect();
    ENTRIES.append(db, &events).await
}

//! Attested nodes: agents as the server knows them, with what was attested of them.

use super::SqlStore;
use super::entries::{delete_rows, token_aliases};
use super::events::{ENTRIES, NODES};
use super::fault::Fault;
use super::node_rows::{by_id, lock, lock_alike, page, take_node};
use super::session::{Session, Value, insert_rows, list};
use super::transaction::{reading, transaction};
use crate::stored::StoredNode;
use crate::time::DateTime;
use async_trait::async_trait;
use finial_identity::{AttestedNode, Code, EntryId, SpiffeId, UnixTime};
use finial_plugin::datastore::{
    ChangeEvent, NodeChange, NodeStore, PruneScope, Row, StoreError, StoreResult,
};
use std::time::SystemTime;

const INSERT: &str = "INSERT INTO attested_node_entries (created_at, updated_at, spiffe_id, data_type, serial_number, \
     expires_at, new_serial_number, new_expires_at, can_reattest, agent_version) VALUES ";
const UPDATE: &str = "UPDATE attested_node_entries SET updated_at = ?, data_type = ?, serial_number = ?, \
     expires_at = ?, new_serial_number = ?, new_expires_at = ?, can_reattest = ?, agent_version = ? WHERE id = ?";
const DELETE: &str = "DELETE FROM attested_node_entries WHERE id = ?";
const INSERT_SELECTORS: &str =
    "INSERT INTO node_resolver_map_entries (created_at, updated_at, spiffe_id, type, value) VALUES ";
const DELETE_SELECTORS: &str = "DELETE FROM node_resolver_map_entries WHERE spiffe_id = ?";
const EXPIRED: &str = "SELECT id, spiffe_id, data_type, serial_number, expires_at, new_serial_number, new_expires_at, \
     can_reattest, agent_version FROM attested_node_entries WHERE expires_at < ? AND serial_number <> ''";

#[async_trait]
impl NodeStore for SqlStore {
    async fn node_attested(&self, node: AttestedNode, now: SystemTime) -> StoreResult<Row<AttestedNode>> {
        let now = self.moment(now);
        let row = transaction!(&self.primary, db => attested(db, &node, now))?;
        self.changed();
        Ok(row)
    }

    async fn node_get(&self, id: &SpiffeId) -> StoreResult<Option<Row<AttestedNode>>> {
        reading!(&self.primary, db => by_id(db, id))
    }

    async fn node_page(&self, after_row: i64, limit: u32) -> StoreResult<Vec<Row<AttestedNode>>> {
        if let Some(mut replica) = self.level_replica(&NODES).await
            && let Ok(page) = page(&mut *replica, after_row, limit).await
        {
            replica.release();
            return Ok(page);
        }
        reading!(&self.primary, db => page(db, after_row, limit))
    }

    async fn node_change(
        &self,
        id: &SpiffeId,
        change: NodeChange,
        now: SystemTime,
    ) -> StoreResult<Row<AttestedNode>> {
        let now = self.moment(now);
        let row = transaction!(&self.primary, db => apply(db, id, &change, now))?;
        self.changed();
        Ok(row)
    }

    async fn node_delete(&self, id: &SpiffeId, now: SystemTime) -> StoreResult<(AttestedNode, Vec<EntryId>)> {
        let now = self.moment(now);
        let gone = transaction!(&self.primary, db => find_and_delete(db, id, now))?;
        self.changed();
        Ok(gone)
    }

    async fn node_prune(
        &self,
        expired_before: UnixTime,
        scope: PruneScope,
        limit: u32,
        now: SystemTime,
    ) -> StoreResult<Vec<SpiffeId>> {
        let now = self.moment(now);
        let gone = transaction!(&self.primary, db => prune(db, expired_before, scope, limit, now))?;
        self.changed();
        Ok(gone)
    }

    async fn node_events(&self, after: i64, limit: u32) -> StoreResult<Vec<ChangeEvent<SpiffeId>>> {
        reading!(&self.primary, db => NODES.page(db, after, limit, |text| SpiffeId::parse(text).ok()))
    }

    async fn node_event_newest(&self) -> StoreResult<i64> {
        reading!(&self.primary, db => NODES.newest(db))
    }

    async fn events_prune(&self, before: SystemTime, limit: u32) -> StoreResult<u64> {
        let before = self.moment(before);
        transaction!(&self.primary, db => prune_events(db, before, limit))
    }
}

async fn prune_events(db: &mut dyn Session, before: DateTime, limit: u32) -> Result<u64, Fault> {
    Ok(ENTRIES.prune(db, before, limit).await? + NODES.prune(db, before, limit).await?)
}

async fn attested(
    db: &mut dyn Session,
    node: &AttestedNode,
    now: DateTime,
) -> Result<Row<AttestedNode>, Fault> {
    let id = node.id.as_str();
    match lock_alike(db, id).await? {
        Some(stored) if stored.id.as_deref() != Some(id) => return Err(not_told_apart(id, &stored)),
        Some(stored) => {
            let agent_version = match node.agent_version.as_str() {
                "" => stored.agent_version,
                newer => newer.to_owned(),
            };
            let fresh = StoredNode { row_id: stored.row_id, agent_version, ..as_stored(node) };
            update(db, &fresh, now).await?;
        }
        None => {
            let (moment, fresh) = (Value::Moment(Some(now)), as_stored(node));
            let mut values = vec![moment, moment, Value::Text(id)];
            values.extend(changing(&fresh));
            let insert = format!("{INSERT}{}", list(values.len()));
            db.execute(&insert, &values).await.map_err(|error| Fault::from(error).duplicate_is_conflict())?;
        }
    }
    db.execute(DELETE_SELECTORS, &[Value::Text(id)]).await?;
    let moment = Value::Moment(Some(now));
    let mut rows = Vec::with_capacity(node.selectors.len());
    for selector in &node.selectors {
        rows.push(vec![
            moment,
            moment,
            Value::Text(id),
            Value::Text(&selector.kind),
            Value::Text(&selector.value),
        ]);
    }
    let keep_first = db.dialect().keep_first;
    insert_rows(db, INSERT_SELECTORS, keep_first, &rows).await?;
    NODES.append(db, &[(id, now)]).await?;
    by_id(db, &node.id).await?.ok_or_else(Fault::not_found)
}

/// The row of a node that was attested just now.
fn as_stored(node: &AttestedNode) -> StoredNode {
    StoredNode {
        row_id: 0,
        id: Some(node.id.to_string()),
        attestation_type: node.attestation_type.clone(),
        serial: node.current.serial.clone(),
        expires_at: Some(node.current.expires_at.into()),
        staged_serial: String::new(),
        staged_expires_at: None,
        can_reattest: node.can_reattest,
        agent_version: node.agent_version.clone(),
    }
}

/// The columns of a node that may change, in the order of [`INSERT`] and [`UPDATE`].
fn changing(node: &StoredNode) -> [Value<'_>; 7] {
    [
        Value::Text(&node.attestation_type),
        Value::Text(&node.serial),
        Value::Moment(node.expires_at),
        Value::Text(&node.staged_serial),
        Value::Moment(node.staged_expires_at),
        Value::Flag(node.can_reattest),
        Value::Text(&node.agent_version),
    ]
}

async fn update(db: &mut dyn Session, node: &StoredNode, now: DateTime) -> Result<(), Fault> {
    let mut values = vec![Value::Moment(Some(now))];
    values.extend(changing(node));
    values.push(Value::Int(node.row_id));
    db.execute(UPDATE, &values).await?;
    Ok(())
}

async fn apply(
    db: &mut dyn Session,
    id: &SpiffeId,
    change: &NodeChange,
    now: DateTime,
) -> Result<Row<AttestedNode>, Fault> {
    let mut stored = lock(db, id.as_str()).await?.ok_or_else(Fault::not_found)?;
    let nothing_staged = stored.staged_serial.is_empty();
    match change {
        NodeChange::Stage(staged) => {
            stored.staged_serial.clone_from(&staged.serial);
            stored.staged_expires_at = Some(staged.expires_at.into());
        }
        NodeChange::PromoteStaged => {
            stored.serial = std::mem::take(&mut stored.staged_serial);
            stored.expires_at = stored.staged_expires_at.take();
        }
        NodeChange::Ban => (stored.serial, stored.staged_serial) = Default::default(),
        NodeChange::Version(version) => stored.agent_version.clone_from(version),
    }
    // Of two first uses of what was staged only one promotes it.
    if !(nothing_staged && *change == NodeChange::PromoteStaged) {
        update(db, &stored, now).await?;
        NODES.append(db, &[(id.as_str(), now)]).await?;
    }
    by_id(db, id).await?.ok_or_else(Fault::not_found)
}

async fn find_and_delete(
    db: &mut dyn Session,
    id: &SpiffeId,
    now: DateTime,
) -> Result<(AttestedNode, Vec<EntryId>), Fault> {
    let stored = lock(db, id.as_str()).await?.ok_or_else(Fault::not_found)?;
    let node = by_id(db, id).await?.ok_or_else(Fault::not_found)?.value;
    Ok((node, delete(db, &stored, now).await?))
}

/// Removes a node, its selectors and the alias of its join token; tells both feeds.
async fn delete(db: &mut dyn Session, node: &StoredNode, now: DateTime) -> Result<Vec<EntryId>, Fault> {
    let id = node.id.as_deref().unwrap_or_default();
    let mut removed = Vec::new();
    if node.attestation_type == "join_token" {
        let aliases = token_aliases(db, id).await?;
        let rows: Vec<_> = aliases.iter().map(|(row_id, entry_id)| (*row_id, entry_id.as_str())).collect();
        delete_rows(db, &rows, now).await?;
        for (_, entry_id) in aliases {
            tracing::info!(
                parent_id = id,
                entry_id,
                "Cascade-deleted registration entry on attested node deletion"
            );
            removed.extend(EntryId::parse(entry_id));
        }
    }
    db.execute(DELETE_SELECTORS, &[Value::Text(id)]).await?;
    db.execute(DELETE, &[Value::Int(node.row_id)]).await?;
    NODES.append(db, &[(id, now)]).await?;
    Ok(removed)
}

async fn prune(
    db: &mut dyn Session,
    expired_before: UnixTime,
    scope: PruneScope,
    limit: u32,
    now: DateTime,
) -> Result<Vec<SpiffeId>, Fault> {
    let values = [Value::Moment(Some(expired_before.into())), Value::Flag(true), Value::Int(limit.into())];
    let (only, values) = match scope {
        PruneScope::All => ("", [values[0], values[2]].to_vec()),
        PruneScope::Reattestable => (" AND can_reattest = ?", values.to_vec()),
    };
    let mut pruned = Vec::new();
    for row in db.query(&format!("{EXPIRED}{only} ORDER BY id LIMIT ? FOR UPDATE"), &values).await? {
        let (node, _) = take_node(row)?;
        delete(db, &node, now).await?;
        pruned.extend(node.id.as_deref().and_then(|id| SpiffeId::parse(id).ok()));
    }
    Ok(pruned)
}

fn not_told_apart(id: &str, stored: &StoredNode) -> Fault {
    let other = stored.id.as_deref().unwrap_or_default();
    let text = format!("datastore-sql: the collation of this database does not tell {id:?} from {other:?}");
    StoreError::new(Code::AlreadyExists, text).into()
}

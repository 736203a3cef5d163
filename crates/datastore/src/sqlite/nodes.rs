//! Attested nodes: agents as the server knows them, with what was attested of them.

use super::events::{ENTRIES, NODES};
use super::fault::Fault;
use super::{SqliteStore, entries};
use crate::stored::StoredNode;
use crate::time::DateTime;
use async_trait::async_trait;
use finial_identity::{AgentSerial, AttestedNode, EntryId, Selector, SpiffeId, UnixTime};
use finial_plugin::datastore::{ChangeEvent, NodeChange, NodeStore, PruneScope, Row, StoreResult};
use rusqlite::{Connection, Params};
use std::time::SystemTime;

/// Columns in the order of [`read_node`].
macro_rules! select_nodes {
    ($where:literal) => {
        concat!(
            "SELECT id, spiffe_id, COALESCE(data_type, ''), COALESCE(serial_number, ''), expires_at, ",
            "COALESCE(new_serial_number, ''), new_expires_at, COALESCE(can_reattest, 0), ",
            "COALESCE(agent_version, '') FROM attested_node_entries ",
            $where
        )
    };
}

const BY_ID: &str = select_nodes!("WHERE spiffe_id = ?1");
const PAGE: &str = select_nodes!("WHERE id > ?1 ORDER BY id LIMIT ?2");
const INSERT: &str = "INSERT INTO attested_node_entries (created_at, updated_at, spiffe_id, data_type, serial_number, \
     expires_at, new_serial_number, new_expires_at, can_reattest, agent_version) VALUES (?1, ?1, ?2, \
     ?3, ?4, ?5, '', NULL, ?6, ?7)";
const ATTEST_AGAIN: &str = "UPDATE attested_node_entries SET updated_at = ?1, data_type = ?3, serial_number = ?4, expires_at \
     = ?5, new_serial_number = '', new_expires_at = NULL, can_reattest = ?6, agent_version = CASE \
     WHEN ?7 = '' THEN agent_version ELSE ?7 END WHERE spiffe_id = ?2";
const STAGE: &str = "UPDATE attested_node_entries SET updated_at = ?1, new_serial_number = ?3, new_expires_at = ?4 \
     WHERE spiffe_id = ?2";
const PROMOTE: &str = "UPDATE attested_node_entries SET updated_at = ?1, serial_number = new_serial_number, expires_at \
     = new_expires_at, new_serial_number = '', new_expires_at = NULL WHERE spiffe_id = ?2 AND \
     COALESCE(new_serial_number, '') <> ''";
const BAN: &str = "UPDATE attested_node_entries SET updated_at = ?1, serial_number = '', new_serial_number = '' \
     WHERE spiffe_id = ?2";
const SET_VERSION: &str =
    "UPDATE attested_node_entries SET updated_at = ?1, agent_version = ?3 WHERE spiffe_id = ?2";
const DELETE: &str = "DELETE FROM attested_node_entries WHERE spiffe_id = ?1";
const SELECTORS: &str = "SELECT type, value FROM node_resolver_map_entries WHERE spiffe_id = ?1 ORDER BY id";
const INSERT_SELECTOR: &str = "INSERT OR IGNORE INTO node_resolver_map_entries (created_at, updated_at, spiffe_id, type, value) \
     VALUES (?1, ?1, ?2, ?3, ?4)";
const DELETE_SELECTORS: &str = "DELETE FROM node_resolver_map_entries WHERE spiffe_id = ?1";
/// The alias that the server makes with a join token: under the agent, with the agent's ID as selector.
const TOKEN_ALIASES: &str = "SELECT E.id, COALESCE(E.entry_id, '') FROM registered_entries E WHERE E.parent_id = ?1 AND \
     EXISTS (SELECT 1 FROM selectors S WHERE S.registered_entry_id = E.id AND S.type = 'spiffe_id' \
     AND S.value = ?1) AND (SELECT COUNT(*) FROM selectors S WHERE S.registered_entry_id = E.id) = 1 \
     ORDER BY E.id";
/// The first comparison is for the index and a day wide, see `time`; the second decides.
pub(super) const EXPIRED: &str = "SELECT spiffe_id FROM attested_node_entries WHERE expires_at < ?1 AND unixepoch(expires_at) < ?2 \
     AND serial_number <> '' AND (can_reattest OR ?3) LIMIT ?4";
const DAY: i64 = 86_400;

#[async_trait]
impl NodeStore for SqliteStore {
    async fn node_attested(&self, node: AttestedNode, now: SystemTime) -> StoreResult<Row<AttestedNode>> {
        self.write(move |db| attested(db, &node, now.into())).await
    }

    async fn node_get(&self, id: &SpiffeId) -> StoreResult<Option<Row<AttestedNode>>> {
        let id = id.clone();
        self.read(move |db| by_id(db, &id)).await
    }

    async fn node_page(&self, after_row: i64, limit: u32) -> StoreResult<Vec<Row<AttestedNode>>> {
        self.read(move |db| page(db, after_row, limit)).await
    }

    async fn node_change(
        &self,
        id: &SpiffeId,
        change: NodeChange,
        now: SystemTime,
    ) -> StoreResult<Row<AttestedNode>> {
        let id = id.clone();
        self.write(move |db| apply(db, &id, change, now.into())).await
    }

    async fn node_delete(&self, id: &SpiffeId, now: SystemTime) -> StoreResult<(AttestedNode, Vec<EntryId>)> {
        let id = id.clone();
        self.write(move |db| {
            let node = by_id(db, &id)?.ok_or_else(Fault::not_found)?.value;
            let removed = delete(db, id.as_str(), now.into())?;
            Ok((node, removed))
        })
        .await
    }

    async fn node_prune(
        &self,
        expired_before: UnixTime,
        scope: PruneScope,
        limit: u32,
        now: SystemTime,
    ) -> StoreResult<Vec<SpiffeId>> {
        self.write(move |db| prune(db, expired_before, scope, limit, now.into())).await
    }

    async fn node_events(&self, after: i64, limit: u32) -> StoreResult<Vec<ChangeEvent<SpiffeId>>> {
        self.read(move |db| NODES.page(db, after, limit, |text| SpiffeId::parse(text).ok())).await
    }

    async fn node_event_newest(&self) -> StoreResult<i64> {
        self.read(|db| NODES.newest(db)).await
    }

    async fn events_prune(&self, before: SystemTime, limit: u32) -> StoreResult<u64> {
        self.write(move |db| {
            Ok(ENTRIES.prune(db, before.into(), limit)? + NODES.prune(db, before.into(), limit)?)
        })
        .await
    }
}

fn attested(db: &Connection, node: &AttestedNode, now: DateTime) -> Result<Row<AttestedNode>, Fault> {
    let id = node.id.as_str();
    let columns = (
        now,
        id,
        &node.attestation_type,
        &node.current.serial,
        DateTime::from(node.current.expires_at),
        node.can_reattest,
        &node.agent_version,
    );
    if db.prepare_cached(ATTEST_AGAIN)?.execute(columns)? == 0 {
        db.prepare_cached(INSERT)?.execute(columns)?;
    }
    db.prepare_cached(DELETE_SELECTORS)?.execute([id])?;
    for selector in &node.selectors {
        db.prepare_cached(INSERT_SELECTOR)?.execute((now, id, &selector.kind, &selector.value))?;
    }
    NODES.append(db, id, now)?;
    by_id(db, &node.id)?.ok_or_else(Fault::not_found)
}

fn apply(
    db: &Connection,
    id: &SpiffeId,
    change: NodeChange,
    now: DateTime,
) -> Result<Row<AttestedNode>, Fault> {
    let text = id.as_str();
    let changed = match &change {
        NodeChange::Stage(AgentSerial { serial, expires_at }) => {
            db.prepare_cached(STAGE)?.execute((now, text, serial, DateTime::from(*expires_at)))?
        }
        NodeChange::PromoteStaged => db.prepare_cached(PROMOTE)?.execute((now, text))?,
        NodeChange::Ban => db.prepare_cached(BAN)?.execute((now, text))?,
        NodeChange::Version(version) => db.prepare_cached(SET_VERSION)?.execute((now, text, version))?,
    };
    let node = by_id(db, id)?.ok_or_else(Fault::not_found)?;
    if changed > 0 {
        NODES.append(db, text, now)?;
    }
    Ok(node)
}

/// Removes a node, its selectors and the alias of its join token; tells both feeds.
fn delete(db: &Connection, id: &str, now: DateTime) -> Result<Vec<EntryId>, Fault> {
    let from_token: bool = db
        .prepare_cached(
            "SELECT COALESCE(data_type, '') = 'join_token' FROM attested_node_entries WHERE spiffe_id = ?1",
        )?
        .query_row([id], |row| row.get(0))?;
    let mut removed = Vec::new();
    if from_token {
        let aliases = db
            .prepare_cached(TOKEN_ALIASES)?
            .query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<Vec<(i64, String)>>>()?;
        for (row_id, entry_id) in aliases {
            entries::delete_row(db, row_id, &entry_id, now)?;
            tracing::info!(
                parent_id = id,
                entry_id,
                "Cascade-deleted registration entry on attested node deletion"
            );
            removed.extend(EntryId::parse(entry_id));
        }
    }
    db.prepare_cached(DELETE_SELECTORS)?.execute([id])?;
    db.prepare_cached(DELETE)?.execute([id])?;
    NODES.append(db, id, now)?;
    Ok(removed)
}

fn prune(
    db: &Connection,
    expired_before: UnixTime,
    scope: PruneScope,
    limit: u32,
    now: DateTime,
) -> Result<Vec<SpiffeId>, Fault> {
    let bound = DateTime::from(expired_before.plus_seconds(DAY));
    let expired = db
        .prepare_cached(EXPIRED)?
        .query_map((bound, expired_before.seconds(), scope == PruneScope::All, limit), |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    for id in &expired {
        delete(db, id, now)?;
    }
    Ok(expired.iter().filter_map(|id| SpiffeId::parse(id).ok()).collect())
}

fn by_id(db: &Connection, id: &SpiffeId) -> Result<Option<Row<AttestedNode>>, Fault> {
    match read_nodes(db, BY_ID, [id.as_str()])?.pop() {
        Some(stored) => {
            let selectors = selectors_of(db, &stored)?;
            Ok(Some(stored.into_node(selectors)?))
        }
        None => Ok(None),
    }
}

/// Nodes after a row. One that makes no sense is told and left out; a page is empty only at the end.
fn page(db: &Connection, after_row: i64, limit: u32) -> Result<Vec<Row<AttestedNode>>, Fault> {
    let mut after = after_row;
    loop {
        let stored = read_nodes(db, PAGE, (after, limit))?;
        let Some(last) = stored.last() else {
            return Ok(Vec::new());
        };
        after = last.row_id;
        let mut nodes = Vec::with_capacity(stored.len());
        for node in stored {
            let selectors = selectors_of(db, &node)?;
            nodes.extend(node.into_sound_node(selectors));
        }
        if !nodes.is_empty() {
            return Ok(nodes);
        }
    }
}

fn read_nodes(db: &Connection, sql: &str, key: impl Params) -> Result<Vec<StoredNode>, Fault> {
    Ok(db.prepare_cached(sql)?.query_map(key, read_node)?.collect::<rusqlite::Result<_>>()?)
}

fn read_node(row: &rusqlite::Row<'_>) -> rusqlite::Result<StoredNode> {
    Ok(StoredNode {
        row_id: row.get(0)?,
        id: row.get(1)?,
        attestation_type: row.get(2)?,
        serial: row.get(3)?,
        expires_at: row.get(4)?,
        staged_serial: row.get(5)?,
        staged_expires_at: row.get(6)?,
        can_reattest: row.get(7)?,
        agent_version: row.get(8)?,
    })
}

fn selectors_of(db: &Connection, node: &StoredNode) -> Result<Vec<Selector>, Fault> {
    let mut statement = db.prepare_cached(SELECTORS)?;
    let selectors = statement
        .query_map([&node.id], |row| Ok(Selector { kind: row.get(0)?, value: row.get(1)? }))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(selectors)
}

/// Every query of this module, for the test that none walks a whole table.
#[cfg(test)]
pub(super) const ALL_SQL: &[&str] = &[
    BY_ID,
    PAGE,
    ATTEST_AGAIN,
    STAGE,
    PROMOTE,
    BAN,
    SET_VERSION,
    DELETE,
    SELECTORS,
    DELETE_SELECTORS,
    TOKEN_ALIASES,
    EXPIRED,
];

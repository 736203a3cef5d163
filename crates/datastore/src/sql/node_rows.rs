//! Reading nodes: a row of `attested_node_entries` and its selectors, in one statement and so in one snapshot.

use super::fault::Fault;
use super::session::{Columns, Session, Value, first};
use crate::stored::StoredNode;
use finial_identity::{AttestedNode, Selector, SpiffeId};
use finial_plugin::datastore::Row;

/// Nodes and their selectors in one snapshot: a row for each selector, at least one for each node.
const NODES_AND_SELECTORS: &str = "\
    SELECT N.id, N.spiffe_id, N.data_type, N.serial_number, N.expires_at, N.new_serial_number, \
    N.new_expires_at, N.can_reattest, N.agent_version, S.id, S.type, S.value \
    FROM wanted W JOIN attested_node_entries N ON N.id = W.id \
    LEFT JOIN node_resolver_map_entries S ON S.spiffe_id = N.spiffe_id ORDER BY N.id, S.id";
const BY_ID: &str = "SELECT id FROM attested_node_entries WHERE spiffe_id = ?";
const PAGE: &str = "SELECT id FROM attested_node_entries WHERE id > ? ORDER BY id LIMIT ?";
/// The row of a node, locked until the transaction ends.
const LOCK: &str = "SELECT id, spiffe_id, data_type, serial_number, expires_at, new_serial_number, new_expires_at, \
     can_reattest, agent_version FROM attested_node_entries WHERE spiffe_id = ? FOR UPDATE";

/// The row of a node, locked until the transaction ends.
pub(super) async fn lock(db: &mut dyn Session, id: &str) -> Result<Option<StoredNode>, Fault> {
    Ok(lock_alike(db, id).await?.filter(|node| node.id.as_deref() == Some(id)))
}

/// The node with this ID, or the one that the database takes for the same.
pub(super) async fn lock_alike(db: &mut dyn Session, id: &str) -> Result<Option<StoredNode>, Fault> {
    match first(db, LOCK, &[Value::Text(id)]).await? {
        Some(row) => Ok(Some(take_node(row)?.0)),
        None => Ok(None),
    }
}

/// The node with this ID.
pub(super) async fn by_id(db: &mut dyn Session, id: &SpiffeId) -> Result<Option<Row<AttestedNode>>, Fault> {
    let nodes = load(db, BY_ID, &[Value::Text(id.as_str())]).await?;
    let found = nodes.into_iter().find(|(node, _)| node.id.as_deref() == Some(id.as_str()));
    Ok(found.map(|(node, selectors)| node.into_node(selectors)).transpose()?)
}

/// Nodes after a row. One that makes no sense is told and left out; a page is empty only at the end.
pub(super) async fn page(
    db: &mut dyn Session,
    after_row: i64,
    limit: u32,
) -> Result<Vec<Row<AttestedNode>>, Fault> {
    let mut after = after_row.max(0);
    loop {
        let stored = load(db, PAGE, &[Value::Int(after), Value::Int(limit.into())]).await?;
        let Some((last, _)) = stored.last() else {
            return Ok(Vec::new());
        };
        after = last.row_id;
        let sound: Vec<_> =
            stored.into_iter().filter_map(|(node, selectors)| node.into_sound_node(selectors)).collect();
        if !sound.is_empty() {
            return Ok(sound);
        }
    }
}

async fn load(
    db: &mut dyn Session,
    wanted: &str,
    values: &[Value<'_>],
) -> Result<Vec<(StoredNode, Vec<Selector>)>, Fault> {
    let sql = format!("WITH wanted AS ({wanted}) {NODES_AND_SELECTORS}");
    let mut nodes: Vec<(StoredNode, Vec<Selector>)> = Vec::new();
    for row in db.query(&sql, values).await? {
        let (node, mut rest) = take_node(row)?;
        if nodes.last().is_none_or(|(last, _)| last.row_id != node.row_id) {
            nodes.push((node, Vec::new()));
        }
        let has_selector = rest.int()? != 0;
        if let Some((_, selectors)) = nodes.last_mut().filter(|_| has_selector) {
            selectors.push(Selector { kind: rest.text()?, value: rest.text()? });
        }
    }
    Ok(nodes)
}

/// Takes the columns of a node; gives those that follow.
pub(super) fn take_node(mut row: Columns) -> Result<(StoredNode, Columns), Fault> {
    let node = StoredNode {
        row_id: row.int()?,
        id: row.optional_text()?,
        attestation_type: row.text()?,
        serial: row.text()?,
        expires_at: row.moment()?,
        staged_serial: row.text()?,
        staged_expires_at: row.moment()?,
        can_reattest: row.flag()?,
        agent_version: row.text()?,
    };
    Ok((node, row))
}

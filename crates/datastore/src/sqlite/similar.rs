//! The entry that a draft would double.

use super::fault::Fault;
use finial_identity::{EntrySpec, Selector};
use rusqlite::Connection;
use std::collections::HashSet;

/// Candidates looked at one by one before the selectors help.
const FEW: usize = 64;
const BY_SPIFFE_ID: &str =
    "SELECT id, COALESCE(parent_id, '') FROM registered_entries WHERE spiffe_id = ?1 LIMIT 65";
const BY_PARENT_ID: &str =
    "SELECT id, COALESCE(spiffe_id, '') FROM registered_entries WHERE parent_id = ?1 LIMIT 65";
const BY_BOTH_AND_SELECTOR: &str = "SELECT E.id FROM registered_entries E WHERE E.spiffe_id = ?1 AND E.parent_id = ?2 AND EXISTS \
     (SELECT 1 FROM selectors S WHERE S.registered_entry_id = E.id AND S.type = ?3 AND S.value = ?4)";
const SELECTORS: &str = "SELECT type, value FROM selectors WHERE registered_entry_id = ?1";

/// The row of the first entry with the same SPIFFE ID, parent and set of selectors.
///
/// There is no index over all three. Usually few entries share a SPIFFE ID, or else few share a parent;
/// only if both are popular the planner has to walk one of the two indices.
pub(super) fn find(db: &Connection, spec: &EntrySpec) -> Result<Option<i64>, Fault> {
    let (id, parent) = (spec.spiffe_id.as_str(), spec.parent_id.as_str());
    let mut candidates = match few(db, BY_SPIFFE_ID, id, parent)? {
        Some(rows) => rows,
        None => match few(db, BY_PARENT_ID, parent, id)? {
            Some(rows) => rows,
            None => {
                let selector = &spec.selectors[0];
                db.prepare_cached(BY_BOTH_AND_SELECTOR)?
                    .query_map((id, parent, &selector.kind, &selector.value), |row| row.get(0))?
                    .collect::<rusqlite::Result<Vec<i64>>>()?
            }
        },
    };
    candidates.sort_unstable();
    let wanted: HashSet<&Selector> = spec.selectors.iter().collect();
    for row_id in candidates {
        let has = db
            .prepare_cached(SELECTORS)?
            .query_map([row_id], |row| Ok(Selector { kind: row.get(0)?, value: row.get(1)? }))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        if has.len() == wanted.len() && has.iter().all(|selector| wanted.contains(selector)) {
            return Ok(Some(row_id));
        }
    }
    Ok(None)
}

/// Rows with `key` whose other column is `other`; nothing if there are too many with `key`.
fn few(db: &Connection, sql: &str, key: &str, other: &str) -> Result<Option<Vec<i64>>, Fault> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([key])?;
    let (mut seen, mut matching) = (0, Vec::new());
    while let Some(row) = rows.next()? {
        seen += 1;
        if row.get_ref(1)?.as_str().is_ok_and(|text| text == other) {
            matching.push(row.get(0)?);
        }
    }
    Ok((seen <= FEW).then_some(matching))
}

/// Every query of this module, for the test that none walks a whole table.
#[cfg(test)]
pub(super) const ALL_SQL: &[&str] = &[BY_SPIFFE_ID, BY_PARENT_ID, BY_BOTH_AND_SELECTOR, SELECTORS];

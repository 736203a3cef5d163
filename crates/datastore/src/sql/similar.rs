//! The entries that drafts would double.

use super::fault::Fault;
use super::session::{Session, Value};
use finial_identity::{EntrySpec, Selector};
use std::collections::{BTreeSet, HashMap};

/// Places looked at with one statement.
const PLACES: usize = 50;
const IN_PLACES: &str = "SELECT E.id, E.spiffe_id, E.parent_id, S.type, S.value FROM registered_entries E \
     JOIN selectors S ON S.registered_entry_id = E.id WHERE ";
const PLACE: &str = "(E.spiffe_id = ? AND E.parent_id = ?)";

/// What makes two entries similar: SPIFFE ID, parent and the set of selectors.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Likeness {
    spiffe_id: String,
    parent_id: String,
    selectors: BTreeSet<Selector>,
}

impl Likeness {
    pub(super) fn of(spec: &EntrySpec) -> Self {
        Self {
            spiffe_id: spec.spiffe_id.to_string(),
            parent_id: spec.parent_id.to_string(),
            selectors: spec.selectors.iter().cloned().collect(),
        }
    }
}

/// The first row of each likeness that stands in the same place as one of these.
///
/// There is no index over SPIFFE ID and parent: the database takes the one that says more, by its
/// statistics. Equality is decided here, where capitals and spaces count in every database.
pub(super) async fn find(
    db: &mut dyn Session,
    wanted: &[&Likeness],
) -> Result<HashMap<Likeness, i64>, Fault> {
    let mut found: HashMap<i64, Likeness> = HashMap::new();
    for places in wanted.chunks(PLACES) {
        let sql = format!("{IN_PLACES}{}", vec![PLACE; places.len()].join(" OR "));
        let values: Vec<_> = places
            .iter()
            .flat_map(|place| [Value::Text(&place.spiffe_id), Value::Text(&place.parent_id)])
            .collect();
        for mut row in db.query(&sql, &values).await? {
            let row_id = row.int()?;
            let (spiffe_id, parent_id) = (row.text()?, row.text()?);
            let selector = Selector { kind: row.text()?, value: row.text()? };
            let likeness = Likeness { spiffe_id, parent_id, selectors: BTreeSet::new() };
            found.entry(row_id).or_insert(likeness).selectors.insert(selector);
        }
    }
    let mut rows = HashMap::new();
    for (row_id, likeness) in found {
        let first: &mut i64 = rows.entry(likeness).or_insert(row_id);
        *first = row_id.min(*first);
    }
    Ok(rows)
}

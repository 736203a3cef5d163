//! Reading entries: a row of `registered_entries` and its rows in three other tables, in one statement and
//! so in one snapshot, without a transaction.

use super::fault::Fault;
use super::session::{CHUNK, Columns, Session, Value, list};
use crate::stored::{EntryParts, StoredEntry};
use finial_identity::{EntryId, RegistrationEntry, Selector};
use finial_plugin::datastore::Row;

/// Columns in the order of [`Loaded::take`]; `wanted` names the rows.
const ENTRIES_AND_PARTS: &str = "\
    SELECT 0, E.id, E.id, E.created_at, E.entry_id, E.spiffe_id, E.parent_id, E.ttl, E.admin, E.downstream, \
    E.expiry, E.revision_number, E.store_svid, E.hint, E.jwt_svid_ttl, E.additional_attributes, NULL, NULL \
    FROM wanted W JOIN registered_entries E ON E.id = W.id \
    UNION ALL SELECT 1, S.registered_entry_id, S.id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
    NULL, NULL, NULL, NULL, S.type, S.value \
    FROM wanted W JOIN selectors S ON S.registered_entry_id = W.id \
    UNION ALL SELECT 2, D.registered_entry_id, D.id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
    NULL, NULL, NULL, NULL, D.value, NULL \
    FROM wanted W JOIN dns_names D ON D.registered_entry_id = W.id \
    UNION ALL SELECT 3, F.registered_entry_id, B.id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
    NULL, NULL, NULL, NULL, B.trust_domain, NULL \
    FROM wanted W JOIN federated_registration_entries F ON F.registered_entry_id = W.id \
    JOIN bundles B ON B.id = F.bundle_id";
const BY_ENTRY_ID: &str = "SELECT id FROM registered_entries WHERE entry_id = ?";
const PAGE: &str = "SELECT id FROM registered_entries WHERE id > ? ORDER BY id LIMIT ?";

/// The entry with this ID. A database that does not tell capitals apart may find another one, too.
pub(super) async fn by_entry_id(
    db: &mut dyn Session,
    id: &EntryId,
) -> Result<Option<Row<RegistrationEntry>>, Fault> {
    let loaded = Loaded::of(db, BY_ENTRY_ID, &[Value::Text(id.as_str())]).await?;
    Ok(loaded.into_entries()?.into_iter().find(|row| row.value.id == *id))
}

/// The entries in these rows, in row order.
pub(super) async fn by_rows(
    db: &mut dyn Session,
    row_ids: &[i64],
) -> Result<Vec<Row<RegistrationEntry>>, Fault> {
    let mut entries = Vec::with_capacity(row_ids.len());
    for chunk in row_ids.chunks(CHUNK) {
        let wanted = format!("SELECT id FROM registered_entries WHERE id IN {}", list(chunk.len()));
        let values: Vec<_> = chunk.iter().map(|id| Value::Int(*id)).collect();
        entries.extend(Loaded::of(db, &wanted, &values).await?.into_sound_entries());
    }
    entries.sort_unstable_by_key(|row| row.row_id);
    Ok(entries)
}

/// Entries after a row. One that makes no sense is told and left out; a page is empty only at the end.
pub(super) async fn page(
    db: &mut dyn Session,
    after_row: i64,
    limit: u32,
) -> Result<Vec<Row<RegistrationEntry>>, Fault> {
    let mut after = after_row.max(0);
    loop {
        let loaded = Loaded::of(db, PAGE, &[Value::Int(after), Value::Int(limit.into())]).await?;
        let Some(last) = loaded.entries.last() else {
            return Ok(Vec::new());
        };
        after = last.row_id;
        let sound = loaded.into_sound_entries();
        if !sound.is_empty() {
            return Ok(sound);
        }
    }
}

/// Rows as they came, sorted.
struct Loaded {
    entries: Vec<StoredEntry>,
    parts: EntryParts,
}

/// A row of another table than `registered_entries`.
struct Part {
    kind: i64,
    row_id: i64,
    order: i64,
    text: String,
    more: String,
}

impl Loaded {
    async fn of(db: &mut dyn Session, wanted: &str, values: &[Value<'_>]) -> Result<Self, Fault> {
        let sql = format!("WITH wanted AS ({wanted}) {ENTRIES_AND_PARTS}");
        let mut loaded = Self { entries: Vec::new(), parts: EntryParts::default() };
        let mut parts = Vec::new();
        for row in db.query(&sql, values).await? {
            loaded.take(row, &mut parts)?;
        }
        loaded.entries.sort_unstable_by_key(|entry| entry.row_id);
        parts.sort_unstable_by_key(|part| (part.row_id, part.order));
        for part in parts {
            loaded.sort_in(part);
        }
        Ok(loaded)
    }

    fn take(&mut self, mut row: Columns, parts: &mut Vec<Part>) -> Result<(), Fault> {
        let (kind, row_id, order) = (row.int()?, row.int()?, row.int()?);
        let entry = StoredEntry {
            row_id,
            created_at: row.moment()?,
            entry_id: row.optional_text()?,
            spiffe_id: row.optional_text()?,
            parent_id: row.optional_text()?,
            x509_svid_ttl: row.int32()?,
            admin: row.flag()?,
            downstream: row.flag()?,
            expiry: row.int()?,
            revision: row.int()?,
            store_svid: row.flag()?,
            hint: row.text()?,
            jwt_svid_ttl: row.int32()?,
            attributes: row.optional_blob()?,
        };
        if kind == 0 {
            self.entries.push(entry);
        } else {
            parts.push(Part { kind, row_id, order, text: row.text()?, more: row.text()? });
        }
        Ok(())
    }

    fn sort_in(&mut self, part: Part) {
        let Part { kind, row_id, text, more, .. } = part;
        match kind {
            1 => {
                self.parts.selectors.entry(row_id).or_default().push(Selector { kind: text, value: more });
            }
            2 => self.parts.dns_names.entry(row_id).or_default().push(text),
            _ => self.parts.federations.entry(row_id).or_default().push(text),
        }
    }

    fn into_entries(self) -> Result<Vec<Row<RegistrationEntry>>, Fault> {
        let Self { entries, mut parts } = self;
        Ok(entries.into_iter().map(|entry| entry.into_entry(&mut parts)).collect::<Result<_, _>>()?)
    }

    fn into_sound_entries(self) -> Vec<Row<RegistrationEntry>> {
        let Self { entries, mut parts } = self;
        entries.into_iter().filter_map(|entry| entry.into_sound_entry(&mut parts)).collect()
    }
}

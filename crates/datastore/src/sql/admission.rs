//! Admitting drafts: many with few statements, each with its own verdict.
//!
//! Who admits holds one lock for all servers on the database, until the end of the transaction: of two
//! that admit the same at once, one creates and the other finds. So that the lock costs little, single
//! drafts that arrive while a transaction is under way are admitted together by the next one.

use super::events::ENTRIES;
use super::fault::{Fault, Trouble};
use super::pool::Pool;
use super::session::{CHUNK, Session, Value, list, tuples};
use super::similar::{self, Likeness};
use super::transaction::transaction;
use super::{entry_rows, parts};
use crate::stored::as_read_back;
use crate::time::DateTime;
use crate::{codec, rules};
use finial_identity::{EntryDraft, EntryId, EntrySpec, RegistrationEntry, TrustDomain};
use finial_plugin::datastore::{Admission, Row, StoreResult};
use std::collections::HashMap;

const INSERT: &str = "INSERT INTO registered_entries (created_at, updated_at, entry_id, spiffe_id, parent_id, ttl, \
     admin, downstream, expiry, revision_number, store_svid, hint, jwt_svid_ttl, \
     additional_attributes) VALUES ";
const ROWS: &str = "SELECT id, entry_id FROM registered_entries WHERE entry_id IN ";

/// A draft and the moment of its admission.
pub(super) type Wish = (EntryDraft, DateTime);
/// What became of each, before it is known to which database it belongs.
pub(super) type Verdicts = Vec<Result<Admission, Fault>>;

/// Admits drafts in one transaction. A draft that fails leaves the others untouched.
pub(super) async fn admit_all(
    pool: &std::sync::Arc<Pool>,
    wishes: &[Wish],
) -> StoreResult<Vec<StoreResult<Admission>>> {
    let verdicts: StoreResult<Verdicts> = transaction!(pool, db => admit(db, wishes));
    let target = pool.connector().target();
    Ok(verdicts?.into_iter().map(|verdict| verdict.map_err(|fault| fault.told(target))).collect())
}

async fn admit(db: &mut dyn Session, wishes: &[Wish]) -> Result<Verdicts, Fault> {
    if wishes.is_empty() {
        return Ok(Vec::new());
    }
    let lock = db.dialect().admission_lock;
    db.query(lock, &[]).await?;
    if let Some(verdicts) = in_savepoint(db, wishes).await? {
        return Ok(verdicts);
    }
    // One of them doubles a row, and the database does not say which: each on its own.
    let mut verdicts = Vec::with_capacity(wishes.len());
    for wish in wishes {
        db.run("SAVEPOINT draft").await?;
        match admit_group(db, std::slice::from_ref(wish)).await {
            Ok(group) => verdicts.extend(group),
            Err(fault) if is_of_the_draft(&fault) => {
                db.run("ROLLBACK TO SAVEPOINT draft").await?;
                verdicts.push(Err(fault));
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(verdicts)
}

/// Admits all at once; nothing if one of them is refused by the database.
async fn in_savepoint(db: &mut dyn Session, wishes: &[Wish]) -> Result<Option<Verdicts>, Fault> {
    db.run("SAVEPOINT draft").await?;
    match admit_group(db, wishes).await {
        Ok(verdicts) => Ok(Some(verdicts)),
        Err(fault) if is_of_the_draft(&fault) => {
            db.run("ROLLBACK TO SAVEPOINT draft").await?;
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

fn is_of_the_draft(fault: &Fault) -> bool {
    matches!(fault.trouble(), Some(Trouble::Duplicate | Trouble::Unfit))
}

/// A draft that will be written.
struct New {
    id: EntryId,
    spec: EntrySpec,
    now: DateTime,
}

/// What a draft comes to, as long as the rows are not there yet.
enum Plan {
    Refused(Fault),
    Stored(i64),
    /// Position among those that are new.
    New(usize),
    /// The same position; somebody before it in the group creates it.
    SameAs(usize),
}

async fn admit_group(db: &mut dyn Session, wishes: &[Wish]) -> Result<Verdicts, Fault> {
    let likenesses: Vec<_> = wishes.iter().map(|(draft, _)| Likeness::of(&draft.spec)).collect();
    let stored = similar::find(db, &likenesses.iter().collect::<Vec<_>>()).await?;
    let federated = wishes.iter().flat_map(|(draft, _)| &draft.spec.federates_with);
    let bundles = parts::lock_bundles(db, federated).await?;
    let (plans, new) = plan(wishes, likenesses, &stored, &bundles);
    let created = write(db, new, &bundles).await?;
    let similar_rows: Vec<i64> = plans
        .iter()
        .filter_map(|plan| if let Plan::Stored(row_id) = plan { Some(*row_id) } else { None })
        .collect();
    let similar = entry_rows::by_rows(db, &similar_rows).await?;
    let verdict = |plan| match plan {
        Plan::Refused(fault) => Err(fault),
        Plan::New(at) => Ok(Admission::Created(created[at].clone())),
        Plan::SameAs(at) => Ok(Admission::Similar(created[at].clone())),
        Plan::Stored(row_id) => {
            let at = similar.binary_search_by_key(&row_id, |row| row.row_id);
            at.map(|at| Admission::Similar(similar[at].clone())).map_err(|_| Fault::not_found())
        }
    };
    Ok(plans.into_iter().map(verdict).collect())
}

fn plan(
    wishes: &[Wish],
    likenesses: Vec<Likeness>,
    stored: &HashMap<Likeness, i64>,
    bundles: &HashMap<TrustDomain, i64>,
) -> (Vec<Plan>, Vec<New>) {
    let mut new: Vec<New> = Vec::new();
    let mut seen: HashMap<Likeness, usize> = HashMap::new();
    let mut plans = Vec::with_capacity(wishes.len());
    for ((draft, now), likeness) in wishes.iter().zip(likenesses) {
        plans.push(match (rules::check_draft(draft), stored.get(&likeness), seen.get(&likeness)) {
            (Err(error), ..) => Plan::Refused(error.into()),
            (_, Some(row_id), _) => Plan::Stored(*row_id),
            (_, _, Some(at)) => Plan::SameAs(*at),
            _ => match parts::check_bundles(&draft.spec, bundles) {
                Err(fault) => Plan::Refused(fault),
                Ok(()) => {
                    seen.insert(likeness, new.len());
                    let id = draft.id.clone().unwrap_or_else(EntryId::random);
                    new.push(New { id, spec: draft.spec.clone(), now: *now });
                    Plan::New(new.len() - 1)
                }
            },
        });
    }
    (plans, new)
}

/// Writes new entries with everything that belongs to them, and tells the feed.
async fn write(
    db: &mut dyn Session,
    mut new: Vec<New>,
    bundles: &HashMap<TrustDomain, i64>,
) -> Result<Vec<Row<RegistrationEntry>>, Fault> {
    new.iter_mut().for_each(|new| parts::order_federation(&mut new.spec, bundles));
    let row_ids = insert(db, &new).await?;
    let written: Vec<_> =
        row_ids.iter().zip(&new).map(|(row_id, new)| (*row_id, &new.spec, new.now)).collect();
    parts::write(db, &written, bundles).await?;
    let events: Vec<_> = new.iter().map(|new| (new.id.as_str(), new.now)).collect();
    ENTRIES.append(db, &events).await?;
    let row = |(row_id, new): (i64, New)| {
        let (created_at, spec) = (new.now.rounded(), as_read_back(new.spec));
        Row { row_id, value: RegistrationEntry { id: new.id, revision: 0, created_at, spec } }
    };
    Ok(row_ids.into_iter().zip(new).map(row).collect())
}

/// Writes the rows of `registered_entries`; gives their numbers.
async fn insert(db: &mut dyn Session, new: &[New]) -> Result<Vec<i64>, Fault> {
    let attributes: Vec<_> = new.iter().map(|new| codec::encode_attributes(new.spec.additional)).collect();
    let rows: Vec<_> =
        new.iter().zip(&attributes).map(|(new, attributes)| columns(new, attributes.as_deref())).collect();
    if let [row] = &rows[..]
        && !db.dialect().returning
    {
        return Ok(vec![db.insert(&format!("{INSERT}{}", list(row.len())), row).await?]);
    }
    let mut numbers = HashMap::with_capacity(new.len());
    for (rows, new) in rows.chunks(CHUNK).zip(new.chunks(CHUNK)) {
        let sql = format!("{INSERT}{}", tuples(rows.len(), rows[0].len()));
        let answer = if db.dialect().returning {
            db.query(&format!("{sql} RETURNING id, entry_id"), &rows.concat()).await?
        } else {
            db.execute(&sql, &rows.concat()).await?;
            let ids: Vec<_> = new.iter().map(|new| Value::Text(new.id.as_str())).collect();
            db.query(&format!("{ROWS}{}", list(ids.len())), &ids).await?
        };
        for mut row in answer {
            let row_id = row.int()?;
            numbers.insert(row.text()?, row_id);
        }
    }
    new.iter().map(|new| numbers.get(new.id.as_str()).copied().ok_or_else(Fault::not_found)).collect()
}

fn columns<'a>(New { id, spec, now }: &'a New, attributes: Option<&'a [u8]>) -> Vec<Value<'a>> {
    vec![
        Value::Moment(Some(*now)),
        Value::Moment(Some(*now)),
        Value::Text(id.as_str()),
        Value::Text(spec.spiffe_id.as_str()),
        Value::Text(spec.parent_id.as_str()),
        Value::Int(spec.x509_svid_ttl.into()),
        Value::Flag(spec.admin),
        Value::Flag(spec.downstream),
        Value::Int(spec.expires_at.map_or(0, |end| end.seconds())),
        Value::Int(0),
        Value::Flag(spec.store_svid),
        Value::Text(&spec.hint),
        Value::Int(spec.jwt_svid_ttl.into()),
        Value::Blob(attributes),
    ]
}

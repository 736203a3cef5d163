//! What entries have in other tables: selectors, DNS names, links to bundles.

use super::fault::Fault;
use super::session::{CHUNK, Session, Value, insert_rows, list};
use crate::codec;
use crate::time::DateTime;
use finial_identity::{Code, EntrySpec, TrustDomain};
use finial_plugin::datastore::StoreError;
use std::collections::{BTreeSet, HashMap};

const SELECTORS: &str =
    "INSERT INTO selectors (created_at, updated_at, registered_entry_id, type, value) VALUES ";
const DNS_NAMES: &str = "INSERT INTO dns_names (created_at, updated_at, registered_entry_id, value) VALUES ";
const FEDERATIONS: &str =
    "INSERT INTO federated_registration_entries (bundle_id, registered_entry_id) VALUES ";
const DELETE: [&str; 3] = [
    "DELETE FROM federated_registration_entries WHERE registered_entry_id IN ",
    "DELETE FROM selectors WHERE registered_entry_id IN ",
    "DELETE FROM dns_names WHERE registered_entry_id IN ",
];

/// The rows of these trust domains' bundles. They are locked, so that no bundle goes away while somebody
/// links to it.
pub(super) async fn lock_bundles<'a>(
    db: &mut dyn Session,
    trust_domains: impl Iterator<Item = &'a TrustDomain>,
) -> Result<HashMap<TrustDomain, i64>, Fault> {
    let names: BTreeSet<String> = trust_domains.map(codec::trust_domain_text).collect();
    let names: Vec<_> = names.iter().map(|name| Value::Text(name)).collect();
    let mut rows = HashMap::new();
    for chunk in names.chunks(CHUNK) {
        let wanted = list(chunk.len());
        let sql = format!(
            "SELECT id, trust_domain FROM bundles WHERE trust_domain IN {wanted} ORDER BY id FOR UPDATE"
        );
        for mut row in db.query(&sql, chunk).await? {
            let row_id = row.int()?;
            rows.insert(codec::trust_domain(&row.text()?)?, row_id);
        }
    }
    Ok(rows)
}

/// Checks that every federated trust domain has a bundle; SPIRE's text and code.
pub(super) fn check_bundles(spec: &EntrySpec, bundles: &HashMap<TrustDomain, i64>) -> Result<(), Fault> {
    let Some(missing) = spec.federates_with.iter().find(|name| !bundles.contains_key(name)) else {
        return Ok(());
    };
    let name = codec::trust_domain_text(missing);
    Err(StoreError::new(Code::Internal, format!("unable to find federated bundle {name:?}")).into())
}

/// Brings `federates_with` into the order in which it will be read: that of the bundles, without doubles.
pub(super) fn order_federation(spec: &mut EntrySpec, bundles: &HashMap<TrustDomain, i64>) {
    spec.federates_with.sort_by_key(|name| bundles.get(name));
    spec.federates_with.dedup();
}

/// Writes the parts of entries by row; each `federates_with` is ordered and checked.
pub(super) async fn write(
    db: &mut dyn Session,
    entries: &[(i64, &EntrySpec, DateTime)],
    bundles: &HashMap<TrustDomain, i64>,
) -> Result<(), Fault> {
    let (mut links, mut selectors, mut dns_names) = (Vec::new(), Vec::new(), Vec::new());
    for (row_id, spec, now) in entries {
        let (row_id, now) = (Value::Int(*row_id), Value::Moment(Some(*now)));
        let bundle_rows = spec.federates_with.iter().filter_map(|name| bundles.get(name));
        links.extend(bundle_rows.map(|bundle| vec![Value::Int(*bundle), row_id]));
        selectors.extend(spec.selectors.iter().map(|selector| {
            vec![now, now, row_id, Value::Text(&selector.kind), Value::Text(&selector.value)]
        }));
        dns_names.extend(spec.dns_names.iter().map(|name| vec![now, now, row_id, Value::Text(name)]));
    }
    insert_rows(db, FEDERATIONS, "", &links).await?;
    insert_rows(db, SELECTORS, "", &selectors).await?;
    insert_rows(db, DNS_NAMES, "", &dns_names).await
}

/// Removes the parts of the entries in these rows.
pub(super) async fn delete(db: &mut dyn Session, row_ids: &[i64]) -> Result<(), Fault> {
    for chunk in row_ids.chunks(CHUNK) {
        let values: Vec<_> = chunk.iter().map(|row_id| Value::Int(*row_id)).collect();
        for sql in DELETE {
            db.execute(&format!("{sql}{}", list(chunk.len())), &values).await?;
        }
    }
    Ok(())
}

//! Federation relationships, each with the stored bundle of its trust domain.

use super::fault::Fault;
use super::session::{Columns, Session, Value, first};
use super::transaction::{reading, transaction};
use super::{SqlStore, bundles};
use crate::codec::{self, CodecError};
use crate::rules;
use crate::stored::relationship_columns;
use crate::time::DateTime;
use async_trait::async_trait;
use finial_identity::{BundleEndpointProfile, FederationRelationship, SpiffeId, TrustDomain};
use finial_plugin::datastore::{FederationStore, RelationshipParts, Row, StoreResult};
use std::time::SystemTime;

/// A relationship and its bundle, whose trust domain is written as a SPIFFE ID, in one snapshot.
const WITH_BUNDLE: &str = "SELECT R.id, R.trust_domain, R.bundle_endpoint_url, R.bundle_endpoint_profile, \
     R.endpoint_spiffe_id, B.data FROM federated_trust_domains R \
     LEFT JOIN bundles B ON B.trust_domain = CONCAT('spiffe://', R.trust_domain) ";
const BY_TRUST_DOMAIN: &str = "WHERE R.trust_domain = ?";
const PAGE: &str = "WHERE R.id > ? ORDER BY R.id LIMIT ?";
const LOCK: &str = "SELECT id FROM federated_trust_domains WHERE trust_domain = ? FOR UPDATE";
const INSERT: &str = "INSERT INTO federated_trust_domains (created_at, updated_at, trust_domain, \
     bundle_endpoint_url, bundle_endpoint_profile, endpoint_spiffe_id, implicit) VALUES (?, ?, ?, ?, ?, ?, ?)";
const UPDATE: &str = "UPDATE federated_trust_domains SET updated_at = ?, bundle_endpoint_url = ?, \
     bundle_endpoint_profile = ?, endpoint_spiffe_id = ? WHERE trust_domain = ?";
const DELETE: &str = "DELETE FROM federated_trust_domains WHERE trust_domain = ?";

#[async_trait]
impl FederationStore for SqlStore {
    async fn relationship_create(
        &self,
        relationship: FederationRelationship,
        now: SystemTime,
    ) -> StoreResult<Row<FederationRelationship>> {
        let now = self.moment(now);
        let row = transaction!(&self.primary, db => create(db, &relationship, now))?;
        self.changed();
        Ok(row)
    }

    async fn relationship_get(
        &self,
        trust_domain: &TrustDomain,
    ) -> StoreResult<Option<Row<FederationRelationship>>> {
        reading!(&self.primary, db => find(db, trust_domain))
    }

    async fn relationship_page(
        &self,
        after_row: i64,
        limit: u32,
    ) -> StoreResult<Vec<Row<FederationRelationship>>> {
        reading!(&self.primary, db => page(db, after_row, limit))
    }

    async fn relationship_update(
        &self,
        relationship: FederationRelationship,
        parts: RelationshipParts,
        now: SystemTime,
    ) -> StoreResult<Row<FederationRelationship>> {
        let now = self.moment(now);
        let row = transaction!(&self.primary, db => update(db, &relationship, parts, now))?;
        self.changed();
        Ok(row)
    }

    async fn relationship_delete(&self, trust_domain: &TrustDomain) -> StoreResult<()> {
        transaction!(&self.primary, db => delete(db, trust_domain))?;
        self.changed();
        Ok(())
    }
}

async fn create(
    db: &mut dyn Session,
    relationship: &FederationRelationship,
    now: DateTime,
) -> Result<Row<FederationRelationship>, Fault> {
    let name = &relationship.trust_domain;
    let (url, profile, endpoint_id) = relationship_columns(relationship);
    let moment = Value::Moment(Some(now));
    let values = [
        moment,
        moment,
        Value::Text(name.as_str()),
        Value::Text(url),
        Value::Text(profile),
        Value::Text(endpoint_id),
        Value::Flag(false),
    ];
    db.execute(INSERT, &values).await?;
    if let Some(bundle) = &relationship.bundle {
        bundles::set(db, name, bundle.clone(), now).await?;
    }
    find(db, name).await?.ok_or_else(Fault::not_found)
}

async fn update(
    db: &mut dyn Session,
    newer: &FederationRelationship,
    parts: RelationshipParts,
    now: DateTime,
) -> Result<Row<FederationRelationship>, Fault> {
    let name = &newer.trust_domain;
    first(db, LOCK, &[Value::Text(name.as_str())]).await?.ok_or_else(Fault::not_found)?;
    let mut stored = find(db, name).await?.ok_or_else(Fault::not_found)?.value;
    rules::replace_endpoint(&mut stored, newer, parts);
    let (url, profile, endpoint_id) = relationship_columns(&stored);
    let values = [
        Value::Moment(Some(now)),
        Value::Text(url),
        Value::Text(profile),
        Value::Text(endpoint_id),
        Value::Text(name.as_str()),
    ];
    db.execute(UPDATE, &values).await?;
    if let Some(bundle) = newer.bundle.as_ref().filter(|_| parts.trust_domain_bundle) {
        bundles::set(db, name, bundle.clone(), now).await?;
    }
    find(db, name).await?.ok_or_else(Fault::not_found)
}

async fn delete(db: &mut dyn Session, trust_domain: &TrustDomain) -> Result<(), Fault> {
    match db.execute(DELETE, &[Value::Text(trust_domain.as_str())]).await? {
        0 => Err(Fault::not_found()),
        _ => Ok(()),
    }
}

async fn find(
    db: &mut dyn Session,
    trust_domain: &TrustDomain,
) -> Result<Option<Row<FederationRelationship>>, Fault> {
    let sql = format!("{WITH_BUNDLE}{BY_TRUST_DOMAIN}");
    match first(db, &sql, &[Value::Text(trust_domain.as_str())]).await? {
        Some(mut row) => {
            let row_id = row.int()?;
            Ok(Some(Row { row_id, value: read(row)? }))
        }
        None => Ok(None),
    }
}

/// Relationships after a row. One that makes no sense is told and left out; a page is empty only at the end.
async fn page(
    db: &mut dyn Session,
    after_row: i64,
    limit: u32,
) -> Result<Vec<Row<FederationRelationship>>, Fault> {
    let sql = format!("{WITH_BUNDLE}{PAGE}");
    let mut after = after_row.max(0);
    loop {
        let stored = db.query(&sql, &[Value::Int(after), Value::Int(limit.into())]).await?;
        if stored.is_empty() {
            return Ok(Vec::new());
        }
        let mut sound = Vec::with_capacity(stored.len());
        for mut row in stored {
            let row_id = row.int()?;
            after = row_id;
            match read(row) {
                Ok(value) => sound.push(Row { row_id, value }),
                Err(fault) => {
                    let error = fault.told(db.dialect().name);
                    tracing::warn!(
                        row_id,
                        %error,
                        "A federation relationship in the database makes no sense; left out"
                    );
                }
            }
        }
        if !sound.is_empty() {
            return Ok(sound);
        }
    }
}

fn read(mut row: Columns) -> Result<FederationRelationship, Fault> {
    let trust_domain = codec::trust_domain(&row.text()?)?;
    let bundle_endpoint_url = row.text()?;
    let (profile, endpoint_id) = (row.text()?, row.text()?);
    let profile = match profile.as_str() {
        "https_web" => BundleEndpointProfile::HttpsWeb,
        "https_spiffe" => {
            let unsound = |_| CodecError::Name { what: "SPIFFE ID", text: endpoint_id.clone() };
            BundleEndpointProfile::HttpsSpiffe {
                endpoint_id: SpiffeId::parse(&endpoint_id).map_err(unsound)?,
            }
        }
        _ => return Err(CodecError::Name { what: "bundle endpoint profile", text: profile }.into()),
    };
    let bundle = row.optional_blob()?.map(|blob| codec::decode_bundle(&blob)).transpose()?;
    Ok(FederationRelationship { trust_domain, bundle_endpoint_url, profile, bundle })
}

//! Federation relationships, each with the bundle that is stored for its trust domain.

use super::fault::Fault;
use super::{SqliteStore, bundles};
use crate::codec;
use crate::rules;
use crate::stored::relationship_columns;
use crate::time::DateTime;
use async_trait::async_trait;
use finial_identity::{BundleEndpointProfile, Code, FederationRelationship, SpiffeId, TrustDomain};
use finial_plugin::datastore::{
    BundleChange, FederationStore, RelationshipParts, Row, StoreError, StoreResult,
};
use rusqlite::{Connection, OptionalExtension};
use std::time::SystemTime;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT F.id, F.trust_domain, COALESCE(F.bundle_endpoint_url, ''), \
             COALESCE(F.bundle_endpoint_profile, ''), COALESCE(F.endpoint_spiffe_id, ''), B.data \
             FROM federated_trust_domains F LEFT JOIN bundles B ON B.trust_domain = 'spiffe://' || F.trust_domain ",
            $rest
        )
    };
}

const BY_TRUST_DOMAIN: &str = select!("WHERE F.trust_domain = ?1");
const PAGE: &str = select!("WHERE F.id > ?1 ORDER BY F.id LIMIT ?2");
const INSERT: &str = "INSERT INTO federated_trust_domains (created_at, updated_at, trust_domain, \
     bundle_endpoint_url, bundle_endpoint_profile, endpoint_spiffe_id, implicit) \
     VALUES (?1, ?1, ?2, ?3, ?4, ?5, 0)";
const UPDATE: &str = "UPDATE federated_trust_domains SET updated_at = ?1, bundle_endpoint_url = ?3, \
     bundle_endpoint_profile = ?4, endpoint_spiffe_id = ?5 WHERE id = ?2";
const DELETE: &str = "DELETE FROM federated_trust_domains WHERE trust_domain = ?1";

#[cfg(test)]
pub(super) const ALL_SQL: &[&str] = &[BY_TRUST_DOMAIN, PAGE, UPDATE, DELETE];

#[async_trait]
impl FederationStore for SqliteStore {
    async fn relationship_create(
        &self,
        relationship: FederationRelationship,
        now: SystemTime,
    ) -> StoreResult<Row<FederationRelationship>> {
        self.write(move |db| create(db, &relationship, now.into())).await
    }

    async fn relationship_get(
        &self,
        trust_domain: &TrustDomain,
    ) -> StoreResult<Option<Row<FederationRelationship>>> {
        let trust_domain = trust_domain.clone();
        self.read(move |db| find(db, &trust_domain)).await
    }

    async fn relationship_page(
        &self,
        after_row: i64,
        limit: u32,
    ) -> StoreResult<Vec<Row<FederationRelationship>>> {
        self.read(move |db| page(db, after_row, limit)).await
    }

    async fn relationship_update(
        &self,
        relationship: FederationRelationship,
        parts: RelationshipParts,
        now: SystemTime,
    ) -> StoreResult<Row<FederationRelationship>> {
        self.write(move |db| update(db, relationship, parts, now.into())).await
    }

    async fn relationship_delete(&self, trust_domain: &TrustDomain) -> StoreResult<()> {
        let trust_domain = trust_domain.clone();
        self.write(move |db| match db.prepare_cached(DELETE)?.execute([trust_domain.as_str()])? {
            0 => Err(Fault::not_found()),
            _ => Ok(()),
        })
        .await
    }
}

fn create(
    db: &Connection,
    relationship: &FederationRelationship,
    now: DateTime,
) -> Result<Row<FederationRelationship>, Fault> {
    set_bundle(db, relationship, now)?;
    let (url, profile, endpoint_id) = relationship_columns(relationship);
    let row = (now, relationship.trust_domain.as_str(), url, profile, endpoint_id);
    db.prepare_cached(INSERT)?.execute(row)?;
    find(db, &relationship.trust_domain)?.ok_or_else(Fault::not_found)
}

fn update(
    db: &Connection,
    newer: FederationRelationship,
    parts: RelationshipParts,
    now: DateTime,
) -> Result<Row<FederationRelationship>, Fault> {
    let mut stored = find(db, &newer.trust_domain)?.ok_or_else(Fault::not_found)?;
    if parts.trust_domain_bundle {
        set_bundle(db, &newer, now)?;
    }
    rules::replace_endpoint(&mut stored.value, &newer, parts);
    let (url, profile, endpoint_id) = relationship_columns(&stored.value);
    db.prepare_cached(UPDATE)?.execute((now, stored.row_id, url, profile, endpoint_id))?;
    find(db, &newer.trust_domain)?.ok_or_else(Fault::not_found)
}

fn set_bundle(db: &Connection, relationship: &FederationRelationship, now: DateTime) -> Result<(), Fault> {
    let Some(bundle) = relationship.bundle.clone() else { return Ok(()) };
    bundles::apply(db, &relationship.trust_domain, BundleChange::Set(bundle), now)?;
    Ok(())
}

/// A row as it is stored.
struct Stored {
    row_id: i64,
    trust_domain: String,
    url: String,
    profile: String,
    endpoint_id: String,
    bundle: Option<Vec<u8>>,
}

impl Stored {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            row_id: row.get(0)?,
            trust_domain: row.get(1)?,
            url: row.get(2)?,
            profile: row.get(3)?,
            endpoint_id: row.get(4)?,
            bundle: row.get(5)?,
        })
    }

    fn decode(self) -> Result<Row<FederationRelationship>, StoreError> {
        let refused = |text: String| StoreError::new(Code::Internal, text);
        let trust_domain = codec::trust_domain(&self.trust_domain)
            .map_err(|error| refused(format!("datastore-sql: {error}")))?;
        let profile = match self.profile.as_str() {
            "https_web" => BundleEndpointProfile::HttpsWeb,
            "https_spiffe" => BundleEndpointProfile::HttpsSpiffe {
                endpoint_id: SpiffeId::parse(&self.endpoint_id).map_err(|error| {
                    refused(format!("unable to parse bundle endpoint SPIFFE ID: {error}"))
                })?,
            },
            other => return Err(refused(format!("unknown bundle endpoint profile type: {other:?}"))),
        };
        // One that makes no sense is as good as none: the next fetch puts it right.
        let bundle = self.bundle.and_then(|blob| match codec::decode_bundle(&blob) {
            Ok(bundle) => Some(bundle),
            Err(error) => {
                tracing::warn!(%trust_domain, %error, "A bundle in the database makes no sense; left out");
                None
            }
        });
        let value = FederationRelationship { trust_domain, bundle_endpoint_url: self.url, profile, bundle };
        Ok(Row { row_id: self.row_id, value })
    }
}

fn find(db: &Connection, trust_domain: &TrustDomain) -> Result<Option<Row<FederationRelationship>>, Fault> {
    let stored =
        db.prepare_cached(BY_TRUST_DOMAIN)?.query_row([trust_domain.as_str()], Stored::read).optional()?;
    Ok(stored.map(Stored::decode).transpose()?)
}

/// Relationships after a row. One that makes no sense is told and left out; a page is empty only at the end.
fn page(db: &Connection, after_row: i64, limit: u32) -> Result<Vec<Row<FederationRelationship>>, Fault> {
    let mut after = after_row;
    loop {
        let stored = db
            .prepare_cached(PAGE)?
            .query_map((after, limit), Stored::read)?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let Some(last) = stored.last() else {
            return Ok(Vec::new());
        };
        after = last.row_id;
        let sound: Vec<_> = stored.into_iter().filter_map(told).collect();
        if !sound.is_empty() {
            return Ok(sound);
        }
    }
}

fn told(stored: Stored) -> Option<Row<FederationRelationship>> {
    let row_id = stored.row_id;
    let decoded = stored.decode();
    decoded
        .inspect_err(|error| {
            tracing::warn!(row_id, %error, "A federation relationship in the database makes no sense; left out");
        })
        .ok()
}

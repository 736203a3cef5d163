//! Rows of entries, nodes and relationships as they stand in any database, and what they mean.
//!
//! How a row is read differs from database to database; what absence, 0 and an empty text stand for does not.

use crate::codec::{self, CodecError};
use crate::time::DateTime;
use finial_identity::{
    AgentSerial, AttestedNode, EntryId, EntrySpec, FederationRelationship, RegistrationEntry, Selector,
    SpiffeId, TrustDomain, UnixTime,
};
use finial_plugin::datastore::Row;
use std::collections::HashMap;

/// What entries in a range of rows have in other tables, by row.
#[derive(Default)]
pub(crate) struct EntryParts {
    pub(crate) selectors: HashMap<i64, Vec<Selector>>,
    pub(crate) dns_names: HashMap<i64, Vec<String>>,
    /// Trust domains in the order of their bundles.
    pub(crate) federations: HashMap<i64, Vec<String>>,
}

/// A row of `registered_entries` as it stands there.
pub(crate) struct StoredEntry {
    pub(crate) row_id: i64,
    pub(crate) created_at: Option<DateTime>,
    pub(crate) entry_id: Option<String>,
    pub(crate) spiffe_id: Option<String>,
    pub(crate) parent_id: Option<String>,
    pub(crate) x509_svid_ttl: i32,
    pub(crate) admin: bool,
    pub(crate) downstream: bool,
    pub(crate) expiry: i64,
    pub(crate) revision: i64,
    pub(crate) store_svid: bool,
    pub(crate) hint: String,
    pub(crate) jwt_svid_ttl: i32,
    pub(crate) attributes: Option<Vec<u8>>,
}

impl StoredEntry {
    pub(crate) fn into_sound_entry(self, parts: &mut EntryParts) -> Option<Row<RegistrationEntry>> {
        let row_id = self.row_id;
        match self.into_entry(parts) {
            Ok(entry) => Some(entry),
            Err(error) => {
                tracing::warn!(row_id, %error, "A registration entry in the database makes no sense; left out");
                None
            }
        }
    }

    pub(crate) fn into_entry(self, parts: &mut EntryParts) -> Result<Row<RegistrationEntry>, CodecError> {
        let row_id = self.row_id;
        let federates_with = parts.federations.remove(&row_id).unwrap_or_default();
        let spec = EntrySpec {
            spiffe_id: spiffe_id(self.spiffe_id)?,
            parent_id: spiffe_id(self.parent_id)?,
            selectors: parts.selectors.remove(&row_id).unwrap_or_default(),
            x509_svid_ttl: self.x509_svid_ttl,
            jwt_svid_ttl: self.jwt_svid_ttl,
            federates_with: trust_domains(&federates_with)?,
            admin: self.admin,
            downstream: self.downstream,
            expires_at: (self.expiry != 0).then(|| UnixTime::from_seconds(self.expiry)),
            dns_names: parts.dns_names.remove(&row_id).unwrap_or_default(),
            store_svid: self.store_svid,
            hint: self.hint,
            additional: codec::decode_attributes(self.attributes.as_deref())?,
        };
        let text = self.entry_id.unwrap_or_default();
        let id = EntryId::parse(text.as_str()).map_err(|_| CodecError::Name { what: "entry ID", text })?;
        let created_at = self.created_at.map(DateTime::rounded).unwrap_or_default();
        let value = RegistrationEntry { id, revision: self.revision, created_at, spec };
        Ok(Row { row_id, value })
    }
}

/// A column that holds a SPIFFE ID.
pub(crate) fn spiffe_id(text: Option<String>) -> Result<SpiffeId, CodecError> {
    let text = text.unwrap_or_default();
    SpiffeId::parse(&text).map_err(|_| CodecError::Name { what: "SPIFFE ID", text })
}

fn trust_domains(texts: &[String]) -> Result<Vec<TrustDomain>, CodecError> {
    texts.iter().map(|text| codec::trust_domain(text)).collect()
}

/// A row of `attested_node_entries` as it stands there.
pub(crate) struct StoredNode {
    pub(crate) row_id: i64,
    pub(crate) id: Option<String>,
    pub(crate) attestation_type: String,
    pub(crate) serial: String,
    pub(crate) expires_at: Option<DateTime>,
    pub(crate) staged_serial: String,
    pub(crate) staged_expires_at: Option<DateTime>,
    pub(crate) can_reattest: bool,
    pub(crate) agent_version: String,
}

impl StoredNode {
    /// The node, with the selectors that stand in another table.
    pub(crate) fn into_node(self, selectors: Vec<Selector>) -> Result<Row<AttestedNode>, CodecError> {
        let seconds = |moment: Option<DateTime>| moment.map(DateTime::seconds).unwrap_or_default();
        let staged = (!self.staged_serial.is_empty())
            .then(|| AgentSerial { serial: self.staged_serial, expires_at: seconds(self.staged_expires_at) });
        let value = AttestedNode {
            id: spiffe_id(self.id)?,
            attestation_type: self.attestation_type,
            current: AgentSerial { serial: self.serial, expires_at: seconds(self.expires_at) },
            staged,
            can_reattest: self.can_reattest,
            agent_version: self.agent_version,
            selectors,
        };
        Ok(Row { row_id: self.row_id, value })
    }

    /// The same; a node that makes no sense is told and left out.
    pub(crate) fn into_sound_node(self, selectors: Vec<Selector>) -> Option<Row<AttestedNode>> {
        let row_id = self.row_id;
        let told = |error| tracing::warn!(row_id, %error, "An attested node in the database makes no sense; left out");
        self.into_node(selectors).map_err(told).ok()
    }
}

/// What reads back from the columns where it differs from what was written: defaults are absent.
pub(crate) fn as_read_back(mut spec: EntrySpec) -> EntrySpec {
    spec.expires_at = spec.expires_at.filter(|end| end.seconds() != 0);
    spec.additional = spec.additional.filter(|set| *set != Default::default());
    spec
}

/// URL, profile and the endpoint's SPIFFE ID of a relationship, as they stand in `federated_trust_domains`.
pub(crate) fn relationship_columns(relationship: &FederationRelationship) -> (&str, &'static str, &str) {
    let endpoint_id = relationship.profile.endpoint_id().map_or("", |id| id.as_str());
    (&relationship.bundle_endpoint_url, relationship.profile.name(), endpoint_id)
}

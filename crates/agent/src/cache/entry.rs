//! What an agent knows of a registration entry.

use finial_identity::{AdditionalAttributes, EntryId, Selector, SpiffeId, TrustDomain, UnixTime};

/// The part of an entry that agents ask the server for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentEntry {
    /// Its ID.
    pub id: EntryId,
    /// The identity it gives.
    pub spiffe_id: SpiffeId,
    /// All of these must be attested of a workload.
    pub selectors: Vec<Selector>,
    /// Trust domains whose bundles the workload also gets.
    pub federates_with: Vec<TrustDomain>,
    /// An administrator's identity.
    pub admin: bool,
    /// A downstream server's identity.
    pub downstream: bool,
    /// Grows with each update.
    pub revision: i64,
    /// When it was admitted; differs when an entry was deleted and made again under the same ID.
    pub created_at: UnixTime,
    /// Goes to an SVID store instead of workloads.
    pub store_svid: bool,
    /// Helps a workload choose.
    pub hint: String,
    /// Later attributes.
    pub additional: AdditionalAttributes,
}

impl AgentEntry {
    /// Whether this is the same state of the same entry.
    pub fn is_version(&self, revision: i64, created_at: UnixTime) -> bool {
        self.revision == revision && self.created_at == created_at
    }
}

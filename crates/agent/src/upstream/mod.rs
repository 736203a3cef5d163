//! What an agent asks of its server.
//!
//! [`Upstream`] is the contract that the rest of the agent speaks; [`grpc`] keeps it over SPIRE's wire.

pub mod grpc;

use async_trait::async_trait;
use finial_identity::GrantedEntry;
use finial_identity::jwt::JwtSvid;
use finial_identity::x509::Certificate;
use finial_identity::{Bundle, EntryId, Failure, TrustDomain, UnixTime};
use std::collections::{HashMap, HashSet};

/// The state of an entry that is held already.
pub type HeldVersions = HashMap<EntryId, (i64, UnixTime)>;

/// The outcome of a sync of entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntrySync {
    /// Granted and held already in this state.
    pub kept: HashSet<EntryId>,
    /// Granted and new or different.
    pub changed: Vec<GrantedEntry>,
}

/// One certificate asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct X509Request {
    /// For which entry.
    pub entry_id: EntryId,
    /// Signed with the key the certificate is for.
    pub csr: Vec<u8>,
}

/// The calls an agent makes with its own SVID.
#[async_trait]
pub trait Upstream: Send + Sync {
    /// The entries granted to this agent, given the states it holds.
    async fn sync_entries(&self, held: &HeldVersions) -> Result<EntrySync, Failure>;

    /// The bundle of the own trust domain.
    async fn own_bundle(&self) -> Result<Bundle, Failure>;

    /// The bundle of another trust domain, if the server has it.
    async fn foreign_bundle(&self, trust_domain: &TrustDomain) -> Result<Option<Bundle>, Failure>;

    /// Signs many; one verdict for each request, in order.
    async fn sign_x509(
        &self,
        requests: Vec<X509Request>,
    ) -> Result<Vec<Result<Vec<Certificate>, Failure>>, Failure>;

    /// A JWT-SVID.
    async fn new_jwt(&self, entry_id: &EntryId, audience: &[String]) -> Result<JwtSvid, Failure>;

    /// The agent's next SVID.
    async fn renew_agent(&self, csr: Vec<u8>) -> Result<Vec<Certificate>, Failure>;

    /// Tells the server about the agent.
    async fn post_status(&self, version: &str) -> Result<(), Failure>;
}

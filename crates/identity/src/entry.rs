//! Registration entries: who gets which identity, and the rules an entry must obey.

use crate::{Selector, SpiffeId, TrustDomain, UnixTime};
use std::fmt;

/// Longest hint in characters.
pub const HINT_MAX: usize = 1024;
/// Longest entry ID in characters.
pub const ENTRY_ID_MAX: usize = 255;

/// The name of an entry: 1 to 255 characters of `[A-Za-z0-9-._]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(String);

/// Why an entry ID was refused. The texts are SPIRE's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryIdError {
    /// Longer than [`ENTRY_ID_MAX`].
    #[error("entry ID too long")]
    TooLong,
    /// A character out of the set, or nothing at all.
    #[error("entry ID contains invalid characters")]
    InvalidCharacters,
}

impl EntryId {
    /// Checks and wraps an entry ID.
    pub fn parse(text: impl Into<String>) -> Result<Self, EntryIdError> {
        let text = text.into();
        if text.len() > ENTRY_ID_MAX {
            return Err(EntryIdError::TooLong);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if text.is_empty() || !text.chars().all(allowed) {
            return Err(EntryIdError::InvalidCharacters);
        }
        Ok(Self(text))
    }

    /// A new random ID (UUID version 4).
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Attributes that came after the first schema; absent on entries that never used one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AdditionalAttributes {
    /// Agents sign this entry's X509-SVID only when a workload asks.
    pub disable_x509_svid_prefetch: bool,
    /// JWT-SVIDs of this entry carry a `jti` and are never cached.
    pub jwt_svid_include_jti: bool,
}

/// What an operator says of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntrySpec {
    /// The identity given.
    pub spiffe_id: SpiffeId,
    /// Under whom it is issued: an agent, a node alias, or `/spire/server` for an alias itself.
    pub parent_id: SpiffeId,
    /// All of these must be attested; order as given.
    pub selectors: Vec<Selector>,
    /// Lifetime of X509-SVIDs in seconds, 0 for the server's default.
    pub x509_svid_ttl: i32,
    /// Lifetime of JWT-SVIDs in seconds, 0 for the server's default.
    pub jwt_svid_ttl: i32,
    /// Trust domains whose bundles the workload also receives.
    pub federates_with: Vec<TrustDomain>,
    /// The identity may administer the server.
    pub admin: bool,
    /// The identity may run a downstream server.
    pub downstream: bool,
    /// When the entry stops to exist.
    pub expires_at: Option<UnixTime>,
    /// DNS names of the X509-SVID; the first becomes its common name.
    pub dns_names: Vec<String>,
    /// Hand the SVID to an SVID store instead of the Workload API.
    pub store_svid: bool,
    /// Free text that helps a workload choose among identities.
    pub hint: String,
    /// Later attributes.
    pub additional: Option<AdditionalAttributes>,
}

/// An entry that is not admitted yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryDraft {
    /// The wished ID, otherwise the store makes one.
    pub id: Option<EntryId>,
    /// The content.
    pub spec: EntrySpec,
}

/// An admitted entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationEntry {
    /// Its ID.
    pub id: EntryId,
    /// Starts at 0, one more at each update.
    pub revision: i64,
    /// When it was admitted.
    pub created_at: UnixTime,
    /// The content.
    pub spec: EntrySpec,
}

/// What an agent sees of an entry that it was granted: what it needs to recognise workloads and to serve them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedEntry {
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

impl GrantedEntry {
    /// Whether this is the same state of the same entry.
    pub fn is_version(&self, revision: i64, created_at: UnixTime) -> bool {
        self.revision == revision && self.created_at == created_at
    }
}

//! Trust bundles (Trust Domain and Bundle standard): what verifies the SVIDs of one trust domain.
//!
//! [`Bundle`] is plain data; `rules` says how it may change, [`mod@format`] how it is written and read.
//! Nothing here stores or fetches: that is the work of `datastore`, `server` and `agent`.

mod authority;
pub mod format;
mod rules;

pub use authority::{AuthorityId, JwtAuthority, WitAuthority, X509Authority};
pub use format::BundleError;
pub use rules::{AuthorityError, PruneError, Pruned};

use crate::jwt::JwtError;
use crate::x509::Certificate;
use crate::{PublicKey, TrustDomain};

/// The authorities of one trust domain, each list in the order in which they were added.
///
/// An empty list means that no SVID of that kind is valid (§4.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Whose authorities these are. A bundle never travels without its trust domain (§5).
    pub trust_domain: TrustDomain,
    /// What signs X509-SVIDs.
    pub x509_authorities: Vec<X509Authority>,
    /// What signs JWT-SVIDs; key IDs are unique.
    pub jwt_authorities: Vec<JwtAuthority>,
    /// What signs WIT-SVIDs; key IDs are unique.
    pub wit_authorities: Vec<WitAuthority>,
    /// How often to look for a newer bundle, in seconds; 0 if nothing is said (§4.1.2).
    pub refresh_hint: i64,
    /// Grows with every change; 0 if nothing is said (§4.1.1).
    pub sequence_number: u64,
}

impl Bundle {
    /// A bundle without authorities.
    pub fn new(trust_domain: TrustDomain) -> Self {
        Self {
            trust_domain,
            x509_authorities: Vec::new(),
            jwt_authorities: Vec::new(),
            wit_authorities: Vec::new(),
            refresh_hint: 0,
            sequence_number: 0,
        }
    }

    /// All X.509 authorities, DER after DER, as the Workload API sends them.
    pub fn x509_roots_der(&self) -> Vec<u8> {
        self.x509_authorities.iter().flat_map(|authority| authority.certificate.der()).copied().collect()
    }

    /// The X.509 authorities with this ID: two certificates may share one key.
    pub fn find_x509(&self, id: &AuthorityId) -> impl Iterator<Item = &X509Authority> {
        self.x509_authorities.iter().filter(move |authority| authority.id() == *id)
    }

    /// Whether a certificate of this chain was signed by an authority that is tainted: it must be replaced, though
    /// it still verifies.
    pub fn has_tainted_issuer_of(&self, chain: &[Certificate]) -> bool {
        let tainted = self.x509_authorities.iter().filter(|authority| authority.tainted);
        let mut key_ids = tainted.filter_map(|authority| authority.certificate.subject_key_id());
        key_ids.any(|id| chain.iter().any(|certificate| certificate.authority_key_id() == Some(id)))
    }

    /// The JWT authority with this key ID; upper and lower case matter.
    pub fn find_jwt(&self, key_id: &str) -> Option<&JwtAuthority> {
        self.jwt_authorities.iter().find(|authority| authority.key_id == key_id)
    }

    /// The key that verifies JWT-SVIDs with this `kid`, for [`crate::jwt::validate()`]. A tainted key
    /// still verifies: it is not trusted any more only when it is revoked, which removes it.
    pub fn jwt_key(&self, key_id: &str) -> Result<PublicKey, JwtError> {
        let unknown =
            || JwtError::UnknownKey { key_id: key_id.to_owned(), trust_domain: self.trust_domain.clone() };
        self.find_jwt(key_id).map(|authority| authority.public_key.clone()).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests;

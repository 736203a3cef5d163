//! Trust domain names (SPIFFE-ID §2.1).

use crate::SpiffeId;
use crate::spiffe_id::SpiffeIdError;
use std::fmt;
use std::sync::Arc;

/// Longest trust domain name in bytes (SPIFFE-ID §2.3).
pub const TRUST_DOMAIN_MAX: usize = 255;

/// The name of a trust domain, for example `example.org`: lower-case letters, digits, `.`, `-`, `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// Reads a name or a SPIFFE ID, of which it takes the trust domain.
    pub fn parse(name_or_id: &str) -> Result<Self, SpiffeIdError> {
        if name_or_id.is_empty() {
            return Err(SpiffeIdError::MissingTrustDomain);
        }
        if name_or_id.contains(":/") {
            return SpiffeId::parse(name_or_id).map(|id| id.trust_domain().clone());
        }
        Self::from_name(name_or_id)
    }

    /// Reads a bare name.
    pub(crate) fn from_name(name: &str) -> Result<Self, SpiffeIdError> {
        if name.is_empty() {
            return Err(SpiffeIdError::MissingTrustDomain);
        }
        if !name.bytes().all(is_trust_domain_byte) {
            return Err(SpiffeIdError::BadTrustDomainChar);
        }
        Ok(Self(name.into()))
    }

    /// The bare name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The SPIFFE ID of the trust domain itself, `spiffe://example.org`.
    pub fn id(&self) -> SpiffeId {
        SpiffeId::of_trust_domain(self)
    }

    /// The ID of the servers of this trust domain, `spiffe://example.org/spire/server`.
    pub fn server_id(&self) -> SpiffeId {
        SpiffeId::from_checked(self, "/spire/server")
    }
}

pub(crate) fn is_trust_domain_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

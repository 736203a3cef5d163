//! Trust domain names (SPIFFE-ID §2.1).

use crate::SpiffeId;
use crate::spiffe_id::SpiffeIdError;
use std::fmt;
use std::sync::Arc;

/// Longest trust domain name in bytes (SPIFFE-ID §2.3). Readers take longer ones, as go-spiffe does.
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

    /// Checks that the name may be written down anew: that it has at most [`TRUST_DOMAIN_MAX`] bytes.
    pub fn require_length(&self) -> Result<(), SpiffeIdError> {
        if self.0.len() <= TRUST_DOMAIN_MAX { Ok(()) } else { Err(SpiffeIdError::TrustDomainTooLong) }
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

#[cfg(test)]
mod tests {
    use super::SpiffeIdError as Error;
    use super::*;

    #[test]
    fn cases_33_to_39_names() {
        let name = |text: &str| TrustDomain::parse(text).map(|domain| domain.to_string());
        assert_eq!(name(""), Err(Error::MissingTrustDomain));
        for text in ["example.org", "spiffe://example.org", "spiffe://example.org/path"] {
            assert_eq!(name(text).as_deref(), Ok("example.org"), "{text}");
        }
        assert_eq!(name("spiffe://example.org/"), Err(Error::TrailingSlash));
        for text in ["http://example.org", "spiffe:/example.org", "SPIFFE://example.org"] {
            assert_eq!(name(text), Err(Error::WrongScheme), "{text}");
        }
        for text in [
            "EXAMPLE.org",
            "example.org/",
            "example.org/path",
            "example.org:443",
            "user@example.org",
            "[::1]",
            "*.example.org",
            "exa mple",
            "exämple",
            "example.org\n",
            " example.org",
            "example.org ",
            "\texample.org",
        ] {
            assert_eq!(name(text), Err(Error::BadTrustDomainChar), "{text:?}");
        }
    }

    #[test]
    fn case_29_lengths() {
        let verdict = |length: usize| TrustDomain::parse(&"a".repeat(length)).unwrap().require_length();
        assert_eq!(
            (verdict(TRUST_DOMAIN_MAX), verdict(TRUST_DOMAIN_MAX + 1)),
            (Ok(()), Err(Error::TrustDomainTooLong))
        );
    }

    #[test]
    fn ids_of_a_trust_domain() {
        let domain = TrustDomain::parse("example.org").unwrap();
        assert_eq!(domain.id().as_str(), "spiffe://example.org");
        assert_eq!(domain.server_id().as_str(), "spiffe://example.org/spire/server");
        assert_eq!(domain.server_id().path(), "/spire/server");
    }
}

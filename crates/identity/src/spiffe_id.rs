//! SPIFFE IDs (SPIFFE-ID §2), with the strictness and the texts of go-spiffe, which SPIRE uses.
//!
//! Upper case in scheme or trust domain is refused rather than folded: two spellings of one identity
//! are one too many.

use crate::TrustDomain;
use crate::trust_domain::is_trust_domain_byte;
use std::fmt;
use std::sync::Arc;

/// Longest SPIFFE ID in bytes that may be issued (SPIFFE-ID §2.3).
pub const SPIFFE_ID_MAX: usize = 2048;

const SCHEME: &str = "spiffe://";

/// A SPIFFE ID, for example `spiffe://example.org/billing`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    trust_domain: TrustDomain,
    /// The whole URI; what follows the trust domain is the path.
    uri: Arc<str>,
}

/// Why a SPIFFE ID or trust domain was refused. The texts are go-spiffe's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeIdError {
    /// Nothing there.
    #[error("cannot be empty")]
    Empty,
    /// Not `spiffe://`.
    #[error("scheme is missing or invalid")]
    WrongScheme,
    /// No name after the scheme.
    #[error("trust domain is missing")]
    MissingTrustDomain,
    /// A byte that no trust domain has.
    #[error("trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores")]
    BadTrustDomainChar,
    /// A byte that no path has.
    #[error("path segment characters are limited to letters, numbers, dots, dashes, and underscores")]
    BadPathSegmentChar,
    /// `.` or `..`.
    #[error("path cannot contain dot segments")]
    DotSegment,
    /// `//`.
    #[error("path cannot contain empty segments")]
    EmptySegment,
    /// Ends in `/`.
    #[error("path cannot have a trailing slash")]
    TrailingSlash,
    /// A path on its own that does not begin with `/`.
    #[error("path must have a leading slash")]
    NoLeadingSlash,
}

impl SpiffeId {
    /// Reads a SPIFFE ID.
    pub fn parse(uri: &str) -> Result<Self, SpiffeIdError> {
        if uri.is_empty() {
            return Err(SpiffeIdError::Empty);
        }
        let rest = uri.strip_prefix(SCHEME).ok_or(SpiffeIdError::WrongScheme)?;
        let name_end = rest.find('/').unwrap_or(rest.len());
        let (name, path) = rest.split_at(name_end);
        if name.is_empty() {
            return Err(SpiffeIdError::MissingTrustDomain);
        }
        if !name.bytes().all(is_trust_domain_byte) {
            return Err(SpiffeIdError::BadTrustDomainChar);
        }
        check_path(path)?;
        Ok(Self { trust_domain: TrustDomain::from_name(name)?, uri: uri.into() })
    }

    /// An ID from its trust domain and a path that is empty or begins with `/`.
    pub fn from_path(trust_domain: &TrustDomain, path: &str) -> Result<Self, SpiffeIdError> {
        check_path(path)?;
        Ok(Self::from_checked(trust_domain, path))
    }

    pub(crate) fn of_trust_domain(trust_domain: &TrustDomain) -> Self {
        Self::from_checked(trust_domain, "")
    }

    pub(crate) fn from_checked(trust_domain: &TrustDomain, path: &str) -> Self {
        Self { trust_domain: trust_domain.clone(), uri: format!("{SCHEME}{trust_domain}{path}").into() }
    }

    /// The trust domain.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The path with its leading slash, or nothing.
    pub fn path(&self) -> &str {
        &self.uri[SCHEME.len() + self.trust_domain.as_str().len()..]
    }

    /// The whole URI.
    pub fn as_str(&self) -> &str {
        &self.uri
    }

    /// Whether the ID belongs to an agent: `/spire/agent/…`.
    pub fn is_agent(&self) -> bool {
        self.path().starts_with("/spire/agent/")
    }

    /// Whether the path is `/spire` or below it, which workloads may not have.
    pub fn is_reserved(&self) -> bool {
        let path = self.path();
        path == "/spire" || path.starts_with("/spire/")
    }
}

/// Checks a path: empty, or segments of `[a-zA-Z0-9.-_]` each after a `/`.
pub fn check_path(path: &str) -> Result<(), SpiffeIdError> {
    if path.is_empty() {
        return Ok(());
    }
    let segments = path.strip_prefix('/').ok_or(SpiffeIdError::NoLeadingSlash)?;
    let mut rest = segments;
    loop {
        let (segment, after) = match rest.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (rest, None),
        };
        match (segment, after) {
            ("", None) => return Err(SpiffeIdError::TrailingSlash),
            ("", Some(_)) => return Err(SpiffeIdError::EmptySegment),
            ("." | "..", _) => return Err(SpiffeIdError::DotSegment),
            _ if !segment.bytes().all(is_path_byte) => return Err(SpiffeIdError::BadPathSegmentChar),
            (_, None) => return Ok(()),
            (_, Some(after)) => rest = after,
        }
    }
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

/// Why an ID may not stand where it was given. The texts are SPIRE's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// Of another trust domain.
    #[error("{:?} is not a member of trust domain {:?}", .id.as_str(), .trust_domain.as_str())]
    ForeignTrustDomain {
        /// The ID.
        id: SpiffeId,
        /// The trust domain it should be of.
        trust_domain: TrustDomain,
    },
    /// A member, but not of the kind wanted.
    #[error("{:?} is not {wanted} in trust domain {:?}; {why}", .id.as_str(), .trust_domain.as_str())]
    WrongKind {
        /// The ID.
        id: SpiffeId,
        /// The trust domain.
        trust_domain: TrustDomain,
        /// `a workload` or `an agent` or `a member`.
        wanted: &'static str,
        /// What is wrong with the path.
        why: &'static str,
    },
}

impl TrustDomain {
    /// Checks that an ID is of this trust domain.
    pub fn require_member(&self, id: &SpiffeId) -> Result<(), MembershipError> {
        if id.trust_domain() == self {
            Ok(())
        } else {
            Err(MembershipError::ForeignTrustDomain { id: id.clone(), trust_domain: self.clone() })
        }
    }

    /// Checks that an ID may be given to a workload: a member with a path that is not reserved.
    pub fn require_workload(&self, id: &SpiffeId) -> Result<(), MembershipError> {
        self.require_member(id)?;
        let wrong = |why| self.wrong_kind(id, "a workload", why);
        match () {
            () if id.path().is_empty() => Err(wrong("path is empty")),
            () if id.is_reserved() => Err(wrong("path is in the reserved namespace")),
            () => Ok(()),
        }
    }

    /// Checks that an ID is an agent's.
    pub fn require_agent(&self, id: &SpiffeId) -> Result<(), MembershipError> {
        self.require_member(id)?;
        let wrong = |why| self.wrong_kind(id, "an agent", why);
        match () {
            () if id.path().is_empty() => Err(wrong("path is empty")),
            () if !id.is_agent() => Err(wrong("path is not in the agent namespace")),
            () => Ok(()),
        }
    }

    fn wrong_kind(&self, id: &SpiffeId, wanted: &'static str, why: &'static str) -> MembershipError {
        MembershipError::WrongKind { id: id.clone(), trust_domain: self.clone(), wanted, why }
    }
}

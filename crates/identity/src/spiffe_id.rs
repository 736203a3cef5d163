//! SPIFFE IDs (SPIFFE-ID §2), with the strictness and the texts of go-spiffe, which SPIRE uses.
//!
//! Upper case in scheme or trust domain is refused rather than folded: two spellings of one identity
//! are one too many.

use crate::TrustDomain;
use crate::trust_domain::is_trust_domain_byte;
use std::fmt;
use std::sync::Arc;

/// Longest SPIFFE ID in bytes that may be issued (SPIFFE-ID §2.3). Readers take longer ones, as go-spiffe does.
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
    #[error(
        "trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores"
    )]
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
    /// A name longer than the standard allows, where a new one is written down. Ours alone: go-spiffe has no limit.
    #[error("trust domain is longer than {} bytes", crate::trust_domain::TRUST_DOMAIN_MAX)]
    TrustDomainTooLong,
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

    /// Whether the ID may stand in a certificate or a token that we sign: no verifier has to take a longer one.
    pub fn is_issuable(&self) -> bool {
        self.uri.len() <= SPIFFE_ID_MAX
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
    /// Longer than anybody has to take. The whole text would only fill logs.
    #[error(
        "SPIFFE ID {:?}… has {} bytes, and at most {SPIFFE_ID_MAX} may be issued",
        &.id.as_str()[..64], .id.as_str().len()
    )]
    TooLong {
        /// The ID.
        id: SpiffeId,
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

    /// Checks that an ID is of this trust domain and short enough to be issued.
    pub fn require_issuable(&self, id: &SpiffeId) -> Result<(), MembershipError> {
        self.require_member(id)?;
        if id.is_issuable() { Ok(()) } else { Err(MembershipError::TooLong { id: id.clone() }) }
    }

    /// Checks that an ID may be given to a workload: a member with a path that is not reserved, and not too long.
    pub fn require_workload(&self, id: &SpiffeId) -> Result<(), MembershipError> {
        self.require_issuable(id)?;
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

#[cfg(test)]
mod tests {
    use super::SpiffeIdError as Error;
    use super::*;
    use proptest::prelude::*;

    fn refused(error: SpiffeIdError, ids: &[&str]) {
        for id in ids {
            assert_eq!(SpiffeId::parse(id), Err(error), "{id:?}");
        }
    }

    fn accepted(ids: &[&str]) {
        for id in ids {
            assert_eq!(SpiffeId::parse(id).map(|id| id.to_string()).as_deref(), Ok(*id), "{id:?}");
        }
    }

    #[test]
    fn cases_1_to_8_scheme_and_case() {
        refused(Error::Empty, &[""]);
        refused(Error::WrongScheme, &["spiffe:/", "spiffe:", "s"]);
        refused(Error::MissingTrustDomain, &["spiffe://", "spiffe:///", "spiffe:///path"]);
        refused(Error::WrongScheme, &["/path", "trustdomain", "//trustdomain/path"]);
        refused(
            Error::WrongScheme,
            &["http://td/a", "https://td/a", "spiffes://td/a", "xspiffe://td/a", "urn:spiffe:td"],
        );
        refused(Error::WrongScheme, &[" spiffe://td/a", "\u{feff}spiffe://td/a"]);
        refused(Error::BadPathSegmentChar, &["spiffe://td/a "]);
        refused(Error::BadTrustDomainChar, &["spiffe://td ", "spiffe:// td"]);
        refused(Error::WrongScheme, &["SPIFFE://example.org/a", "SpIfFe://example.org/a"]);
        refused(Error::BadTrustDomainChar, &["spiffe://EXAMPLE.org/a"]);
    }

    #[test]
    fn cases_9_to_14_paths() {
        accepted(&["spiffe://example.org"]);
        let id = SpiffeId::parse("spiffe://example.org").unwrap();
        assert_eq!(id, id.trust_domain().id());
        let on = |paths: &[&str], error| {
            for path in paths {
                refused(error, &[&format!("spiffe://example.org{path}")]);
                assert_eq!(SpiffeId::from_path(id.trust_domain(), path), Err(error), "{path}");
            }
        };
        on(&["/", "/a/", "/a/b/"], Error::TrailingSlash);
        on(&["//", "//a", "/a//b", "/a//"], Error::EmptySegment);
        on(&["/.", "/..", "/./a", "/../a", "/a/.", "/a/..", "/a/../b", "/a/./b"], Error::DotSegment);
        assert_eq!(SpiffeId::from_path(id.trust_domain(), "a"), Err(Error::NoLeadingSlash));
        for path in ["/...", "/.a", "/..a", "/a..", "/a/...", "/A/b-c_d.e/0"] {
            accepted(&[&format!("spiffe://example.org{path}")]);
            assert_eq!(SpiffeId::from_path(id.trust_domain(), path).unwrap().path(), path);
        }
    }

    #[test]
    fn cases_15_to_22_other_parts_of_a_uri() {
        refused(
            Error::BadPathSegmentChar,
            &["spiffe://td/a?x=1", "spiffe://td/a?", "spiffe://td/a#f", "spiffe://td/a#"],
        );
        refused(
            Error::BadTrustDomainChar,
            &["spiffe://td?x=1", "spiffe://td?", "spiffe://td#f", "spiffe://td#"],
        );
        refused(
            Error::BadTrustDomainChar,
            &["spiffe://user@td/a", "spiffe://user:pw@td/a", "spiffe://@td/a"],
        );
        refused(Error::BadTrustDomainChar, &["spiffe://td:8080/a", "spiffe://td:/a", "spiffe://td:"]);
        refused(Error::BadTrustDomainChar, &["spiffe://[::1]/a", "spiffe://[2001:db8::1]"]);
        accepted(&["spiffe://1.2.3.4/a", "spiffe://999.999.999.999"]);
        refused(Error::BadTrustDomainChar, &["spiffe://example%2eorg/a", "spiffe://%65xample.org/a"]);
        refused(Error::BadPathSegmentChar, &["spiffe://td/%61", "spiffe://td/a%2Fb", "spiffe://td/%"]);
    }

    #[test]
    fn cases_23_to_28_characters() {
        for character in (0..=255u8).map(char::from).chain(['ç', 'ä', '😀', '\u{200b}', 'а']) {
            let (in_name, in_path) =
                (format!("spiffe://a{character}b/c"), format!("spiffe://td/a{character}b"));
            let is_path = character.is_ascii_alphanumeric() || "-._/".contains(character);
            let is_name = is_path && !character.is_ascii_uppercase();
            assert_eq!(SpiffeId::parse(&in_name).is_ok(), is_name, "{character:?} in trust domain");
            assert_eq!(SpiffeId::parse(&in_path).is_ok(), is_path, "{character:?} in path");
        }
        for name in
            ["example..org", ".example.org", "example.org.", "-example.org", "example-.org", "_", ".", ".."]
        {
            accepted(&[&format!("spiffe://{name}/a"), &format!("spiffe://{name}")]);
        }
        refused(Error::WrongScheme, &["spiffe:\\\\example.org\\a"]);
        refused(Error::BadTrustDomainChar, &["spiffe://example.org\\a"]);
    }

    /// The reader is as generous as go-spiffe; who admits new IDs holds them to the limits.
    #[test]
    fn cases_29_and_30_lengths() {
        for length in [255, 256] {
            accepted(&[&format!("spiffe://{}/a", "a".repeat(length))]);
        }
        for length in [SPIFFE_ID_MAX, SPIFFE_ID_MAX + 1] {
            accepted(&[&format!("spiffe://td/{}", "a".repeat(length - "spiffe://td/".len()))]);
        }
    }

    /// Cases 29 and 30, the other side: what is too long is not issued.
    #[test]
    fn cases_29_and_30_issuing() {
        let ours = TrustDomain::parse("td").unwrap();
        let id =
            |length: usize| SpiffeId::parse(&format!("spiffe://td/{}", "a".repeat(length - 12))).unwrap();
        assert_eq!(ours.require_workload(&id(SPIFFE_ID_MAX)), Ok(()));
        let too_long = id(SPIFFE_ID_MAX + 1);
        let refused = Err(MembershipError::TooLong { id: too_long.clone() });
        assert_eq!(
            (ours.require_workload(&too_long), ours.require_issuable(&too_long)),
            (refused.clone(), refused)
        );
        let text = ours.require_issuable(&too_long).unwrap_err().to_string();
        assert!(text.ends_with("has 2049 bytes, and at most 2048 may be issued"), "{text}");
        assert_eq!(
            ours.require_member(&too_long),
            Ok(()),
            "that it is of our trust domain is another question"
        );
    }

    #[test]
    fn cases_31_and_32_membership() {
        let ours = TrustDomain::parse("example.org").unwrap();
        let workload =
            |id: &str| ours.require_workload(&SpiffeId::parse(id).unwrap()).map_err(|e| e.to_string());
        let agent = |id: &str| ours.require_agent(&SpiffeId::parse(id).unwrap()).map_err(|e| e.to_string());
        let text = |text: &str| Err(text.to_owned());
        assert_eq!(workload("spiffe://example.org/a"), Ok(()));
        assert_eq!(workload("spiffe://example.org/spires"), Ok(()));
        for path in ["/spire", "/spire/agent/x", "/spire/server", "/spire/x"] {
            let id = format!("spiffe://example.org{path}");
            let expected = format!(
                "\"{id}\" is not a workload in trust domain \"example.org\"; path is in the reserved namespace"
            );
            assert_eq!(workload(&id), Err(expected));
        }
        assert_eq!(
            workload("spiffe://example.org"),
            text("\"spiffe://example.org\" is not a workload in trust domain \"example.org\"; path is empty")
        );
        assert_eq!(
            workload("spiffe://other.org/x"),
            text("\"spiffe://other.org/x\" is not a member of trust domain \"example.org\"")
        );
        assert_eq!(agent("spiffe://example.org/spire/agent/x"), Ok(()));
        assert_eq!(
            agent("spiffe://example.org/x"),
            text(
                "\"spiffe://example.org/x\" is not an agent in trust domain \"example.org\"; path is not in the agent namespace"
            )
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,60}", id in "(spiffe://)?[a-z.]{0,5}[/a-z.%?#]{0,20}") {
            let _ = SpiffeId::parse(&text);
            if let Ok(parsed) = SpiffeId::parse(&id) {
                prop_assert_eq!(parsed.as_str(), &id);
                let again = SpiffeId::from_path(parsed.trust_domain(), parsed.path());
                prop_assert_eq!(again.as_ref(), Ok(&parsed));
            }
        }
    }
}

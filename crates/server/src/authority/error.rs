//! What can go wrong in an authority.

use finial_identity::jwt::JwtError;
use finial_identity::key::KeyError;
use finial_identity::spiffe_id::MembershipError;
use finial_identity::x509::X509Error;
use finial_plugin::datastore::StoreError;
use finial_plugin::key_manager::KeyManagerError;
use finial_wire::tls::IdentityError;

/// Why authorities could not be loaded, rotated or cleaned up after.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The key manager does not say which keys it has.
    #[error("failed to get keys from key manager")]
    ListKeys(#[source] KeyManagerError),
    /// The journal could not be read.
    #[error("failed to load journal from datastore")]
    LoadJournal(#[source] StoreError),
    /// Our own journal makes no sense.
    #[error("unable to unmarshal entries from CA journal record {row_id}")]
    DecodeJournal {
        /// Its row.
        row_id: i64,
        /// What is wrong.
        #[source]
        source: prost::DecodeError,
    },
    /// No X.509 authority could be prepared.
    #[error("unable to rotate X509 CA")]
    RotateX509(#[source] PrepareError),
    /// No JWT authority could be prepared.
    #[error("unable to rotate JWT key")]
    RotateJwt(#[source] PrepareError),
    /// The server could not issue its own SVID.
    #[error("could not rotate server SVID")]
    OwnIdentity(#[from] OwnIdentityError),
    /// What changed above could not be stored.
    #[error("failed to take over what changed at the upstream authority")]
    FollowUpstream(#[source] StoreError),
    /// Old journals could not be removed.
    #[error("unable to prune CA journals")]
    PruneJournals(#[source] StoreError),
}

impl AuthorityError {
    /// Whether it may help to wait for the authority above.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self, Self::RotateX509(error) | Self::RotateJwt(error) if error.is_waiting())
    }
}

/// Why a signing authority could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The key manager made no key.
    #[error("failed to make a signing key")]
    Key(#[source] KeyManagerError),
    /// The key is of a kind that authorities do not have.
    #[error("the key manager made a key of a kind that cannot sign here")]
    KeyKind,
    /// No random numbers.
    #[error("failed to get random numbers")]
    Random(#[source] KeyError),
    /// The certificate could not be signed.
    #[error("failed to sign the certificate of the authority")]
    Sign(#[from] SignError),
    /// The certificate is not what it should be.
    #[error("invalid X509 CA")]
    Certificate(#[source] X509Error),
    /// A JOSE header for the key could not be made.
    #[error("the key cannot sign JWT-SVIDs")]
    Header(#[source] JwtError),
    /// The authority could not be published, so it must not sign.
    #[error("failed to append the authority to the bundle")]
    Publish(#[source] StoreError),
    /// The authority above did not sign.
    #[error("the upstream authority did not mint an X.509 authority: {0}")]
    Upstream(finial_identity::Failure),
    /// What the authority above signed is not what was asked for.
    #[error("X509 CA minted by upstream authority is invalid")]
    InvalidUpstream(#[source] InvalidUpstream),
    /// The authority above does not take the JWT authority.
    #[error("failed to publish the JWT key")]
    PublishJwt(#[source] super::PublishError),
    /// The store took the authority and gives a bundle without it.
    #[error("the bundle does not have the new authority")]
    NotPublished,
}

impl PrepareError {
    /// Whether it may help to wait for the authority above.
    pub(super) fn is_waiting(&self) -> bool {
        use finial_identity::Code;
        let failure = match self {
            Self::Upstream(failure) | Self::PublishJwt(super::PublishError::Upstream(failure)) => failure,
            _ => return false,
        };
        matches!(failure.code, Code::Unavailable | Code::DeadlineExceeded | Code::PermissionDenied)
    }
}

/// What is wrong with an authority that was signed above.
#[derive(Debug, thiserror::Error)]
pub enum InvalidUpstream {
    /// The certificate is not one of an authority of this trust domain.
    #[error("invalid upstream-signed X509 CA")]
    Certificate(#[source] X509Error),
    /// It is for another key.
    #[error("invalid upstream-signed X509 CA: it is for another key")]
    OtherKey,
    /// No root that came with it signed it.
    #[error("none of the upstream roots signed it")]
    NoRoot,
    /// Those who trust its roots do not believe what it signs.
    #[error("X509 CA produced an invalid X509-SVID chain")]
    Chain(#[source] X509Error),
}

/// Why something was not signed. The texts are SPIRE's where it has one.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key manager failed. It says itself that signing failed.
    #[error(transparent)]
    Key(#[from] KeyManagerError),
    /// The key manager signed with another key than the authority's, or miscalculated.
    #[error("the key manager returned a signature that does not verify")]
    SelfCheck,
}

/// Why an SVID was not issued. The texts are SPIRE's.
#[derive(Debug, thiserror::Error)]
pub(super) enum IssueError {
    #[error("X509 CA is not available for signing")]
    NoX509Authority,
    #[error("JWT key is not available for signing")]
    NoJwtAuthority,
    #[error("invalid X509-SVID ID: {0}")]
    X509Id(MembershipError),
    #[error("invalid JWT-SVID ID: {0}")]
    JwtId(MembershipError),
    #[error("invalid JWT-SVID audience: cannot be empty")]
    NoAudience,
    #[error("failed to get new serial number: {0}")]
    SerialNumber(KeyError),
    #[error("invalid subject: {0}")]
    Subject(X509Error),
    #[error("failed to sign X509 SVID: {0}")]
    SignX509(SignError),
    #[error("unable to create downstream X509 CA: {0}")]
    SignX509Ca(SignError),
    #[error("unable to sign JWT SVID: failed to sign JWT SVID: {0}")]
    SignJwt(SignError),
    #[error("unable to sign JWT SVID: failed to sign JWT SVID: {0}")]
    AssembleJwt(JwtError),
}

/// Why the server has no new SVID of its own.
#[derive(Debug, thiserror::Error)]
pub enum OwnIdentityError {
    /// No key.
    #[error("failed to make a key")]
    Key(#[source] KeyError),
    /// It was not signed.
    #[error(transparent)]
    Issue(#[from] finial_identity::Failure),
    /// The certificates cannot be read.
    #[error("the certificates cannot be read")]
    Chain(#[source] X509Error),
    /// The certificates are no identity.
    #[error("the certificates are no identity")]
    Identity(#[from] IdentityError),
}

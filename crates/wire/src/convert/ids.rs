//! SPIFFE IDs and trust domains.

use finial_identity::spiffe_id::{MembershipError, SpiffeIdError};
use finial_identity::{SpiffeId, TrustDomain};
use finial_proto::types;

/// Why an ID in a message was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The field is not there.
    #[error("request must specify SPIFFE ID")]
    Missing,
    /// Not a SPIFFE ID.
    #[error(transparent)]
    Malformed(#[from] SpiffeIdError),
    /// Of another trust domain, or not of the kind that is wanted.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The ID of the trust domain itself, where that of a member is wanted.
    #[error("{:?} is not a member of trust domain {:?}; path is empty", .0.as_str(), .0.trust_domain().as_str())]
    EmptyPath(SpiffeId),
}

/// The message of an ID.
pub fn id_to_proto(id: &SpiffeId) -> types::Spiffeid {
    types::Spiffeid { trust_domain: id.trust_domain().as_str().to_owned(), path: id.path().to_owned() }
}

/// Any SPIFFE ID. As in SPIRE, the trust domain may be given as an ID, of which only the name is taken.
pub fn id_from_proto(id: Option<&types::Spiffeid>) -> Result<SpiffeId, IdError> {
    let id = id.ok_or(IdError::Missing)?;
    let trust_domain = TrustDomain::parse(&id.trust_domain)?;
    Ok(SpiffeId::from_path(&trust_domain, &id.path)?)
}

/// An ID of this trust domain with a path, reserved or not: who may be a parent.
pub fn member_from_proto(
    trust_domain: &TrustDomain,
    id: Option<&types::Spiffeid>,
) -> Result<SpiffeId, IdError> {
    let id = id_from_proto(id)?;
    require_member(trust_domain, &id)?;
    Ok(id)
}

/// An agent's ID.
pub fn agent_from_proto(
    trust_domain: &TrustDomain,
    id: Option<&types::Spiffeid>,
) -> Result<SpiffeId, IdError> {
    let id = id_from_proto(id)?;
    trust_domain.require_agent(&id)?;
    Ok(id)
}

/// An ID that may be given to a workload.
pub fn workload_from_proto(
    trust_domain: &TrustDomain,
    id: Option<&types::Spiffeid>,
) -> Result<SpiffeId, IdError> {
    let id = id_from_proto(id)?;
    trust_domain.require_workload(&id)?;
    Ok(id)
}

/// The rule of [`member_from_proto`] for an ID that is at hand already.
pub fn require_member(trust_domain: &TrustDomain, id: &SpiffeId) -> Result<(), IdError> {
    trust_domain.require_issuable(id)?;
    if id.path().is_empty() { Err(IdError::EmptyPath(id.clone())) } else { Ok(()) }
}

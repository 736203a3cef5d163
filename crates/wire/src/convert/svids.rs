//! SVIDs without their keys, as server and agent exchange them.

use super::ids::{IdError, id_from_proto, id_to_proto};
use finial_identity::jwt::{JwtError, JwtSvid};
use finial_identity::x509::{Certificate, X509Error, X509Svid};
use finial_identity::{SpiffeId, UnixTime};
use finial_proto::types;

/// Why the message of an SVID was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SvidConvertError {
    /// No X509-SVID at all.
    #[error("X509SVID missing")]
    NoX509Svid,
    /// No certificates.
    #[error("empty X509SVID chain")]
    EmptyChain,
    /// Bad certificates.
    #[error("invalid X509SVID: {0}")]
    Chain(#[source] X509Error),
    /// The message names another ID than what it carries.
    #[error("SVID is for {found:?} and not for {named:?}", found = .found.as_str(), named = .named.as_str())]
    OtherId {
        /// In the certificate or token.
        found: SpiffeId,
        /// In the message.
        named: SpiffeId,
    },
    /// Bad ID.
    #[error("invalid SVID ID: {0}")]
    Id(#[source] IdError),
    /// No JWT-SVID at all.
    #[error("JWTSVID response missing SVID")]
    NoJwtSvid,
    /// No token.
    #[error("JWTSVID missing token")]
    NoToken,
    /// Bad token.
    #[error("invalid JWTSVID: {0}")]
    Token(#[source] JwtError),
    /// No `issued_at`.
    #[error("JWTSVID missing issued at")]
    NoIssuedAt,
    /// No `expires_at`.
    #[error("JWTSVID missing expires at")]
    NoExpiresAt,
    /// Ended before it began.
    #[error("JWTSVID issued after it has expired")]
    EndsBeforeItBegins,
}

/// The message of an X509-SVID.
pub fn x509_svid_to_proto(svid: &X509Svid, hint: &str) -> types::X509svid {
    types::X509svid {
        cert_chain: chain_to_proto(&svid.chain),
        id: Some(id_to_proto(&svid.id)),
        expires_at: svid.leaf().not_after().seconds(),
        hint: hint.to_owned(),
    }
}

/// Certificates, one message field each.
pub fn chain_to_proto(chain: &[Certificate]) -> Vec<bytes::Bytes> {
    chain.iter().map(|certificate| bytes::Bytes::from_owner(certificate.der_arc())).collect()
}

/// Certificates from message fields of one certificate each; at least one.
pub fn chain_from_proto(chain: &[bytes::Bytes]) -> Result<Vec<Certificate>, SvidConvertError> {
    if chain.is_empty() {
        return Err(SvidConvertError::EmptyChain);
    }
    chain
        .iter()
        .map(|der| Certificate::from_der(der))
        .collect::<Result<_, _>>()
        .map_err(SvidConvertError::Chain)
}

/// An X509-SVID as a server handed it out: of the form that the standard asks for. What the message says of ID
/// and end is not believed but read from the leaf.
pub fn x509_svid_from_proto(svid: Option<&types::X509svid>) -> Result<X509Svid, SvidConvertError> {
    let message = svid.ok_or(SvidConvertError::NoX509Svid)?;
    let svid =
        X509Svid::from_chain(chain_from_proto(&message.cert_chain)?).map_err(SvidConvertError::Chain)?;
    require_same_id(message.id.as_ref(), &svid.id)?;
    Ok(svid)
}

/// The message of a JWT-SVID.
pub fn jwt_svid_to_proto(svid: &JwtSvid, hint: &str) -> types::Jwtsvid {
    types::Jwtsvid {
        token: svid.token.clone(),
        id: Some(id_to_proto(&svid.id)),
        expires_at: svid.expires_at.seconds(),
        issued_at: svid.issued_at.seconds(),
        hint: hint.to_owned(),
    }
}

/// A JWT-SVID as a server handed it out. Its signature is not checked.
pub fn jwt_svid_from_proto(svid: Option<&types::Jwtsvid>) -> Result<JwtSvid, SvidConvertError> {
    let message = svid.ok_or(SvidConvertError::NoJwtSvid)?;
    if message.token.is_empty() {
        return Err(SvidConvertError::NoToken);
    }
    if message.issued_at == 0 {
        return Err(SvidConvertError::NoIssuedAt);
    }
    if message.expires_at == 0 {
        return Err(SvidConvertError::NoExpiresAt);
    }
    if message.issued_at > message.expires_at {
        return Err(SvidConvertError::EndsBeforeItBegins);
    }
    let svid = JwtSvid::parse_unverified(&*message.token).map_err(SvidConvertError::Token)?;
    require_same_id(message.id.as_ref(), &svid.id)?;
    Ok(JwtSvid {
        issued_at: UnixTime::from_seconds(message.issued_at),
        expires_at: UnixTime::from_seconds(message.expires_at),
        ..svid
    })
}

/// A message need not name the ID.
fn require_same_id(named: Option<&types::Spiffeid>, found: &SpiffeId) -> Result<(), SvidConvertError> {
    let Some(named) = named else { return Ok(()) };
    let named = id_from_proto(Some(named)).map_err(SvidConvertError::Id)?;
    if named == *found { Ok(()) } else { Err(SvidConvertError::OtherId { found: found.clone(), named }) }
}

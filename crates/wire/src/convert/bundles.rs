//! Trust bundles.
//!
//! Two readers: [`bundle_from_proto`] for what an operator or a downstream server *asks us to store*, where
//! SPIRE takes neither taints nor WIT authorities, and [`bundle_from_server`] for what *our own server says*,
//! where everything counts.

use finial_identity::key::KeyError;
use finial_identity::spiffe_id::SpiffeIdError;
use finial_identity::x509::{Certificate, X509Error};
use finial_identity::{Bundle, JwtAuthority, PublicKey, TrustDomain, UnixTime, WitAuthority, X509Authority};
use finial_proto::types;

/// Why the message of a bundle was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleConvertError {
    /// No bundle at all.
    #[error("no bundle provided")]
    Missing,
    /// Bad trust domain.
    #[error("invalid trust domain: {0}")]
    TrustDomain(#[source] SpiffeIdError),
    /// Bad X.509 authority.
    #[error("unable to parse X.509 authority: {0}")]
    X509(#[source] AuthorityConvertError),
    /// Bad JWT authority.
    #[error("unable to parse JWT authority: {0}")]
    Jwt(#[source] AuthorityConvertError),
    /// Bad WIT authority.
    #[error("unable to parse WIT authority: {0}")]
    Wit(#[source] AuthorityConvertError),
}

/// Why the message of one authority was refused. Callers that take authorities alone prefix
/// `failed to convert X.509 authority: `, `failed to convert JWT authority: ` or `invalid JWT authority: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityConvertError {
    /// Not a certificate. The text is that of Go's `crypto/x509`.
    #[error("x509: malformed certificate")]
    Certificate(#[source] X509Error),
    /// Not a public key, or not of a supported kind.
    #[error("{0}")]
    PublicKey(#[source] KeyError),
    /// A public key that is not even DER. The texts are those of Go's `encoding/asn1`.
    #[error("asn1: syntax error: {0}")]
    Asn1(&'static str),
    /// No key ID.
    #[error("missing key ID")]
    NoKeyId,
}

/// Every field.
pub const BUNDLE_MASK_ALL: types::BundleMask = types::BundleMask {
    x509_authorities: true,
    jwt_authorities: true,
    refresh_hint: true,
    sequence_number: true,
    wit_authorities: true,
};

/// The message of a bundle, with the fields of the mask. The trust domain is always there.
pub fn bundle_to_proto(bundle: &Bundle, mask: Option<&types::BundleMask>) -> types::Bundle {
    let mask = mask.unwrap_or(&BUNDLE_MASK_ALL);
    types::Bundle {
        trust_domain: bundle.trust_domain.as_str().to_owned(),
        x509_authorities: if mask.x509_authorities {
            x509_authorities_to_proto(&bundle.x509_authorities)
        } else {
            Vec::new()
        },
        jwt_authorities: if mask.jwt_authorities {
            jwt_authorities_to_proto(&bundle.jwt_authorities)
        } else {
            Vec::new()
        },
        refresh_hint: if mask.refresh_hint { bundle.refresh_hint } else { 0 },
        sequence_number: if mask.sequence_number { bundle.sequence_number } else { 0 },
        wit_authorities: if mask.wit_authorities {
            wit_authorities_to_proto(&bundle.wit_authorities)
        } else {
            Vec::new()
        },
    }
}

/// The messages of X.509 authorities.
pub fn x509_authorities_to_proto(authorities: &[X509Authority]) -> Vec<types::X509Certificate> {
    let message = |authority: &X509Authority| types::X509Certificate {
        asn1: bytes::Bytes::from_owner(authority.certificate.der_arc()),
        tainted: authority.tainted,
    };
    authorities.iter().map(message).collect()
}

/// The messages of JWT authorities.
pub fn jwt_authorities_to_proto(authorities: &[JwtAuthority]) -> Vec<types::JwtKey> {
    let message = |authority: &JwtAuthority| types::JwtKey {
        public_key: authority.public_key.spki().to_vec().into(),
        key_id: authority.key_id.clone(),
        expires_at: authority.expires_at.seconds(),
        tainted: authority.tainted,
    };
    authorities.iter().map(message).collect()
}

/// The messages of WIT authorities.
pub fn wit_authorities_to_proto(authorities: &[WitAuthority]) -> Vec<types::WitKey> {
    let message = |authority: &WitAuthority| types::WitKey {
        public_key: authority.public_key.spki().to_vec().into(),
        key_id: authority.key_id.clone(),
        expires_at: authority.expires_at.seconds(),
        tainted: authority.tainted,
    };
    authorities.iter().map(message).collect()
}

/// A bundle to be stored. As in SPIRE taints and WIT authorities are not taken: they are not the writer's to
/// say.
pub fn bundle_from_proto(bundle: Option<&types::Bundle>) -> Result<Bundle, BundleConvertError> {
    let bundle = bundle.ok_or(BundleConvertError::Missing)?;
    Ok(Bundle {
        trust_domain: TrustDomain::parse(&bundle.trust_domain).map_err(BundleConvertError::TrustDomain)?,
        x509_authorities: x509_authorities_from_proto(&bundle.x509_authorities)
            .map_err(BundleConvertError::X509)?,
        jwt_authorities: jwt_authorities_from_proto(&bundle.jwt_authorities)
            .map_err(BundleConvertError::Jwt)?,
        wit_authorities: Vec::new(),
        refresh_hint: bundle.refresh_hint,
        sequence_number: bundle.sequence_number,
    })
}

/// A bundle as our own server says it is, with taints and WIT authorities.
pub fn bundle_from_server(bundle: &types::Bundle) -> Result<Bundle, BundleConvertError> {
    let mut x509_authorities = Vec::with_capacity(bundle.x509_authorities.len());
    for authority in &bundle.x509_authorities {
        let tainted = authority.tainted;
        let certificates = certificates(&authority.asn1).map_err(BundleConvertError::X509)?;
        x509_authorities
            .extend(certificates.into_iter().map(|certificate| X509Authority { certificate, tainted }));
    }
    let mut jwt_authorities = Vec::with_capacity(bundle.jwt_authorities.len());
    for key in &bundle.jwt_authorities {
        let authority = jwt_authority_from_proto(key).map_err(BundleConvertError::Jwt)?;
        jwt_authorities.push(JwtAuthority { tainted: key.tainted, ..authority });
    }
    let mut wit_authorities = Vec::with_capacity(bundle.wit_authorities.len());
    for key in &bundle.wit_authorities {
        wit_authorities.push(wit_authority_from_proto(key).map_err(BundleConvertError::Wit)?);
    }
    Ok(Bundle {
        trust_domain: TrustDomain::parse(&bundle.trust_domain).map_err(BundleConvertError::TrustDomain)?,
        x509_authorities,
        jwt_authorities: distinct(jwt_authorities, |authority| &authority.key_id),
        wit_authorities: distinct(wit_authorities, |authority| &authority.key_id),
        refresh_hint: bundle.refresh_hint,
        sequence_number: bundle.sequence_number,
    })
}

/// X.509 authorities, none of them tainted. One message may hold several certificates, which become one
/// authority each.
pub fn x509_authorities_from_proto(
    authorities: &[types::X509Certificate],
) -> Result<Vec<X509Authority>, AuthorityConvertError> {
    let mut all = Vec::with_capacity(authorities.len());
    for authority in authorities {
        all.extend(certificates(&authority.asn1)?.into_iter().map(X509Authority::new));
    }
    Ok(all)
}

/// JWT authorities, none of them tainted. Of several with one key ID the first is kept.
pub fn jwt_authorities_from_proto(
    keys: &[types::JwtKey],
) -> Result<Vec<JwtAuthority>, AuthorityConvertError> {
    let all = keys.iter().map(jwt_authority_from_proto).collect::<Result<Vec<_>, _>>()?;
    Ok(distinct(all, |authority| &authority.key_id))
}

/// One JWT authority, not tainted.
pub fn jwt_authority_from_proto(key: &types::JwtKey) -> Result<JwtAuthority, AuthorityConvertError> {
    let (key_id, public_key) = key_parts(&key.key_id, &key.public_key)?;
    Ok(JwtAuthority {
        key_id,
        public_key,
        expires_at: UnixTime::from_seconds(key.expires_at),
        tainted: false,
    })
}

fn wit_authority_from_proto(key: &types::WitKey) -> Result<WitAuthority, AuthorityConvertError> {
    let (key_id, public_key) = key_parts(&key.key_id, &key.public_key)?;
    Ok(WitAuthority {
        key_id,
        public_key,
        expires_at: UnixTime::from_seconds(key.expires_at),
        tainted: key.tainted,
    })
}

fn key_parts(key_id: &str, spki: &[u8]) -> Result<(String, PublicKey), AuthorityConvertError> {
    let public_key = PublicKey::from_spki(spki).map_err(|error| match asn1_fault(spki) {
        Some(fault) => AuthorityConvertError::Asn1(fault),
        None => AuthorityConvertError::PublicKey(error),
    })?;
    if key_id.is_empty() {
        return Err(AuthorityConvertError::NoKeyId);
    }
    Ok((key_id.to_owned(), public_key))
}

/// What Go says of bytes that end before their first element does.
fn asn1_fault(der: &[u8]) -> Option<&'static str> {
    const SEQUENCE: u8 = 0x30;
    match der {
        [] => Some("sequence truncated"),
        [_] | [_, 0x81] | [_, 0x82] | [_, 0x82, _] => Some("truncated tag or length"),
        [SEQUENCE, length, rest @ ..] if *length < 0x80 && rest.len() < usize::from(*length) => {
            Some("data truncated")
        }
        _ => None,
    }
}

/// Go reads nothing at all as no certificates; an authority that is none is refused here.
fn certificates(der: &[u8]) -> Result<Vec<Certificate>, AuthorityConvertError> {
    let certificates = Certificate::chain_from_der(der).map_err(AuthorityConvertError::Certificate)?;
    if certificates.is_empty() {
        return Err(AuthorityConvertError::Certificate(X509Error::EmptyChain));
    }
    Ok(certificates)
}

/// Key IDs are unique in a bundle.
fn distinct<T>(authorities: Vec<T>, key_id: impl Fn(&T) -> &String) -> Vec<T> {
    let mut known = std::collections::HashSet::new();
    let is_new: Vec<bool> =
        authorities.iter().map(|authority| known.insert(key_id(authority).clone())).collect();
    authorities
        .into_iter()
        .zip(is_new)
        .filter_map(|(authority, is_new)| is_new.then_some(authority))
        .collect()
}

//! Blobs ⇄ domain values: `spire.common.Bundle` and the additional attributes of an entry.
//!
//! Nothing is dropped on the way: a blob that cannot be read whole is an error, so that no authority is
//! lost when it is written again.

use bytes::Bytes;
use finial_identity::x509::{Certificate, X509Error};
use finial_identity::{
    AdditionalAttributes, Bundle, JwtAuthority, PublicKey, TrustDomain, UnixTime, WitAuthority, X509Authority,
};
use finial_proto::common;
use finial_proto::common::registration_entry::AdditionalAttributes as StoredAttributes;
use prost::Message;

/// Why a stored value makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CodecError {
    /// Not protobuf.
    #[error("malformed protobuf")]
    Protobuf(#[from] prost::DecodeError),
    /// Not a trust domain, SPIFFE ID or entry ID.
    #[error("malformed {what} {text:?}")]
    Name {
        /// What it should be.
        what: &'static str,
        /// What it is.
        text: String,
    },
    /// Not a certificate.
    #[error("malformed X.509 authority")]
    Certificate(#[from] X509Error),
    /// Not a key that can verify.
    #[error("malformed authority {key_id:?}")]
    Key {
        /// Which one.
        key_id: String,
        /// Why.
        source: finial_identity::key::KeyError,
    },
}

/// The text of the column `trust_domain` and of the field `trust_domain_id`.
pub(crate) fn trust_domain_text(trust_domain: &TrustDomain) -> String {
    trust_domain.id().as_str().to_owned()
}

/// Reads what [`trust_domain_text`] wrote.
pub(crate) fn trust_domain(text: &str) -> Result<TrustDomain, CodecError> {
    TrustDomain::parse(text).map_err(|_| CodecError::Name { what: "trust domain", text: text.to_owned() })
}

/// The blob of a bundle.
pub(crate) fn encode_bundle(bundle: &Bundle) -> Vec<u8> {
    let key = |kid: &str, key: &PublicKey, not_after: UnixTime, tainted_key: bool| common::PublicKey {
        pkix_bytes: Bytes::copy_from_slice(key.spki()),
        kid: kid.to_owned(),
        not_after: not_after.seconds(),
        tainted_key,
    };
    let root = |authority: &X509Authority| common::Certificate {
        der_bytes: Bytes::copy_from_slice(authority.certificate.der()),
        tainted_key: authority.tainted,
    };
    common::Bundle {
        trust_domain_id: trust_domain_text(&bundle.trust_domain),
        root_cas: bundle.x509_authorities.iter().map(root).collect(),
        jwt_signing_keys: bundle
            .jwt_authorities
            .iter()
            .map(|authority| {
                key(&authority.key_id, &authority.public_key, authority.expires_at, authority.tainted)
            })
            .collect(),
        wit_signing_keys: bundle
            .wit_authorities
            .iter()
            .map(|authority| {
                key(&authority.key_id, &authority.public_key, authority.expires_at, authority.tainted)
            })
            .collect(),
        refresh_hint: bundle.refresh_hint,
        sequence_number: bundle.sequence_number,
    }
    .encode_to_vec()
}

/// Reads the blob of a bundle.
pub(crate) fn decode_bundle(blob: &[u8]) -> Result<Bundle, CodecError> {
    let stored = common::Bundle::decode(blob)?;
    let mut x509_authorities = Vec::with_capacity(stored.root_cas.len());
    for root in &stored.root_cas {
        let certificates = Certificate::chain_from_der(&root.der_bytes)?;
        let tainted = root.tainted_key;
        x509_authorities
            .extend(certificates.into_iter().map(|certificate| X509Authority { certificate, tainted }));
    }
    let jwt =
        |(key_id, public_key, expires_at, tainted)| JwtAuthority { key_id, public_key, expires_at, tainted };
    let wit =
        |(key_id, public_key, expires_at, tainted)| WitAuthority { key_id, public_key, expires_at, tainted };
    Ok(Bundle {
        trust_domain: trust_domain(&stored.trust_domain_id)?,
        x509_authorities,
        jwt_authorities: stored
            .jwt_signing_keys
            .into_iter()
            .map(|key| decode_key(key).map(jwt))
            .collect::<Result<_, _>>()?,
        wit_authorities: stored
            .wit_signing_keys
            .into_iter()
            .map(|key| decode_key(key).map(wit))
            .collect::<Result<_, _>>()?,
        refresh_hint: stored.refresh_hint,
        sequence_number: stored.sequence_number,
    })
}

fn decode_key(stored: common::PublicKey) -> Result<(String, PublicKey, UnixTime, bool), CodecError> {
    match PublicKey::from_spki(&stored.pkix_bytes) {
        Ok(key) => Ok((stored.kid, key, UnixTime::from_seconds(stored.not_after), stored.tainted_key)),
        Err(source) => Err(CodecError::Key { key_id: stored.kid, source }),
    }
}

/// The blob of additional attributes; nothing where all have their defaults, as SPIRE reads it back.
pub(crate) fn encode_attributes(attributes: Option<AdditionalAttributes>) -> Option<Vec<u8>> {
    let attributes = attributes.filter(|set| *set != AdditionalAttributes::default())?;
    let stored = StoredAttributes {
        disable_x509_svid_prefetch: attributes.disable_x509_svid_prefetch,
        jwt_svid_include_jti: attributes.jwt_svid_include_jti,
    };
    Some(stored.encode_to_vec())
}

/// Reads the blob of additional attributes; an empty one is none.
pub(crate) fn decode_attributes(blob: Option<&[u8]>) -> Result<Option<AdditionalAttributes>, CodecError> {
    let Some(blob) = blob.filter(|blob| !blob.is_empty()) else {
        return Ok(None);
    };
    let stored = StoredAttributes::decode(blob)?;
    Ok(Some(AdditionalAttributes {
        disable_x509_svid_prefetch: stored.disable_x509_svid_prefetch,
        jwt_svid_include_jti: stored.jwt_svid_include_jti,
    }))
}

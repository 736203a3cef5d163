//! Signature algorithm identifiers, with and without parameters exactly as Go writes them.

use super::der_reader::{DerError, Reader, tag};
use super::oid;
use crate::SignatureScheme;
use crate::key::{Hash, SignatureAlgorithm};

/// `AlgorithmIdentifier`s in full. ECDSA and Ed25519 have no parameters, PKCS#1 has `NULL`, PSS names its
/// hash twice and the length of the salt.
mod encoded {
    pub(super) const ECDSA_SHA256: &[u8] =
        &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    pub(super) const ECDSA_SHA384: &[u8] =
        &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
    pub(super) const ECDSA_SHA512: &[u8] =
        &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04];
    pub(super) const RSA_SHA256: &[u8] =
        &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00];
    pub(super) const RSA_SHA384: &[u8] =
        &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c, 0x05, 0x00];
    pub(super) const RSA_SHA512: &[u8] =
        &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d, 0x05, 0x00];
    pub(super) const PSS_SHA256: &[u8] = &pss(0x01, 0x20);
    pub(super) const PSS_SHA384: &[u8] = &pss(0x02, 0x30);
    pub(super) const PSS_SHA512: &[u8] = &pss(0x03, 0x40);
    pub(super) const ED25519: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];

    /// `hash` is the last octet of the SHA-2 function's identifier, `salt` its length in octets.
    const fn pss(hash: u8, salt: u8) -> [u8; 67] {
        [
            0x30, 0x41, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, 0x34, 0xa0,
            0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, hash, 0x05, 0x00,
            0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30,
            0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, hash, 0x05, 0x00, 0xa2, 0x03,
            0x02, 0x01, salt,
        ]
    }
}

/// The `AlgorithmIdentifier` of a scheme.
pub(crate) fn identifier(scheme: SignatureScheme) -> &'static [u8] {
    match scheme.algorithm() {
        SignatureAlgorithm::Ecdsa(Hash::Sha256) => encoded::ECDSA_SHA256,
        SignatureAlgorithm::Ecdsa(Hash::Sha384) => encoded::ECDSA_SHA384,
        SignatureAlgorithm::Ecdsa(Hash::Sha512) => encoded::ECDSA_SHA512,
        SignatureAlgorithm::RsaPkcs1(Hash::Sha256) => encoded::RSA_SHA256,
        SignatureAlgorithm::RsaPkcs1(Hash::Sha384) => encoded::RSA_SHA384,
        SignatureAlgorithm::RsaPkcs1(Hash::Sha512) => encoded::RSA_SHA512,
        SignatureAlgorithm::RsaPss(Hash::Sha256) => encoded::PSS_SHA256,
        SignatureAlgorithm::RsaPss(Hash::Sha384) => encoded::PSS_SHA384,
        SignatureAlgorithm::RsaPss(Hash::Sha512) => encoded::PSS_SHA512,
        SignatureAlgorithm::Ed25519 => encoded::ED25519,
    }
}

/// What an `AlgorithmIdentifier` says, or nothing if it is not one that we verify: SHA-1 and MD5 are not.
/// PKCS#1 without its `NULL` is about, and Go takes it.
pub(crate) fn of_identifier(whole: &[u8]) -> Result<Option<SignatureAlgorithm>, DerError> {
    let mut identifier = Reader::of_single(whole, tag::SEQUENCE)?;
    let name = identifier.oid()?;
    let has_none = identifier.is_empty();
    let has_null = identifier.rest() == [tag::NULL, 0x00];
    Ok(match name {
        oid::ECDSA_SHA256 if has_none => Some(SignatureAlgorithm::Ecdsa(Hash::Sha256)),
        oid::ECDSA_SHA384 if has_none => Some(SignatureAlgorithm::Ecdsa(Hash::Sha384)),
        oid::ECDSA_SHA512 if has_none => Some(SignatureAlgorithm::Ecdsa(Hash::Sha512)),
        oid::RSA_SHA256 if has_none || has_null => Some(SignatureAlgorithm::RsaPkcs1(Hash::Sha256)),
        oid::RSA_SHA384 if has_none || has_null => Some(SignatureAlgorithm::RsaPkcs1(Hash::Sha384)),
        oid::RSA_SHA512 if has_none || has_null => Some(SignatureAlgorithm::RsaPkcs1(Hash::Sha512)),
        oid::ED25519 if has_none => Some(SignatureAlgorithm::Ed25519),
        oid::RSA_PSS if whole == encoded::PSS_SHA256 => Some(SignatureAlgorithm::RsaPss(Hash::Sha256)),
        oid::RSA_PSS if whole == encoded::PSS_SHA384 => Some(SignatureAlgorithm::RsaPss(Hash::Sha384)),
        oid::RSA_PSS if whole == encoded::PSS_SHA512 => Some(SignatureAlgorithm::RsaPss(Hash::Sha512)),
        _ => None,
    })
}

//! Which schemes fit which keys, and what aws-lc calls them.

use super::{PublicKeyKind, SignatureScheme};
use aws_lc_rs::signature::{self, VerificationAlgorithm};

/// The hash functions of signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// How a signature was made, apart from the key: what an `AlgorithmIdentifier` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignatureAlgorithm {
    Ecdsa(Hash),
    RsaPkcs1(Hash),
    RsaPss(Hash),
    Ed25519,
}

impl SignatureScheme {
    /// The scheme without the curve.
    pub(crate) fn algorithm(self) -> SignatureAlgorithm {
        match self {
            Self::EcdsaP256Sha256 | Self::EcdsaP384Sha256 => SignatureAlgorithm::Ecdsa(Hash::Sha256),
            Self::EcdsaP384Sha384 => SignatureAlgorithm::Ecdsa(Hash::Sha384),
            Self::EcdsaP521Sha512 => SignatureAlgorithm::Ecdsa(Hash::Sha512),
            Self::RsaPkcs1Sha256 => SignatureAlgorithm::RsaPkcs1(Hash::Sha256),
            Self::RsaPkcs1Sha384 => SignatureAlgorithm::RsaPkcs1(Hash::Sha384),
            Self::RsaPkcs1Sha512 => SignatureAlgorithm::RsaPkcs1(Hash::Sha512),
            Self::RsaPssSha256 => SignatureAlgorithm::RsaPss(Hash::Sha256),
            Self::RsaPssSha384 => SignatureAlgorithm::RsaPss(Hash::Sha384),
            Self::RsaPssSha512 => SignatureAlgorithm::RsaPss(Hash::Sha512),
            Self::Ed25519 => SignatureAlgorithm::Ed25519,
        }
    }

    /// Whether a key of this kind can make such signatures.
    pub fn fits(self, kind: PublicKeyKind) -> bool {
        match self {
            Self::EcdsaP256Sha256 => kind == PublicKeyKind::EcP256,
            Self::EcdsaP384Sha384 | Self::EcdsaP384Sha256 => kind == PublicKeyKind::EcP384,
            Self::EcdsaP521Sha512 => kind == PublicKeyKind::EcP521,
            Self::Ed25519 => kind == PublicKeyKind::Ed25519,
            Self::RsaPkcs1Sha256
            | Self::RsaPkcs1Sha384
            | Self::RsaPkcs1Sha512
            | Self::RsaPssSha256
            | Self::RsaPssSha384
            | Self::RsaPssSha512 => matches!(kind, PublicKeyKind::Rsa(_)),
        }
    }
}

/// An algorithm of aws-lc.
pub(crate) struct VerifyingAlgorithm(&'static dyn VerificationAlgorithm);

impl VerifyingAlgorithm {
    pub(crate) fn get(&self) -> &'static dyn VerificationAlgorithm {
        self.0
    }

    /// The algorithm for a key and a signature; nothing if they do not fit.
    pub(crate) fn of(kind: PublicKeyKind, algorithm: SignatureAlgorithm) -> Option<Self> {
        use PublicKeyKind as Key;
        use SignatureAlgorithm::{Ecdsa, Ed25519, RsaPkcs1, RsaPss};
        let found: &'static dyn VerificationAlgorithm = match (kind, algorithm) {
            (Key::EcP256, Ecdsa(Hash::Sha256)) => &signature::ECDSA_P256_SHA256_ASN1,
            (Key::EcP256, Ecdsa(Hash::Sha384)) => &signature::ECDSA_P256_SHA384_ASN1,
            (Key::EcP256, Ecdsa(Hash::Sha512)) => &signature::ECDSA_P256_SHA512_ASN1,
            (Key::EcP384, Ecdsa(Hash::Sha256)) => &signature::ECDSA_P384_SHA256_ASN1,
            (Key::EcP384, Ecdsa(Hash::Sha384)) => &signature::ECDSA_P384_SHA384_ASN1,
            (Key::EcP384, Ecdsa(Hash::Sha512)) => &signature::ECDSA_P384_SHA512_ASN1,
            (Key::EcP521, Ecdsa(Hash::Sha256)) => &signature::ECDSA_P521_SHA256_ASN1,
            (Key::EcP521, Ecdsa(Hash::Sha384)) => &signature::ECDSA_P521_SHA384_ASN1,
            (Key::EcP521, Ecdsa(Hash::Sha512)) => &signature::ECDSA_P521_SHA512_ASN1,
            (Key::Rsa(_), RsaPkcs1(Hash::Sha256)) => &signature::RSA_PKCS1_2048_8192_SHA256,
            (Key::Rsa(_), RsaPkcs1(Hash::Sha384)) => &signature::RSA_PKCS1_2048_8192_SHA384,
            (Key::Rsa(_), RsaPkcs1(Hash::Sha512)) => &signature::RSA_PKCS1_2048_8192_SHA512,
            (Key::Rsa(_), RsaPss(Hash::Sha256)) => &signature::RSA_PSS_2048_8192_SHA256,
            (Key::Rsa(_), RsaPss(Hash::Sha384)) => &signature::RSA_PSS_2048_8192_SHA384,
            (Key::Rsa(_), RsaPss(Hash::Sha512)) => &signature::RSA_PSS_2048_8192_SHA512,
            (Key::Ed25519, Ed25519) => &signature::ED25519,
            _ => return None,
        };
        Some(Self(found))
    }
}

impl PublicKeyKind {
    /// How keys of this kind sign when nothing else is said.
    pub(crate) fn usual_signature(self) -> SignatureAlgorithm {
        match self {
            Self::EcP256 => SignatureAlgorithm::Ecdsa(Hash::Sha256),
            Self::EcP384 => SignatureAlgorithm::Ecdsa(Hash::Sha384),
            Self::EcP521 => SignatureAlgorithm::Ecdsa(Hash::Sha512),
            Self::Rsa(_) => SignatureAlgorithm::RsaPkcs1(Hash::Sha256),
            Self::Ed25519 => SignatureAlgorithm::Ed25519,
        }
    }
}

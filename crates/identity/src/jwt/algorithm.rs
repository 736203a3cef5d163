//! The signature algorithms of JWT-SVID §2.1 (RFC 7518 §3.1) and the keys they fit.

use crate::key::{PublicKeyKind, SignatureScheme};
use std::fmt;

/// One of the nine algorithms that a JWT-SVID may be signed with. There is no `none`, no MAC and no
/// `EdDSA`, so that no code below this point has to remember to refuse them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
}

impl Algorithm {
    /// All of them, in the order in which SPIRE lists them.
    pub const ALL: [Self; 9] = [
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
    ];

    /// The value of `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
        }
    }

    /// Reads a value of `alg`; upper and lower case matter.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The algorithm that SPIRE signs with when the key is of this kind: `RS256` for RSA, `ES…` by curve.
    pub fn for_key(kind: PublicKeyKind) -> Option<Self> {
        match kind {
            PublicKeyKind::EcP256 => Some(Self::Es256),
            PublicKeyKind::EcP384 => Some(Self::Es384),
            PublicKeyKind::EcP521 => Some(Self::Es512),
            PublicKeyKind::Rsa(_) => Some(Self::Rs256),
            PublicKeyKind::Ed25519 => None,
        }
    }

    /// Whether a key of this kind can have signed with this algorithm. For ECDSA the curve is part of
    /// the algorithm (RFC 7518 §3.4).
    pub fn fits(self, kind: PublicKeyKind) -> bool {
        match self {
            Self::Es256 => kind == PublicKeyKind::EcP256,
            Self::Es384 => kind == PublicKeyKind::EcP384,
            Self::Es512 => kind == PublicKeyKind::EcP521,
            _ => matches!(kind, PublicKeyKind::Rsa(_)),
        }
    }

    /// How the key signs.
    pub fn scheme(self) -> SignatureScheme {
        match self {
            Self::Es256 => SignatureScheme::EcdsaP256Sha256,
            Self::Es384 => SignatureScheme::EcdsaP384Sha384,
            Self::Es512 => SignatureScheme::EcdsaP521Sha512,
            Self::Rs256 => SignatureScheme::RsaPkcs1Sha256,
            Self::Rs384 => SignatureScheme::RsaPkcs1Sha384,
            Self::Rs512 => SignatureScheme::RsaPkcs1Sha512,
            Self::Ps256 => SignatureScheme::RsaPssSha256,
            Self::Ps384 => SignatureScheme::RsaPssSha384,
            Self::Ps512 => SignatureScheme::RsaPssSha512,
        }
    }

    /// The algorithm of a scheme, if JWT-SVIDs may be signed that way.
    pub fn from_scheme(scheme: SignatureScheme) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.scheme() == scheme)
    }

    /// Bytes of one ECDSA integer (RFC 7518 §3.4); nothing for RSA.
    pub(super) fn ecdsa_integer_size(self) -> Option<usize> {
        match self {
            Self::Es256 => Some(32),
            Self::Es384 => Some(48),
            Self::Es512 => Some(66),
            _ => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

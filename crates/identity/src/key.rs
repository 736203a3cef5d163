//! Keys and signature schemes: generation, PKCS#8, signing and verification with aws-lc.
//!
//! A [`PrivateKey`] lives in the process that uses it; keys behind a key manager are reached through the
//! `plugin` contracts instead.

mod algorithm;
mod private;

pub use private::PrivateKey;

use crate::x509::der_reader::{DerError, Reader, tag};
use crate::x509::oid;
use algorithm::VerifyingAlgorithm;
use aws_lc_rs::digest;
use aws_lc_rs::signature::{ParsedPublicKey, UnparsedPublicKey};
use std::fmt;
use std::sync::Arc;

pub(crate) use algorithm::{Hash, SignatureAlgorithm};

/// The kinds of key that SPIRE makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// NIST P-256.
    EcP256,
    /// NIST P-384.
    EcP384,
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 4096 bits.
    Rsa4096,
}

/// How a message is signed. ECDSA signatures are ASN.1 DER unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureScheme {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256Sha256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384Sha384,
    /// ECDSA on P-384 with SHA-256: what x509pop asks of a P-384 key.
    EcdsaP384Sha256,
    /// ECDSA on P-521 with SHA-512; only for keys that an operator brings.
    EcdsaP521Sha512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512,
    /// RSASSA-PSS with SHA-256.
    RsaPssSha256,
    /// RSASSA-PSS with SHA-384.
    RsaPssSha384,
    /// RSASSA-PSS with SHA-512.
    RsaPssSha512,
    /// Ed25519; verified in certificate requests, never made.
    Ed25519,
}

/// What can go wrong with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a key of a supported kind, or not a key at all.
    #[error("unsupported or malformed key")]
    Unsupported,
    /// The scheme does not fit the key.
    #[error("the signature scheme does not fit the key")]
    SchemeMismatch,
    /// The signature does not belong to message and key.
    #[error("the signature is not valid")]
    BadSignature,
    /// The cryptographic library failed.
    #[error("the cryptographic operation failed")]
    Failed,
}

/// What a public key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PublicKeyKind {
    /// NIST P-256.
    EcP256,
    /// NIST P-384.
    EcP384,
    /// NIST P-521.
    EcP521,
    /// RSA; the modulus in bits, 2048 to 8192.
    Rsa(u16),
    /// Ed25519.
    Ed25519,
}

impl KeyType {
    /// Reads the name that SPIRE's configuration gives a kind of key, for example `ec-p256`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "ec-p256" => Some(Self::EcP256),
            "ec-p384" => Some(Self::EcP384),
            "rsa-2048" => Some(Self::Rsa2048),
            "rsa-4096" => Some(Self::Rsa4096),
            _ => None,
        }
    }

    /// The name that SPIRE's configuration gives this kind of key.
    pub fn name(self) -> &'static str {
        match self {
            Self::EcP256 => "ec-p256",
            Self::EcP384 => "ec-p384",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa4096 => "rsa-4096",
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Fewest bits of an RSA modulus.
const RSA_MIN_BITS: usize = 2048;
/// Most bits of an RSA modulus.
const RSA_MAX_BITS: usize = 8192;

/// A public key: its PKIX `SubjectPublicKeyInfo` in DER, checked to be a sound key of a supported kind.
///
/// The encoding is the only one that the key has: named curves, uncompressed points that lie on their
/// curve, `NULL` parameters for RSA. So two keys are equal exactly when their bytes are.
#[derive(Clone)]
pub struct PublicKey(Arc<PublicKeyParts>);

struct PublicKeyParts {
    spki: Vec<u8>,
    kind: PublicKeyKind,
    /// Where in `spki` the content of the bit string begins; it reaches to the end.
    bits_at: usize,
    /// Ready for the usual signatures of this kind of key: reading a key costs the library a microsecond.
    usual: ParsedPublicKey,
}

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7).
    ///
    /// Refused with [`KeyError::Unsupported`]: other kinds of key, RSA moduli out of 2048 to 8192 bits,
    /// compressed points, points off the curve, and whatever is not DER.
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        let (kind, bits) = read_spki(der).map_err(|DerError| KeyError::Unsupported)?;
        let algorithm = VerifyingAlgorithm::of(kind, kind.usual_signature()).ok_or(KeyError::Unsupported)?;
        // The library also checks what we cannot: whether a point lies on its curve.
        let usual = ParsedPublicKey::new(algorithm.get(), bits).map_err(|_| KeyError::Unsupported)?;
        let bits_at = der.len() - bits.len();
        Ok(Self(Arc::new(PublicKeyParts { spki: der.to_vec(), kind, bits_at, usual })))
    }

    /// The `SubjectPublicKeyInfo` in DER.
    pub fn spki(&self) -> &[u8] {
        &self.0.spki
    }

    /// What the key is.
    pub fn kind(&self) -> PublicKeyKind {
        self.0.kind
    }

    /// The content of the public-key bit string: an uncompressed point, or an `RSAPublicKey` in DER.
    pub fn bits(&self) -> &[u8] {
        &self.0.spki[self.0.bits_at..]
    }

    /// SHA-1 of the public-key bit string: the subject key ID (RFC 5280 §4.2.1.2, method 1).
    pub fn key_id(&self) -> [u8; 20] {
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, self.bits());
        let mut id = [0; 20];
        id.copy_from_slice(hash.as_ref());
        id
    }

    /// SHA-256 of the `SubjectPublicKeyInfo` in hexadecimal.
    pub fn fingerprint(&self) -> String {
        to_hex(digest::digest(&digest::SHA256, self.spki()).as_ref())
    }

    /// Checks that `signature` is this key's signature of `message`.
    pub fn verify(&self, scheme: SignatureScheme, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        if !scheme.fits(self.kind()) {
            return Err(KeyError::SchemeMismatch);
        }
        self.verify_with(scheme.algorithm(), message, signature)
    }

    /// As [`Self::verify`], for the pairs of curve and hash that only foreign certificates have.
    pub(crate) fn verify_with(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), KeyError> {
        let verified = if algorithm == self.kind().usual_signature() {
            self.0.usual.verify_sig(message, signature)
        } else {
            let other = VerifyingAlgorithm::of(self.kind(), algorithm).ok_or(KeyError::SchemeMismatch)?;
            UnparsedPublicKey::new(other.get(), self.bits()).verify(message, signature)
        };
        verified.map_err(|_| KeyError::BadSignature)
    }

    /// How this key signs certificates when it is SPIRE's: by its curve, RSA with SHA-256. Nothing for the
    /// kinds of key that SPIRE does not make.
    pub fn certificate_scheme(&self) -> Option<SignatureScheme> {
        match self.kind() {
            PublicKeyKind::EcP256 => Some(SignatureScheme::EcdsaP256Sha256),
            PublicKeyKind::EcP384 => Some(SignatureScheme::EcdsaP384Sha384),
            PublicKeyKind::EcP521 => Some(SignatureScheme::EcdsaP521Sha512),
            PublicKeyKind::Rsa(_) => Some(SignatureScheme::RsaPkcs1Sha256),
            PublicKeyKind::Ed25519 => None,
        }
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki() == other.spki()
    }
}

impl Eq for PublicKey {}

impl std::hash::Hash for PublicKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.spki().hash(state);
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("kind", &self.kind()).field("spki", &to_hex(self.spki())).finish()
    }
}

/// The kind of a key and the content of its bit string.
fn read_spki(der: &[u8]) -> Result<(PublicKeyKind, &[u8]), DerError> {
    let mut spki = Reader::of_single(der, tag::SEQUENCE)?;
    let mut algorithm = spki.nested(tag::SEQUENCE)?;
    let name = algorithm.oid()?;
    let parameters = if algorithm.is_empty() { None } else { Some(algorithm.element()?) };
    algorithm.finish()?;
    let bits = spki.bit_string_octets()?;
    spki.finish()?;
    let kind = match (name, parameters) {
        (oid::EC_PUBLIC_KEY, Some(curve)) if curve.tag == tag::OID => read_point(curve.content, bits)?,
        (oid::RSA_ENCRYPTION, Some(null)) if null.tag == tag::NULL && null.content.is_empty() => {
            read_rsa(bits)?
        }
        (oid::ED25519, None) if bits.len() == 32 => PublicKeyKind::Ed25519,
        _ => return Err(DerError),
    };
    Ok((kind, bits))
}

fn read_point(curve: &[u8], point: &[u8]) -> Result<PublicKeyKind, DerError> {
    let (kind, length) = match curve {
        oid::P256 => (PublicKeyKind::EcP256, 65),
        oid::P384 => (PublicKeyKind::EcP384, 97),
        oid::P521 => (PublicKeyKind::EcP521, 133),
        _ => return Err(DerError),
    };
    if point.len() == length && point[0] == 0x04 { Ok(kind) } else { Err(DerError) }
}

fn read_rsa(bits: &[u8]) -> Result<PublicKeyKind, DerError> {
    let mut key = Reader::of_single(bits, tag::SEQUENCE)?;
    let (modulus, exponent) = (key.unsigned()?, key.unsigned()?);
    key.finish()?;
    let modulus_bits = modulus.len() * 8 - modulus[0].leading_zeros() as usize;
    let is_sound = (RSA_MIN_BITS..=RSA_MAX_BITS).contains(&modulus_bits) && exponent.len() <= 4;
    if !is_sound {
        return Err(DerError);
    }
    u16::try_from(modulus_bits).map(PublicKeyKind::Rsa).map_err(|_| DerError)
}

/// The SHA-256 of some octets in lower-case hex.
pub fn sha256_hex(octets: &[u8]) -> String {
    to_hex(digest::digest(&digest::SHA256, octets).as_ref())
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 0x0f)]));
    }
    text
}

#[cfg(test)]
mod tests;

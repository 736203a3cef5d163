//! Private keys that live in this process.

use super::{KeyError, KeyType, PublicKey, SignatureScheme};
use crate::x509::der_reader::{DerError, Reader, tag};
use crate::x509::{der_writer, oid};
use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, RsaEncoding, RsaKeyPair};
use std::fmt;
use zeroize::Zeroizing;

/// A private key held in this process; its PKCS#8 bytes are wiped when it is dropped.
pub struct PrivateKey {
    pkcs8: Zeroizing<Vec<u8>>,
    public: PublicKey,
    signer: Signer,
}

enum Signer {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// An elliptic curve as the two encodings of private keys need it.
struct Curve {
    oid: &'static [u8],
    /// Octets of a private scalar.
    scalar: usize,
    signing: &'static EcdsaSigningAlgorithm,
}

static CURVES: [Curve; 3] = [
    Curve { oid: oid::P256, scalar: 32, signing: &signature::ECDSA_P256_SHA256_ASN1_SIGNING },
    Curve { oid: oid::P384, scalar: 48, signing: &signature::ECDSA_P384_SHA384_ASN1_SIGNING },
    Curve { oid: oid::P521, scalar: 66, signing: &signature::ECDSA_P521_SHA512_ASN1_SIGNING },
];

impl Curve {
    fn of_oid(name: &[u8]) -> Result<&'static Self, KeyError> {
        CURVES.iter().find(|curve| curve.oid == name).ok_or(KeyError::Unsupported)
    }
}

impl PrivateKey {
    /// Makes a new key. RSA takes tens of milliseconds to seconds: keep it off an executor's threads.
    pub fn generate(key_type: KeyType) -> Result<Self, KeyError> {
        let curve = match key_type {
            KeyType::EcP256 => &CURVES[0],
            KeyType::EcP384 => &CURVES[1],
            KeyType::Rsa2048 => return Self::generate_rsa(KeySize::Rsa2048),
            KeyType::Rsa4096 => return Self::generate_rsa(KeySize::Rsa4096),
        };
        let pair = EcdsaKeyPair::generate(curve.signing).map_err(|_| KeyError::Failed)?;
        let foreign = pair.to_pkcs8v1().map_err(|_| KeyError::Failed)?;
        let (_, inner) = read_pkcs8(foreign.as_ref()).map_err(|DerError| KeyError::Failed)?;
        Self::of_ec(curve, inner, pair)
    }

    fn generate_rsa(size: KeySize) -> Result<Self, KeyError> {
        Self::of_rsa(RsaKeyPair::generate(size).map_err(|_| KeyError::Failed)?)
    }

    /// Reads an unencrypted PKCS#8 `PrivateKeyInfo` (RFC 5208) of a P-256, P-384, P-521 or RSA key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let (algorithm, inner) = read_pkcs8(der).map_err(|DerError| KeyError::Unsupported)?;
        match algorithm {
            Algorithm::Ec(name) => {
                let curve = Curve::of_oid(name)?;
                let pair = EcdsaKeyPair::from_pkcs8(curve.signing, der).map_err(|_| KeyError::Unsupported)?;
                Self::of_ec(curve, inner, pair)
            }
            Algorithm::Rsa => Self::of_rsa(RsaKeyPair::from_der(inner).map_err(|_| KeyError::Unsupported)?),
        }
    }

    /// Reads what operators keep in files: PKCS#8, SEC 1 (`EC PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`).
    pub fn from_der_any(der: &[u8]) -> Result<Self, KeyError> {
        if read_pkcs8(der).is_ok() {
            return Self::from_pkcs8(der);
        }
        if let Ok(name) = read_sec1_curve(der) {
            let curve = Curve::of_oid(name)?;
            let pair =
                EcdsaKeyPair::from_private_key_der(curve.signing, der).map_err(|_| KeyError::Unsupported)?;
            return Self::of_ec(curve, der, pair);
        }
        Self::of_rsa(RsaKeyPair::from_der(der).map_err(|_| KeyError::Unsupported)?)
    }

    /// `inner` is the `ECPrivateKey` from which, or as which, the pair was made.
    fn of_ec(curve: &'static Curve, inner: &[u8], pair: EcdsaKeyPair) -> Result<Self, KeyError> {
        let scalar = read_sec1_scalar(inner, curve.scalar).map_err(|DerError| KeyError::Unsupported)?;
        let point = pair.public_key().as_ref().to_vec();
        let pkcs8 = write_ec_pkcs8(curve, &scalar, &point);
        let mut spki = Vec::with_capacity(32 + point.len());
        der_writer::sequence(&mut spki, |out| {
            write_ec_algorithm(out, curve);
            der_writer::bit_string(out, &point);
        });
        Ok(Self { pkcs8, public: PublicKey::from_spki(&spki)?, signer: Signer::Ec(pair) })
    }

    fn of_rsa(pair: RsaKeyPair) -> Result<Self, KeyError> {
        let pkcs8 = pair.as_der().map_err(|_| KeyError::Failed)?.as_ref().to_vec();
        let mut spki = Vec::with_capacity(600);
        der_writer::sequence(&mut spki, |out| {
            write_rsa_algorithm(out);
            der_writer::bit_string(out, pair.public_key().as_ref());
        });
        let public = PublicKey::from_spki(&spki)?;
        Ok(Self { pkcs8: Zeroizing::new(pkcs8), public, signer: Signer::Rsa(pair) })
    }

    /// PKCS#8 version 1, byte for byte as Go's `x509.MarshalPKCS8PrivateKey` writes it: an EC key carries its
    /// public key and names its curve once (138 octets for P-256).
    pub fn to_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs. ECDSA signatures are ASN.1 DER.
    pub fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        if !scheme.fits(self.public.kind()) {
            return Err(KeyError::SchemeMismatch);
        }
        match &self.signer {
            Signer::Ec(pair) if scheme == SignatureScheme::EcdsaP384Sha256 => sign_p384_sha256(pair, message),
            Signer::Ec(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| KeyError::Failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Signer::Rsa(pair) => sign_rsa(pair, scheme, message),
        }
    }
}

impl fmt::Debug for PrivateKey {
    /// Shows the public half only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// aws-lc-rs has no P-384 with SHA-256. A hash shorter than the group order enters ECDSA as the number that
/// it is, so a SHA-256 with zeros in front is the SHA-384 that gives the same signature.
fn sign_p384_sha256(pair: &EcdsaKeyPair, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut padded = [0; 48];
    padded[16..].copy_from_slice(digest::digest(&digest::SHA256, message).as_ref());
    let hash = Digest::import_less_safe(&padded, &digest::SHA384).map_err(|_| KeyError::Failed)?;
    let signature = pair.sign_digest(&hash).map_err(|_| KeyError::Failed)?;
    Ok(signature.as_ref().to_vec())
}

fn sign_rsa(pair: &RsaKeyPair, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    let encoding: &'static dyn RsaEncoding = match scheme {
        SignatureScheme::RsaPkcs1Sha256 => &signature::RSA_PKCS1_SHA256,
        SignatureScheme::RsaPkcs1Sha384 => &signature::RSA_PKCS1_SHA384,
        SignatureScheme::RsaPkcs1Sha512 => &signature::RSA_PKCS1_SHA512,
        SignatureScheme::RsaPssSha256 => &signature::RSA_PSS_SHA256,
        SignatureScheme::RsaPssSha384 => &signature::RSA_PSS_SHA384,
        SignatureScheme::RsaPssSha512 => &signature::RSA_PSS_SHA512,
        _ => return Err(KeyError::SchemeMismatch),
    };
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature).map_err(|_| KeyError::Failed)?;
    Ok(signature)
}

enum Algorithm<'a> {
    /// With the curve's identifier.
    Ec(&'a [u8]),
    Rsa,
}

/// Algorithm and inner key of a `PrivateKeyInfo`; attributes and a trailing public key are passed over.
fn read_pkcs8(der: &[u8]) -> Result<(Algorithm<'_>, &[u8]), DerError> {
    let mut info = Reader::of_single(der, tag::SEQUENCE)?;
    if info.small()? > 1 {
        return Err(DerError);
    }
    let mut identifier = info.nested(tag::SEQUENCE)?;
    let algorithm = match identifier.oid()? {
        oid::EC_PUBLIC_KEY => Algorithm::Ec(identifier.oid()?),
        oid::RSA_ENCRYPTION => Algorithm::Rsa,
        _ => return Err(DerError),
    };
    Ok((algorithm, info.expect(tag::OCTET_STRING)?.content))
}

/// The curve that an `ECPrivateKey` (RFC 5915) names.
fn read_sec1_curve(der: &[u8]) -> Result<&[u8], DerError> {
    let mut key = Reader::of_single(der, tag::SEQUENCE)?;
    if key.small()? != 1 {
        return Err(DerError);
    }
    key.expect(tag::OCTET_STRING)?;
    key.nested(tag::context_constructed(0))?.oid()
}

/// The private scalar of an `ECPrivateKey`, brought to the curve's width.
fn read_sec1_scalar(der: &[u8], width: usize) -> Result<Zeroizing<Vec<u8>>, DerError> {
    let mut key = Reader::of_single(der, tag::SEQUENCE)?;
    if key.small()? != 1 {
        return Err(DerError);
    }
    let octets = key.expect(tag::OCTET_STRING)?.content;
    let surplus = octets.len().saturating_sub(width);
    if octets[..surplus].iter().any(|octet| *octet != 0) {
        return Err(DerError);
    }
    let significant = &octets[surplus..];
    let mut scalar = Zeroizing::new(vec![0; width]);
    scalar[width - significant.len()..].copy_from_slice(significant);
    Ok(scalar)
}

fn write_ec_pkcs8(curve: &Curve, scalar: &[u8], point: &[u8]) -> Zeroizing<Vec<u8>> {
    // Roomy enough that no growth leaves a copy of the scalar behind.
    let mut out = Zeroizing::new(Vec::with_capacity(64 + scalar.len() + point.len()));
    der_writer::sequence(&mut out, |out| {
        der_writer::unsigned(out, &[0]);
        write_ec_algorithm(out, curve);
        der_writer::constructed(out, tag::OCTET_STRING, |out| {
            der_writer::sequence(out, |out| {
                der_writer::unsigned(out, &[1]);
                der_writer::element(out, tag::OCTET_STRING, scalar);
                der_writer::constructed(out, tag::context_constructed(1), |out| {
                    der_writer::bit_string(out, point);
                });
            });
        });
    });
    out
}

fn write_ec_algorithm(out: &mut Vec<u8>, curve: &Curve) {
    der_writer::sequence(out, |out| {
        der_writer::oid(out, oid::EC_PUBLIC_KEY);
        der_writer::oid(out, curve.oid);
    });
}

fn write_rsa_algorithm(out: &mut Vec<u8>) {
    der_writer::sequence(out, |out| {
        der_writer::oid(out, oid::RSA_ENCRYPTION);
        der_writer::element(out, tag::NULL, &[]);
    });
}

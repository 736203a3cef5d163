//! Public keys as JSON Web Keys (RFC 7517, RFC 7518 §6, RFC 8037 §2).
//!
//! Only public members are ever read or written: whatever private member stands in a foreign JWK is
//! left behind here.

use crate::PublicKey;
use crate::key::PublicKeyKind;
use crate::x509::der_reader::{DerError, Reader, tag};
use crate::x509::{der_writer, oid};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value};

/// A public JWK, its members in the order in which SPIRE writes them.
///
/// Made by [`Jwk::of`]; set `use`, `kid`, `alg` and `x5c` afterwards as the place wants them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Jwk {
    /// What the key is for.
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub key_use: Option<String>,
    kty: &'static str,
    /// The key ID.
    #[serde(rename = "kid", skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<&'static str>,
    /// The algorithm.
    #[serde(rename = "alg", skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    /// Certificates in standard base64 of their DER, that of the key first.
    #[serde(rename = "x5c", skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<String>,
}

/// Why a JWK was refused: it claims a kind of key that is known here, and is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// A member that the kind of key needs is not there or not base64url text.
    #[error("member {0:?} of the key is missing or not base64url")]
    BadMember(&'static str),
    /// The members make no key, for example a point that is not on its curve.
    #[error("the key is not valid")]
    InvalidKey,
}

/// What distinguishes the elliptic curves.
struct Curve {
    kind: PublicKeyKind,
    name: &'static str,
    /// Bytes of one coordinate; always full length (RFC 7518 §6.2.1.2).
    size: usize,
    id: &'static [u8],
}

static CURVES: [Curve; 3] = [
    Curve { kind: PublicKeyKind::EcP256, name: "P-256", size: 32, id: oid::P256 },
    Curve { kind: PublicKeyKind::EcP384, name: "P-384", size: 48, id: oid::P384 },
    Curve { kind: PublicKeyKind::EcP521, name: "P-521", size: 66, id: oid::P521 },
];

const ED25519_NAME: &str = "Ed25519";

/// First octet of an uncompressed point.
const UNCOMPRESSED: u8 = 4;

impl Jwk {
    /// The JWK of a key, with the members that describe the key and no others.
    pub fn of(key: &PublicKey) -> Self {
        let empty = Self {
            key_use: None,
            kty: "EC",
            key_id: None,
            crv: None,
            algorithm: None,
            x: None,
            y: None,
            n: None,
            e: None,
            certificates: Vec::new(),
        };
        let binary = |bytes: &[u8]| Some(URL_SAFE_NO_PAD.encode(bytes));
        match key.kind() {
            PublicKeyKind::Ed25519 => {
                Self { kty: "OKP", crv: Some(ED25519_NAME), x: binary(key.bits()), ..empty }
            }
            PublicKeyKind::Rsa(_) => {
                let (modulus, exponent) = rsa_numbers(key.bits()).expect("a PublicKey was checked to be one");
                Self { kty: "RSA", n: binary(modulus), e: binary(exponent), ..empty }
            }
            PublicKeyKind::EcP256 | PublicKeyKind::EcP384 | PublicKeyKind::EcP521 => {
                let curve =
                    CURVES.iter().find(|curve| curve.kind == key.kind()).expect("all curves are listed");
                let (x, y) = key.bits()[1..].split_at(curve.size);
                Self { crv: Some(curve.name), x: binary(x), y: binary(y), ..empty }
            }
        }
    }
}

fn rsa_numbers(bits: &[u8]) -> Result<(&[u8], &[u8]), DerError> {
    let mut numbers = Reader::of_single(bits, tag::SEQUENCE)?;
    Ok((numbers.unsigned()?, numbers.unsigned()?))
}

/// Reads the public key of a JWK that was read strictly.
///
/// `None` is a key to be passed over (RFC 7517 §5): no `kty`, one that is not known here (`oct` among
/// them: a shared secret is nothing to publish), a foreign curve, an RSA modulus out of range.
pub fn public_key(members: &Map<String, Value>) -> Result<Option<PublicKey>, JwkError> {
    match members.get("kty").and_then(Value::as_str) {
        Some("EC") => elliptic(members),
        Some("RSA") => rsa(members),
        Some("OKP") => octet_pair(members),
        _ => Ok(None),
    }
}

fn elliptic(members: &Map<String, Value>) -> Result<Option<PublicKey>, JwkError> {
    let name = members.get("crv").and_then(Value::as_str).ok_or(JwkError::BadMember("crv"))?;
    let Some(curve) = CURVES.iter().find(|curve| curve.name == name) else {
        return Ok(None);
    };
    let (x, y) = (binary(members, "x")?, binary(members, "y")?);
    if x.len() != curve.size || y.len() != curve.size {
        return Err(JwkError::InvalidKey);
    }
    let point = [&[UNCOMPRESSED], x.as_slice(), &y].concat();
    checked_key(oid::EC_PUBLIC_KEY, |out| der_writer::oid(out, curve.id), &point)
}

fn rsa(members: &Map<String, Value>) -> Result<Option<PublicKey>, JwkError> {
    let (modulus, exponent) = (binary(members, "n")?, binary(members, "e")?);
    if !(2048..=8192).contains(&bit_length(&modulus)) {
        return Ok(None);
    }
    let mut numbers = Vec::with_capacity(modulus.len() + 16);
    der_writer::sequence(&mut numbers, |out| {
        der_writer::unsigned(out, &modulus);
        der_writer::unsigned(out, &exponent);
    });
    checked_key(oid::RSA_ENCRYPTION, |out| der_writer::element(out, tag::NULL, &[]), &numbers)
}

fn octet_pair(members: &Map<String, Value>) -> Result<Option<PublicKey>, JwkError> {
    if members.get("crv").and_then(Value::as_str) != Some(ED25519_NAME) {
        return Ok(None);
    }
    checked_key(oid::ED25519, |_| (), &binary(members, "x")?)
}

fn binary(members: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, JwkError> {
    let text = members.get(name).and_then(Value::as_str).ok_or(JwkError::BadMember(name))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JwkError::BadMember(name))
}

fn bit_length(big_endian: &[u8]) -> usize {
    let zeros = big_endian.iter().take_while(|octet| **octet == 0).count();
    let first = big_endian.get(zeros).map_or(0, |first| first.leading_zeros() as usize);
    (big_endian.len() - zeros) * 8 - first
}

/// A key from its parts, through the same door that checks every other key.
fn checked_key(
    algorithm: &[u8],
    parameters: impl FnOnce(&mut Vec<u8>),
    bits: &[u8],
) -> Result<Option<PublicKey>, JwkError> {
    let mut spki = Vec::with_capacity(bits.len() + 32);
    der_writer::sequence(&mut spki, |out| {
        der_writer::sequence(out, |out| {
            der_writer::oid(out, algorithm);
            parameters(out);
        });
        der_writer::bit_string(out, bits);
    });
    PublicKey::from_spki(&spki).map(Some).map_err(|_| JwkError::InvalidKey)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyType, PrivateKey};

    fn members(jwk: &Jwk) -> Map<String, Value> {
        super::super::json::read_object(serde_json::to_string(jwk).unwrap().as_bytes(), "x").unwrap()
    }

    #[test]
    fn keys_come_back_as_they_went() {
        for kind in [KeyType::EcP256, KeyType::EcP384, KeyType::Rsa2048] {
            let key = PrivateKey::generate(kind).unwrap();
            let jwk = Jwk::of(key.public_key());
            assert_eq!(public_key(&members(&jwk)).unwrap().as_ref(), Some(key.public_key()), "{kind:?}");
        }
    }

    #[test]
    fn published_examples_are_read() {
        // RFC 8037 appendix A.2 and RFC 7517 appendix A.1.
        let ed25519 = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let p256 = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"enc","kid":"1"}"#;
        for (text, kind) in [(ed25519, PublicKeyKind::Ed25519), (p256, PublicKeyKind::EcP256)] {
            let read = super::super::json::read_object(text.as_bytes(), "x").unwrap();
            let key = public_key(&read).unwrap().unwrap();
            assert_eq!(key.kind(), kind);
            assert_eq!(public_key(&members(&Jwk::of(&key))).unwrap(), Some(key));
        }
    }
}

//! Public keys as JSON Web Keys (RFC 7517, RFC 7518 §6, RFC 8037 §2).
//!
//! Only public members are ever read or written: whatever private member stands in a foreign JWK is
//! left behind here.

use super::asn1;
use crate::PublicKey;
use crate::key::PublicKeyKind;
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
    /// A member that the kind needs is not there or not base64url text.
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
    object_id: &'static [u8],
}

static CURVES: [Curve; 3] = [
    Curve {
        kind: PublicKeyKind::EcP256,
        name: "P-256",
        size: 32,
        object_id: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
    },
    Curve {
        kind: PublicKeyKind::EcP384,
        name: "P-384",
        size: 48,
        object_id: &[0x2b, 0x81, 0x04, 0x00, 0x22],
    },
    Curve {
        kind: PublicKeyKind::EcP521,
        name: "P-521",
        size: 66,
        object_id: &[0x2b, 0x81, 0x04, 0x00, 0x23],
    },
];

const ED25519_NAME: &str = "Ed25519";
const ED25519_SIZE: usize = 32;
const EC_PUBLIC_KEY_ID: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const RSA_ID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const ED25519_ID: &[u8] = &[0x2b, 0x65, 0x70];

impl Jwk {
    /// The JWK of a key. Absent only if the key's point is compressed, which no SPIFFE party writes.
    pub fn of(key: &PublicKey) -> Option<Self> {
        let bits = public_key_bits(key.spki())?;
        let mut jwk = Self {
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
        match key.kind() {
            PublicKeyKind::Ed25519 => {
                jwk.kty = "OKP";
                jwk.crv = Some(ED25519_NAME);
                jwk.x = Some(URL_SAFE_NO_PAD.encode(bits));
            }
            PublicKeyKind::Rsa(_) => {
                let (numbers, _) = asn1::read(asn1::SEQUENCE, bits)?;
                let (modulus, tail) = asn1::read_unsigned(numbers)?;
                let (exponent, _) = asn1::read_unsigned(tail)?;
                jwk.kty = "RSA";
                jwk.n = Some(URL_SAFE_NO_PAD.encode(modulus));
                jwk.e = Some(URL_SAFE_NO_PAD.encode(exponent));
            }
            kind => {
                let curve = CURVES.iter().find(|curve| curve.kind == kind)?;
                let point = bits.strip_prefix(&[4])?;
                let (x, y) = point.split_at_checked(curve.size)?;
                jwk.crv = Some(curve.name);
                jwk.x = Some(URL_SAFE_NO_PAD.encode(x));
                jwk.y = Some(URL_SAFE_NO_PAD.encode(y));
            }
        }
        Some(jwk)
    }
}

/// The content of the BIT STRING in a `SubjectPublicKeyInfo`.
fn public_key_bits(spki: &[u8]) -> Option<&[u8]> {
    let (body, _) = asn1::read(asn1::SEQUENCE, spki)?;
    let (_, tail) = asn1::read(asn1::SEQUENCE, body)?;
    let (bits, _) = asn1::read(asn1::BIT_STRING, tail)?;
    bits.strip_prefix(&[0])
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
    let parameters = asn1::element(asn1::OBJECT_ID, curve.object_id);
    key_from(EC_PUBLIC_KEY_ID, &parameters, &[&[4], x.as_slice(), &y].concat())
}

fn rsa(members: &Map<String, Value>) -> Result<Option<PublicKey>, JwkError> {
    let (modulus, exponent) = (binary(members, "n")?, binary(members, "e")?);
    let bits = bit_length(&modulus);
    if !(2048..=8192).contains(&bits) {
        return Ok(None);
    }
    let exponent_is_sane = (2..=33).contains(&bit_length(&exponent)) && exponent.last().is_some_and(|b| b & 1 == 1);
    if !exponent_is_sane {
        return Err(JwkError::InvalidKey);
    }
    let numbers = [asn1::unsigned(&modulus), asn1::unsigned(&exponent)].concat();
    key_from(RSA_ID, &asn1::element(asn1::NULL, &[]), &asn1::element(asn1::SEQUENCE, &numbers))
}

fn octet_pair(members: &Map<String, Value>) -> Result<Option<PublicKey>, JwkError> {
    if members.get("crv").and_then(Value::as_str) != Some(ED25519_NAME) {
        return Ok(None);
    }
    let x = binary(members, "x")?;
    if x.len() != ED25519_SIZE {
        return Err(JwkError::InvalidKey);
    }
    key_from(ED25519_ID, &[], &x)
}

fn binary(members: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, JwkError> {
    let text = members.get(name).and_then(Value::as_str).ok_or(JwkError::BadMember(name))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JwkError::BadMember(name))
}

fn bit_length(big_endian: &[u8]) -> usize {
    let digits = asn1::trim_zeros(big_endian);
    digits.first().map_or(0, |first| digits.len() * 8 - first.leading_zeros() as usize)
}

/// A key from its parts, checked by the same door that checks every other key.
fn key_from(algorithm: &[u8], parameters: &[u8], bits: &[u8]) -> Result<Option<PublicKey>, JwkError> {
    let algorithm = [&asn1::element(asn1::OBJECT_ID, algorithm), parameters].concat();
    let spki = [
        asn1::element(asn1::SEQUENCE, &algorithm),
        asn1::element(asn1::BIT_STRING, &[&[0], bits].concat()),
    ];
    let spki = asn1::element(asn1::SEQUENCE, &spki.concat());
    PublicKey::from_spki(&spki).map(Some).map_err(|_| JwkError::InvalidKey)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyType, PrivateKey};

    fn members(jwk: &Jwk) -> Map<String, Value> {
        super::super::json::read_object(serde_json::to_string(jwk).unwrap().as_bytes()).unwrap()
    }

    #[test]
    fn keys_come_back_as_they_went() {
        for kind in [KeyType::EcP256, KeyType::EcP384, KeyType::Rsa2048] {
            let key = PrivateKey::generate(kind).unwrap();
            let jwk = Jwk::of(key.public_key()).unwrap();
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
            let read = super::super::json::read_object(text.as_bytes()).unwrap();
            let key = public_key(&read).unwrap().unwrap();
            assert_eq!(key.kind(), kind);
            assert_eq!(public_key(&members(&Jwk::of(&key).unwrap())).unwrap(), Some(key));
        }
    }
}

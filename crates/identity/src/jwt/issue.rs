//! Making tokens: the bytes to sign, and the token once they are signed.

use super::{Algorithm, JwtError, ecdsa, json};
use crate::key::SignatureScheme;
use crate::{SpiffeId, UnixTime};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The JOSE header of all tokens that one key signs, encoded once (JWT-SVID §2: `alg`, `kid`, `typ`
/// and nothing else).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtHeader(String);

#[derive(Serialize)]
struct HeaderMembers<'a> {
    alg: &'a str,
    kid: &'a str,
    typ: &'a str,
}

impl JwtHeader {
    /// The header of JWT-SVIDs. Fails with [`JwtError::UnsupportedScheme`] if the scheme is none of
    /// JWT-SVID §2.1.
    pub fn new(scheme: SignatureScheme, key_id: &str) -> Result<Self, JwtError> {
        Self::with_type(scheme, key_id, "JWT")
    }

    /// The header of WIT-SVIDs: `typ` is `wit+jwt` (WIT-SVID §3).
    pub fn for_wit_svid(scheme: SignatureScheme, key_id: &str) -> Result<Self, JwtError> {
        Self::with_type(scheme, key_id, "wit+jwt")
    }

    fn with_type(scheme: SignatureScheme, kid: &str, typ: &str) -> Result<Self, JwtError> {
        let algorithm = Algorithm::from_scheme(scheme).ok_or(JwtError::UnsupportedScheme)?;
        let members = HeaderMembers { alg: algorithm.name(), kid, typ };
        Ok(Self(URL_SAFE_NO_PAD.encode(json::write_compact(&members))))
    }

    /// The base64url text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a JWT-SVID says (JWT-SVID §3). Whoever issues sees to it that the audience is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtClaims {
    /// `sub`.
    pub subject: SpiffeId,
    /// `aud`, always written as a list.
    pub audience: Vec<String>,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`.
    pub expires_at: UnixTime,
    /// `iss`, if the server is configured to name itself.
    pub issuer: Option<String>,
    /// `jti`, if the entry asks for it.
    pub jti: Option<String>,
}

/// The claims in the order in which SPIRE writes them: sorted by name.
#[derive(Serialize)]
struct ClaimMembers<'a> {
    aud: &'a [String],
    exp: i64,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
    sub: &'a str,
}

impl JwtClaims {
    fn members(&self) -> ClaimMembers<'_> {
        ClaimMembers {
            aud: &self.audience,
            exp: self.expires_at.seconds(),
            iat: self.issued_at.seconds(),
            iss: self.issuer.as_deref(),
            jti: self.jti.as_deref(),
            sub: self.subject.as_str(),
        }
    }

    /// The claims as an object, for credential composers; [`signing_input_of`] takes it back.
    pub fn to_object(&self) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("aud".to_owned(), Value::from(self.audience.clone()));
        object.insert("exp".to_owned(), Value::from(self.expires_at.seconds()));
        object.insert("iat".to_owned(), Value::from(self.issued_at.seconds()));
        object.extend(self.issuer.clone().map(|issuer| ("iss".to_owned(), Value::from(issuer))));
        object.extend(self.jti.clone().map(|jti| ("jti".to_owned(), Value::from(jti))));
        object.insert("sub".to_owned(), Value::from(self.subject.as_str()));
        object
    }
}

/// The bytes to sign: header and claims, each base64url, with a dot between (RFC 7515 §5.1).
pub fn signing_input(header: &JwtHeader, claims: &JwtClaims) -> String {
    join(header, &json::write_compact(&claims.members()))
}

/// The same for claims that a credential composer has rewritten, or for those of a WIT-SVID.
/// Whole numbers are written without fraction or exponent whatever they went through.
pub fn signing_input_of(header: &JwtHeader, claims: &Map<String, Value>) -> String {
    let sorted: BTreeMap<&str, Value> =
        claims.iter().map(|(name, claim)| (name.as_str(), without_fractions(claim))).collect();
    join(header, &json::write_compact(&sorted))
}

/// Numbers come back from `google.protobuf.Struct` as floating point.
fn without_fractions(claim: &Value) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match claim {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT => {
                Value::from(float as i64)
            }
            _ => claim.clone(),
        },
        Value::Array(items) => Value::Array(items.iter().map(without_fractions).collect()),
        Value::Object(members) => Value::Object(
            members.iter().map(|(name, item)| (name.clone(), without_fractions(item))).collect(),
        ),
        _ => claim.clone(),
    }
}

fn join(header: &JwtHeader, payload: &str) -> String {
    let mut input = String::with_capacity(header.0.len() + 1 + payload.len().div_ceil(3) * 4 + 90);
    input.push_str(&header.0);
    input.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut input);
    input
}

/// The token: what was signed, with the signature. ECDSA signatures come as DER and leave in the
/// fixed length of RFC 7518 §3.4.
///
/// Fails with [`JwtError::UnsupportedScheme`] if scheme or signature is none that a JWT can carry.
pub fn assemble(
    signing_input: String,
    scheme: SignatureScheme,
    signature: &[u8],
) -> Result<String, JwtError> {
    let algorithm = Algorithm::from_scheme(scheme).ok_or(JwtError::UnsupportedScheme)?;
    let mut token = signing_input;
    token.push('.');
    match algorithm.ecdsa_integer_size() {
        Some(size) => {
            let fixed = ecdsa::to_fixed(signature, size).ok_or(JwtError::UnsupportedScheme)?;
            URL_SAFE_NO_PAD.encode_string(fixed, &mut token);
        }
        None => URL_SAFE_NO_PAD.encode_string(signature, &mut token),
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Minted by a SPIRE server.
    const SPIRE_TOKEN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6Iko4R3MxakdZWEowZnd1am9Od1dlSERHTWlDVGdwOE5BIiwidHlwIjoiSldUIn0.eyJhdWQiOlsiYSJdLCJleHAiOjE3OTUzNTE3ODMsImlhdCI6MTc5NTM1MTQ4Mywic3ViIjoic3BpZmZlOi8vZXhhbXBsZS5vcmcveCJ9.L1Q5iHAkFBit2XOrM5oqdiGcf9do-MdAzICPRT12fbszhGrZrv4ajSgJPJNhoIx1P3g4-PBwF_162X821eK0Ww";

    fn claims() -> JwtClaims {
        JwtClaims {
            subject: SpiffeId::parse("spiffe://example.org/x").unwrap(),
            audience: vec!["a".to_owned()],
            issued_at: UnixTime::from_seconds(1_795_351_483),
            expires_at: UnixTime::from_seconds(1_795_351_783),
            issuer: None,
            jti: None,
        }
    }

    fn payload(signing_input: &str) -> String {
        let encoded = signing_input.split('.').nth(1).unwrap();
        String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
    }

    #[test]
    fn byte_for_byte_what_spire_signs() {
        let header = JwtHeader::new(SignatureScheme::EcdsaP256Sha256, "J8Gs1jGYXJ0fwujoNwWeHDGMiCTgp8NA");
        let header = header.unwrap();
        let (signed, _) = SPIRE_TOKEN.rsplit_once('.').unwrap();
        assert_eq!(signing_input(&header, &claims()), signed);
        assert_eq!(signing_input_of(&header, &claims().to_object()), signed);
    }

    #[test]
    fn optional_claims_stand_in_alphabetical_order() {
        let header = JwtHeader::new(SignatureScheme::RsaPkcs1Sha256, "k").unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.decode(header.as_str()).unwrap(),
            br#"{"alg":"RS256","kid":"k","typ":"JWT"}"#
        );
        let claims = JwtClaims {
            audience: vec!["<a>".to_owned(), "b".to_owned()],
            issuer: Some("https://i".to_owned()),
            jti: Some("j".to_owned()),
            ..claims()
        };
        let want = r#"{"aud":["\u003ca\u003e","b"],"exp":1795351783,"iat":1795351483,"iss":"https://i","jti":"j","sub":"spiffe://example.org/x"}"#;
        assert_eq!(payload(&signing_input(&header, &claims)), want);
        assert_eq!(payload(&signing_input_of(&header, &claims.to_object())), want);
    }

    #[test]
    fn numbers_from_composers_stay_whole() {
        let header = JwtHeader::for_wit_svid(SignatureScheme::RsaPssSha512, "k").unwrap();
        let composed = json!({"exp": 1795351783.0, "a": {"b": [1.0, 1.5]}, "sub": "x"});
        let input = signing_input_of(&header, composed.as_object().unwrap());
        assert_eq!(payload(&input), r#"{"a":{"b":[1,1.5]},"exp":1795351783,"sub":"x"}"#);
    }

    #[test]
    fn schemes_that_no_jwt_has() {
        for scheme in [SignatureScheme::EcdsaP384Sha256, SignatureScheme::Ed25519] {
            assert_eq!(JwtHeader::new(scheme, "k"), Err(JwtError::UnsupportedScheme));
            assert_eq!(assemble("a.b".to_owned(), scheme, &[1]), Err(JwtError::UnsupportedScheme));
        }
        let not_der = assemble("a.b".to_owned(), SignatureScheme::EcdsaP256Sha256, &[0; 64]);
        assert_eq!(not_der, Err(JwtError::UnsupportedScheme));
    }
}

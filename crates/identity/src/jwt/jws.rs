//! A signed token taken apart (RFC 7515 §3.1 and §5.2), nothing of it believed yet.

use super::error::clipped;
use super::{Algorithm, JwsError, JwtError, TOKEN_MAX, ecdsa, json};
use crate::PublicKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

pub(super) struct Jws<'a> {
    algorithm: Algorithm,
    /// The `kid`; not empty.
    pub(super) key_id: Option<String>,
    pub(super) payload: Vec<u8>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Takes a token apart and checks everything that the header alone can tell.
    pub(super) fn parse(token: &'a str) -> Result<Self, JwtError> {
        if token.len() > TOKEN_MAX {
            return Err(JwsError::TooLong.into());
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JwsError::NotThreeParts.into());
        };
        if header.is_empty() {
            return Err(JwsError::Algorithm(String::new()).into());
        }
        let signed = &token[..header.len() + 1 + payload.len()];
        let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
        let header = json::read_object(&header, "jose.rawHeader")
            .map_err(|error| JwsError::Header(error.to_string()))?;
        let algorithm = text(&header, "alg", "algorithm")?.unwrap_or_default();
        let algorithm =
            Algorithm::parse(algorithm).ok_or_else(|| JwsError::Algorithm(algorithm.to_owned()))?;
        let key_id = text(&header, "kid", "key ID")?.filter(|key_id| !key_id.is_empty());
        let key_id = key_id.map(str::to_owned);
        check_extensions(&header)?;
        Ok(Self { algorithm, key_id, payload, signed, signature })
    }

    /// Checks the signature. The key must be of the kind that the algorithm names.
    pub(super) fn verify(&self, key: &PublicKey) -> Result<(), JwtError> {
        if !self.algorithm.fits(key.kind()) {
            return Err(JwtError::BadSignature);
        }
        let der;
        let signature = match self.algorithm.ecdsa_integer_size() {
            Some(size) => {
                der = ecdsa::from_fixed(&self.signature, size).ok_or(JwtError::BadSignature)?;
                &der
            }
            None => &self.signature,
        };
        key.verify(self.algorithm.scheme(), self.signed.as_bytes(), signature)
            .map_err(|_| JwtError::BadSignature)
    }
}

fn decode(part: &str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|error| {
        JwsError::Base64(match error {
            base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
            base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => part.len(),
        })
    })
}

/// A header member that is a text; `null` counts as absent, as in go-jose.
fn text<'h>(header: &'h Map<String, Value>, name: &str, what: &str) -> Result<Option<&'h str>, JwsError> {
    match header.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => {
            let (why, found) = (json::wrong_type(other, "string"), other.to_string());
            Err(JwsError::Header(format!("failed to unmarshal {what}: {why}: {:?}", clipped(&found))))
        }
    }
}

/// `typ` is `JWT`, `JOSE` or absent (JWT-SVID §2.3). `crit` names extensions that must be understood,
/// and none is; `b64` would change what is signed (RFC 7797). Other members are not looked at.
fn check_extensions(header: &Map<String, Value>) -> Result<(), JwtError> {
    match header.get("typ") {
        None => {}
        Some(Value::String(typ)) if typ == "JWT" || typ == "JOSE" => {}
        Some(_) => return Err(JwtError::WrongType),
    }
    if header.contains_key("crit") {
        return Err(JwtError::CriticalHeader);
    }
    match header.get("b64") {
        None | Some(Value::Bool(true)) => Ok(()),
        Some(_) => Err(JwtError::BadSignature),
    }
}

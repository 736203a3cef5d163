//! The registered claims of a payload (RFC 7519 §4.1), typed.

use super::{JwtError, json};
use crate::{SpiffeId, UnixTime};
use serde_json::{Map, Value};

/// What a payload says, not yet believed.
pub(super) struct Claims {
    pub(super) subject: String,
    pub(super) audience: Vec<String>,
    pub(super) expires_at: Option<UnixTime>,
    pub(super) not_before: Option<UnixTime>,
    pub(super) issued_at: Option<UnixTime>,
    pub(super) all: Map<String, Value>,
}

impl Claims {
    pub(super) fn parse(payload: &[u8]) -> Result<Self, JwtError> {
        let all =
            json::read_object(payload, "jwt.Claims").map_err(|error| JwtError::Payload(error.to_string()))?;
        text(&all, "iss")?;
        text(&all, "jti")?;
        Ok(Self {
            subject: text(&all, "sub")?.unwrap_or_default().to_owned(),
            audience: audience(all.get("aud"))?,
            expires_at: date(all.get("exp"))?,
            not_before: date(all.get("nbf"))?,
            issued_at: date(all.get("iat"))?,
            all,
        })
    }

    /// The subject, which must be a SPIFFE ID (JWT-SVID §3.1).
    pub(super) fn spiffe_id(&self) -> Result<SpiffeId, JwtError> {
        if self.subject.is_empty() {
            return Err(JwtError::MissingSubject);
        }
        SpiffeId::parse(&self.subject).map_err(JwtError::InvalidSubject)
    }
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, JwtError> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(JwtError::Payload(json::wrong_type(other, "string"))),
    }
}

/// `aud`: a text or a list of texts (RFC 7519 §4.1.3); absent is the empty list.
fn audience(claim: Option<&Value>) -> Result<Vec<String>, JwtError> {
    match claim {
        None => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(several)) => {
            let texts = several.iter().map(|item| item.as_str().map(str::to_owned));
            texts.collect::<Option<_>>().ok_or(JwtError::NotAnAudience)
        }
        Some(_) => Err(JwtError::NotAnAudience),
    }
}

/// A `NumericDate` (RFC 7519 §2), fractions cut off. Numbers that no time can have are refused
/// instead of being bent into one.
fn date(claim: Option<&Value>) -> Result<Option<UnixTime>, JwtError> {
    const LIMIT: f64 = 9.0e18;
    match claim {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => {
            let float = number.as_f64().filter(|float| float.abs() < LIMIT).ok_or(JwtError::NotADate)?;
            Ok(Some(UnixTime::from_seconds(number.as_i64().unwrap_or(float as i64))))
        }
        Some(_) => Err(JwtError::NotADate),
    }
}

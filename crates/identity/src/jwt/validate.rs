//! Judging a token as a relying party (JWT-SVID §5), with SPIRE's verdicts and texts.

use super::JwtError;
use super::claims::Claims;
use super::jws::Jws;
use crate::{PublicKey, SpiffeId, TrustDomain, UnixTime};
use serde_json::{Map, Value};
use std::time::SystemTime;

/// How far clocks may differ: `exp`, `nbf` and `iat` are taken this much more kindly.
pub const LEEWAY_SECONDS: i64 = 60;

/// Finds the key with a `kid` among the JWT authorities of a trust domain, or says
/// [`JwtError::NoBundle`] or [`JwtError::UnknownKey`].
pub type FindKey<'a> = dyn Fn(&TrustDomain, &str) -> Result<PublicKey, JwtError> + 'a;

/// A token that was believed.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidatedJwtSvid {
    /// The subject.
    pub id: SpiffeId,
    /// For whom the token is; the validator is among them.
    pub audience: Vec<String>,
    /// When it ends.
    pub expires_at: UnixTime,
    /// All claims; `aud` is a list even if the token had a single text.
    pub claims: Map<String, Value>,
}

impl ValidatedJwtSvid {
    /// Drops all claims but `sub`, `exp`, `aud` and those that `allowed` says, as SPIRE does with
    /// tokens of foreign trust domains.
    pub fn keep_standard_claims_and(&mut self, allowed: impl Fn(&str) -> bool) {
        self.claims.retain(|name, _| matches!(name.as_str(), "sub" | "exp" | "aud") || allowed(name));
    }
}

/// Validates a JWT-SVID for one audience at the time `now`.
///
/// The order of the checks is SPIRE's, so that the same token gets the same answer: form and
/// algorithm, key ID, subject and expiry present, key, signature, audience, times. Stricter than
/// SPIRE where the standard is: `typ`, duplicate members, `crit`, numbers that are no time.
pub fn validate(
    token: &str,
    audience: &str,
    now: SystemTime,
    find_key: &FindKey<'_>,
) -> Result<ValidatedJwtSvid, JwtError> {
    let jws = Jws::parse(token)?;
    let key_id = jws.key_id.as_deref().ok_or(JwtError::MissingKeyId)?;
    let claims = Claims::parse(&jws.payload)?;
    if claims.subject.is_empty() {
        return Err(JwtError::MissingSubject);
    }
    let expires_at = claims.expires_at.ok_or(JwtError::MissingExpiry)?;
    let id = claims.spiffe_id()?;
    jws.verify(&find_key(id.trust_domain(), key_id)?)?;
    check_audience(&claims, audience)?;
    check_times(&claims, expires_at, now.into())?;
    let mut all = claims.all;
    all.insert("aud".to_owned(), Value::from(claims.audience.clone()));
    Ok(ValidatedJwtSvid { id, audience: claims.audience, expires_at, claims: all })
}

fn check_audience(claims: &Claims, audience: &str) -> Result<(), JwtError> {
    if !audience.is_empty() && claims.audience.iter().any(|found| found == audience) {
        return Ok(());
    }
    Err(JwtError::WrongAudience { expected: audience.to_owned(), found: claims.audience.clone() })
}

fn check_times(claims: &Claims, expires_at: UnixTime, now: UnixTime) -> Result<(), JwtError> {
    let earliest = now.plus_seconds(-LEEWAY_SECONDS);
    let latest = now.plus_seconds(LEEWAY_SECONDS);
    if claims.not_before.is_some_and(|not_before| latest < not_before) {
        return Err(JwtError::NotValidYet);
    }
    if earliest > expires_at {
        return Err(JwtError::Expired);
    }
    if claims.issued_at.is_some_and(|issued_at| latest < issued_at) {
        return Err(JwtError::IssuedInTheFuture);
    }
    Ok(())
}

#[cfg(test)]
mod tests;

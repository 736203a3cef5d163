//! The SPIFFE bundle format (Trust Domain and Bundle §4): a JWK Set with a few members more.

use super::{BundleError, DOCUMENT_MAX, REFRESH_HINT_MAX};
use crate::bundle::authority::KeyAuthority;
use crate::bundle::{Bundle, JwtAuthority, WitAuthority, X509Authority};
use crate::jwt::{Jwk, json, jwk};
use crate::key::PublicKeyKind;
use crate::x509::Certificate;
use crate::{PublicKey, TrustDomain};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};

const X509_USE: &str = "x509-svid";
const JWT_USE: &str = "jwt-svid";
const WIT_USE: &str = "wit-svid";
const SEQUENCE: &str = "spiffe_sequence";
const REFRESH_HINT: &str = "spiffe_refresh_hint";

#[derive(Serialize)]
struct Document {
    keys: Vec<Jwk>,
    #[serde(skip_serializing_if = "is_zero")]
    spiffe_sequence: u64,
    #[serde(skip_serializing_if = "is_not_positive")]
    spiffe_refresh_hint: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_not_positive(number: &i64) -> bool {
    *number <= 0
}

/// The bundle in SPIFFE format, byte for byte as SPIRE's bundle endpoint serves it. Sequence number
/// and refresh hint are left out when unset.
///
/// An X.509 authority with a key that no JWK describes here (see [`PublicKey`]) is left out: no
/// verifier could use it.
pub fn encode_spiffe(bundle: &Bundle) -> String {
    let mut keys: Vec<Jwk> = bundle.x509_authorities.iter().filter_map(x509_entry).collect();
    keys.extend(bundle.jwt_authorities.iter().map(|authority| key_entry(authority, Some(JWT_USE))));
    keys.extend(bundle.wit_authorities.iter().map(|authority| key_entry(authority, Some(WIT_USE))));
    json::write_indented(&Document {
        keys,
        spiffe_sequence: bundle.sequence_number,
        spiffe_refresh_hint: bundle.refresh_hint,
    })
}

/// The JWT authorities as the Workload API sends them (Workload API §6.2.2): a plain JWK Set whose
/// entries have a `kid` and no `use`.
pub fn encode_jwks_workload(bundle: &Bundle) -> Vec<u8> {
    let keys = bundle.jwt_authorities.iter().map(|authority| key_entry(authority, None)).collect();
    json::write_indented(&Document { keys, spiffe_sequence: 0, spiffe_refresh_hint: 0 }).into_bytes()
}

fn x509_entry(authority: &X509Authority) -> Option<Jwk> {
    let mut jwk = Jwk::of(&authority.certificate.public_key().ok()?);
    jwk.key_use = Some(X509_USE.to_owned());
    jwk.certificates = vec![STANDARD.encode(authority.certificate.der())];
    Some(jwk)
}

fn key_entry(authority: &impl KeyAuthority, key_use: Option<&str>) -> Jwk {
    let mut jwk = Jwk::of(authority.public_key());
    jwk.key_use = key_use.map(str::to_owned);
    jwk.key_id = Some(authority.key_id().to_owned());
    jwk
}

/// Reads a bundle in SPIFFE format.
///
/// Passed over, as the standard demands: entries with an unknown or no `use` or `kty`, X.509 entries
/// without certificate, further certificates after the first. Passed over for safety: shared secrets
/// and Ed25519 among the keys for tokens. Refused: everything that is broken, and members that are
/// there twice. Private members are dropped.
pub fn decode_spiffe(trust_domain: TrustDomain, document: &[u8]) -> Result<Bundle, BundleError> {
    if document.len() > DOCUMENT_MAX {
        return Err(BundleError::TooLong);
    }
    let members = json::read_object(document, "spiffebundle.bundleDoc")
        .map_err(|error| BundleError::Json(error.to_string()))?;
    let mut bundle = Bundle::new(trust_domain);
    bundle.sequence_number = sequence(members.get(SEQUENCE))?;
    bundle.refresh_hint = refresh_hint(members.get(REFRESH_HINT))?;
    let keys = members.get("keys").and_then(Value::as_array).ok_or(BundleError::NoKeys)?;
    for (entry, key) in keys.iter().enumerate() {
        let key = key.as_object().ok_or(BundleError::NoKeys)?;
        match key.get("use").and_then(Value::as_str) {
            Some(X509_USE) => read_x509(&mut bundle, entry, key)?,
            Some(JWT_USE) => {
                if let Some((key_id, public_key)) = read_key(entry, key, JWT_USE)? {
                    let authority = JwtAuthority::new(key_id, public_key);
                    add_key(&mut bundle.jwt_authorities, authority, JWT_USE, entry)?;
                }
            }
            Some(WIT_USE) => {
                if let Some((key_id, public_key)) = read_key(entry, key, WIT_USE)? {
                    let authority = WitAuthority::new(key_id, public_key);
                    add_key(&mut bundle.wit_authorities, authority, WIT_USE, entry)?;
                }
            }
            _ => {}
        }
    }
    Ok(bundle)
}

fn sequence(member: Option<&Value>) -> Result<u64, BundleError> {
    match member {
        None | Some(Value::Null) => Ok(0),
        Some(value) => value.as_u64().ok_or(BundleError::NotAnInteger(SEQUENCE)),
    }
}

fn refresh_hint(member: Option<&Value>) -> Result<i64, BundleError> {
    match member {
        None | Some(Value::Null) => Ok(0),
        Some(value) if value.is_u64() => Ok(value.as_i64().unwrap_or(REFRESH_HINT_MAX).min(REFRESH_HINT_MAX)),
        Some(value) if value.is_i64() => Ok(0),
        Some(_) => Err(BundleError::NotAnInteger(REFRESH_HINT)),
    }
}

fn read_x509(bundle: &mut Bundle, entry: usize, key: &Map<String, Value>) -> Result<(), BundleError> {
    let public_key = jwk::public_key(key).map_err(|source| BundleError::Key { entry, source })?;
    let first = match key.get("x5c") {
        None | Some(Value::Null) => None,
        Some(Value::Array(certificates)) => certificates.first(),
        Some(_) => return Err(BundleError::Certificate(entry)),
    };
    let (Some(public_key), Some(first)) = (public_key, first) else {
        return Ok(());
    };
    let der = first.as_str().and_then(|text| STANDARD.decode(text).ok());
    let certificate = der.and_then(|der| Certificate::from_der(&der).ok());
    let certificate = certificate.ok_or(BundleError::Certificate(entry))?;
    if certificate.public_key().ok().as_ref() != Some(&public_key) {
        return Err(BundleError::KeyMismatch(entry));
    }
    bundle.add_certificate(certificate);
    Ok(())
}

/// The key of an entry for tokens, or nothing if it is to be passed over.
fn read_key<'k>(
    entry: usize,
    key: &'k Map<String, Value>,
    key_use: &'static str,
) -> Result<Option<(&'k str, PublicKey)>, BundleError> {
    let public_key = jwk::public_key(key).map_err(|source| BundleError::Key { entry, source })?;
    let Some(public_key) = public_key.filter(|key| key.kind() != PublicKeyKind::Ed25519) else {
        return Ok(None);
    };
    let key_id = key.get("kid").and_then(Value::as_str).filter(|key_id| !key_id.is_empty());
    let key_id = key_id.ok_or(BundleError::MissingKeyId { key_use, entry })?;
    Ok(Some((key_id, public_key)))
}

/// Adds a key. The same key twice is harmless; another one under the same `kid` is not.
fn add_key<A: KeyAuthority>(
    known: &mut Vec<A>,
    authority: A,
    key_use: &'static str,
    entry: usize,
) -> Result<(), BundleError> {
    match known.iter().find(|known| known.key_id() == authority.key_id()) {
        None => known.push(authority),
        Some(same) if same.public_key() == authority.public_key() => {}
        Some(_) => return Err(BundleError::DuplicateKeyId { key_use, entry }),
    }
    Ok(())
}

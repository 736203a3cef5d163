//! Tokens of foreign origin.
#![no_main]
use finial_identity::jwt::{JwtError, JwtSvid, validate};
use libfuzzer_sys::fuzz_target;
use std::time::{Duration, UNIX_EPOCH};

fuzz_target!(|data: &[u8]| {
    let Ok(token) = std::str::from_utf8(data) else { return };
    let _ = JwtSvid::parse_unverified(token);
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let keys = |trust_domain: &finial_identity::TrustDomain, _: &str| {
        Err(JwtError::NoBundle(trust_domain.clone()))
    };
    assert!(validate(token, "audience", now, &keys).is_err(), "there is no key at all");
});

//! Bundles of foreign endpoints: what is read is written and read again without a change.
#![no_main]
use finial_identity::TrustDomain;
use finial_identity::bundle::format::{decode_pem, decode_spiffe, encode_spiffe};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let trust_domain = TrustDomain::parse("example.org").expect("a valid name");
    let _ = decode_pem(trust_domain.clone(), data);
    if let Ok(bundle) = decode_spiffe(trust_domain.clone(), data) {
        let written = encode_spiffe(&bundle);
        let again = decode_spiffe(trust_domain, written.as_bytes()).expect("our own text");
        assert_eq!(encode_spiffe(&again), written);
    }
});

//! SPIFFE IDs: what is read prints as it was, and its parts make it again.
#![no_main]
use finial_identity::{SpiffeId, TrustDomain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = TrustDomain::parse(text);
    if let Ok(id) = SpiffeId::parse(text) {
        assert_eq!(id.as_str(), text);
        let again = SpiffeId::from_path(id.trust_domain(), id.path()).expect("its own parts");
        assert_eq!(again, id);
    }
});

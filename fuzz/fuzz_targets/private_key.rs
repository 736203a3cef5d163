//! Key files.
#![no_main]
use finial_identity::PrivateKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(key) = PrivateKey::from_der_any(data) {
        assert!(PrivateKey::from_pkcs8(key.to_pkcs8()).is_ok());
    }
});

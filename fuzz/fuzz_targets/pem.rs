//! PEM text of operators: what is found is written and found again.
#![no_main]
use finial_identity::pem;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for block in pem::decode_all(data) {
        let again = pem::decode_all(pem::encode(&block.label, &block.der).as_bytes());
        assert!(again.iter().any(|found| found.der == block.der));
    }
});

//! Certificate requests of agents and operators.
#![no_main]
use finial_identity::x509::Csr;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(csr) = Csr::parse(data) {
        let _ = csr.verify_signature();
    }
});

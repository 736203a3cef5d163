//! Certificates that peers send.
#![no_main]
use finial_identity::UnixTime;
use finial_identity::X509Authority;
use finial_identity::x509::{Certificate, X509Svid, verify_svid};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(chain) = Certificate::chain_from_der(data) else { return };
    for certificate in &chain {
        let _ = (certificate.subject(), certificate.serial_decimal(), certificate.spiffe_id());
    }
    let _ = X509Svid::from_chain(chain.clone());
    let authorities: Vec<X509Authority> = chain.iter().cloned().map(X509Authority::new).collect();
    let _ = verify_svid(&chain, authorities.iter(), UnixTime::from_seconds(1_800_000_000));
});

//! URLs of bundle endpoints: what is kept is kept again.
#![no_main]
use finial_identity::federation::check_endpoint_url;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(kept) = check_endpoint_url(text) {
        assert_eq!(check_endpoint_url(&kept).as_ref(), Ok(&kept));
    }
});

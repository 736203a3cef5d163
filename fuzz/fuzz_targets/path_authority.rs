//! What clients send over a Unix socket: bytes of an authority become harmless, all others stay as they are.
#![no_main]
use libfuzzer_sys::fuzz_target;

// The crate has it for itself; here it is built once more, as it stands.
#[path = "../../crates/wire/src/listen/path_authority.rs"]
mod path_authority;

use path_authority::PathAuthority;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fuzz_target!(|data: &[u8]| {
    check(data);
    // Frames, without having to find the preface first.
    check(&[PREFACE, data].concat());
});

fn check(data: &[u8]) {
    let mut whole = data.to_vec();
    PathAuthority::default().pass(&mut whole);
    for (was, is) in data.iter().zip(&whole) {
        let is_plain = was.is_ascii_alphanumeric() || matches!(was, b'.' | b'-' | b'_');
        assert!(was == is || (*is == b'-' && !is_plain), "{was:#x} became {is:#x}");
    }

    let mut pieces = data.to_vec();
    let mut filter = PathAuthority::default();
    let size = usize::from(data.first().copied().unwrap_or(0)) % 17 + 1;
    pieces.chunks_mut(size).for_each(|piece| filter.pass(piece));
    assert_eq!(pieces, whole, "pieces of {size} make a difference");

    let mut again = whole.clone();
    PathAuthority::default().pass(&mut again);
    assert_eq!(again, whole, "what is harmless stays");
}

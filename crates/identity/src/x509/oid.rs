//! The object identifiers in use, as the content octets of their DER encoding.

// Keys.
pub(crate) const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
pub(crate) const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
pub(crate) const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
pub(crate) const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
pub(crate) const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
pub(crate) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

// Signatures.
pub(crate) const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
pub(crate) const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
pub(crate) const ECDSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04];
pub(crate) const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
pub(crate) const RSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c];
pub(crate) const RSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d];
pub(crate) const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];

// Extensions.
pub(crate) const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
pub(crate) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
pub(crate) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
pub(crate) const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1d, 0x20];
pub(crate) const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 0x23];
pub(crate) const EXT_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];

// Extended key usages.
pub(crate) const EKU_ANY: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
pub(crate) const EKU_SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
pub(crate) const EKU_CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

// PKCS#9.
pub(crate) const EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e];

// X.520.
/// First octets of `id-at` (2.5.4): an attribute of a name is one octet more.
pub(crate) const X520_ATTRIBUTE: [u8; 2] = [0x55, 0x04];

/// Longest identifier in content octets that is taken from text.
const TEXT_MAX: usize = 64;

/// The dotted form, `1.2.840.…`; an arc beyond 64 bits is written as `?`.
pub(crate) fn to_dotted(content: &[u8]) -> String {
    let mut text = String::new();
    let mut value: Option<u64> = Some(0);
    let mut is_first = true;
    for octet in content {
        value = value.and_then(|v| v.checked_mul(128)).map(|v| v | u64::from(octet & 0x7f));
        if octet & 0x80 != 0 {
            continue;
        }
        match value {
            None => text.push_str(if is_first { "?" } else { ".?" }),
            Some(v) if is_first => {
                let root = (v / 40).min(2);
                text.push_str(&format!("{root}.{}", v - root * 40));
            }
            Some(v) => text.push_str(&format!(".{v}")),
        }
        is_first = false;
        value = Some(0);
    }
    text
}

/// Content octets of a dotted identifier.
pub(crate) fn from_dotted(text: &str) -> Option<Vec<u8>> {
    let mut arcs = text.split('.').map(|arc| {
        let is_number = !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit());
        let is_minimal = arc == "0" || !arc.starts_with('0');
        if is_number && is_minimal { arc.parse::<u64>().ok() } else { None }
    });
    let (root, second) = (arcs.next()??, arcs.next()??);
    if root > 2 || (root < 2 && second > 39) {
        return None;
    }
    let mut content = Vec::new();
    push_arc(&mut content, second.checked_add(root * 40)?);
    for arc in arcs {
        push_arc(&mut content, arc?);
        if content.len() > TEXT_MAX {
            return None;
        }
    }
    Some(content)
}

fn push_arc(content: &mut Vec<u8>, arc: u64) {
    let groups = (64 - arc.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let bits = ((arc >> (7 * group)) & 0x7f) as u8;
        content.push(if group == 0 { bits } else { bits | 0x80 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dotted_forms_both_ways() {
        for (dotted, content) in [
            ("1.2.840.10045.2.1", EC_PUBLIC_KEY),
            ("1.3.132.0.35", P521),
            ("2.5.29.37.0", EKU_ANY),
            ("1.3.6.1.5.5.7.3.2", EKU_CLIENT_AUTH),
            ("1.2.840.113549.1.9.14", EXTENSION_REQUEST),
            ("2.999.1", &[0x88, 0x37, 0x01]),
        ] {
            assert_eq!(to_dotted(content), dotted);
            assert_eq!(from_dotted(dotted).as_deref(), Some(content));
        }
    }

    #[test]
    fn malformed_dotted_forms() {
        for text in [
            "",
            "1",
            "1.",
            ".1",
            "3.1",
            "1.40",
            "1.2.x",
            "1.2.-3",
            "1.02",
            "1..2",
            "1.2.99999999999999999999",
        ] {
            assert_eq!(from_dotted(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(octets in proptest::collection::vec(any::<u8>(), 0..64), text in ".{0,64}") {
            let _ = to_dotted(&octets);
            let _ = from_dotted(&text);
        }

        #[test]
        fn arcs_survive(arcs in proptest::collection::vec(any::<u64>(), 0..4)) {
            let dotted = arcs.iter().fold("1.3".to_owned(), |text, arc| format!("{text}.{arc}"));
            let content = from_dotted(&dotted).unwrap();
            prop_assert_eq!(to_dotted(&content), dotted);
        }
    }
}

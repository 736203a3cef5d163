//! The few lines of DER that JOSE needs: ECDSA signatures and the public keys inside JWKs.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const NULL: u8 = 0x05;
pub(super) const OBJECT_ID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;

/// One element: tag, minimal length, content.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    out.push(tag);
    if content.len() < 0x80 {
        out.push(content.len() as u8);
    } else {
        let length = content.len().to_be_bytes();
        let significant = trim_zeros(&length);
        out.push(0x80 | significant.len() as u8);
        out.extend_from_slice(significant);
    }
    out.extend_from_slice(content);
    out
}

/// A non-negative INTEGER from its big-endian bytes.
pub(super) fn unsigned(big_endian: &[u8]) -> Vec<u8> {
    let digits = trim_zeros(big_endian);
    let mut content = Vec::with_capacity(digits.len() + 1);
    if digits.first().is_none_or(|first| first & 0x80 != 0) {
        content.push(0);
    }
    content.extend_from_slice(digits);
    element(INTEGER, &content)
}

/// Reads one element that must have `tag`; gives its content and what follows. Minimal lengths only.
pub(super) fn read(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = input.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..0x80 => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            let length = digits.iter().fold(0usize, |sum, &digit| sum << 8 | usize::from(digit));
            let minimal = length >= 0x80 && digits.first() != Some(&0);
            (minimal.then_some(length)?, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// Reads a non-negative INTEGER; gives its big-endian bytes without leading zeros and what follows.
pub(super) fn read_unsigned(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (content, rest) = read(INTEGER, input)?;
    match content {
        [] => None,
        [first, ..] if first & 0x80 != 0 => None,
        [0, second, ..] if second & 0x80 == 0 => None,
        _ => Some((trim_zeros(content), rest)),
    }
}

pub(super) fn trim_zeros(big_endian: &[u8]) -> &[u8] {
    let zeros = big_endian.iter().take_while(|&&byte| byte == 0).count();
    &big_endian[zeros..]
}

/// `SEQUENCE { r INTEGER, s INTEGER }` to `r || s`, each `size` bytes (RFC 7518 §3.4).
pub(super) fn ecdsa_to_fixed(signature: &[u8], size: usize) -> Option<Vec<u8>> {
    let (body, rest) = read(SEQUENCE, signature)?;
    let (r, tail) = read_unsigned(body)?;
    let (s, end) = read_unsigned(tail)?;
    if !rest.is_empty() || !end.is_empty() || r.len() > size || s.len() > size {
        return None;
    }
    let mut fixed = vec![0; 2 * size];
    fixed[size - r.len()..size].copy_from_slice(r);
    fixed[2 * size - s.len()..].copy_from_slice(s);
    Some(fixed)
}

/// `r || s`, each `size` bytes, to `SEQUENCE { r INTEGER, s INTEGER }`.
pub(super) fn ecdsa_from_fixed(signature: &[u8], size: usize) -> Option<Vec<u8>> {
    if signature.len() != 2 * size {
        return None;
    }
    let (r, s) = signature.split_at(size);
    Some(element(SEQUENCE, &[unsigned(r), unsigned(s)].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_are_minimal() {
        for length in [0usize, 1, 0x7f, 0x80, 0xff, 0x100, 0x1_0000] {
            let encoded = element(SEQUENCE, &vec![7; length]);
            let (content, rest) = read(SEQUENCE, &encoded).unwrap();
            assert_eq!((content.len(), rest.len()), (length, 0));
        }
        assert!(read(SEQUENCE, &[SEQUENCE, 0x81, 1, 0]).is_none(), "length not minimal");
        assert!(read(SEQUENCE, &[SEQUENCE, 0x80, 0, 0]).is_none(), "indefinite length");
        assert!(read(SEQUENCE, &[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff]).is_none(), "shorter than it says");
    }

    #[test]
    fn integers_are_minimal_and_not_negative() {
        assert_eq!(unsigned(&[0, 0]), [INTEGER, 1, 0]);
        assert_eq!(unsigned(&[0x80]), [INTEGER, 2, 0, 0x80]);
        assert_eq!(read_unsigned(&[INTEGER, 1, 0]), Some((&[][..], &[][..])));
        assert_eq!(read_unsigned(&[INTEGER, 0]), None);
        assert_eq!(read_unsigned(&[INTEGER, 1, 0x80]), None);
        assert_eq!(read_unsigned(&[INTEGER, 2, 0, 1]), None);
    }

    proptest! {
        #[test]
        fn fixed_and_der_are_inverse(fixed in proptest::collection::vec(any::<u8>(), 64)) {
            let der = ecdsa_from_fixed(&fixed, 32).unwrap();
            prop_assert_eq!(ecdsa_to_fixed(&der, 32).unwrap(), fixed);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ecdsa_to_fixed(&bytes, 32);
            let _ = ecdsa_from_fixed(&bytes, 48);
        }
    }
}

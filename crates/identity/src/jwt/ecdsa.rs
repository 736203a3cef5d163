//! The two forms of an ECDSA signature: DER, as keys make and check it, and `r || s` in fixed length, as
//! tokens carry it (RFC 7518 §3.4).

use crate::x509::der_reader::{DerError, Reader, tag};
use crate::x509::der_writer::{sequence, unsigned};

/// `SEQUENCE { r INTEGER, s INTEGER }` to `r || s`, each `size` bytes.
pub(super) fn to_fixed(signature: &[u8], size: usize) -> Option<Vec<u8>> {
    let (r, s) = read(signature).ok()?;
    let mut fixed = vec![0; 2 * size];
    let (left, right) = fixed.split_at_mut(size);
    left[size.checked_sub(r.len())?..].copy_from_slice(r);
    right[size.checked_sub(s.len())?..].copy_from_slice(s);
    Some(fixed)
}

fn read(signature: &[u8]) -> Result<(&[u8], &[u8]), DerError> {
    let mut numbers = Reader::of_single(signature, tag::SEQUENCE)?;
    let both = (numbers.unsigned()?, numbers.unsigned()?);
    numbers.finish()?;
    Ok(both)
}

/// `r || s`, each `size` bytes, to `SEQUENCE { r INTEGER, s INTEGER }`.
pub(super) fn from_fixed(signature: &[u8], size: usize) -> Option<Vec<u8>> {
    if signature.len() != 2 * size {
        return None;
    }
    let (r, s) = signature.split_at(size);
    let mut der = Vec::with_capacity(2 * size + 9);
    sequence(&mut der, |out| {
        unsigned(out, r);
        unsigned(out, s);
    });
    Some(der)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_that_do_not_fit() {
        assert_eq!(to_fixed(&[0x30, 6, 2, 1, 0, 2, 1, 5], 1), Some(vec![0, 5]));
        assert_eq!(to_fixed(&[0x30, 7, 2, 2, 1, 0, 2, 1, 5], 1), None, "r too long");
        assert_eq!(to_fixed(&[0x30, 6, 2, 1, 0x80, 2, 1, 5], 1), None, "r negative");
        assert_eq!(to_fixed(&[0x30, 6, 2, 1, 0, 2, 1, 5, 0], 1), None, "something after it");
        assert_eq!(from_fixed(&[0; 63], 32), None);
        assert_eq!(from_fixed(&[], 32), None);
    }

    proptest! {
        #[test]
        fn both_forms_say_the_same(fixed in proptest::collection::vec(any::<u8>(), 64)) {
            let der = from_fixed(&fixed, 32).unwrap();
            prop_assert_eq!(to_fixed(&der, 32).unwrap(), fixed);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = to_fixed(&bytes, 32);
            let _ = from_fixed(&bytes, 48);
        }
    }
}

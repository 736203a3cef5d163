//! A small writer of DER into one growing buffer.
//!
//! A constructed element is written content first: one octet is kept free for the length, and when the
//! content turns out to be longer than 127 octets it is moved up by the octets that are missing. Elements
//! of certificates are short, so that this is cheaper than to compute every length beforehand.

use super::der_reader::tag;

/// Writes `tag`, length and `content`.
pub(crate) fn element(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    length(out, content.len());
    out.extend_from_slice(content);
}

/// Writes a constructed element whose content `write` appends.
pub(crate) fn constructed(out: &mut Vec<u8>, tag: u8, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    let length_at = out.len();
    out.push(0);
    write(out);
    let content_length = out.len() - length_at - 1;
    if content_length < 0x80 {
        out[length_at] = content_length as u8;
        return;
    }
    let octets = (content_length as u64).to_be_bytes();
    let significant = &octets[(content_length.leading_zeros() / 8) as usize..];
    out[length_at] = 0x80 | significant.len() as u8;
    out.splice(length_at + 1..length_at + 1, significant.iter().copied());
}

/// Writes a SEQUENCE.
pub(crate) fn sequence(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    constructed(out, tag::SEQUENCE, write);
}

/// Writes an OBJECT IDENTIFIER from its content octets.
pub(crate) fn oid(out: &mut Vec<u8>, content: &[u8]) {
    element(out, tag::OID, content);
}

/// Writes a non-negative INTEGER given in big-endian octets, leading zeros allowed.
pub(crate) fn unsigned(out: &mut Vec<u8>, magnitude: &[u8]) {
    let zeros = magnitude.iter().take_while(|octet| **octet == 0).count();
    let significant = &magnitude[zeros..];
    let needs_sign = significant.first().is_none_or(|octet| *octet >= 0x80);
    out.push(tag::INTEGER);
    length(out, significant.len() + usize::from(needs_sign));
    if needs_sign {
        out.push(0);
    }
    out.extend_from_slice(significant);
}

/// Writes a BIT STRING of whole octets.
pub(crate) fn bit_string(out: &mut Vec<u8>, octets: &[u8]) {
    out.push(tag::BIT_STRING);
    length(out, octets.len() + 1);
    out.push(0);
    out.extend_from_slice(octets);
}

fn length(out: &mut Vec<u8>, length: usize) {
    if length < 0x80 {
        out.push(length as u8);
        return;
    }
    let octets = (length as u64).to_be_bytes();
    let significant = &octets[(length.leading_zeros() / 8) as usize..];
    out.push(0x80 | significant.len() as u8);
    out.extend_from_slice(significant);
}

#[cfg(test)]
mod tests {
    use super::super::der_reader::Reader;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers() {
        let write = |magnitude: &[u8]| {
            let mut out = Vec::new();
            unsigned(&mut out, magnitude);
            out
        };
        assert_eq!(write(&[]), [2, 1, 0]);
        assert_eq!(write(&[0, 0]), [2, 1, 0]);
        assert_eq!(write(&[0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(write(&[0x80]), [2, 2, 0, 0x80]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(content in proptest::collection::vec(any::<u8>(), 0..70_000)) {
            let mut out = Vec::new();
            sequence(&mut out, |out| {
                element(out, tag::OCTET_STRING, &content);
                bit_string(out, &content);
                unsigned(out, &content);
            });
            let mut inner = Reader::of_single(&out, tag::SEQUENCE).unwrap();
            prop_assert_eq!(inner.expect(tag::OCTET_STRING).unwrap().content, &content[..]);
            prop_assert_eq!(inner.bit_string_octets().unwrap(), &content[..]);
            inner.unsigned().unwrap();
            inner.finish().unwrap();
        }
    }
}

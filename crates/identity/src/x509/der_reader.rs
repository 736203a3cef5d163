//! A strict one-pass reader of DER for the parsers of keys, requests and certificates.
//!
//! It borrows and never copies, accepts definite minimal lengths and one-byte tags only, and cannot
//! panic: every step answers [`DerError`] when the bytes do not carry what was asked for.

/// Tags as they stand in the encoding, class and constructed bit included.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const UTF8_STRING: u8 = 0x0c;
    pub(crate) const NUMERIC_STRING: u8 = 0x12;
    pub(crate) const PRINTABLE_STRING: u8 = 0x13;
    pub(crate) const T61_STRING: u8 = 0x14;
    pub(crate) const IA5_STRING: u8 = 0x16;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const BMP_STRING: u8 = 0x1e;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;

    /// `[number]`, primitive.
    pub(crate) const fn context(number: u8) -> u8 {
        0x80 | number
    }

    /// `[number]`, constructed.
    pub(crate) const fn context_constructed(number: u8) -> u8 {
        0xa0 | number
    }
}

/// The bytes are not the DER that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DerError;

/// One element.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    /// What the element holds.
    pub(crate) content: &'a [u8],
    /// Tag, length and content.
    pub(crate) whole: &'a [u8],
}

/// The elements that are still to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Reads `bytes` as exactly one element of this tag and returns a reader of its content.
    pub(crate) fn of_single(bytes: &'a [u8], tag: u8) -> Result<Self, DerError> {
        let mut outer = Self::new(bytes);
        let inner = outer.nested(tag)?;
        outer.finish()?;
        Ok(inner)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next element, whatever its tag.
    pub(crate) fn element(&mut self) -> Result<Element<'a>, DerError> {
        let (&tag, after_tag) = self.rest.split_first().ok_or(DerError)?;
        if tag & 0x1f == 0x1f {
            return Err(DerError);
        }
        let (&first, mut after_length) = after_tag.split_first().ok_or(DerError)?;
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return Err(DerError);
            }
            let (octets, after) = after_length.split_at_checked(count).ok_or(DerError)?;
            after_length = after;
            let length = octets.iter().fold(0u64, |value, octet| (value << 8) | u64::from(*octet));
            if length < 0x80 || octets[0] == 0 {
                return Err(DerError);
            }
            usize::try_from(length).map_err(|_| DerError)?
        };
        let (content, rest) = after_length.split_at_checked(length).ok_or(DerError)?;
        let whole = &self.rest[..self.rest.len() - rest.len()];
        self.rest = rest;
        Ok(Element { tag, content, whole })
    }

    /// The next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Element<'a>, DerError> {
        if self.rest.first() != Some(&tag) {
            return Err(DerError);
        }
        self.element()
    }

    /// The next element if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, DerError> {
        if self.rest.first() == Some(&tag) { self.element().map(Some) } else { Ok(None) }
    }

    /// A reader of the content of the next element.
    pub(crate) fn nested(&mut self, tag: u8) -> Result<Self, DerError> {
        Ok(Self::new(self.expect(tag)?.content))
    }

    /// Requires that nothing is left.
    pub(crate) fn finish(&self) -> Result<(), DerError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DerError) }
    }

    /// A minimally encoded INTEGER; its content octets, sign included.
    pub(crate) fn integer(&mut self) -> Result<&'a [u8], DerError> {
        let content = self.expect(tag::INTEGER)?.content;
        match content {
            [] => Err(DerError),
            [0x00, second, ..] if *second < 0x80 => Err(DerError),
            [0xff, second, ..] if *second >= 0x80 => Err(DerError),
            _ => Ok(content),
        }
    }

    /// A positive or zero INTEGER without the octet that only carries the sign.
    pub(crate) fn unsigned(&mut self) -> Result<&'a [u8], DerError> {
        match self.integer()? {
            [first, ..] if *first >= 0x80 => Err(DerError),
            [0x00, rest @ ..] if !rest.is_empty() => Ok(rest),
            content => Ok(content),
        }
    }

    /// An INTEGER from 0 to 127.
    pub(crate) fn small(&mut self) -> Result<u8, DerError> {
        match self.integer()? {
            [value] if *value < 0x80 => Ok(*value),
            _ => Err(DerError),
        }
    }

    /// The content of an OBJECT IDENTIFIER, whose arcs must be complete and minimal.
    pub(crate) fn oid(&mut self) -> Result<&'a [u8], DerError> {
        let content = self.expect(tag::OID)?.content;
        let mut begins_arc = true;
        for octet in content {
            if begins_arc && *octet == 0x80 {
                return Err(DerError);
            }
            begins_arc = *octet < 0x80;
        }
        if begins_arc && !content.is_empty() { Ok(content) } else { Err(DerError) }
    }

    /// A BIT STRING of whole octets.
    pub(crate) fn bit_string_octets(&mut self) -> Result<&'a [u8], DerError> {
        match self.expect(tag::BIT_STRING)?.content {
            [0, octets @ ..] => Ok(octets),
            _ => Err(DerError),
        }
    }

    /// A BOOLEAN with DEFAULT FALSE. `FALSE` in full is not DER, but it is about, and Go reads it.
    pub(crate) fn optional_boolean(&mut self) -> Result<bool, DerError> {
        match self.optional(tag::BOOLEAN)?.map(|element| element.content) {
            None | Some([0x00]) => Ok(false),
            Some([0xff]) => Ok(true),
            Some(_) => Err(DerError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_must_be_minimal_and_definite() {
        let single = |bytes: &[u8]| Reader::new(bytes).element().map(|e| e.content.len());
        assert_eq!(single(&[0x04, 0x01, 0xaa]), Ok(1));
        assert_eq!(single(&[0x04, 0x81, 0x01, 0xaa]), Err(DerError));
        assert_eq!(single(&[0x30, 0x80, 0x00, 0x00]), Err(DerError));
        assert_eq!(single(&[0x04, 0x82, 0x00, 0x80]), Err(DerError));
        assert_eq!(single(&[0x04, 0x85, 0, 0, 0, 0, 1, 0xaa]), Err(DerError));
        assert_eq!(single(&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff]), Err(DerError));
        assert_eq!(single(&[0x1f, 0x01, 0x00]), Err(DerError));
        let mut long = vec![0x04, 0x81, 0x80];
        long.extend([0; 0x80]);
        assert_eq!(single(&long), Ok(0x80));
    }

    #[test]
    fn integers_must_be_minimal() {
        let read = |bytes: &'static [u8]| Reader::new(bytes).unsigned();
        assert_eq!(read(&[2, 1, 0]), Ok(&[0u8][..]));
        assert_eq!(read(&[2, 2, 0, 0x80]), Ok(&[0x80u8][..]));
        assert_eq!(read(&[2, 2, 0, 0x7f]), Err(DerError));
        assert_eq!(read(&[2, 1, 0x80]), Err(DerError));
        assert_eq!(read(&[2, 0]), Err(DerError));
    }

    #[test]
    fn identifiers_must_be_complete_and_minimal() {
        let read = |bytes: &'static [u8]| Reader::new(bytes).oid();
        assert_eq!(read(&[6, 3, 0x55, 0x1d, 0x0f]), Ok(&[0x55, 0x1d, 0x0f][..]));
        assert_eq!(read(&[6, 4, 0x55, 0x1d, 0x80, 0x0f]), Err(DerError));
        assert_eq!(read(&[6, 2, 0x55, 0x9d]), Err(DerError));
        assert_eq!(read(&[6, 0]), Err(DerError));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            while reader.element().is_ok() {}
            let _ = Reader::new(&bytes).oid();
            let _ = Reader::new(&bytes).unsigned();
            let _ = Reader::new(&bytes).small();
            let _ = Reader::new(&bytes).optional_boolean();
            let _ = Reader::new(&bytes).bit_string_octets();
        }
    }
}

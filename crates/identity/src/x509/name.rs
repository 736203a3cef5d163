//! Distinguished names, in the order, the string types and the text form that Go gives them.

use super::X509Error;
use super::der_reader::{DerError, Element, Reader, tag};
use super::{der_writer, oid};
use crate::key::to_hex;
use std::fmt::{self, Write};
use std::sync::Arc;

/// Most attributes of a name that are read.
const ATTRIBUTES_MAX: usize = 256;

/// The attributes that have a place of their own in Go's `pkix.Name`, in the order in which Go writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttributeKind {
    /// `C`.
    Country,
    /// `ST`: a state or province.
    Province,
    /// `L`.
    Locality,
    /// `STREET`.
    StreetAddress,
    /// `POSTALCODE`.
    PostalCode,
    /// `O`.
    Organization,
    /// `OU`.
    OrganizationalUnit,
    /// `CN`; a name has at most one.
    CommonName,
    /// `SERIALNUMBER`; a name has at most one.
    SerialNumber,
}

impl AttributeKind {
    const ALL: [Self; 9] = [
        Self::Country,
        Self::Province,
        Self::Locality,
        Self::StreetAddress,
        Self::PostalCode,
        Self::Organization,
        Self::OrganizationalUnit,
        Self::CommonName,
        Self::SerialNumber,
    ];

    /// The last octet of the identifier below 2.5.4.
    fn arc(self) -> u8 {
        match self {
            Self::CommonName => 3,
            Self::SerialNumber => 5,
            Self::Country => 6,
            Self::Locality => 7,
            Self::Province => 8,
            Self::StreetAddress => 9,
            Self::Organization => 10,
            Self::OrganizationalUnit => 11,
            Self::PostalCode => 17,
        }
    }

    fn of_oid(content: &[u8]) -> Option<Self> {
        let arc = content.strip_prefix(&oid::X520_ATTRIBUTE)?;
        Self::ALL.into_iter().find(|kind| arc == [kind.arc()])
    }

    /// The name in the text form.
    fn label(self) -> &'static str {
        match self {
            Self::Country => "C",
            Self::Province => "ST",
            Self::Locality => "L",
            Self::StreetAddress => "STREET",
            Self::PostalCode => "POSTALCODE",
            Self::Organization => "O",
            Self::OrganizationalUnit => "OU",
            Self::CommonName => "CN",
            Self::SerialNumber => "SERIALNUMBER",
        }
    }

    fn is_single(self) -> bool {
        matches!(self, Self::CommonName | Self::SerialNumber)
    }
}

/// A distinguished name (RFC 5280 §4.1.2.4), kept as its DER. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DistinguishedName {
    der: Arc<[u8]>,
}

impl DistinguishedName {
    /// A name from its attributes, in whatever order they are given. The values of one kind form one relative
    /// name; of [`AttributeKind::CommonName`] and [`AttributeKind::SerialNumber`] the last is taken,
    /// and none if that is empty.
    pub fn new(attributes: &[(AttributeKind, &str)]) -> Self {
        let known: Vec<_> = attributes.iter().map(|(kind, value)| (*kind, (*value).to_owned())).collect();
        Self::of_parts(&known, &[])
    }

    /// `O=SPIRE,C=US`: the subject of SVIDs for which nothing else was asked.
    pub fn spire() -> Self {
        Self::new(&[(AttributeKind::Country, "US"), (AttributeKind::Organization, "SPIRE")])
    }

    /// The name without attributes.
    pub fn empty() -> Self {
        Self::of_parts(&[], &[])
    }

    /// Takes a name as it is.
    pub fn from_der(der: &[u8]) -> Result<Self, X509Error> {
        Self::check(der).map_err(|DerError| X509Error::MalformedName)?;
        Ok(Self { der: der.into() })
    }

    /// The DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether there are no attributes.
    pub fn is_empty(&self) -> bool {
        self.der.len() <= 2
    }

    /// The attributes that have a kind of their own, in the order in which they stand.
    pub fn attributes(&self) -> Vec<(AttributeKind, String)> {
        let (known, _) = Parts::of(&self.der).split();
        known
    }

    /// The common name, if there is one.
    pub fn common_name(&self) -> Option<String> {
        self.attributes().into_iter().rfind(|(kind, _)| *kind == AttributeKind::CommonName).map(|(_, cn)| cn)
    }

    /// The name as Go writes it again after reading it: attributes without a kind of their own are dropped,
    /// the others brought into order. So SPIRE treats the subject of a request to `MintX509SVID`.
    #[must_use]
    pub fn normalized(&self) -> Self {
        Self::of_parts(&self.attributes(), &[])
    }

    /// This name with other values for one kind of attribute; without values the attribute is removed.
    #[must_use]
    pub fn with(&self, kind: AttributeKind, values: &[&str]) -> Self {
        let (mut known, extra) = Parts::of(&self.der).split();
        known.retain(|(other, _)| *other != kind);
        known.extend(values.iter().map(|value| (kind, (*value).to_owned())));
        Self::of_parts(&known, &extra)
    }

    /// This name with one more attribute at its end, for example `2.5.4.45` for an x500UniqueIdentifier; it
    /// stands instead of the attributes of a kind of their own with this identifier, as Go's `ExtraNames` do.
    /// Nothing if the identifier is malformed.
    pub fn with_extra(&self, dotted_oid: &str, value: &str) -> Option<Self> {
        let content = oid::from_dotted(dotted_oid)?;
        let (mut known, mut extra) = Parts::of(&self.der).split();
        let replaced = AttributeKind::of_oid(&content);
        known.retain(|(kind, _)| Some(*kind) != replaced);
        let mut attribute = Vec::new();
        write_attribute(&mut attribute, &content, value);
        extra.push(attribute);
        Some(Self::of_parts(&known, &extra))
    }

    fn of_parts(known: &[(AttributeKind, String)], extra: &[Vec<u8>]) -> Self {
        let mut der = Vec::with_capacity(128);
        der_writer::sequence(&mut der, |out| {
            for kind in AttributeKind::ALL {
                write_relative_name(out, kind, known);
            }
            for attribute in extra {
                der_writer::element(out, tag::SET, attribute);
            }
        });
        Self { der: der.into() }
    }

    /// Checks that bytes are a name.
    pub(crate) fn check(der: &[u8]) -> Result<(), DerError> {
        for_each_attribute(der, |_, _, _| {})
    }

    /// The text form of a name given in DER.
    pub(crate) fn text_of(der: &[u8]) -> String {
        Parts::of(der).text()
    }
}

impl fmt::Display for DistinguishedName {
    /// As Go's `pkix.Name.String`, for example `SERIALNUMBER=…,O=SPIFFE,C=US`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::text_of(&self.der))
    }
}

/// The values of one kind. Of a kind that a name has once, the last counts, and none if that is empty.
fn values_of(known: &[(AttributeKind, String)], kind: AttributeKind) -> Vec<&str> {
    let mut values = known.iter().filter(|(other, _)| *other == kind).map(|(_, value)| value.as_str());
    if kind.is_single() {
        values.next_back().into_iter().filter(|value| !value.is_empty()).collect()
    } else {
        values.collect()
    }
}

fn write_relative_name(out: &mut Vec<u8>, kind: AttributeKind, known: &[(AttributeKind, String)]) {
    let values = values_of(known, kind);
    if values.is_empty() {
        return;
    }
    let [first, second] = oid::X520_ATTRIBUTE;
    let name = [first, second, kind.arc()];
    let mut encoded: Vec<Vec<u8>> = values
        .iter()
        .map(|value| {
            let mut attribute = Vec::with_capacity(value.len() + 12);
            write_attribute(&mut attribute, &name, value);
            attribute
        })
        .collect();
    // DER orders the members of a SET OF by their encoding.
    encoded.sort();
    der_writer::constructed(out, tag::SET, |out| {
        for attribute in &encoded {
            out.extend_from_slice(attribute);
        }
    });
}

fn write_attribute(out: &mut Vec<u8>, name: &[u8], value: &str) {
    der_writer::sequence(out, |out| {
        der_writer::oid(out, name);
        write_text(out, value);
    });
}

/// `PrintableString` if it can be one, otherwise `UTF8String`. Go leaves `*` and `&` to the latter.
fn write_text(out: &mut Vec<u8>, value: &str) {
    let is_printable = value.bytes().all(|byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'\''..=b')' | b'+'..=b'/' | b' ' | b':' | b'=' | b'?')
    });
    let string_tag = if is_printable { tag::PRINTABLE_STRING } else { tag::UTF8_STRING };
    der_writer::element(out, string_tag, value.as_bytes());
}

/// Calls `take` with identifier, value and the whole of every attribute.
fn for_each_attribute<'a>(
    der: &'a [u8],
    mut take: impl FnMut(&'a [u8], Element<'a>, &'a [u8]),
) -> Result<(), DerError> {
    let mut count = 0;
    let mut name = Reader::of_single(der, tag::SEQUENCE)?;
    while !name.is_empty() {
        let mut relative = name.nested(tag::SET)?;
        while !relative.is_empty() {
            let attribute = relative.expect(tag::SEQUENCE)?;
            let mut fields = Reader::new(attribute.content);
            let (identifier, value) = (fields.oid()?, fields.element()?);
            fields.finish()?;
            count += 1;
            if count > ATTRIBUTES_MAX {
                return Err(DerError);
            }
            take(identifier, value, attribute.whole);
        }
    }
    Ok(())
}

/// The text of a value, if it is of a string type.
fn read_text(value: Element<'_>) -> Option<String> {
    match value.tag {
        tag::UTF8_STRING | tag::PRINTABLE_STRING | tag::IA5_STRING | tag::NUMERIC_STRING => {
            String::from_utf8(value.content.to_vec()).ok()
        }
        tag::T61_STRING => Some(value.content.iter().map(|byte| char::from(*byte)).collect()),
        tag::BMP_STRING => {
            let units = value.content.chunks(2).map(|unit| match unit {
                [high, low] => u16::from_be_bytes([*high, *low]),
                _ => 0xd800,
            });
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        _ => None,
    }
}

/// The attributes of a name.
struct Parts<'a> {
    known: Vec<(AttributeKind, String)>,
    other: Vec<Other<'a>>,
}

/// An attribute without a kind of its own.
struct Other<'a> {
    identifier: &'a [u8],
    value: Element<'a>,
    whole: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Of a name that has been checked; of anything else, whatever comes before the fault.
    fn of(der: &'a [u8]) -> Self {
        let mut parts = Self { known: Vec::new(), other: Vec::new() };
        let _ = for_each_attribute(der, |identifier, value, whole| {
            match (AttributeKind::of_oid(identifier), read_text(value)) {
                (Some(kind), Some(text)) => parts.known.push((kind, text)),
                _ => parts.other.push(Other { identifier, value, whole }),
            }
        });
        parts
    }

    fn split(self) -> (Vec<(AttributeKind, String)>, Vec<Vec<u8>>) {
        (self.known, self.other.iter().map(|other| other.whole.to_vec()).collect())
    }

    /// Relative names from the last to the first, the attributes without a kind of their own at the end.
    fn text(&self) -> String {
        let mut text = String::new();
        for kind in AttributeKind::ALL.into_iter().rev() {
            for (at, value) in values_of(&self.known, kind).into_iter().enumerate() {
                push_separator(&mut text, if at == 0 { ',' } else { '+' });
                text.push_str(kind.label());
                text.push('=');
                push_escaped(&mut text, value);
            }
        }
        for other in self.other.iter().rev() {
            push_separator(&mut text, ',');
            let mut value = Vec::new();
            match read_text(other.value) {
                Some(readable) => write_text(&mut value, &readable),
                None => value.extend_from_slice(other.value.whole),
            }
            let _ = write!(text, "{}=#{}", oid::to_dotted(other.identifier), to_hex(&value));
        }
        text
    }
}

fn push_separator(text: &mut String, separator: char) {
    if !text.is_empty() {
        text.push(separator);
    }
}

fn push_escaped(text: &mut String, value: &str) {
    for (at, character) in value.char_indices() {
        let is_first = at == 0;
        let is_last = at + 1 == value.len();
        let must_escape = match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            ' ' => is_first || is_last,
            '#' => is_first,
            _ => false,
        };
        if must_escape {
            text.push('\\');
        }
        text.push(character);
    }
}

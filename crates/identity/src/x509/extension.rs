//! Extensions of certificates: reading the ones that matter here, and the generic form of the others.

use super::der_reader::{DerError, Reader, tag};
use super::{der_writer, oid};
use std::fmt;

/// Most extensions that are read; real certificates have about ten.
const EXTENSIONS_MAX: usize = 64;

/// An extension in its generic form, for what a credential composer or an upstream request brings along.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Extension {
    /// Content octets of the identifier.
    oid: Vec<u8>,
    is_critical: bool,
    value: Vec<u8>,
}

/// Whether a verifier that does not know an extension must refuse the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Criticality {
    /// It must.
    Critical,
    /// It may pass over the extension.
    NonCritical,
}

impl Extension {
    /// An extension from its dotted identifier, for example `1.3.6.1.4.1.55744.1`, and the DER of its value.
    /// Nothing if the identifier is malformed.
    pub fn new(dotted_oid: &str, criticality: Criticality, value: Vec<u8>) -> Option<Self> {
        let is_critical = criticality == Criticality::Critical;
        Some(Self { oid: oid::from_dotted(dotted_oid)?, is_critical, value })
    }

    /// The certificate policies extension (RFC 5280 §4.2.1.4) for dotted policy identifiers. Nothing if one
    /// is malformed.
    pub fn certificate_policies(dotted_oids: &[&str]) -> Option<Self> {
        let policies: Option<Vec<_>> = dotted_oids.iter().map(|dotted| oid::from_dotted(dotted)).collect();
        let policies = policies?;
        let mut value = Vec::new();
        der_writer::sequence(&mut value, |out| {
            for policy in &policies {
                der_writer::sequence(out, |out| der_writer::oid(out, policy));
            }
        });
        Some(Self { oid: oid::CERTIFICATE_POLICIES.to_vec(), is_critical: false, value })
    }

    /// The identifier in dotted form.
    pub fn oid(&self) -> String {
        oid::to_dotted(&self.oid)
    }

    /// Whether it is critical.
    pub fn criticality(&self) -> Criticality {
        if self.is_critical { Criticality::Critical } else { Criticality::NonCritical }
    }

    /// The DER of the value.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    pub(crate) fn has_oid(&self, content: &[u8]) -> bool {
        self.oid == content
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_extension(out, &self.oid, self.is_critical, |out| out.extend_from_slice(&self.value));
    }
}

/// Writes an extension whose value `write` appends.
pub(crate) fn write_extension(
    out: &mut Vec<u8>,
    name: &[u8],
    is_critical: bool,
    write: impl FnOnce(&mut Vec<u8>),
) {
    der_writer::sequence(out, |out| {
        der_writer::oid(out, name);
        if is_critical {
            der_writer::element(out, tag::BOOLEAN, &[0xff]);
        }
        der_writer::constructed(out, tag::OCTET_STRING, write);
    });
}

/// The uses a key is certified for (RFC 5280 §4.2.1.3), bit 0 being the lowest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct KeyUsage(u16);

impl KeyUsage {
    /// Signing anything but certificates and revocation lists.
    pub const DIGITAL_SIGNATURE: Self = Self(1);
    /// Signing for non-repudiation.
    pub const CONTENT_COMMITMENT: Self = Self(1 << 1);
    /// Encrypting keys.
    pub const KEY_ENCIPHERMENT: Self = Self(1 << 2);
    /// Encrypting data.
    pub const DATA_ENCIPHERMENT: Self = Self(1 << 3);
    /// Agreeing on keys.
    pub const KEY_AGREEMENT: Self = Self(1 << 4);
    /// Signing certificates.
    pub const CERT_SIGN: Self = Self(1 << 5);
    /// Signing revocation lists.
    pub const CRL_SIGN: Self = Self(1 << 6);
    /// Agreeing on keys in order to encrypt only.
    pub const ENCIPHER_ONLY: Self = Self(1 << 7);
    /// Agreeing on keys in order to decrypt only.
    pub const DECIPHER_ONLY: Self = Self(1 << 8);

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all uses of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no use is in the set: the extension is absent.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Reads the bit string; bits beyond the nine that are defined are passed over.
    fn read(value: &[u8]) -> Result<Self, DerError> {
        let mut reader = Reader::new(value);
        let content = reader.expect(tag::BIT_STRING)?.content;
        reader.finish()?;
        let (unused, octets) = content.split_first().ok_or(DerError)?;
        let padding = match octets.last() {
            None if *unused == 0 => 0,
            Some(last) if *unused < 8 => last & ((1 << unused) - 1),
            _ => return Err(DerError),
        };
        if padding != 0 {
            return Err(DerError);
        }
        let octet = |at: usize| u16::from(octets.get(at).copied().unwrap_or(0).reverse_bits());
        Ok(Self((octet(0) | octet(1) << 8) & 0x1ff))
    }
}

impl fmt::Debug for KeyUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyUsage({:#011b})", self.0)
    }
}

/// A purpose a certificate may be used for (RFC 5280 §4.2.1.12).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ExtendedKeyUsage {
    /// Any purpose.
    Any,
    /// A TLS server.
    ServerAuth,
    /// A TLS client.
    ClientAuth,
    /// Another purpose, by its dotted identifier.
    Other(String),
}

impl ExtendedKeyUsage {
    fn of_oid(content: &[u8]) -> Self {
        match content {
            oid::EKU_ANY => Self::Any,
            oid::EKU_SERVER_AUTH => Self::ServerAuth,
            oid::EKU_CLIENT_AUTH => Self::ClientAuth,
            other => Self::Other(oid::to_dotted(other)),
        }
    }
}

/// What basic constraints say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BasicConstraints {
    pub(crate) is_authority: bool,
    pub(crate) path_length: Option<u8>,
}

/// The URIs and DNS names of a subject; other kinds of name are passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AlternativeNames {
    pub(crate) uris: Vec<String>,
    pub(crate) dns_names: Vec<String>,
}

impl AlternativeNames {
    fn read(value: &[u8]) -> Result<Self, DerError> {
        let mut names = Self::default();
        let mut reader = Reader::of_single(value, tag::SEQUENCE)?;
        while !reader.is_empty() {
            let name = reader.element()?;
            match name.tag {
                DNS_NAME => names.dns_names.push(ia5(name.content)?),
                URI => names.uris.push(ia5(name.content)?),
                _ => {}
            }
        }
        Ok(names)
    }

    /// Writes the names in Go's order: DNS names, then URIs.
    pub(crate) fn write<'a>(
        out: &mut Vec<u8>,
        dns_names: impl Iterator<Item = &'a str>,
        uris: impl Iterator<Item = &'a str>,
    ) {
        der_writer::sequence(out, |out| {
            for name in dns_names {
                der_writer::element(out, DNS_NAME, name.as_bytes());
            }
            for uri in uris {
                der_writer::element(out, URI, uri.as_bytes());
            }
        });
    }
}

const DNS_NAME: u8 = tag::context(2);
const URI: u8 = tag::context(6);

fn ia5(content: &[u8]) -> Result<String, DerError> {
    if !content.is_ascii() {
        return Err(DerError);
    }
    String::from_utf8(content.to_vec()).map_err(|_| DerError)
}

/// The extensions of a certificate or a request, those that are understood read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Extensions {
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) ext_key_usage: Vec<ExtendedKeyUsage>,
    pub(crate) basic_constraints: Option<BasicConstraints>,
    pub(crate) subject_key_id: Option<Vec<u8>>,
    pub(crate) authority_key_id: Option<Vec<u8>>,
    pub(crate) names: AlternativeNames,
    pub(crate) all: Vec<Extension>,
}

impl Extensions {
    /// Reads `Extensions`, refusing repeated ones (RFC 5280 §4.2).
    pub(crate) fn read(whole: &[u8]) -> Result<Self, DerError> {
        let mut extensions = Self::default();
        let mut reader = Reader::of_single(whole, tag::SEQUENCE)?;
        while !reader.is_empty() {
            let mut fields = reader.nested(tag::SEQUENCE)?;
            let name = fields.oid()?;
            let is_critical = fields.optional_boolean()?;
            let value = fields.expect(tag::OCTET_STRING)?.content;
            fields.finish()?;
            let is_repeated = extensions.all.iter().any(|known| known.has_oid(name));
            if is_repeated || extensions.all.len() == EXTENSIONS_MAX {
                return Err(DerError);
            }
            extensions.take(name, value)?;
            extensions.all.push(Extension { oid: name.to_vec(), is_critical, value: value.to_vec() });
        }
        Ok(extensions)
    }

    fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), DerError> {
        match name {
            oid::KEY_USAGE => self.key_usage = Some(KeyUsage::read(value)?),
            oid::EXT_KEY_USAGE => self.ext_key_usage = read_ext_key_usage(value)?,
            oid::BASIC_CONSTRAINTS => self.basic_constraints = Some(read_basic_constraints(value)?),
            oid::SUBJECT_KEY_ID => {
                let mut reader = Reader::new(value);
                self.subject_key_id = Some(reader.expect(tag::OCTET_STRING)?.content.to_vec());
                reader.finish()?;
            }
            oid::AUTHORITY_KEY_ID => {
                let mut reader = Reader::of_single(value, tag::SEQUENCE)?;
                self.authority_key_id = reader.optional(tag::context(0))?.map(|id| id.content.to_vec());
            }
            oid::SUBJECT_ALT_NAME => self.names = AlternativeNames::read(value)?,
            _ => {}
        }
        Ok(())
    }
}

fn read_ext_key_usage(value: &[u8]) -> Result<Vec<ExtendedKeyUsage>, DerError> {
    let mut reader = Reader::of_single(value, tag::SEQUENCE)?;
    let mut purposes = Vec::new();
    while !reader.is_empty() {
        purposes.push(ExtendedKeyUsage::of_oid(reader.oid()?));
    }
    Ok(purposes)
}

fn read_basic_constraints(value: &[u8]) -> Result<BasicConstraints, DerError> {
    let mut reader = Reader::of_single(value, tag::SEQUENCE)?;
    let is_authority = reader.optional_boolean()?;
    let path_length = if reader.is_empty() { None } else { Some(reader.small()?) };
    reader.finish()?;
    Ok(BasicConstraints { is_authority, path_length })
}

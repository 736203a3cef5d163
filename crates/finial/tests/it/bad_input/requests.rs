//! Certificate requests as nobody should write them.

use anyhow::{Context, Result};
use finial_identity::x509::{CsrRequest, DistinguishedName, assemble, build_csr};
use finial_identity::{KeyType, PrivateKey};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 6;
const OCTET_STRING: u8 = 4;
const BOOLEAN: u8 = 1;
const ATTRIBUTES: u8 = 0xa0;
/// Alternative names.
pub(super) const DNS: u8 = 0x82;
pub(super) const URI: u8 = 0x86;

const EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
const EXT_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
/// `anyExtendedKeyUsage`.
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 37, 0];
/// `1.2.3.4`, which nobody knows.
const UNKNOWN: &[u8] = &[0x2a, 3, 4];

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..0x80 => out.push(length as u8),
        0x80..0x100 => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend_from_slice(content);
    out
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(SEQUENCE, &parts.concat())
}

fn extension(oid: &[u8], value: &[u8]) -> Vec<u8> {
    sequence(&[element(OID, oid), element(OCTET_STRING, value)])
}

/// A request with a key of its own and these alternative names.
pub(super) fn with_names(names: &[(u8, &str)]) -> Result<Vec<u8>> {
    with_extensions(&PrivateKey::generate(KeyType::EcP256)?, names, &[])
}

/// A request for these names that also wishes to be an authority, for any usage and with an unknown extension.
pub(super) fn with_wishes(key: &PrivateKey, names: &[(u8, &str)]) -> Result<Vec<u8>> {
    let authority = sequence(&[element(BOOLEAN, &[0xff])]);
    let wishes = [
        extension(BASIC_CONSTRAINTS, &authority),
        extension(EXT_KEY_USAGE, &sequence(&[element(OID, ANY_USAGE)])),
        extension(UNKNOWN, &[5, 0]),
    ];
    with_extensions(key, names, &wishes)
}

fn with_extensions(key: &PrivateKey, names: &[(u8, &str)], more: &[Vec<u8>]) -> Result<Vec<u8>> {
    let names: Vec<Vec<u8>> = names.iter().map(|(tag, name)| element(*tag, name.as_bytes())).collect();
    let mut extensions = more.to_vec();
    if !names.is_empty() {
        extensions.push(extension(SUBJECT_ALT_NAME, &sequence(&names)));
    }
    let values = element(SET, &sequence(&extensions));
    let attribute = sequence(&[element(OID, EXTENSION_REQUEST), values]);
    let info = sequence(&[
        vec![2, 1, 0],
        DistinguishedName::spire().der().to_vec(),
        key.public_key().spki().to_vec(),
        element(ATTRIBUTES, &attribute),
    ]);
    let scheme = key.public_key().certificate_scheme().context("a scheme")?;
    let signature = key.sign(scheme, &info)?;
    Ok(assemble(&info, scheme, &signature))
}

/// A request as agents send it: nothing but a key.
pub(super) fn plain(key: &PrivateKey) -> Result<Vec<u8>> {
    let request = CsrRequest { subject: DistinguishedName::spire(), spiffe_id: None, dns_names: &[] };
    Ok(build_csr(key, &request)?)
}

/// The request with another signature.
pub(super) fn altered(mut csr: Vec<u8>) -> Vec<u8> {
    if let Some(last) = csr.last_mut() {
        *last ^= 1;
    }
    csr
}

/// A request of Go with an RSA key of 1024 bits; whatever is smaller is refused as it is.
pub(super) fn with_small_key() -> Result<Vec<u8>> {
    let text = include_str!("../../../../identity/src/x509/testdata/csr-rsa1024.pem");
    let block = finial_identity::pem::decode_all(text.as_bytes()).into_iter().next();
    Ok(block.context("a request")?.der)
}

//! Test data made by Go and SPIRE (see `testdata/README.md`).

use crate::pem;

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("testdata/", $name, ".pem")))),*]
    };
}

static FILES: &[(&str, &str)] = files![
    "ca-p256",
    "ca-p384",
    "ca-rsa",
    "ca-upstream-signed",
    "csr-ca",
    "csr-empty",
    "csr-p256",
    "csr-p384-sha256",
    "csr-p521",
    "csr-rsa",
    "csr-rsa-pss",
    "csr-rsa1024",
    "csr-wishes",
    "key-p256-pkcs8",
    "key-p256-sec1",
    "key-p384-pkcs8",
    "key-p384-sec1",
    "key-p521-pkcs8",
    "key-p521-sec1",
    "key-rsa2048-pkcs1",
    "key-rsa2048-pkcs8",
    "spire-root",
    "spire-root-federated",
    "spire-root-p521",
    "spire-svid",
    "spire-svid-key",
    "spki-p256",
    "spki-p384",
    "spki-p521",
    "spki-rsa2048",
    "svid-dns",
    "svid-no-constraints",
    "svid-nosubject",
    "svid-p256",
    "svid-uniqueid",
];

/// A name in DER, the same read and written again by Go, and its text, one name a line, in hexadecimal.
pub(crate) const NAMES: &str = include_str!("testdata/names.txt");

/// The PEM text of a file.
pub(crate) fn text(name: &str) -> &'static str {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text).expect("a file of this name")
}

/// The DER of the one block of a file.
pub(crate) fn der(name: &str) -> Vec<u8> {
    pem::decode_all(text(name).as_bytes()).remove(0).der
}

pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The bytes with some of them changed, for tests that nothing panics.
pub(crate) fn mutated(mut bytes: Vec<u8>, changes: &[(usize, u8)], cut: usize) -> Vec<u8> {
    for (at, value) in changes {
        let length = bytes.len();
        bytes[at % length] = *value;
    }
    bytes.truncate(bytes.len() - cut % bytes.len());
    bytes
}

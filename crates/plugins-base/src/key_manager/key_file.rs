//! The file format of SPIRE's `disk` key managers: `{"keys": {<id>: <base64 of PKCS#8>}}`, indented by tabs.
//!
//! Texts and decoded bytes are wiped, and no error repeats what stands in the file.

use super::{Keys, LocalKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use finial_identity::PrivateKey;
use finial_identity::key::PublicKeyKind;
use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::error::Category;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Why bytes are not a key file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// The JSON ends too early.
    #[error("the file is cut off at line {line} column {column}")]
    Truncated {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Not JSON.
    #[error("the file is not JSON at line {line} column {column}")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// JSON, but of something else.
    #[error("the file is JSON but not of keys (line {line} column {column})")]
    NotKeys {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// A key that does not decode, or of a kind that a key manager never makes.
    #[error(
        "key {id:?} is not a PKCS#8 private key of a supported kind (EC P-256, EC P-384, RSA 2048, RSA 4096)"
    )]
    BadKey {
        /// Its name.
        id: String,
    },
}

impl From<serde_json::Error> for KeyFileError {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            Category::Eof => Self::Truncated { line, column },
            Category::Data => Self::NotKeys { line, column },
            Category::Syntax | Category::Io => Self::NotJson { line, column },
        }
    }
}

/// Reads a key file.
pub(super) fn decode(bytes: &[u8]) -> Result<Keys, KeyFileError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(KeyFileError::Empty);
    }
    let file: KeyFile = serde_json::from_slice(bytes)?;
    file.keys.into_iter().map(|(id, encoded)| decode_key(id, &encoded)).collect()
}

fn decode_key(id: String, encoded: &EncodedKey) -> Result<(String, Arc<LocalKey>), KeyFileError> {
    match encoded.0.as_deref().map(|der| PrivateKey::from_pkcs8(der)) {
        Some(Ok(key)) if is_made_here(&key) => Ok((id, Arc::new(LocalKey(key)))),
        _ => Err(KeyFileError::BadKey { id }),
    }
}

fn is_made_here(key: &PrivateKey) -> bool {
    use PublicKeyKind::{EcP256, EcP384, Rsa};
    matches!(key.public_key().kind(), EcP256 | EcP384 | Rsa(2048 | 4096))
}

/// Writes a key file, byte for byte as SPIRE does.
pub(super) fn encode(keys: &Keys) -> Zeroizing<String> {
    // Enough from the start, so that no growth leaves a copy behind.
    let room: usize = keys.iter().map(|(id, key)| id.len() * 6 + key.0.to_pkcs8().len() * 4 / 3 + 16).sum();
    let mut text = Zeroizing::new(String::with_capacity(room + 32));
    text.push_str("{\n\t\"keys\": {");
    for (index, (id, key)) in keys.iter().enumerate() {
        text.push_str(if index > 0 { ",\n\t\t" } else { "\n\t\t" });
        text.push_str(&serde_json::Value::from(id.as_str()).to_string());
        text.push_str(": \"");
        STANDARD.encode_string(key.0.to_pkcs8(), &mut text);
        text.push('"');
    }
    text.push_str(if keys.is_empty() { "}\n}" } else { "\n\t}\n}" });
    text
}

#[derive(serde::Deserialize)]
struct KeyFile {
    /// `null` is a map without entries, as Go reads it; that the member is absent means a foreign file.
    #[serde(deserialize_with = "null_is_empty")]
    keys: BTreeMap<String, EncodedKey>,
}

fn null_is_empty<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, EncodedKey>, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// The bytes of a key; nothing if they are not base64.
struct EncodedKey(Option<Zeroizing<Vec<u8>>>);

impl<'de> Deserialize<'de> for EncodedKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Base64;
        impl Visitor<'_> for Base64 {
            type Value = EncodedKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key in base64")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<EncodedKey, E> {
                let mut der = Zeroizing::new(Vec::with_capacity(text.len()));
                let decoded = STANDARD.decode_vec(text, &mut der);
                Ok(EncodedKey(decoded.is_ok().then_some(der)))
            }
        }
        from.deserialize_str(Base64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use finial_identity::KeyType;

    const SPIRE: &[u8] = include_bytes!("../../tests/fixtures/keys/keys.json");

    #[test]
    fn a_file_of_spire_reads_and_writes_back_to_the_byte() {
        let keys = decode(SPIRE).unwrap();
        assert_eq!(keys.keys().collect::<Vec<_>>(), ["JWT-Signer-A", "agent-svid-A", "x509-CA-A"]);
        assert_eq!(encode(&keys).as_bytes(), SPIRE);
    }

    #[test]
    fn files_of_a_deployed_spire_read_and_write_back_to_the_byte() {
        let server = include_bytes!("../../tests/fixtures/keys/spire-server.json");
        let agent = include_bytes!("../../tests/fixtures/keys/spire-agent.json");
        for (file, names) in [(&server[..], &["JWT-Signer-A", "x509-CA-A"][..]), (agent, &["agent-svid-A"])] {
            let keys = decode(file).unwrap();
            assert_eq!(keys.keys().collect::<Vec<_>>(), names);
            assert_eq!(encode(&keys).as_bytes(), file);
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(encode(&Keys::new()).as_str(), "{\n\t\"keys\": {}\n}");
        let key = Arc::new(LocalKey(PrivateKey::generate(KeyType::EcP384).unwrap()));
        let keys = Keys::from([("a \"b\"\n".to_owned(), Arc::clone(&key))]);
        let read = decode(encode(&keys).as_bytes()).unwrap();
        assert_eq!(read["a \"b\"\n"].0.public_key(), key.0.public_key());
    }

    #[test]
    fn nothing_but_whole_key_files_is_read() {
        let p521 = include_bytes!("../../tests/fixtures/keys/keys-p521.json");
        let error = |bytes: &[u8]| decode(bytes).map(|keys| keys.len()).map_err(|error| error.to_string());
        let unsupported =
            "is not a PKCS#8 private key of a supported kind (EC P-256, EC P-384, RSA 2048, RSA 4096)";
        assert_eq!(error(b""), Err("the file is empty".into()));
        assert_eq!(error(b" \n\t"), Err("the file is empty".into()));
        assert_eq!(error(b"{\"keys\": null}"), Ok(0));
        assert_eq!(error(b"keys"), Err("the file is not JSON at line 1 column 1".into()));
        assert_eq!(error(b"\xff\xfe\0"), Err("the file is not JSON at line 1 column 1".into()));
        assert_eq!(error(b"{} {}"), Err("the file is JSON but not of keys (line 1 column 2)".into()));
        assert_eq!(
            error(b"{\"svid\": []}"),
            Err("the file is JSON but not of keys (line 1 column 12)".into())
        );
        assert_eq!(error(b"{\"keys\": \"secret\"}").unwrap_err().matches("secret").count(), 0);
        assert_eq!(error(b"{\"keys\": {\"a\": 7}}").unwrap_err().matches("not of keys").count(), 1);
        assert_eq!(error(b"{\"keys\": {\"a\": \"%\"}}"), Err(format!("key \"a\" {unsupported}")));
        assert_eq!(error(b"{\"keys\": {\"a\": \"MIG2\"}}"), Err(format!("key \"a\" {unsupported}")));
        assert_eq!(error(p521), Err(format!("key \"p521\" {unsupported}")));
        for length in 1..SPIRE.len() {
            let verdict = decode(&SPIRE[..length]).map(|_| ()).unwrap_err();
            assert!(matches!(verdict, KeyFileError::Truncated { .. }), "{length}: {verdict}");
        }
    }
}

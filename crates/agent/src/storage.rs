//! What the agent remembers over a restart: its SVID and the bundle, in SPIRE's `agent-data.json`.
//!
//! A file that cannot be read as such is set aside under a name that says so; the agent then starts as if
//! it were new.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use finial_identity::pem;
use finial_runtime::files::{self, FileError};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tracing::error;

/// The file's name below the data directory.
const FILE: &str = "agent-data.json";
/// Larger than any file this agent writes.
const SIZE_MAX: u64 = 4 << 20;

/// What is remembered. Certificates are DER.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remembered {
    /// The agent's SVID, leaf first; empty when there is none.
    pub svid: Vec<Vec<u8>>,
    /// The X.509 authorities of the trust domain.
    pub bundle: Vec<Vec<u8>>,
    /// Whether the agent may attest again.
    pub can_reattest: bool,
}

/// The file. Field order and form are SPIRE's: each certificate is the base64 of its PEM text.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    /// May be `null`; that the member is absent means a foreign file.
    #[serde(deserialize_with = "Option::deserialize")]
    svid: Option<Vec<String>>,
    #[serde(deserialize_with = "Option::deserialize")]
    bundle: Option<Vec<String>>,
    #[serde(default)]
    reattestable: bool,
    #[serde(default)]
    bootstrap_use: i64,
    #[serde(default = "never")]
    bootstrap_start_time: String,
    #[serde(default)]
    connection_attempts: i64,
}

fn never() -> String {
    "0001-01-01T00:00:00Z".to_owned()
}

/// The file of one agent.
#[derive(Debug, Clone)]
pub struct Storage {
    path: PathBuf,
}

impl Storage {
    /// The file below a data directory, which is made if it is missing.
    pub fn open(directory: &Path) -> Result<Self, FileError> {
        files::create_directory(directory, 0o755)?;
        Ok(Self { path: directory.join(FILE) })
    }

    /// Reads what was remembered. A file that makes no sense is set aside.
    pub fn load(&self, now: SystemTime) -> Result<Remembered, FileError> {
        let text = match files::read_bounded(&self.path, SIZE_MAX) {
            Ok(text) => text,
            Err(error) if error.is_not_found() => return Ok(Remembered::default()),
            Err(error) => return Err(error),
        };
        match decode(&text) {
            Some(remembered) => Ok(remembered),
            None => {
                let aside = files::set_aside(&self.path, now)?;
                error!(
                    path = %self.path.display(),
                    set_aside = %aside.display(),
                    "The agent's data file cannot be read and was set aside: the agent will attest again. \
                     To go back, stop the agent and restore the file from a backup"
                );
                Ok(Remembered::default())
            }
        }
    }

    /// Writes what is to be remembered, all or nothing.
    pub fn save(&self, remembered: &Remembered) -> Result<(), FileError> {
        let document = Document {
            svid: encode(&remembered.svid),
            bundle: encode(&remembered.bundle),
            reattestable: remembered.can_reattest,
            bootstrap_use: 0,
            bootstrap_start_time: never(),
            connection_attempts: 0,
        };
        let text = serde_json::to_vec(&document).map_err(|e| {
            FileError::new("encode", &self.path, std::io::Error::new(std::io::ErrorKind::InvalidData, e))
        })?;
        files::write_atomic(&self.path, &text, 0o600)
    }
}

fn encode(certificates: &[Vec<u8>]) -> Option<Vec<String>> {
    let texts = certificates.iter().map(|der| STANDARD.encode(pem::encode("CERTIFICATE", der)));
    Some(texts.collect()).filter(|texts: &Vec<String>| !texts.is_empty())
}

fn decode(text: &[u8]) -> Option<Remembered> {
    let document: Document = serde_json::from_slice(text).ok()?;
    Some(Remembered {
        svid: decode_all(document.svid)?,
        bundle: decode_all(document.bundle)?,
        can_reattest: document.reattestable,
    })
}

fn decode_all(texts: Option<Vec<String>>) -> Option<Vec<Vec<u8>>> {
    let mut certificates = Vec::new();
    for text in texts.unwrap_or_default() {
        let blocks = pem::decode_all(&STANDARD.decode(text).ok()?);
        if blocks.is_empty() || blocks.iter().any(|block| block.label != "CERTIFICATE") {
            return None;
        }
        certificates.extend(blocks.into_iter().map(|block| block.der));
    }
    Some(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembered() -> Remembered {
        Remembered { svid: vec![vec![1, 2, 3]], bundle: vec![vec![4], vec![5, 6]], can_reattest: true }
    }

    #[test]
    fn comes_back_as_it_went() {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::open(directory.path()).unwrap();
        assert_eq!(storage.load(SystemTime::now()).unwrap(), Remembered::default());
        storage.save(&remembered()).unwrap();
        assert_eq!(storage.load(SystemTime::now()).unwrap(), remembered());
    }

    #[test]
    fn has_spires_form() {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::open(directory.path()).unwrap();
        storage.save(&Remembered { svid: vec![], ..remembered() }).unwrap();
        let text = std::fs::read_to_string(directory.path().join(FILE)).unwrap();
        assert!(
            text.starts_with(r#"{"svid":null,"bundle":["LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tC"#),
            "{text}"
        );
        let end = r#"],"reattestable":true,"bootstrap_use":0,"bootstrap_start_time":"0001-01-01T00:00:00Z","connection_attempts":0}"#;
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn nonsense_is_set_aside() {
        for text in [
            "",
            "{",
            "{}",
            "[]",
            "{\"a\":1}",
            "{\"svid\":[\"!\"],\"bundle\":null}",
            "{\"svid\":[\"\"],\"bundle\":null}",
            "null",
        ] {
            let directory = tempfile::tempdir().unwrap();
            let storage = Storage::open(directory.path()).unwrap();
            std::fs::write(directory.path().join(FILE), text).unwrap();
            assert_eq!(storage.load(SystemTime::UNIX_EPOCH).unwrap(), Remembered::default(), "{text}");
            let aside = std::fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap();
            assert_eq!(aside.file_name(), "agent-data.json.corrupt-0", "{text}");
        }
    }
}

//! The key manager `disk`: keys in a file that SPIRE reads and writes as well.
//!
//! A file that is not what this key manager writes is never overwritten. What happens instead depends on whose
//! keys they are: an agent makes new ones after it attested again, so its file is set aside; a server's keys are
//! what everybody trusts, so it refuses to start and says how to go on.

use super::key_file::{self, KeyFileError};
use super::{Keys, LocalKey};
use crate::problem::{InvalidConfig, Problem};
use async_trait::async_trait;
use finial_identity::KeyType;
use finial_plugin::key_manager::{KeyManager, KeyManagerError, SigningKey};
use finial_runtime::files::{self, FileError};
use std::error::Error as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// Far more than all keys of a server take.
const KEY_FILE_MAX: u64 = 16 << 20;
const AGENT_FILE: &str = "keys.json";

/// The configuration of the server's `disk`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerDiskConfig {
    /// `keys_path`: the key file. Its directory must exist.
    pub keys_path: PathBuf,
}

impl ServerDiskConfig {
    /// All that is wrong.
    #[must_use]
    pub fn validate(&self) -> Vec<Problem> {
        required(&self.keys_path, "keys_path", "keys_path is required")
    }
}

/// The configuration of the agent's `disk`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentDiskConfig {
    /// `directory`: where `keys.json` lives. Made if it does not exist.
    pub directory: PathBuf,
}

impl AgentDiskConfig {
    /// All that is wrong.
    #[must_use]
    pub fn validate(&self) -> Vec<Problem> {
        required(&self.directory, "directory", "directory must be configured")
    }
}

fn required(path: &Path, key: &'static str, message: &str) -> Vec<Problem> {
    if path.as_os_str().is_empty() { vec![Problem::new(key, message)] } else { Vec::new() }
}

/// Why keys on disk could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenKeysError {
    /// The configuration is wrong.
    #[error("invalid configuration of key manager \"disk\"")]
    Config(#[from] InvalidConfig),
    /// The directory or the file could not be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The server's file is there and is not a key file.
    #[error(
        "{} is not a key file, and it was left as it is. If it held this server's keys, restore it from a backup; \
         to start with new keys, move it away: then every agent and workload has to learn the new authorities",
        .path.display()
    )]
    NotAKeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyFileError,
    },
}

/// Keys in memory and in a file, the same in both.
pub struct DiskKeyManager(Arc<Store>);

struct Store {
    path: PathBuf,
    keys: RwLock<Keys>,
    /// Held by the one who writes the file, so that readers need not wait for the disk.
    writing: Mutex<()>,
}

impl DiskKeyManager {
    /// Opens a server's keys; no file means no keys yet. Blocks shortly: for the start of the process.
    pub fn open_server(config: &ServerDiskConfig) -> Result<Self, OpenKeysError> {
        InvalidConfig::unless_empty(config.validate())?;
        let path = config.keys_path.clone();
        match read(&path)? {
            Ok(keys) => Ok(Self::of(path, keys)),
            Err(source) => Err(OpenKeysError::NotAKeyFile { path, source }),
        }
    }

    /// Opens an agent's keys; makes the directory, and checks that it can be written to. A file that is no key
    /// file is moved to `keys.json.corrupt-<unix seconds of now>` and the agent starts without keys.
    /// Blocks shortly: for the start of the process.
    pub fn open_agent(config: &AgentDiskConfig, now: SystemTime) -> Result<Self, OpenKeysError> {
        InvalidConfig::unless_empty(config.validate())?;
        files::create_directory(&config.directory, 0o700)?;
        probe(&config.directory)?;
        let path = config.directory.join(AGENT_FILE);
        let keys = match read(&path)? {
            Ok(keys) => keys,
            Err(error) => {
                let aside = files::set_aside(&path, now)?;
                tracing::warn!(
                    path = %path.display(), moved_to = %aside.display(), error = %error,
                    "Key file is corrupt and was set aside; the agent will attest again with a new key"
                );
                Keys::new()
            }
        };
        Ok(Self::of(path, keys))
    }

    fn of(path: PathBuf, keys: Keys) -> Self {
        Self(Arc::new(Store { path, keys: RwLock::new(keys), writing: Mutex::new(()) }))
    }
}

impl Store {
    fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// First the file, then memory: what callers see is what a restart would find. Blocks.
    fn generate(&self, id: String, kind: KeyType) -> Result<Arc<LocalKey>, KeyManagerError> {
        let key = super::generate(kind)?;
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys = self.keys().clone();
        keys.insert(id, Arc::clone(&key));
        files::write_atomic(&self.path, key_file::encode(&keys).as_bytes(), 0o600)
            .map_err(|error| KeyManagerError::Generate(with_cause(&error)))?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(key)
    }
}

#[async_trait]
impl KeyManager for DiskKeyManager {
    async fn key_generate(&self, id: &str, kind: KeyType) -> Result<Arc<dyn SigningKey>, KeyManagerError> {
        super::check_id(id)?;
        let (store, id) = (Arc::clone(&self.0), id.to_owned());
        super::off_executor(move || store.generate(id, kind)).await
    }

    async fn key_get(&self, id: &str) -> Result<Option<Arc<dyn SigningKey>>, KeyManagerError> {
        Ok(super::get(&self.0.keys(), id))
    }

    async fn key_list(&self) -> Result<Vec<(String, Arc<dyn SigningKey>)>, KeyManagerError> {
        Ok(super::list(&self.0.keys()))
    }
}

/// The keys of the file, or what is wrong with its content. No file has no keys.
fn read(path: &Path) -> Result<Result<Keys, KeyFileError>, FileError> {
    match read_secret(path) {
        Ok(bytes) => Ok(key_file::decode(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ok(Keys::new())),
        Err(error) => Err(FileError::new("read", path, error)),
    }
}

/// Reads into one allocation, which is wiped.
fn read_secret(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > KEY_FILE_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1));
    file.by_ref().take(KEY_FILE_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Better to fail at the start than when the first key is due.
fn probe(directory: &Path) -> Result<(), FileError> {
    let probe = directory.join(".probe");
    files::write_atomic(&probe, &[], 0o600)?;
    std::fs::remove_file(&probe).map_err(|error| FileError::new("remove", probe, error))
}

fn with_cause(error: &FileError) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use finial_plugin::conformance::key_manager as suite;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, UNIX_EPOCH};

    const SPIRE: &[u8] = include_bytes!("../../tests/fixtures/keys/keys.json");

    fn server(path: &Path) -> Result<DiskKeyManager, OpenKeysError> {
        DiskKeyManager::open_server(&ServerDiskConfig { keys_path: path.into() })
    }

    fn agent(directory: &Path) -> Result<DiskKeyManager, OpenKeysError> {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        DiskKeyManager::open_agent(&AgentDiskConfig { directory: directory.into() }, now)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn keeps_the_contract() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server-keys.json");
        suite::check(&server(&path).unwrap()).await;
        suite::check_survives_restart(|| server(&path).unwrap()).await;
        assert_eq!(mode(&path), 0o600);
        let directory = directory.path().join("a/b");
        suite::check(&agent(&directory).unwrap()).await;
        suite::check_survives_restart(|| agent(&directory).unwrap()).await;
        assert_eq!((mode(&directory), mode(&directory.join("keys.json"))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn keys_of_spire_are_used_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        fs::write(&path, SPIRE).unwrap();
        let keys = server(&path).unwrap();
        let before = keys.key_get("x509-CA-A").await.unwrap().unwrap().public_key().clone();
        keys.key_generate("x509-CA-B", KeyType::EcP256).await.unwrap();
        let names: Vec<_> = keys.key_list().await.unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["JWT-Signer-A", "agent-svid-A", "x509-CA-A", "x509-CA-B"]);
        let again = agent(directory.path()).unwrap();
        assert_eq!(again.key_get("x509-CA-A").await.unwrap().unwrap().public_key(), &before);
    }

    #[test]
    fn a_server_never_replaces_what_it_cannot_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        for content in [&b""[..], &SPIRE[..500], b"{}", b"not json", b"{\"keys\":{\"a\":\"AAAA\"}}"] {
            fs::write(&path, content).unwrap();
            let error = server(&path).err().unwrap();
            let text = error.to_string();
            assert!(text.contains("keys.json is not a key file") && text.contains("restore it"), "{text}");
            assert!(error.source().is_some());
            assert_eq!(fs::read(&path).unwrap(), content);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn an_agent_sets_a_corrupt_file_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        fs::write(&path, &SPIRE[..500]).unwrap();
        let keys = agent(directory.path()).unwrap();
        assert!(keys.key_list().await.unwrap().is_empty() && !path.exists());
        let aside = directory.path().join("keys.json.corrupt-1700000000");
        assert_eq!(fs::read(aside).unwrap(), &SPIRE[..500]);
    }

    #[tokio::test]
    async fn what_cannot_be_opened_or_written_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        fs::create_dir(&path).unwrap();
        assert!(server(&path).err().unwrap().to_string().contains("keys.json"));
        assert!(agent(directory.path()).is_err());
        assert!(path.is_dir());
        fs::remove_dir(&path).unwrap();
        fs::write(&path, SPIRE).unwrap();
        assert!(agent(&path).err().unwrap().to_string().contains("keys.json"));

        let gone = directory.path().join("gone");
        let keys = server(&gone.join("keys.json")).unwrap();
        let error = keys.key_generate("a", KeyType::EcP256).await.err().unwrap().to_string();
        assert!(error.starts_with("failed to generate key: ") && error.contains("gone/keys.json"), "{error}");
        assert!(keys.key_get("a").await.unwrap().is_none(), "a key that was not stored must not be there");
    }

    #[test]
    fn paths_are_required() {
        assert_eq!(ServerDiskConfig::default().validate()[0].message, "keys_path is required");
        assert_eq!(AgentDiskConfig::default().validate()[0].message, "directory must be configured");
        assert!(server(Path::new("")).is_err() && agent(Path::new("")).is_err());
    }
}

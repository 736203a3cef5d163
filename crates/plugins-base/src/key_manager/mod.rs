//! Key managers that hold their keys in this process: in memory only, or also in a file.

mod disk;
mod key_file;
mod memory;

pub use disk::{AgentDiskConfig, DiskKeyManager, OpenKeysError, ServerDiskConfig};
pub use key_file::KeyFileError;
pub use memory::MemoryKeyManager;

use async_trait::async_trait;
use finial_identity::{KeyType, PrivateKey, PublicKey, SignatureScheme};
use finial_plugin::key_manager::{KeyManagerError, SigningKey};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keys by name. Replaced as a whole, so that a reader never sees half a change.
type Keys = BTreeMap<String, Arc<LocalKey>>;

/// A key in this process: it signs at once.
struct LocalKey(PrivateKey);

#[async_trait]
impl SigningKey for LocalKey {
    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    async fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyManagerError> {
        Ok(self.0.sign(scheme, message)?)
    }

    fn sign_inline(
        &self,
        scheme: SignatureScheme,
        message: &[u8],
    ) -> Option<Result<Vec<u8>, KeyManagerError>> {
        Some(self.0.sign(scheme, message).map_err(KeyManagerError::from))
    }
}

fn check_id(id: &str) -> Result<(), KeyManagerError> {
    if id.is_empty() { Err(KeyManagerError::Generate("key id is required".into())) } else { Ok(()) }
}

/// Blocks: an RSA key takes up to seconds.
fn generate(kind: KeyType) -> Result<Arc<LocalKey>, KeyManagerError> {
    let key = PrivateKey::generate(kind).map_err(|error| KeyManagerError::Generate(error.to_string()))?;
    Ok(Arc::new(LocalKey(key)))
}

fn get(keys: &Keys, id: &str) -> Option<Arc<dyn SigningKey>> {
    keys.get(id).map(|key| Arc::clone(key) as Arc<dyn SigningKey>)
}

fn list(keys: &Keys) -> Vec<(String, Arc<dyn SigningKey>)> {
    keys.iter().map(|(id, key)| (id.clone(), Arc::clone(key) as Arc<dyn SigningKey>)).collect()
}

/// Runs what blocks beside the executor, to its end even if the caller goes away: a key that reached the disk
/// must also reach memory.
async fn off_executor(
    work: impl FnOnce() -> Result<Arc<LocalKey>, KeyManagerError> + Send + 'static,
) -> Result<Arc<dyn SigningKey>, KeyManagerError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(made) => made.map(|key| key as Arc<dyn SigningKey>),
        Err(stopped) => Err(KeyManagerError::Generate(stopped.to_string())),
    }
}

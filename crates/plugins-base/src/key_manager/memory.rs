//! The key manager `memory`: keys that end with the process.

use super::Keys;
use async_trait::async_trait;
use finial_identity::KeyType;
use finial_plugin::key_manager::{KeyManager, KeyManagerError, SigningKey};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// Keys in memory only. SPIRE's plugin has no configuration keys, so neither has this.
#[derive(Default)]
pub struct MemoryKeyManager {
    keys: Arc<RwLock<Keys>>,
}

impl MemoryKeyManager {
    /// Without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeyManager for MemoryKeyManager {
    async fn key_generate(&self, id: &str, kind: KeyType) -> Result<Arc<dyn SigningKey>, KeyManagerError> {
        super::check_id(id)?;
        let (keys, id) = (Arc::clone(&self.keys), id.to_owned());
        super::off_executor(move || {
            let key = super::generate(kind)?;
            keys.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&key));
            Ok(key)
        })
        .await
    }

    async fn key_get(&self, id: &str) -> Result<Option<Arc<dyn SigningKey>>, KeyManagerError> {
        Ok(super::get(&self.keys(), id))
    }

    async fn key_list(&self) -> Result<Vec<(String, Arc<dyn SigningKey>)>, KeyManagerError> {
        Ok(super::list(&self.keys()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_the_contract() {
        finial_plugin::conformance::key_manager::check(&MemoryKeyManager::new()).await;
    }
}

//! The key manager with counters. Signatures are not counted here: they are on the hot path, and
//! `server_ca.sign` counts what they are for.

use async_trait::async_trait;
use finial_identity::{Code, KeyType};
use finial_plugin::key_manager::{KeyManager, KeyManagerError, SigningKey};
use finial_runtime::metrics::{Call, Metrics};
use std::sync::Arc;

/// A key manager whose calls are counted.
pub struct MeasuredKeys {
    keys: Arc<dyn KeyManager>,
    generate: Call,
    get: Call,
    list: Call,
}

impl MeasuredKeys {
    /// The key manager itself if nobody counts.
    pub fn around(keys: Arc<dyn KeyManager>, metrics: &Metrics) -> Arc<dyn KeyManager> {
        if !metrics.is_on() {
            return keys;
        }
        let call = |name: &str| metrics.call(&format!("server_key_manager.{name}"), &[]);
        let (generate, get, list) = (call("generate_key"), call("get_public_key"), call("get_public_keys"));
        Arc::new(Self { keys, generate, get, list })
    }
}

fn code(error: &KeyManagerError) -> i32 {
    let code = match error {
        KeyManagerError::Unavailable(_) => Code::Unavailable,
        KeyManagerError::Generate(_) | KeyManagerError::Sign(_) => Code::Internal,
    };
    code.number()
}

#[async_trait]
impl KeyManager for MeasuredKeys {
    async fn key_generate(&self, id: &str, kind: KeyType) -> Result<Arc<dyn SigningKey>, KeyManagerError> {
        self.generate.measure(self.keys.key_generate(id, kind), code).await
    }

    async fn key_get(&self, id: &str) -> Result<Option<Arc<dyn SigningKey>>, KeyManagerError> {
        self.get.measure(self.keys.key_get(id), code).await
    }

    async fn key_list(&self) -> Result<Vec<(String, Arc<dyn SigningKey>)>, KeyManagerError> {
        self.list.measure(self.keys.key_list(), code).await
    }
}

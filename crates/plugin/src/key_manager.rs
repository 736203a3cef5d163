//! Key managers: where long-lived private keys live.
//!
//! Called by the server's authority and by the agent for its own SVID. A key never leaves its manager:
//! callers hold a [`SigningKey`], which signs. An implementer must be safe to call concurrently, must make
//! `key_generate` atomic (after a crash the old or the new key is there, never neither), and must return
//! from `key_list` exactly what survives a restart. A [`SigningKey`] whose name was given to a new key since either
//! goes on signing with the key that it shows or fails; it never signs with another. Checked by
//! `conformance::key_manager`.

use async_trait::async_trait;
use finial_identity::key::KeyError;
use finial_identity::{KeyType, PublicKey, SignatureScheme};
use std::sync::Arc;

/// What can go wrong in a key manager.
#[derive(Debug, thiserror::Error)]
pub enum KeyManagerError {
    /// A key could not be made or stored.
    #[error("failed to generate key: {0}")]
    Generate(String),
    /// A signature could not be made.
    #[error("failed to sign data: {0}")]
    Sign(#[from] KeyError),
    /// The manager could not be reached or read.
    #[error("key manager unavailable: {0}")]
    Unavailable(String),
}

/// A private key that stays where it is and signs.
#[async_trait]
pub trait SigningKey: Send + Sync {
    /// Its public half.
    fn public_key(&self) -> &PublicKey;

    /// Signs a message; the key hashes it as the scheme says. ECDSA signatures are DER.
    async fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyManagerError>;

    /// Signs at once if the key is in this process, so that hot paths and TLS handshakes need not wait;
    /// `None` when signing has to leave the process.
    fn sign_inline(
        &self,
        scheme: SignatureScheme,
        message: &[u8],
    ) -> Option<Result<Vec<u8>, KeyManagerError>> {
        let _ = (scheme, message);
        None
    }
}

/// Makes and keeps keys under names.
#[async_trait]
pub trait KeyManager: Send + Sync {
    /// Makes a key under `id`, replacing the one that was there.
    async fn key_generate(&self, id: &str, kind: KeyType) -> Result<Arc<dyn SigningKey>, KeyManagerError>;

    /// The key of that name.
    async fn key_get(&self, id: &str) -> Result<Option<Arc<dyn SigningKey>>, KeyManagerError>;

    /// All keys, sorted by name.
    async fn key_list(&self) -> Result<Vec<(String, Arc<dyn SigningKey>)>, KeyManagerError>;
}

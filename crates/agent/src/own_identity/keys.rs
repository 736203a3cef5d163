//! The keys of the agent's SVID: two names in the key manager, used in turn, so that the key in use stays
//! until its successor is in use.

use finial_identity::key::KeyError;
use finial_identity::x509::{Certificate, CsrRequest, DistinguishedName, assemble, csr_to_be_signed};
use finial_identity::{Failure, KeyType, PublicKey, SignatureScheme};
use finial_plugin::key_manager::{KeyManager, SigningKey};
use finial_wire::tls::TlsSigner;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The two names, which are SPIRE's.
const NAMES: [&str; 2] = ["agent-svid-A", "agent-svid-B"];

/// The keys in the key manager.
pub struct AgentKeys {
    manager: Arc<dyn KeyManager>,
    in_use: Mutex<usize>,
}

/// One key, able to sign for TLS and for certificate requests.
pub struct AgentKey {
    key: Arc<dyn SigningKey>,
    position: usize,
}

impl AgentKeys {
    /// Keys of this manager.
    pub fn new(manager: Arc<dyn KeyManager>) -> Self {
        Self { manager, in_use: Mutex::new(1) }
    }

    /// The signer of a certificate's key, if the manager has it.
    pub async fn signer_for(&self, leaf: &Certificate) -> Option<Arc<dyn TlsSigner>> {
        for (position, name) in NAMES.iter().enumerate() {
            let Ok(Some(key)) = self.manager.key_get(name).await else { continue };
            if key.public_key().spki() == leaf.spki() {
                *self.in_use.lock().unwrap_or_else(PoisonError::into_inner) = position;
                return Some(AgentKey { key, position }.tls_signer());
            }
        }
        None
    }

    /// Makes the next key.
    pub async fn next(&self) -> Result<AgentKey, Failure> {
        let position = 1 - *self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let made = self.manager.key_generate(NAMES[position], KeyType::EcP256).await;
        let key = made.map_err(|e| Failure::internal(e.to_string()))?;
        Ok(AgentKey { key, position })
    }

    /// Says that the key is in use now, so that the other name is next.
    pub fn took_up(&self, key: &AgentKey) {
        *self.in_use.lock().unwrap_or_else(PoisonError::into_inner) = key.position;
    }
}

impl AgentKey {
    /// For TLS.
    pub fn tls_signer(&self) -> Arc<dyn TlsSigner> {
        Arc::new(InlineSigner(Arc::clone(&self.key)))
    }

    /// A certificate request of this key. The server takes nothing from it but the key.
    pub async fn csr(&self) -> Result<Vec<u8>, Failure> {
        let key = self.key.public_key();
        let failed = |what: String| Failure::internal(format!("cannot make a certificate request: {what}"));
        let scheme = key.certificate_scheme().ok_or_else(|| failed(KeyError::Unsupported.to_string()))?;
        let request = CsrRequest { subject: DistinguishedName::spire(), spiffe_id: None, dns_names: &[] };
        let unsigned = csr_to_be_signed(key, &request);
        let signature = self.key.sign(scheme, &unsigned).await.map_err(|e| failed(e.to_string()))?;
        Ok(assemble(&unsigned, scheme, &signature))
    }
}

/// Signs handshakes with a key of a key manager that is in this process.
struct InlineSigner(Arc<dyn SigningKey>);

impl fmt::Debug for InlineSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InlineSigner")
    }
}

impl TlsSigner for InlineSigner {
    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        // Only key managers in other processes have no inline signature, and there is none for agents.
        let signature = self.0.sign_inline(scheme, message).ok_or(KeyError::Failed)?;
        signature.map_err(|_| KeyError::Failed)
    }
}

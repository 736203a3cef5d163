//! The server's own SVID, `spiffe://<trust domain>/spire/server`: issued by the authority itself, with a key
//! that lives in this process only. Whoever serves TLS keeps it and asks when to replace it.

use super::Authority;
use super::error::{AuthorityError, OwnIdentityError};
use super::numbers::internal;
use finial_identity::x509::Certificate;
use finial_identity::{KeyType, PrivateKey, UnixTime};
use finial_wire::tls::LocalIdentity;
use std::sync::Arc;

impl Authority {
    /// Makes a key and issues the server's SVID for it.
    pub async fn issue_server_identity(&self) -> Result<LocalIdentity, AuthorityError> {
        Ok(self.numbers.own_svid.measure(self.own_identity(), internal).await?)
    }

    async fn own_identity(&self) -> Result<LocalIdentity, OwnIdentityError> {
        let key = generate(self.config.ca_key_type).await?;
        let issued = self.issue_server_x509(key.public_key()).await?;
        let chain: Result<Vec<_>, _> = issued.chain.iter().map(|der| Certificate::from_der(der)).collect();
        Ok(LocalIdentity::new(chain.map_err(OwnIdentityError::Chain)?, Arc::new(key))?)
    }

    /// Whether an authority that this SVID of the server's own hangs on is tainted.
    pub fn hangs_on_tainted(&self, chain: &[Certificate]) -> bool {
        self.own_bundle.current().has_tainted_issuer_of(chain)
    }

    /// Whether the server must replace this SVID of its own: it is past half of its life, or an authority
    /// that it hangs on is tainted.
    pub fn must_replace(&self, chain: &[Certificate]) -> bool {
        is_past_half(chain, self.clock.now().into()) || self.hangs_on_tainted(chain)
    }
}

fn is_past_half(chain: &[Certificate], now: UnixTime) -> bool {
    let Some(leaf) = chain.first() else { return true };
    let (begin, end) = (leaf.not_before().seconds(), leaf.not_after().seconds());
    now.seconds() > begin + (end - begin) / 2
}

/// RSA keys take so long that others would wait.
async fn generate(kind: KeyType) -> Result<PrivateKey, OwnIdentityError> {
    let made = tokio::task::spawn_blocking(move || PrivateKey::generate(kind)).await;
    made.unwrap_or(Err(finial_identity::key::KeyError::Failed)).map_err(OwnIdentityError::Key)
}

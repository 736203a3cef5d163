//! The identity that the server shows: `spiffe://<trust domain>/spire/server`, replaced while it serves.

use crate::authority::{Authority, AuthorityError};
use finial_identity::rotation::{no_sooner, x509_svid_rotate_at};
use finial_identity::x509::Certificate;
use finial_runtime::backoff::random_unit;
use finial_runtime::clock::Clock;
use finial_wire::tls::IdentityCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tracing::{info, warn};

/// The server's own SVID and when to replace it.
pub struct ServerIdentity {
    authority: Arc<Authority>,
    cell: Arc<IdentityCell>,
    due: Mutex<SystemTime>,
    clock: Arc<dyn Clock>,
}

impl ServerIdentity {
    /// Issues the first one.
    pub async fn issue(
        authority: Arc<Authority>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, AuthorityError> {
        let due = Mutex::new(SystemTime::UNIX_EPOCH);
        let identity = Arc::new(Self { authority, cell: IdentityCell::empty(), due, clock });
        identity.renew().await?;
        Ok(identity)
    }

    /// Where TLS finds it.
    pub fn cell(&self) -> Arc<IdentityCell> {
        Arc::clone(&self.cell)
    }

    /// The certificates, leaf first.
    pub fn chain(&self) -> Vec<Certificate> {
        self.cell.current().map(|identity| identity.svid().chain.clone()).unwrap_or_default()
    }

    /// Issues a new one at half of the life of the old, or as soon as its authority is tainted.
    pub async fn renew_if_due(&self) -> Result<(), AuthorityError> {
        let due = *self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_tainted() {
            warn!("Server SVID signed using a tainted authority, forcing rotation of the Server SVID");
        } else if self.clock.now() < due {
            return Ok(());
        }
        self.renew().await
    }

    fn is_tainted(&self) -> bool {
        let chain = self.chain();
        chain.iter().any(|certificate| self.authority.is_tainted(&certificate.authority_key_id_hex()))
    }

    async fn renew(&self) -> Result<(), AuthorityError> {
        let identity = self.authority.issue_server_identity().await?;
        let leaf = identity.svid().leaf();
        let due = x509_svid_rotate_at(leaf.not_before(), leaf.not_after(), None, random_unit());
        let due = no_sooner(due, self.clock.now(), leaf.not_after());
        info!(
            spiffe_id = %identity.id(),
            expires_at = leaf.not_after().seconds(),
            "Server SVID issued"
        );
        self.cell.set(identity);
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) = due;
        Ok(())
    }
}

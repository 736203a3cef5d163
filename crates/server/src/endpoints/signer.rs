//! The identity that the server shows: `spiffe://<trust domain>/spire/server`, replaced while it serves.

use crate::authority::{Authority, AuthorityError};
use finial_identity::x509::Certificate;
use finial_runtime::logging::rfc3339;
use finial_runtime::reconcile::Bell;
use finial_wire::tls::IdentityCell;
use std::sync::Arc;
use tracing::{debug, info};

/// The part of the server that log lines name.
const SUBSYSTEM: &str = "svid_rotator";

/// The server's own SVID.
pub struct ServerIdentity {
    authority: Arc<Authority>,
    cell: Arc<IdentityCell>,
    bell: Bell,
}

impl ServerIdentity {
    /// Issues the first one.
    pub async fn issue(authority: Arc<Authority>) -> Result<Arc<Self>, AuthorityError> {
        let identity = Arc::new(Self { authority, cell: IdentityCell::empty(), bell: Bell::new() });
        identity.renew().await?;
        Ok(identity)
    }

    /// Where TLS finds it.
    pub fn cell(&self) -> Arc<IdentityCell> {
        Arc::clone(&self.cell)
    }

    /// Asks for a look whether it must be replaced, as after a taint.
    pub fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// The certificates, leaf first.
    pub fn chain(&self) -> Vec<Certificate> {
        self.cell.current().map(|identity| identity.svid().chain.clone()).unwrap_or_default()
    }

    /// Issues a new one at half of the life of the old, or as soon as an authority it hangs on is tainted.
    pub async fn renew_if_due(&self) -> Result<(), AuthorityError> {
        let chain = self.chain();
        if !self.authority.must_replace(&chain) {
            return Ok(());
        }
        if self.authority.hangs_on_tainted(&chain) {
            info!(
                subsystem_name = SUBSYSTEM,
                "Server SVID signed using a tainted authority, forcing rotation of the Server SVID"
            );
        }
        self.renew().await
    }

    async fn renew(&self) -> Result<(), AuthorityError> {
        debug!(subsystem_name = SUBSYSTEM, "Rotating server SVID");
        let identity = self.authority.issue_server_identity().await?;
        let expiration = rfc3339(identity.svid().leaf().not_after().to_system_time());
        debug!(expiration, spiffe_id = %identity.id(), subsystem_name = SUBSYSTEM, "Signed X509 SVID");
        self.cell.set(identity);
        Ok(())
    }
}

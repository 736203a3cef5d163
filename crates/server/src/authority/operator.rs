//! What operators may do with signing authorities: look, prepare, activate, taint, revoke.
//!
//! The rules and their texts are in `rules`; here they meet bundle and journal. Every method decides
//! and acts while nobody else can: two operators cannot cross.

use super::error::PrepareError;
use super::slot::{AuthorityInfo, AuthorityState, Place, SigningAuthority, SlotPair};
use super::{Authority, log_span};
use finial_identity::{AuthorityId, Code, Failure};
use finial_plugin::datastore::BundleChange;
use finial_runtime::logging::chain;
use tracing::{Instrument, info, warn};

impl Authority {
    /// The X.509 authorities of this server.
    pub fn x509_state(&self) -> AuthorityState {
        self.states.load().x509.clone()
    }

    /// The JWT authorities of this server.
    pub fn jwt_state(&self) -> AuthorityState {
        self.states.load().jwt.clone()
    }

    /// Prepares a successor of the active X.509 authority now, in place of whatever is in the next slot.
    pub async fn prepare_x509_authority(&self) -> Result<AuthorityInfo, Failure> {
        let mut workshop = self.workshop.lock().await;
        workshop.x509.may_prepare()?;
        let prepared = self.prepare_x509(&mut workshop, Place::Next).instrument(log_span()).await;
        prepared.map_err(|error| not_prepared("X.509", &error))?;
        shown(workshop.x509.state().prepared)
    }

    /// Lets the prepared X.509 authority take over now.
    pub async fn activate_x509_authority(&self, id: &AuthorityId) -> Result<AuthorityInfo, Failure> {
        let mut workshop = self.workshop.lock().await;
        workshop.x509.may_activate(id)?;
        self.warn_of_unaware(&workshop.x509);
        self.activate_x509(&mut workshop).instrument(log_span()).await;
        shown(workshop.x509.state().active)
    }

    /// Marks the old X.509 authority in the bundle as no longer to be used: whoever holds an SVID of it
    /// replaces it.
    pub async fn taint_x509_authority(&self, id: &AuthorityId) -> Result<AuthorityInfo, Failure> {
        self.require_no_upstream("tainted")?;
        let workshop = self.workshop.lock().await;
        let tainted = workshop.x509.may_taint(id)?;
        let changed = self.own_bundle.apply(BundleChange::TaintX509(id.clone())).await;
        changed.map_err(|e| Failure::internal(format!("failed to taint X.509 authority: {e}")))?;
        info!(local_authority_id = id.as_str(), "X.509 authority tainted successfully");
        Ok(tainted)
    }

    /// Removes the old X.509 authority, which must be tainted, from the bundle.
    pub async fn revoke_x509_authority(&self, id: &AuthorityId) -> Result<(), Failure> {
        self.require_no_upstream("revoked")?;
        let workshop = self.workshop.lock().await;
        workshop.x509.may_revoke_x509(id)?;
        let changed = self.own_bundle.apply(BundleChange::RevokeX509(id.clone())).await;
        changed.map_err(|e| Failure::internal(format!("failed to revoke X.509 authority: {e}")))?;
        info!(local_authority_id = id.as_str(), "X.509 authority revoked successfully");
        Ok(())
    }

    /// An operator's word counts at once, but may be hasty.
    fn warn_of_unaware<A: SigningAuthority>(&self, pair: &SlotPair<A>) {
        if let Some((held, unaware)) = self.count_unaware(pair, self.clock.now())
            && unaware > 0
        {
            warn!(
                local_authority_id = held.info.id.as_str(),
                count = unaware,
                "The authority is activated before all agents know it: what it signs may be refused until they do"
            );
        }
    }

    /// Marks an upstream authority, which must have signed the old X.509 authority and not the active one, in
    /// the bundle as no longer to be used. The ID may be of either case; what comes back is as stored.
    pub async fn taint_x509_upstream_authority(&self, id: &str) -> Result<AuthorityId, Failure> {
        let workshop = self.workshop.lock().await;
        self.require_upstream()?;
        let id = AuthorityId::new(id.to_lowercase());
        workshop.x509.may_use_upstream(&id, "provided subject key id is not valid")?;
        let changed = self.own_bundle.apply(BundleChange::TaintX509(id.clone())).await;
        changed.map_err(|e| Failure::internal(format!("failed to taint upstream authority: {e}")))?;
        info!(subject_key_id = id.as_str(), "X.509 upstream authority tainted successfully");
        Ok(id)
    }

    /// Removes a tainted upstream authority, under the same conditions, from the bundle.
    pub async fn revoke_x509_upstream_authority(&self, id: &str) -> Result<AuthorityId, Failure> {
        let workshop = self.workshop.lock().await;
        self.require_upstream()?;
        let id = AuthorityId::new(id.to_lowercase());
        workshop.x509.may_use_upstream(&id, "invalid subject key ID")?;
        let changed = self.own_bundle.apply(BundleChange::RevokeX509(id.clone())).await;
        changed.map_err(|e| Failure::internal(format!("failed to revoke X.509 upstream authority: {e}")))?;
        info!(subject_key_id = id.as_str(), "X.509 upstream authority successfully revoked");
        Ok(id)
    }

    fn require_upstream(&self) -> Result<(), Failure> {
        let missing = || Failure::new(Code::FailedPrecondition, "upstream authority is not configured");
        self.above.as_ref().map(|_| ()).ok_or_else(missing)
    }

    /// What an upstream authority answers for is tainted and revoked there.
    fn require_no_upstream(&self, doing: &str) -> Result<(), Failure> {
        let text = || format!("local authority can't be {doing} if there is an upstream authority");
        match self.above {
            None => Ok(()),
            Some(_) => Err(Failure::new(Code::FailedPrecondition, text())),
        }
    }

    /// Prepares a successor of the active JWT authority now, in place of whatever is in the next slot.
    pub async fn prepare_jwt_authority(&self) -> Result<AuthorityInfo, Failure> {
        self.require_jwt()?;
        let mut workshop = self.workshop.lock().await;
        workshop.jwt.may_prepare()?;
        let prepared = self.prepare_jwt(&mut workshop, Place::Next).instrument(log_span()).await;
        prepared.map_err(|error| not_prepared("JWT", &error))?;
        shown(workshop.jwt.state().prepared)
    }

    /// Lets the prepared JWT authority take over now.
    pub async fn activate_jwt_authority(&self, id: &AuthorityId) -> Result<AuthorityInfo, Failure> {
        self.require_jwt()?;
        let mut workshop = self.workshop.lock().await;
        workshop.jwt.may_activate(id)?;
        self.warn_of_unaware(&workshop.jwt);
        self.activate_jwt(&mut workshop).instrument(log_span()).await;
        shown(workshop.jwt.state().active)
    }

    /// Marks the old JWT authority in the bundle as no longer to be used.
    pub async fn taint_jwt_authority(&self, id: &AuthorityId) -> Result<AuthorityInfo, Failure> {
        self.require_jwt()?;
        let workshop = self.workshop.lock().await;
        let tainted = workshop.jwt.may_taint(id)?;
        let changed = self.own_bundle.apply(BundleChange::TaintJwt(id.clone())).await;
        changed.map_err(|e| Failure::internal(format!("failed to taint JWT authority: {e}")))?;
        info!(local_authority_id = id.as_str(), "JWT authority tainted successfully");
        Ok(tainted)
    }

    /// Removes a JWT authority, which must be tainted and neither sign nor be about to, from the bundle.
    pub async fn revoke_jwt_authority(&self, id: &AuthorityId) -> Result<(), Failure> {
        self.require_jwt()?;
        let workshop = self.workshop.lock().await;
        workshop.jwt.may_revoke_jwt(id, &self.own_bundle.current())?;
        let changed = self.own_bundle.apply(BundleChange::RevokeJwt(id.clone())).await;
        changed.map_err(|e| Failure::internal(format!("failed to revoke JWT authority: {e}")))?;
        info!(local_authority_id = id.as_str(), "JWT authority revoked successfully");
        Ok(())
    }
}

fn not_prepared(kind: &str, error: &PrepareError) -> Failure {
    Failure::internal(format!("failed to prepare {kind} authority: {}", chain(error)))
}

fn shown(info: Option<AuthorityInfo>) -> Result<AuthorityInfo, Failure> {
    info.ok_or_else(|| Failure::internal("current slot does not contain authority ID"))
}

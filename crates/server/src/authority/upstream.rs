//! The authority above, if there is one: what is known there is known here, and the other way round.
//!
//! Roots and JWT authorities come down, JWT authorities go up. When a root is tainted above, the active
//! authority is first replaced by one that does not hang on it; only then is the root tainted here, which makes
//! agents and servers below replace what they have. A root that is tainted here and gone above is revoked.

use super::error::{AuthorityError, PrepareError};
use super::lifecycle::Workshop;
use super::signing::X509Ca;
use super::slot::Place;
use super::{Authority, log_span};
use finial_identity::{AuthorityId, Bundle, Code, Failure, JwtAuthority, X509Authority};
use finial_plugin::datastore::{BundleChange, StoreError, StoreResult};
use finial_plugin::upstream_authority::{BundleUpdates, RootUpdates, UpstreamAuthority, UpstreamBundle};
use finial_runtime::backoff::{Backoff, Params, random_unit};
use finial_runtime::logging::chain;
use finial_runtime::reconcile::Bell;
use futures_util::{StreamExt, stream};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::{Instrument, error, info, warn};

/// Longest wait for a JWT authority to be known above.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(5);
/// Waits between attempts to do what a change above asks for.
const RETRY_FIRST: Duration = Duration::from_secs(5);
const RETRY_LONGEST: Duration = Duration::from_secs(60);

/// Who is above, and what is heard from there.
pub(super) struct Above {
    plugin: Arc<dyn UpstreamAuthority>,
    /// What came with the last certificate, until the follower takes it.
    updates: Mutex<Option<RootUpdates>>,
    has_updates: Bell,
    told_of_jwt: AtomicBool,
}

impl Above {
    pub(super) fn new(plugin: Arc<dyn UpstreamAuthority>) -> Self {
        let (updates, has_updates) = (Mutex::new(None), Bell::new());
        Self { plugin, updates, has_updates, told_of_jwt: AtomicBool::new(false) }
    }

    pub(super) fn plugin(&self) -> &dyn UpstreamAuthority {
        &*self.plugin
    }

    /// From now on the follower listens to these updates instead of earlier ones.
    pub(super) fn listen_to(&self, updates: RootUpdates) {
        *self.updates.lock().unwrap_or_else(PoisonError::into_inner) = Some(updates);
        self.has_updates.ring();
    }

    fn take_updates(&self) -> Option<RootUpdates> {
        self.updates.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn warn_of_jwt(&self) {
        if !self.told_of_jwt.swap(true, Ordering::Relaxed) {
            warn!(
                plugin_name = self.plugin.name(),
                "UpstreamAuthority plugin does not support JWT-SVIDs. Workloads managed by this server may have \
                 trouble communicating with workloads outside this cluster when using JWT-SVIDs."
            );
        }
    }
}

/// Why a JWT authority is not known everywhere.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Not above.
    #[error("failed to publish the JWT key upstream: {0}")]
    Upstream(Failure),
    /// Not here.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Authority {
    /// Makes a JWT authority known, above first if there is an above, and gives the bundle with it.
    pub async fn publish_jwt_key(&self, key: JwtAuthority) -> Result<Arc<Bundle>, PublishError> {
        let mut jwt = vec![key];
        if let Some(above) = &self.above {
            let publishing = above.plugin.publish_jwt_key(&jwt[0]);
            let timed_out = |_| Failure::new(Code::DeadlineExceeded, "no answer from above");
            match tokio::time::timeout(PUBLISH_PATIENCE, publishing).await.map_err(timed_out).flatten() {
                Ok(known) => jwt = known,
                Err(failure) if failure.code == Code::Unimplemented => above.warn_of_jwt(),
                Err(failure) => return Err(PublishError::Upstream(failure)),
            }
        }
        Ok(self.own_bundle.apply(BundleChange::Append { x509: Vec::new(), jwt }).await?)
    }

    /// Keeps this server in step with what is above, if anything is, for as long as it is polled.
    pub async fn follow_upstream(&self) {
        match &self.above {
            None => std::future::pending().await,
            Some(above) => self.follow(above).instrument(log_span()).await,
        }
    }

    async fn follow(&self, above: &Above) {
        let mut roots: RootUpdates = stream::pending().boxed();
        let mut bundles = std::pin::pin!(stream::unfold(None, |held| self.next_bundle(above, held)).fuse());
        let mut backoff = Backoff::new(Params::new(RETRY_FIRST).max_interval(RETRY_LONGEST));
        let (mut unsettled, mut wait) = (None, RETRY_FIRST);
        loop {
            let update = tokio::select! {
                () = above.has_updates.heard() => {
                    roots = above.take_updates().unwrap_or_else(|| stream::pending().boxed());
                    continue;
                }
                update = roots.next() => match update {
                    Some(Ok(x509_authorities)) => UpstreamBundle { x509_authorities, ..UpstreamBundle::default() },
                    ended => {
                        report_end(ended.and_then(Result::err));
                        roots = stream::pending().boxed();
                        continue;
                    }
                },
                Some(update) = bundles.next() => update,
                () = self.clock.sleep(wait), if unsettled.is_some() => unsettled.take().unwrap_or_default(),
            };
            match self.take_over(&update).await {
                Ok(()) => {
                    unsettled = None;
                    backoff.reset();
                }
                Err(error) => {
                    warn!(error = %chain(&error), "Failed to process tainted keys on upstream authority");
                    wait = backoff.next_wait(Duration::ZERO, random_unit()).unwrap_or(RETRY_LONGEST);
                    unsettled = Some(update);
                }
            }
        }
    }

    /// The next state of the bundle above; asks again for updates that have ended.
    async fn next_bundle(
        &self,
        above: &Above,
        mut held: Option<BundleUpdates>,
    ) -> Option<(UpstreamBundle, Option<BundleUpdates>)> {
        loop {
            let updates = match &mut held {
                Some(updates) => updates,
                None => match above.plugin.follow_local_bundle().await {
                    Ok(updates) => held.insert(updates),
                    Err(failure) if failure.code == Code::Unimplemented => return None,
                    Err(failure) => {
                        warn!(error = %failure, "Failed to fetch the bundle of the upstream authority");
                        self.clock.sleep(RETRY_FIRST).await;
                        continue;
                    }
                },
            };
            match updates.next().await {
                Some(Ok(bundle)) => return Some((bundle, held)),
                Some(Err(failure)) => warn!(error = %failure, "Failed to fetch bundle while polling"),
                None => {
                    held = None;
                    self.clock.sleep(RETRY_FIRST).await;
                }
            }
        }
    }

    /// Does what a state of things above asks for.
    async fn take_over(&self, above: &UpstreamBundle) -> Result<(), AuthorityError> {
        let mut workshop = self.workshop.lock().await;
        let roots = &above.x509_authorities;
        let tainted = newly_tainted(&self.own_bundle.current(), roots);
        if !tainted.is_empty() {
            self.leave(&mut workshop, &tainted).await.map_err(AuthorityError::RotateX509)?;
        }
        for id in ids(&tainted) {
            let changed = self.own_bundle.apply(BundleChange::TaintX509(id.clone())).await;
            changed.map_err(AuthorityError::FollowUpstream)?;
            info!(subject_key_id = id.as_str(), "X.509 authority tainted");
        }
        self.take_over_roots(roots).await.map_err(AuthorityError::FollowUpstream)?;
        self.take_over_keys(&above.jwt_authorities).await.map_err(AuthorityError::FollowUpstream)
    }

    /// Replaces the active X.509 authority if it hangs on one of these.
    async fn leave(&self, workshop: &mut Workshop, tainted: &[X509Authority]) -> Result<(), PrepareError> {
        let hangs = |authority: &X509Ca| tainted.iter().any(|root| authority.hangs_on(&root.certificate));
        if !workshop.x509.active().is_some_and(|(_, _, active)| hangs(active)) {
            return Ok(());
        }
        info!("Current root CA is signed by a tainted upstream authority, preparing rotation");
        if workshop.x509.next.prepared().is_none_or(|(_, prepared)| hangs(prepared)) {
            self.prepare_x509(workshop, Place::Next).await?;
        }
        self.activate_x509(workshop).await;
        Ok(())
    }

    /// Adds roots that are new, and revokes those that are tainted here and gone above.
    pub(super) async fn take_over_roots(&self, roots: &[X509Authority]) -> StoreResult<()> {
        let known = self.own_bundle.current();
        let is_known = |root: &X509Authority| {
            let mut known = known.x509_authorities.iter();
            known
                .any(|known| known.certificate == root.certificate || root.tainted && known.id() == root.id())
        };
        let x509: Vec<X509Authority> = roots.iter().filter(|root| !is_known(root)).cloned().collect();
        if !x509.is_empty() {
            self.own_bundle.apply(BundleChange::Append { x509, jwt: Vec::new() }).await?;
        }
        let there: BTreeSet<AuthorityId> = ids(roots);
        let tainted = known.x509_authorities.iter().filter(|root| root.tainted && !there.is_empty());
        for id in tainted.map(X509Authority::id).filter(|id| !there.contains(id)).collect::<BTreeSet<_>>() {
            self.own_bundle.apply(BundleChange::RevokeX509(id.clone())).await?;
            info!(subject_key_id = id.as_str(), "X.509 authority revoked");
        }
        Ok(())
    }

    /// Adds JWT authorities that are new, taints those that are tainted above, and revokes those that are
    /// tainted here and gone above. An update without any says nothing about them.
    async fn take_over_keys(&self, keys: &[JwtAuthority]) -> StoreResult<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let known = self.own_bundle.current();
        let new = keys.iter().filter(|key| known.find_jwt(&key.key_id).is_none());
        let jwt: Vec<JwtAuthority> = new.cloned().collect();
        if !jwt.is_empty() {
            self.own_bundle.apply(BundleChange::Append { x509: Vec::new(), jwt }).await?;
        }
        for key in &known.jwt_authorities {
            match keys.iter().find(|there| there.key_id == key.key_id) {
                Some(there) if there.tainted && !key.tainted => {
                    self.own_bundle.apply(BundleChange::TaintJwt(key.id())).await?;
                    info!(local_authority_id = key.key_id, "JWT authority tainted");
                }
                None if key.tainted => {
                    self.own_bundle.apply(BundleChange::RevokeJwt(key.id())).await?;
                    info!(local_authority_id = key.key_id, "JWT authority revoked");
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn report_end(failure: Option<Failure>) {
    if let Some(failure) = failure {
        error!(error = %failure, "The upstream authority plugin stopped streaming X.509 root updates prematurely");
    }
}

fn ids(authorities: &[X509Authority]) -> BTreeSet<AuthorityId> {
    authorities.iter().map(X509Authority::id).collect()
}

/// The authorities known here that are tainted above and not yet here.
fn newly_tainted(known: &Bundle, above: &[X509Authority]) -> Vec<X509Authority> {
    let tainted: BTreeSet<AuthorityId> =
        above.iter().filter(|root| root.tainted).map(X509Authority::id).collect();
    let known = known.x509_authorities.iter();
    known.filter(|root| !root.tainted && tainted.contains(&root.id())).cloned().collect()
}

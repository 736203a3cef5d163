//! The agent's own SVID: found on disk or attested, renewed at half of its life, given up when the server
//! says so.
//!
//! A server that cannot be reached is waited for, however long it takes. Only a verdict ends the agent: it
//! is banned, or it is no longer known and has no way to attest again.

mod attest;
mod keys;
mod verdicts;

pub use attest::{AttestParts, Attester};
pub use keys::AgentKeys;
pub use verdicts::Verdicts;

use crate::config::{AgentConfig, RebootstrapMode};
use crate::directory::Directory;
use crate::storage::{Remembered, Storage};
use crate::upstream::Upstream;
use finial_identity::rotation::{no_sooner, x509_svid_rotate_at};
use finial_identity::x509::Certificate;
use finial_identity::{Bundle, Code, DenialReason, Failure, UnixTime, X509Authority};
use finial_runtime::backoff::{Backoff, Params, random_unit};
use finial_runtime::clock::Clock;
use finial_runtime::files::FileError;
use finial_runtime::logging::go_time;
use finial_runtime::tasks::Shutdown;
use finial_wire::tls::{IdentityCell, LocalIdentity};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tracing::{Instrument, debug, error, error_span, info, warn};

/// First wait between attempts to attest.
const ATTEST_WAIT: Duration = Duration::from_secs(5);
/// Longest wait between attempts.
const ATTEST_WAIT_MAX: Duration = Duration::from_secs(60);
/// How long refusals (as opposed to silence) are taken before the agent gives up, as SPIRE does.
const REFUSED_FOR_MAX: Duration = Duration::from_secs(60);
/// How often the SVID is looked after.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// First and longest wait between attempts to renew.
const RENEW_WAIT: Duration = Duration::from_secs(5);
const RENEW_WAIT_MAX: Duration = Duration::from_secs(60);

/// Why an agent ends.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The operator banned it.
    #[error(
        "agent is banned: its SVID was removed; evict the agent at the server before it can attest again"
    )]
    Banned,
    /// The server does not know it any more, and its attestor works only once.
    #[error(
        "the server no longer accepts this agent ({0:?}) and its node attestor cannot attest again; its SVID \
         was removed. Start it with a new join token"
    )]
    GivenUp(DenialReason),
    /// The server refuses the proof.
    #[error("failed to attest: {0}")]
    Refused(Failure),
    /// The server is not one that the bundle vouches for, and the operator asked to start anew.
    #[error(
        "the server is not trusted any more: bundle and SVID were removed, to bootstrap at the next start"
    )]
    Rebootstrap,
    /// What must be remembered cannot be written.
    #[error(transparent)]
    Storage(#[from] FileError),
}

/// The keeper of the agent's SVID.
pub struct OwnIdentity {
    config: Arc<AgentConfig>,
    cell: Arc<IdentityCell>,
    storage: Storage,
    keys: AgentKeys,
    attester: Attester,
    upstream: Arc<dyn Upstream>,
    directory: Directory,
    verdicts: Verdicts,
    clock: Arc<dyn Clock>,
    can_reattest: bool,
    rotate_at: SystemTime,
}

/// What the keeper works with.
pub struct OwnIdentityParts {
    /// What the operator wants.
    pub config: Arc<AgentConfig>,
    /// Where TLS finds the identity.
    pub cell: Arc<IdentityCell>,
    /// What is remembered over a restart.
    pub storage: Storage,
    /// Keys of the SVID.
    pub keys: AgentKeys,
    /// How to attest.
    pub attester: Attester,
    /// The server, for renewals.
    pub upstream: Arc<dyn Upstream>,
    /// Where the bundle is.
    pub directory: Directory,
    /// Refusals that others met.
    pub verdicts: Verdicts,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl OwnIdentity {
    /// A keeper that has nothing yet.
    pub fn new(parts: OwnIdentityParts) -> Self {
        let OwnIdentityParts { config, cell, storage, keys, attester, upstream, directory, verdicts, clock } =
            parts;
        let rotate_at = SystemTime::UNIX_EPOCH;
        Self {
            config,
            cell,
            storage,
            keys,
            attester,
            upstream,
            directory,
            verdicts,
            clock,
            can_reattest: false,
            rotate_at,
        }
    }

    /// Finds or earns an SVID and looks after it until the process stops.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), IdentityError> {
        tokio::select! {
            outcome = self.keep() => outcome,
            () = shutdown.stopping() => Ok(()),
        }
    }

    async fn keep(&mut self) -> Result<(), IdentityError> {
        self.begin().instrument(error_span!("part", subsystem_name = "attestor")).await?;
        self.look_after().instrument(error_span!("part", subsystem_name = "manager")).await
    }

    async fn begin(&mut self) -> Result<(), IdentityError> {
        if self.recover().await? { Ok(()) } else { self.attest().await }
    }

    async fn look_after(&mut self) -> Result<(), IdentityError> {
        if let Err(failure) = self.upstream.post_status(&self.config.version).await {
            error!(agent_version = self.config.version, error = %failure, "Failed to post agent status");
            self.judge(failure.reason).await?;
        }
        let mut bundles = self.directory.watch_bundles();
        let mut backoff = Backoff::new(Params::new(RENEW_WAIT).max_interval(RENEW_WAIT_MAX));
        // The first look is at once: an agent that restarts often must renew, too.
        let mut next_look = self.clock.now();
        loop {
            // A clock that was set back must not make it wait until it is that late again.
            next_look = next_look.min(self.clock.now() + RENEW_WAIT_MAX);
            tokio::select! {
                reason = self.verdicts.next() => self.judge(Some(reason)).await?,
                changed = bundles.changed() => {
                    if changed.is_ok() {
                        self.remember_bundle()?;
                    }
                }
                () = self.clock.sleep_until(next_look) => {
                    next_look = self.clock.now() + LOOK_EVERY;
                    if self.is_due() {
                        match self.renew().await {
                            Ok(()) => backoff.reset(),
                            Err(failure) => {
                                error!(error = %failure, "Could not {}", self.way_to_rotate());
                                self.judge(failure.reason).await?;
                                let wait = backoff.next_wait(Duration::ZERO, random_unit());
                                next_look = self.clock.now() + wait.unwrap_or(RENEW_WAIT_MAX);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Takes up the SVID of the last run, if it is there, still valid, and its key too.
    async fn recover(&mut self) -> Result<bool, IdentityError> {
        let now = self.clock.now();
        let remembered = self.storage.load(now)?;
        if let Some(bundle) = self.bundle_of(&remembered) {
            info!(trust_domain_id = %self.config.trust_domain.id(), "Bundle loaded");
            self.directory.change(|cache| {
                let next = cache.bundles().replaced_by([bundle]);
                cache.set_bundles(next)
            });
        } else {
            info!("Bundle is not found");
        }
        let chain: Result<Vec<Certificate>, _> =
            remembered.svid.iter().map(|der| Certificate::from_der(der)).collect();
        let chain = match chain {
            Ok(chain) if !chain.is_empty() => chain,
            _ => {
                info!("SVID is not found. Starting node attestation");
                return Ok(false);
            }
        };
        let Some(leaf) = chain.first() else { return Ok(false) };
        if leaf.not_after() <= UnixTime::from(now).plus_seconds(1) {
            let expiry = go_time(leaf.not_after().to_system_time());
            warn!(expiry, "SVID key recovered, but SVID is expired. Generating new keypair");
            return Ok(false);
        }
        let Some(signer) = self.keys.signer_for(leaf).await else {
            warn!("SVID recovered, but no SVID key found. Generating new keypair");
            return Ok(false);
        };
        match LocalIdentity::new(chain, signer) {
            Ok(identity) if *identity.id().trust_domain() == self.config.trust_domain => {
                info!(spiffe_id = %identity.id(), trust_domain_id = %self.config.trust_domain.id(), "SVID loaded");
                self.can_reattest = remembered.can_reattest;
                self.take_up(identity);
                Ok(true)
            }
            Ok(identity) => {
                warn!(spiffe_id = %identity.id(), "The remembered SVID is of another trust domain. Starting node attestation");
                Ok(false)
            }
            Err(error) => {
                warn!(error = %error, "The remembered SVID cannot be used. Starting node attestation");
                Ok(false)
            }
        }
    }

    fn bundle_of(&self, remembered: &Remembered) -> Option<Bundle> {
        let mut bundle = Bundle::new(self.config.trust_domain.clone());
        for der in &remembered.bundle {
            bundle.x509_authorities.push(X509Authority::new(Certificate::from_der(der).ok()?));
        }
        (!bundle.x509_authorities.is_empty()).then_some(bundle)
    }

    fn take_up(&mut self, identity: LocalIdentity) {
        let leaf = identity.svid().leaf();
        let target = self.config.sign.availability_target;
        let rotate_at = x509_svid_rotate_at(leaf.not_before(), leaf.not_after(), target, random_unit());
        self.rotate_at = no_sooner(rotate_at, self.clock.now(), leaf.not_after());
        self.cell.set(identity);
    }

    /// Attests, as often as it takes. Silence is waited out; refusals are not.
    async fn attest(&mut self) -> Result<(), IdentityError> {
        let mut backoff = Backoff::new(Params::new(ATTEST_WAIT).max_interval(ATTEST_WAIT_MAX));
        let mut refused_since: Option<SystemTime> = None;
        loop {
            let failure = match self.attest_once().await {
                Ok(()) => return Ok(()),
                Err(Step::Storage(error)) => return Err(error.into()),
                Err(Step::Failed(failure)) => failure,
            };
            let now = self.clock.now();
            match failure.code {
                Code::PermissionDenied => return Err(IdentityError::Refused(failure)),
                Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
                    refused_since = None;
                }
                _ => {
                    let since = *refused_since.get_or_insert(now);
                    let wait_would_be = now + backoff_hint(&backoff);
                    if wait_would_be.duration_since(since).is_ok_and(|time| time > REFUSED_FOR_MAX) {
                        return Err(IdentityError::Refused(failure));
                    }
                }
            }
            let wait = backoff.next_wait(Duration::ZERO, random_unit()).unwrap_or(ATTEST_WAIT_MAX);
            warn!(
                error = %failure,
                retry_interval = %finial_runtime::config::GoDuration::from(wait),
                "Failed to retrieve attestation result"
            );
            if self.has_lost_trust(&failure) && self.may_rebootstrap() {
                self.clock.sleep(self.config.rebootstrap_delay).await;
                self.storage.save(&Remembered::default())?;
                return Err(IdentityError::Rebootstrap);
            }
            self.clock.sleep(wait).await;
        }
    }

    async fn attest_once(&mut self) -> Result<(), Step> {
        let key = self.keys.next().await.map_err(Step::Failed)?;
        let known = self.directory.bundles();
        let known = known.own().filter(|bundle| !bundle.x509_authorities.is_empty()).cloned();
        let attested = self.attester.attest(known, &key).await.map_err(Step::Failed)?;
        let identity = LocalIdentity::new(attested.chain.clone(), key.tls_signer())
            .map_err(|e| Step::Failed(Failure::internal(format!("the server sent a wrong SVID: {e}"))))?;
        self.can_reattest = attested.can_reattest;
        self.directory.change(|cache| {
            let next = cache.bundles().replaced_by([attested.bundle]);
            cache.set_bundles(next)
        });
        // Remembered before it is used: after a crash the agent still is who the server thinks it is.
        self.remember(&attested.chain).map_err(Step::Storage)?;
        match self.cell.current() {
            None => info!(
                spiffe_id = %identity.id(),
                reattestable = attested.can_reattest,
                "Node attestation was successful"
            ),
            Some(_) => info!(spiffe_id = %identity.id(), "Successfully reattested node"),
        }
        self.keys.took_up(&key);
        self.take_up(identity);
        Ok(())
    }

    fn way_to_rotate(&self) -> &'static str {
        if self.can_reattest { "reattest agent" } else { "rotate agent SVID" }
    }

    /// Gets the next SVID: by attesting again where that is possible, otherwise by renewal.
    async fn renew(&mut self) -> Result<(), Failure> {
        if self.can_reattest {
            debug!("Reattesting node");
            return match self.attest_once().await {
                Ok(()) => Ok(()),
                Err(Step::Failed(failure)) => Err(failure),
                Err(Step::Storage(error)) => Err(Failure::internal(error.to_string())),
            };
        }
        debug!("Rotating agent SVID");
        let key = self.keys.next().await?;
        let chain = self.upstream.renew_agent(key.csr().await?).await?;
        let identity = LocalIdentity::new(chain.clone(), key.tls_signer())
            .map_err(|e| Failure::internal(format!("the server sent a wrong SVID: {e}")))?;
        self.remember(&chain).map_err(|e| Failure::internal(e.to_string()))?;
        info!(spiffe_id = %identity.id(), "Successfully rotated agent SVID");
        self.keys.took_up(&key);
        self.take_up(identity);
        Ok(())
    }

    fn is_due(&self) -> bool {
        if self.clock.now() >= self.rotate_at {
            return true;
        }
        let Some(identity) = self.cell.current() else { return true };
        let bundles = self.directory.bundles();
        let is_tainted =
            bundles.own().is_some_and(|bundle| bundle.has_tainted_issuer_of(&identity.svid().chain));
        if is_tainted {
            info!("Agent SVID is tainted by a root authority, forcing rotation");
        }
        is_tainted
    }

    /// Acts on what the server said of this agent.
    async fn judge(&mut self, reason: Option<DenialReason>) -> Result<(), IdentityError> {
        let Some(reason) = reason else { return Ok(()) };
        if reason == DenialReason::AgentBanned {
            warn!("Agent is banned: removing SVID and shutting down");
            self.forget()?;
            return Err(IdentityError::Banned);
        }
        if self.can_reattest {
            warn!(?reason, "Agent needs to re-attest; will attempt to re-attest");
            return self.attest().await;
        }
        error!(?reason, "Agent needs to re-attest: removing SVID and shutting down");
        self.forget()?;
        Err(IdentityError::GivenUp(reason))
    }

    fn forget(&mut self) -> Result<(), FileError> {
        self.cell.clear();
        self.remember(&[])
    }

    fn remember(&self, chain: &[Certificate]) -> Result<(), FileError> {
        let bundles = self.directory.bundles();
        let authorities = bundles.own().into_iter().flat_map(|bundle| &bundle.x509_authorities);
        self.storage.save(&Remembered {
            svid: chain.iter().map(|certificate| certificate.der().to_vec()).collect(),
            bundle: authorities.map(|authority| authority.certificate.der().to_vec()).collect(),
            can_reattest: self.can_reattest,
        })
    }

    fn remember_bundle(&self) -> Result<(), FileError> {
        let identity = self.cell.current();
        let chain = identity.map(|identity| identity.svid().chain.clone()).unwrap_or_default();
        // A disk that is full for a while must not end an agent that has all it needs in memory.
        if let Err(error) = self.remember(&chain) {
            error!(error = %error, "Could not remember the bundle; it stays in memory");
        }
        Ok(())
    }

    fn has_lost_trust(&self, failure: &Failure) -> bool {
        let known = self.directory.bundles();
        known.own().is_some_and(|bundle| !bundle.x509_authorities.is_empty())
            && failure.message.contains("certificate signed by unknown authority")
    }

    fn may_rebootstrap(&self) -> bool {
        match self.config.rebootstrap {
            RebootstrapMode::Never => false,
            RebootstrapMode::Auto => self.can_reattest,
            RebootstrapMode::Always => true,
        }
    }
}

/// Where an attempt to attest ended.
enum Step {
    Failed(Failure),
    Storage(FileError),
}

/// How long the next wait will be, roughly.
fn backoff_hint(backoff: &Backoff) -> Duration {
    backoff.clone().next_wait(Duration::ZERO, 0.5).unwrap_or(ATTEST_WAIT_MAX)
}

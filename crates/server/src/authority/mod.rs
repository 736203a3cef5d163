//! The signing authorities of this server, and everything they sign.
//!
//! For the API, which issues SVIDs through [`Authority`], and for the assembly, which has it look after
//! itself every [`AuthorityConfig::rotate_every`]. Who may have which SVID is decided elsewhere.
//!
//! `template` says what is signed, `rotation` when authorities change, `slot` where they are and `rules` what
//! operators may do with them, all four pure; `signing` holds keys with what can be computed once for all
//! that they sign; `issue` signs; `lifecycle` prepares and activates; `operator` does what people ask for;
//! `journal` and `recover` bring authorities over a restart.
//!
//! Readers take a snapshot and never wait; preparing and activating is done by one task at a time. An
//! authority signs only while it has not ended and the bundle has it, untainted.

mod certify;
mod config;
mod downstream;
mod error;
mod issue;
mod journal;
mod lifecycle;
mod numbers;
mod operator;
mod own_identity;
mod recover;
mod rotation;
mod rules;
mod signing;
mod slot;
mod template;
mod upstream;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use config::{AuthorityConfig, JwtSwitch};
pub use downstream::IssuedX509Ca;
pub use error::{AuthorityError, OwnIdentityError, PrepareError, SignError};
pub use issue::{IssuedJwt, IssuedX509, MintX509};
pub use slot::{AuthorityInfo, AuthorityState};
pub use template::{JtiSwitch, JwtRequest};
pub use upstream::PublishError;

use crate::bundle::OwnBundle;
use arc_swap::{ArcSwap, ArcSwapOption};
use finial_plugin::datastore::{DataStore, JournalStore};
use finial_plugin::key_manager::KeyManager;
use finial_plugin::upstream_authority::UpstreamAuthority;
use finial_runtime::clock::Clock;
use journal::Journal;
use lifecycle::Workshop;
use numbers::Numbers;
use signing::{JwtKey, X509Ca};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tracing::{Instrument, Span, warn};
use upstream::Above;

/// How often a server that cannot sign yet asks an upstream authority that is not there.
const UPSTREAM_EVERY: Duration = Duration::from_secs(5);
/// How often journals of servers that are gone are looked for.
pub const PRUNE_JOURNALS_EVERY: Duration = Duration::from_secs(8 * 60 * 60);
/// How often it is looked whether the server's own SVID must be replaced.
pub const OWN_IDENTITY_EVERY: Duration = Duration::from_secs(5);

/// The span of log lines about authorities.
fn log_span() -> Span {
    tracing::error_span!("-", subsystem_name = "ca_manager")
}

/// The signing authorities of this server.
pub struct Authority {
    config: AuthorityConfig,
    keys: Arc<dyn KeyManager>,
    own_bundle: Arc<OwnBundle>,
    /// Who signs our authorities; nobody if they sign themselves.
    above: Option<Above>,
    clock: Arc<dyn Clock>,
    /// The authorities that sign.
    x509: ArcSwapOption<X509Ca>,
    jwt: ArcSwapOption<JwtKey>,
    states: ArcSwap<States>,
    workshop: Mutex<Workshop>,
    numbers: Numbers,
}

#[derive(Default)]
struct States {
    x509: AuthorityState,
    jwt: AuthorityState,
}

impl Authority {
    /// Brings back the authorities of the journal and prepares and activates what is missing. When this
    /// returns, the server can sign.
    pub async fn start(
        config: AuthorityConfig,
        keys: Arc<dyn KeyManager>,
        journals: Arc<dyn DataStore>,
        own_bundle: Arc<OwnBundle>,
        upstream: Option<Arc<dyn UpstreamAuthority>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, AuthorityError> {
        Self::over(config, keys, journals, own_bundle, upstream, clock).await
    }

    pub(crate) async fn over(
        config: AuthorityConfig,
        keys: Arc<dyn KeyManager>,
        journals: Arc<dyn JournalStore>,
        own_bundle: Arc<OwnBundle>,
        upstream: Option<Arc<dyn UpstreamAuthority>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, AuthorityError> {
        async {
            let known = keys.key_list().await.map_err(AuthorityError::ListKeys)?.into_iter().collect();
            let journal = Journal::load(journals, &known).await?;
            let (bundle, now) = (own_bundle.current(), clock.now());
            let x509 = recover::x509_slots(&journal, &known, &bundle, now);
            let jwt = recover::jwt_slots(&journal, &known, &bundle, now);
            let numbers = Numbers::new(&config.metrics, &config.trust_domain);
            let authority = Arc::new(Self {
                numbers,
                config,
                keys,
                own_bundle,
                above: upstream.map(Above::new),
                clock,
                x509: ArcSwapOption::empty(),
                jwt: ArcSwapOption::empty(),
                states: ArcSwap::default(),
                workshop: Mutex::new(Workshop { x509, jwt, journal }),
            });
            authority.begin().await?;
            Ok(authority)
        }
        .instrument(log_span())
        .await
    }

    /// A rotation that fails stops a start only if nothing could sign: it will be tried again soon. An upstream
    /// authority that is not there yet is waited for.
    async fn begin(&self) -> Result<(), AuthorityError> {
        let mut workshop = self.workshop.lock().await;
        self.resume(&workshop);
        let mut rotated = self.rotate(&mut workshop).await;
        while self.lacks_signer() && rotated.as_ref().is_err_and(AuthorityError::is_waiting) {
            warn!("Waiting for the upstream authority");
            self.clock.sleep(UPSTREAM_EVERY).await;
            rotated = self.rotate(&mut workshop).await;
        }
        if self.lacks_signer() { rotated } else { Ok(()) }
    }

    fn lacks_signer(&self) -> bool {
        let lacks_jwt = self.config.jwt == JwtSwitch::Enabled && self.jwt.load().is_none();
        lacks_jwt || self.x509.load().is_none()
    }

    /// Prepares and activates what is due, and saves what could not be saved before. Serving goes on
    /// meanwhile.
    pub async fn rotate_if_due(&self) -> Result<(), AuthorityError> {
        let mut workshop = self.workshop.lock().await;
        self.rotate(&mut workshop).instrument(log_span()).await
    }

    /// Removes the journals of servers that are gone.
    pub async fn prune_journals(&self) -> Result<(), AuthorityError> {
        let (store, own_row) = self.workshop.lock().await.journal.place();
        let pruned = journal::prune(&*store, own_row, self.clock.now()).instrument(log_span()).await;
        pruned.map_err(AuthorityError::PruneJournals)
    }

    /// Lets readers see the slots as they are.
    fn publish(&self, workshop: &Workshop) {
        self.x509.store(workshop.x509.active().map(|(_, _, authority)| Arc::clone(authority)));
        self.jwt.store(workshop.jwt.active().map(|(_, _, authority)| Arc::clone(authority)));
        let states = States { x509: workshop.x509.state(), jwt: workshop.jwt.state() };
        self.states.store(Arc::new(states));
    }
}

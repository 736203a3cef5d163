//! What an agent is told: complete, typed and valid. The door makes it from the operator's file.

use crate::delivery::RateLimits;
use crate::sync::{JwtCacheOptions, SignOptions};
use finial_identity::{Bundle, SpiffeId, TrustDomain};
use finial_plugin::key_manager::KeyManager;
use finial_plugin::node_attestor::AgentNodeAttestor;
use finial_plugin::workload_attestor::WorkloadAttestor;
use finial_runtime::metrics::Metrics;
use finial_wire::channel::TcpTarget;
use finial_wire::tls::KeyExchange;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How an agent comes to trust its server the first time.
#[derive(Debug, Clone)]
pub enum Bootstrap {
    /// By a bundle that the operator gave.
    Bundle(Box<Bundle>),
    /// By a bundle that is fetched anew at each attempt.
    Fetched(Arc<dyn BundleSource>),
    /// By believing the first server that answers. Dangerous: only for trying things out.
    Insecure,
}

/// Where a bootstrap bundle is fetched from.
#[async_trait::async_trait]
pub trait BundleSource: Send + Sync + std::fmt::Debug {
    /// Fetches the bundle. The text of a failure is for the log.
    async fn fetch(&self) -> Result<Bundle, String>;
}

/// What to do when the server is no longer one that the known bundle vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebootstrapMode {
    /// Go on with what is known.
    Never,
    /// Bootstrap again if the agent can attest again.
    Auto,
    /// Bootstrap again in any case.
    Always,
}

/// Who may fetch bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnauthenticatedVerifiers {
    /// Only workloads with an identity.
    Refuse,
    /// Every local process gets the bundle of its own trust domain.
    Allow,
}

/// Everything an agent needs to know.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// Whose agent this is.
    pub trust_domain: TrustDomain,
    /// Its server.
    pub server: TcpTarget,
    /// Where it remembers its SVID.
    pub data_dir: PathBuf,
    /// Where workloads connect; `None` if the Workload API is disabled.
    pub socket_path: Option<PathBuf>,
    /// Where the operator connects; `None` if the admin APIs are off.
    pub admin_socket_path: Option<PathBuf>,
    /// The first trust.
    pub bootstrap: Bootstrap,
    /// When trust is lost.
    pub rebootstrap: RebootstrapMode,
    /// How long trust must be lost before that.
    pub rebootstrap_delay: Duration,
    /// Between two looks at the server.
    pub sync_interval: Duration,
    /// How workload SVIDs are made.
    pub sign: SignOptions,
    /// How many X509-SVIDs are held for workloads that are not connected.
    pub x509_cache_max: usize,
    /// How JWT-SVIDs are kept.
    pub jwt_cache: JwtCacheOptions,
    /// Who may fetch bundles.
    pub unauthenticated_verifiers: UnauthenticatedVerifiers,
    /// Claims of JWT-SVIDs of other trust domains that are shown to validators.
    pub allowed_foreign_jwt_claims: BTreeSet<String>,
    /// Identities that may ask on behalf of others.
    pub authorized_delegates: Vec<SpiffeId>,
    /// Kinds of selectors whose values may be logged.
    pub log_selectors: BTreeSet<String>,
    /// How often workloads may call.
    pub rate_limits: RateLimits,
    /// Which key exchanges TLS allows.
    pub key_exchange: KeyExchange,
    /// The version it reports.
    pub version: String,
    /// Where calls are counted.
    pub metrics: Metrics,
}

/// The appliances of an agent.
pub struct AgentPlugins {
    /// Where the key of its own SVID lives.
    pub key_manager: Arc<dyn KeyManager>,
    /// How it proves itself.
    pub node_attestor: Arc<dyn AgentNodeAttestor>,
    /// How it recognises workloads.
    pub workload_attestors: Vec<Arc<dyn WorkloadAttestor>>,
}

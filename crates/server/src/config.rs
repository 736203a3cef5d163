//! What a server is told: complete, typed and valid. The door makes it from the operator's file.

use crate::authority::AuthorityConfig;
use crate::federation::FederationConfig;
use crate::nodes::AgentIdSelector;
use crate::policy::limits::Switch;
use crate::registry::prune::AgentPruning;
use finial_identity::{SpiffeId, TrustDomain};
use finial_plugin::datastore::DataStore;
use finial_plugin::key_manager::KeyManager;
use finial_plugin::node_attestor::ServerNodeAttestor;
use finial_plugin::upstream_authority::UpstreamAuthority;
use finial_wire::tls::KeyExchange;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything a server needs to know.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Whose server this is.
    pub trust_domain: TrustDomain,
    /// Where agents connect.
    pub bind: SocketAddr,
    /// Where the operator connects.
    pub socket_path: PathBuf,
    /// Identities that may administer besides those whose entry says so.
    pub admin_ids: Vec<SpiffeId>,
    /// What is signed, with what, for how long.
    pub authority: AuthorityConfig,
    /// Whether attestations are limited.
    pub limit_attestation: Switch,
    /// Whether signatures are limited.
    pub limit_signing: Switch,
    /// Which agents to forget; none if the operator did not ask for it.
    pub agent_pruning: Option<AgentPruning>,
    /// For how long rows of the change feed are kept.
    pub keep_events: Duration,
    /// Whether agents get their own ID as a selector.
    pub agent_id_selector: AgentIdSelector,
    /// Whose bundles are fetched, and where our own is served.
    pub federation: FederationConfig,
    /// Where is told who called what.
    pub audit: AuditConfig,
    /// Which key exchanges TLS allows.
    pub key_exchange: KeyExchange,
}

/// Where records of calls go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// Whether they are in the process's log.
    pub log: Switch,
    /// A chained file of their own.
    pub file: Option<PathBuf>,
}

/// The appliances of a server.
pub struct ServerPlugins {
    /// Where its signing keys live.
    pub key_manager: Arc<dyn KeyManager>,
    /// Its memory.
    pub store: Arc<dyn DataStore>,
    /// Who signs its X.509 authorities; they sign themselves if there is nobody.
    pub upstream_authority: Option<Arc<dyn UpstreamAuthority>>,
    /// How agents prove themselves, besides join tokens.
    pub node_attestors: Vec<Arc<dyn ServerNodeAttestor>>,
}

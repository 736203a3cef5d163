//! The only constructor of the whole: builds the parts, connects them, and names what runs.
//!
//! Nothing touches the network here. When the agent runs, it first finds or earns its SVID, then looks at
//! the server once, and only then lets workloads in: whoever can connect gets a true answer.

use crate::cache::{BundleSet, Cache, CacheOptions};
use crate::config::{AgentConfig, AgentPlugins};
use crate::delivery::{Debug, WorkloadApi, WorkloadApiOptions, WorkloadApiParts};
use crate::directory::Directory;
use crate::endpoints::{answers_of, serve_admin_socket, serve_workload_socket};
use crate::own_identity::{AgentKeys, AttestParts, Attester, OwnIdentity, OwnIdentityParts, Verdicts};
use crate::storage::Storage;
use crate::sync::{JwtCache, Sync};
use crate::trust::AgentTrust;
use crate::upstream::Upstream;
use crate::upstream::grpc::GrpcUpstream;
use finial_identity::Bundle;
use finial_runtime::clock::Clock;
use finial_runtime::files::FileError;
use finial_runtime::logging::Handle;
use finial_runtime::tasks::{Shutdown, Supervisor, TaskError};
use finial_wire::channel::{ChannelOptions, ServerChannel};
use finial_wire::listen::UnixListenError;
use finial_wire::logger::LoggerService;
use finial_wire::measure::Measure;
use finial_wire::tls::{ExpectedServer, IdentityCell, TlsOptions, client_config};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use tracing::{Instrument, debug, error_span};

/// Why an agent could not be built.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The data directory.
    #[error(transparent)]
    Storage(#[from] FileError),
    /// TLS could not be set up.
    #[error("could not set up TLS")]
    Tls(#[from] rustls::Error),
    /// A socket is not to be had.
    #[error("could not open a socket")]
    Socket(#[from] UnixListenError),
}

/// An agent that is ready to run.
pub struct Agent {
    supervisor: Supervisor,
    directory: Directory,
}

impl Agent {
    /// What the agent knows, for health checks.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Runs until the process stops, or the server has said that this agent must end.
    pub async fn run(self) -> Result<(), TaskError> {
        self.supervisor.run().await
    }
}

/// Builds an agent.
pub fn assemble(
    config: AgentConfig,
    plugins: AgentPlugins,
    clock: Arc<dyn Clock>,
    log: Handle,
    shutdown: Shutdown,
) -> Result<Agent, AgentError> {
    let AgentPlugins { key_manager, node_attestor, workload_attestors } = plugins;
    let config = Arc::new(config);
    let storage = Storage::open(&config.data_dir)?;
    let options = CacheOptions { x509_max: config.x509_cache_max };
    let nothing_yet = BundleSet::new(Bundle::new(config.trust_domain.clone()));
    let directory = Directory::new(Cache::new(options, nothing_yet));
    let tls = TlsOptions { key_exchange: config.key_exchange, clock: Arc::clone(&clock) };
    let cell = IdentityCell::empty();
    let upstream = connect(&config, &cell, &directory, &tls)?;
    let verdicts = Verdicts::default();
    let jwt = JwtCache::new(Arc::clone(&upstream), config.jwt_cache, Arc::clone(&clock));
    let identity = OwnIdentity::new(OwnIdentityParts {
        config: Arc::clone(&config),
        cell: Arc::clone(&cell),
        storage,
        keys: AgentKeys::new(key_manager),
        attester: Attester::new(AttestParts {
            trust_domain: config.trust_domain.clone(),
            server: config.server.clone(),
            bootstrap: config.bootstrap.clone(),
            attestor: node_attestor,
            tls,
            clock: Arc::clone(&clock),
        }),
        upstream: Arc::clone(&upstream),
        directory: directory.clone(),
        verdicts: verdicts.clone(),
        clock: Arc::clone(&clock),
    });
    let sync = Sync::new(
        upstream,
        directory.clone(),
        verdicts,
        config.sync_interval,
        config.sign,
        Arc::clone(&clock),
    );
    let api = WorkloadApi::new(WorkloadApiParts {
        directory: directory.clone(),
        jwt: jwt.clone(),
        attestors: workload_attestors,
        options: WorkloadApiOptions {
            unauthenticated_verifiers: config.unauthenticated_verifiers,
            allowed_foreign_jwt_claims: config.allowed_foreign_jwt_claims.clone(),
            log_selectors: config.log_selectors.clone(),
            rate_limits: config.rate_limits,
        },
        clock: Arc::clone(&clock),
    });
    let debug = Debug::new(directory.clone(), jwt.clone(), Arc::clone(&cell), Arc::clone(&clock));

    let measure = Measure::new(&config.metrics, answers_of);
    let mut supervisor = Supervisor::new(shutdown.clone());
    supervisor.add("own-identity", identity.run(shutdown.clone()));
    let part = error_span!("part", subsystem_name = "manager");
    supervisor.add("sync", run_sync(sync, Arc::clone(&cell), shutdown.clone()).instrument(part));
    supervisor.add("tainted-tokens", forget_tainted_tokens(jwt, directory.clone(), shutdown.clone()));
    if let Some(path) = config.socket_path.clone() {
        let (directory, shutdown, measure) = (directory.clone(), shutdown.clone(), measure.clone());
        supervisor.add("workload-socket", async move {
            if first_sync(&directory, &shutdown).await {
                serve_workload_socket(&path, api, measure, shutdown).await
            } else {
                Ok(())
            }
        });
    }
    if let Some(path) = config.admin_socket_path.clone() {
        supervisor.add("admin-socket", async move {
            serve_admin_socket(&path, debug, LoggerService::new(log), measure, shutdown).await
        });
    }
    Ok(Agent { supervisor, directory })
}

/// The server, shown the agent's SVID and checked against the bundle of the moment.
fn connect(
    config: &AgentConfig,
    cell: &Arc<IdentityCell>,
    directory: &Directory,
    tls: &TlsOptions,
) -> Result<Arc<dyn Upstream>, AgentError> {
    let expected = ExpectedServer::Is {
        id: config.trust_domain.server_id(),
        trust: Arc::new(AgentTrust(directory.clone())),
    };
    let tls = client_config(expected, Some(Arc::clone(cell)), tls)?;
    let channel = ServerChannel::new(config.server.clone(), tls, Arc::clone(cell), ChannelOptions::default());
    Ok(Arc::new(GrpcUpstream::new(Arc::new(channel))))
}

/// Syncs, once there is an SVID to do it with.
async fn run_sync(sync: Sync, cell: Arc<IdentityCell>, shutdown: Shutdown) -> Result<(), Infallible> {
    let mut changes = cell.changes();
    while cell.current().is_none() {
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
            () = shutdown.stopping() => return Ok(()),
        }
    }
    sync.run(shutdown).await;
    Ok(())
}

/// Waits for the first sync that succeeds; `false` when the process stops before.
async fn first_sync(directory: &Directory, shutdown: &Shutdown) -> bool {
    tokio::select! {
        () = directory.synced_once() => {
            debug!("Entries and bundles are in step with the server");
            true
        }
        () = shutdown.stopping() => false,
    }
}

/// Throws away tokens whose authority is no longer to be used.
async fn forget_tainted_tokens(
    jwt: JwtCache,
    directory: Directory,
    shutdown: Shutdown,
) -> Result<(), Infallible> {
    let mut bundles = directory.watch_bundles();
    loop {
        let tainted: BTreeSet<String> = {
            let bundles = bundles.borrow_and_update();
            let authorities = bundles.own().into_iter().flat_map(|bundle| &bundle.jwt_authorities);
            authorities.filter(|authority| authority.tainted).map(|a| a.key_id.clone()).collect()
        };
        if !tainted.is_empty() {
            jwt.forget_tainted(&tainted);
        }
        tokio::select! {
            changed = bundles.changed() => if changed.is_err() { return Ok(()) },
            () = shutdown.stopping() => return Ok(()),
        }
    }
}

//! The only constructor of the whole: builds the rooms, connects them, and names what runs.

use crate::api::Rooms;
use crate::api::gate::Gate;
use crate::audit::{AuditFile, AuditFileError, AuditSinks, Auditing};
use crate::authority::{Authority, AuthorityError, OWN_IDENTITY_EVERY, PRUNE_JOURNALS_EVERY};
use crate::bundle::{ForeignBundles, OwnBundle, PRUNE_EVERY, REFRESH_EVERY};
use crate::config::{ServerConfig, ServerPlugins};
use crate::endpoints::{
    BundleEndpoint, BundleEndpointError, ServerIdentity, ServerTrust, serve_tcp, serve_unix,
};
use crate::federation::{Federation, FetchLimits};
use crate::measured::{MeasuredKeys, MeasuredStore};
use crate::nodes::Nodes;
use crate::policy::answers_of;
use crate::policy::limits::{Limits, Switch};
use crate::registry::Registry;
use crate::registry::prune::{AGENTS_EVERY, ENTRIES_EVERY};
use crate::vitals::{Rotations, Vitals};
use finial_identity::{Bundle, Failure, UnixTime};
use finial_plugin::datastore::StoreError;
use finial_runtime::clock::Clock;
use finial_runtime::logging::Handle;
use finial_runtime::reconcile::Reconciler;
use finial_runtime::tasks::{Shutdown, Supervisor, TaskError};
use finial_wire::listen::{TcpOptions, TlsListener, UnixListenError, UnixListener, UnixSocketOptions};
use finial_wire::measure::Measure;
use finial_wire::tls::{TlsOptions, server_config};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::info;

/// How often limits and caches forget who has been quiet.
const IDLE_EVERY: Duration = Duration::from_secs(60);

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The store could not be read.
    #[error("could not read the data store")]
    Store(#[from] StoreError),
    /// The store belongs to somebody else.
    #[error(
        "the data store belongs to another trust domain: entry {entry_id:?} gives {spiffe_id:?}, and this \
         server is of {trust_domain:?}. Check trust_domain and the connection_string of the DataStore"
    )]
    ForeignStore {
        /// An entry that is not ours.
        entry_id: String,
        /// The identity it gives.
        spiffe_id: String,
        /// Ours.
        trust_domain: String,
    },
    /// No signing authority.
    #[error("could not prepare the signing authorities")]
    Authority(#[from] AuthorityError),
    /// What health checks need could not be set up.
    #[error("could not prepare the health checks: {0}")]
    Probe(Failure),
    /// The audit file cannot be continued.
    #[error(transparent)]
    Audit(#[from] AuditFileError),
    /// TLS could not be set up.
    #[error("could not set up TLS")]
    Tls(#[from] rustls::Error),
    /// The TCP address is not to be had.
    #[error("could not listen on {address}: is another server running there?")]
    Tcp {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The bundle endpoint is not to be had.
    #[error(transparent)]
    BundleEndpoint(#[from] BundleEndpointError),
    /// The private socket is not to be had.
    #[error("could not open the private socket")]
    Unix(#[from] UnixListenError),
}

/// A server that is ready to run.
pub struct Server {
    address: SocketAddr,
    own_bundle: watch::Receiver<Arc<Bundle>>,
    vitals: Vitals,
    supervisor: Supervisor,
}

impl Server {
    /// Where agents connect; tells the port if the configuration left it open.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The bundle of the server's trust domain, now and whenever it changes.
    pub fn own_bundle(&self) -> watch::Receiver<Arc<Bundle>> {
        self.own_bundle.clone()
    }

    /// What health checks ask.
    pub fn vitals(&self) -> &Vitals {
        &self.vitals
    }

    /// Runs until the process stops.
    pub async fn run(self) -> Result<(), TaskError> {
        self.supervisor.run().await
    }
}

/// Builds a server: when this returns, it listens and can sign.
pub async fn assemble(
    config: ServerConfig,
    plugins: ServerPlugins,
    clock: Arc<dyn Clock>,
    log: Handle,
    shutdown: Shutdown,
) -> Result<Server, ServerError> {
    let ServerPlugins { key_manager, store, node_attestors, upstream_authority } = plugins;
    let metrics = &config.authority.metrics;
    let store = MeasuredStore::around(store, metrics);
    let key_manager = MeasuredKeys::around(key_manager, metrics);
    let trust_domain = config.trust_domain.clone();
    info!(subsystem_name = "endpoints", "Building in-memory entry cache");
    let registry = Arc::new(Registry::load(Arc::clone(&store), &trust_domain).await?);
    info!(subsystem_name = "endpoints", "Completed building in-memory entry cache");
    if let Some(entry) = registry.foreign_entry(&trust_domain) {
        return Err(ServerError::ForeignStore {
            entry_id: entry.value.id.to_string(),
            spiffe_id: entry.value.spec.spiffe_id.to_string(),
            trust_domain: trust_domain.to_string(),
        });
    }
    let own_bundle = OwnBundle::load(trust_domain.clone(), Arc::clone(&store), Arc::clone(&clock)).await?;
    let foreign_bundles =
        ForeignBundles::load(trust_domain.clone(), Arc::clone(&store), Arc::clone(&clock)).await?;
    let authority = Authority::start(
        config.authority.clone(),
        key_manager,
        Arc::clone(&store),
        Arc::clone(&own_bundle),
        upstream_authority,
        Arc::clone(&clock),
    )
    .await?;
    let identity = ServerIdentity::issue(Arc::clone(&authority)).await?;
    let nodes = Arc::new(Nodes::new(
        trust_domain.clone(),
        Arc::clone(&registry),
        Arc::clone(&authority),
        node_attestors,
        config.agent_id_selector,
        Arc::clone(&clock),
    ));
    let gate = Gate::new(Arc::clone(&registry), Arc::clone(&nodes), config.admin_ids.clone());
    let trust = ServerTrust::new(
        trust_domain.clone(),
        Arc::clone(&own_bundle),
        Arc::clone(&foreign_bundles),
        &config.admin_ids,
    );
    let tls_options = TlsOptions { key_exchange: config.key_exchange, clock: Arc::clone(&clock) };
    let tls = server_config(identity.cell(), Arc::new(trust), &tls_options)?;
    let tcp = TlsListener::bind(config.bind, tls, TcpOptions::default()).await;
    let tcp = tcp.map_err(|source| ServerError::Tcp { address: config.bind, source })?;
    let address = tcp.local_addr().unwrap_or(config.bind);
    let bundle_endpoint = match &config.federation.bundle_endpoint {
        None => None,
        Some(wanted) => {
            Some(BundleEndpoint::open(wanted, &identity, Arc::clone(&own_bundle), &tls_options).await?)
        }
    };
    let federation = Federation::new(
        config.federation.federates_with.clone(),
        store,
        Arc::clone(&foreign_bundles),
        FetchLimits { key_exchange: config.key_exchange, ..FetchLimits::default() },
        Arc::clone(&clock),
    );
    let unix = UnixListener::bind(&config.socket_path, UnixSocketOptions::SERVER)?;
    let audit = audit_sinks(&config, &log, &clock)?;
    let rooms = Arc::new(Rooms {
        measure: Measure::new(metrics, answers_of),
        auditing: Auditing::new(audit.clone(), trust_domain.clone(), Arc::clone(&registry)),
        trust_domain,
        registry,
        authority,
        nodes,
        own_bundle,
        foreign_bundles,
        federation,
        limits: Limits::new(config.limit_attestation, config.limit_signing),
        server_identity: identity,
        clock,
    });
    let mut supervisor = Supervisor::new(shutdown.clone());
    supervisor.add("tcp-endpoint", serve_tcp(tcp, Arc::clone(&rooms), gate.clone(), shutdown.clone()));
    if let Some(file) = audit.file {
        supervisor.add("audit-file", file.keep_on_disk(shutdown.clone()));
    }
    supervisor.add("unix-endpoint", serve_unix(unix, Arc::clone(&rooms), gate, log, shutdown.clone()));
    supervisor.add("federation", Arc::clone(&rooms.federation).run(shutdown.clone()));
    if let Some(endpoint) = bundle_endpoint {
        if let Some(certificate) = endpoint.certificate() {
            let (clock, every) = (Arc::clone(&rooms.clock), certificate.sync_interval());
            supervisor.add_reconciler(Reconciler::new("serving-certificate", clock, every, move || {
                let certificate = Arc::clone(&certificate);
                async move { certificate.sync().await }
            }));
        }
        supervisor.add("bundle-endpoint", endpoint.serve(shutdown));
    }
    let following = Arc::clone(&rooms.authority);
    supervisor.add_until_stop("upstream-authority", async move {
        following.follow_upstream().await;
        Ok::<(), Infallible>(())
    });
    let rotations = Arc::new(Rotations::default());
    for reconciler in reconcilers(&config, &rooms, &rotations) {
        supervisor.add_reconciler(reconciler);
    }
    let own_bundle = rooms.own_bundle.subscribe();
    let vitals = Vitals::new(rooms, rotations).map_err(ServerError::Probe)?;
    Ok(Server { address, own_bundle, vitals, supervisor })
}

/// Where records of calls go.
fn audit_sinks(
    config: &ServerConfig,
    log: &Handle,
    clock: &Arc<dyn Clock>,
) -> Result<AuditSinks, AuditFileError> {
    let open = |path: &PathBuf| AuditFile::open(path, Arc::clone(clock)).map(Arc::new);
    Ok(AuditSinks {
        log: (config.audit.log == Switch::On).then(|| log.clone()),
        file: config.audit.file.as_ref().map(open).transpose()?,
    })
}

/// The work that goes on by itself.
fn reconcilers(config: &ServerConfig, rooms: &Arc<Rooms>, rotations: &Arc<Rotations>) -> Vec<Reconciler> {
    let every = |name: &str, period: Duration| (name.to_owned(), Arc::clone(&rooms.clock), period);
    let mut all = Vec::new();
    let (name, clock, period) = every("authority-rotation", config.authority.rotate_every());
    let (authority, rotations) = (Arc::clone(&rooms.authority), Arc::clone(rotations));
    all.push(Reconciler::new(name, clock, period, move || {
        let (authority, rotations) = (Arc::clone(&authority), Arc::clone(&rotations));
        async move {
            let outcome = authority.rotate_if_due().await;
            rotations.note(&outcome);
            outcome
        }
    }));
    let (name, clock, period) = every("server-identity", OWN_IDENTITY_EVERY);
    let identity = Arc::clone(&rooms.server_identity);
    let renewal = Reconciler::new(name, clock, period, move || {
        let identity = Arc::clone(&identity);
        async move { identity.renew_if_due().await }
    });
    all.push(renewal.with_bell(rooms.server_identity.bell()));
    let (name, clock, period) = every("bundle-pruning", PRUNE_EVERY);
    let bundle = Arc::clone(&rooms.own_bundle);
    let metrics = &config.authority.metrics;
    let (pruning, pruned) =
        (metrics.call("ca.manager.bundle.prune", &[]), metrics.counter("ca.manager.bundle.pruned", &[]));
    all.push(Reconciler::new(name, clock, period, move || {
        let (bundle, pruning, pruned) = (Arc::clone(&bundle), pruning.clone(), pruned.clone());
        async move {
            let before = bundle.current().sequence_number;
            let outcome = pruning.measure(bundle.prune(), store_code).await;
            if bundle.current().sequence_number != before {
                pruned.increment();
            }
            outcome
        }
    }));
    let (name, clock, period) = every("bundle-refresh", REFRESH_EVERY);
    let bundles = Arc::clone(rooms);
    all.push(Reconciler::new(name, clock, period, move || {
        let rooms = Arc::clone(&bundles);
        async move {
            rooms.own_bundle.refresh().await?;
            rooms.foreign_bundles.refresh().await
        }
    }));
    let (name, clock, period) = every("journal-pruning", PRUNE_JOURNALS_EVERY);
    let authority = Arc::clone(&rooms.authority);
    all.push(Reconciler::new(name, clock, period, move || {
        let authority = Arc::clone(&authority);
        async move { authority.prune_journals().await }
    }));
    let (name, clock, period) = every("entry-pruning", ENTRIES_EVERY);
    let entries = Arc::clone(rooms);
    let pruning = metrics.call("registration_entry.manager.prune", &[]);
    all.push(Reconciler::new(name, clock, period, move || {
        let (rooms, pruning) = (Arc::clone(&entries), pruning.clone());
        async move {
            pruning.measure(rooms.registry.prune_ended_entries(rooms.clock.now()), store_code).await
        }
    }));
    if let Some(pruning) = config.agent_pruning {
        let (name, clock, period) = every("agent-pruning", AGENTS_EVERY);
        let agents = Arc::clone(rooms);
        let counted = metrics.call("node.manager.prune", &[]);
        all.push(Reconciler::new(name, clock, period, move || {
            let (rooms, counted) = (Arc::clone(&agents), counted.clone());
            async move {
                let work = rooms.registry.prune_expired_agents(pruning, rooms.clock.now());
                counted.measure(work, store_code).await
            }
        }));
    }
    let keep = config.keep_events;
    let (name, clock, period) = every("event-pruning", keep / 2);
    let events = Arc::clone(rooms);
    all.push(Reconciler::new(name, clock, period, move || {
        let rooms = Arc::clone(&events);
        async move { rooms.registry.prune_events(keep, rooms.clock.now()).await }
    }));
    let (name, clock, period) = every("idle-callers", IDLE_EVERY);
    let idle = Arc::clone(rooms);
    all.push(Reconciler::new(name, clock, period, move || {
        let rooms = Arc::clone(&idle);
        async move {
            rooms.limits.forget_idle();
            let quiet_since = UnixTime::from(rooms.clock.now()).plus_seconds(-IDLE_SECONDS);
            rooms.own_bundle.readers().forget_absent(rooms.clock.now().into());
            rooms.registry.forget_idle_agents(quiet_since);
            Ok::<(), StoreError>(())
        }
    }));
    all
}

/// After so many seconds without a call an agent's prepared answer is forgotten.
const IDLE_SECONDS: i64 = 60;

fn store_code(error: &StoreError) -> i32 {
    error.code.number()
}

//! `server run`.

use super::VERSION;
use super::health::{self, ServerCheck};
use super::process::{self, Role};
use crate::config::{self, ServerFlags, ServerSettings};
use crate::output::Fault;
use finial_identity::{Bundle, TrustDomain};
use finial_plugin::datastore::DataStore;
use finial_runtime::clock::{Clock, SystemClock};
use finial_runtime::files;
use finial_runtime::logging::{Handle, chain};
use finial_runtime::tasks::{BoxError, Shutdown, Supervisor, TaskError};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often attestors that ask for the server's bundle get a new look at it.
const OWN_BUNDLE_EVERY: Duration = Duration::from_secs(5);

/// Runs a server until it is told to stop.
pub(crate) fn server(flags: &ServerFlags) -> Result<(), Fault> {
    let loaded = config::load_server(flags).map_err(|error| Fault::new(error.to_string()))?;
    let log = process::start_log(&loaded.settings.log, &loaded)?;
    files::enforce_umask();
    let settings = loaded.settings;
    let ids: Vec<&str> = settings.config.admin_ids.iter().map(|id| id.as_str()).collect();
    tracing::info!(
        admin_ids = format!("[{}]", ids.join(" ")),
        data_dir = %settings.data_dir.display(),
        launch_log_level = %log.launch_level(),
        version = VERSION,
        "Configured"
    );
    let handle = log.clone();
    process::finish(Role::Server, process::run(log, |shutdown| start(settings, handle, shutdown)))
}

async fn start(settings: ServerSettings, log: Handle, shutdown: Shutdown) -> Result<(), BoxError> {
    let ServerSettings { config, plugins, data_dir, health, .. } = settings;
    process::prepare_directory(&data_dir, "data directory")?;
    let clock = SystemClock::shared();
    let (trust_domain, plugin_clock) = (config.trust_domain.clone(), Arc::clone(&clock));
    let opened = tokio::task::spawn_blocking(move || plugins.open(&trust_domain, &plugin_clock)).await??;
    let (trust_domain, socket) = (config.trust_domain.clone(), config.socket_path.clone());
    let store = Arc::clone(&opened.plugins.store);
    let assembling =
        finial_server::assemble(config, opened.plugins, Arc::clone(&clock), log, shutdown.clone());
    let server = tokio::select! {
        assembled = Box::pin(assembling) => assembled?,
        () = shutdown.stopping() => return Ok(()),
    };
    let mut supervisor = Supervisor::new(shutdown.clone());
    supervisor.add("server", server.run());
    if let Some(sender) = opened.own_bundle {
        supervisor
            .add_until_stop("own-bundle", follow_own_bundle(trust_domain, store, sender, Arc::clone(&clock)));
    }
    if let Some(listener) = health {
        let check = ServerCheck::new(&socket);
        health::add(&mut supervisor, listener, clock, ("server", check))?;
    }
    supervisor.run().await.map_err(TaskError::into_source)
}

/// Tells attestors about this server's bundle, which is in the store.
async fn follow_own_bundle(
    trust_domain: TrustDomain,
    store: Arc<dyn DataStore>,
    sender: watch::Sender<Option<Arc<Bundle>>>,
    clock: Arc<dyn Clock>,
) -> Result<(), Infallible> {
    loop {
        match store.bundle_get(&trust_domain).await {
            Ok(bundle) => {
                sender.send_if_modified(|current| {
                    let is_new = current.as_deref() != bundle.as_ref();
                    *current = bundle.map(Arc::new);
                    is_new
                });
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "Could not read the bundle for node attestors")
            }
        }
        clock.sleep(OWN_BUNDLE_EVERY).await;
    }
}

//! `server run`.

use super::VERSION;
use super::health;
use super::process::{self, Role};
use super::telemetry::{Telemetry, Whose};
use crate::config::{self, ServerFlags, ServerSettings};
use crate::output::Fault;
use finial_identity::Bundle;
use finial_runtime::clock::SystemClock;
use finial_runtime::files;
use finial_runtime::logging::Handle;
use finial_runtime::tasks::{BoxError, Shutdown, Supervisor, TaskError};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::watch;

/// Runs a server until it is told to stop.
pub(crate) fn server(flags: &ServerFlags) -> Result<(), Fault> {
    let loaded = config::load_server(flags).map_err(process::refused)?;
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
    let ServerSettings { mut config, plugins, data_dir, health, telemetry, .. } = settings;
    process::prepare_directory(&data_dir, "data directory")?;
    let clock = SystemClock::shared();
    let own_domain = config.trust_domain.clone();
    let whose =
        Whose { service: "spire_server", trust_domain: &own_domain, key_exchange: config.key_exchange };
    let telemetry = Telemetry::open(telemetry, &whose, &clock)?;
    config.authority.metrics = telemetry.metrics();
    let opened = tokio::select! {
        opened = Box::pin(plugins.open(config.trust_domain.clone(), Arc::clone(&clock))) => opened?,
        () = shutdown.stopping() => return Ok(()),
    };
    let socket = config.socket_path.clone();
    let assembling =
        finial_server::assemble(config, opened.plugins, Arc::clone(&clock), log, shutdown.clone());
    let server = tokio::select! {
        assembled = Box::pin(assembling) => assembled?,
        () = shutdown.stopping() => return Ok(()),
    };
    let mut supervisor = Supervisor::new(shutdown.clone());
    telemetry.run(&mut supervisor, &own_domain, Arc::clone(&clock))?;
    if let Some(sender) = opened.own_bundle {
        supervisor.add_until_stop("own-bundle", tell_own_bundle(server.own_bundle(), sender));
    }
    if let Some(listener) = health {
        health::add(&mut supervisor, listener, clock, health::of_server(&socket, server.vitals()))?;
    }
    supervisor.add("server", server.run());
    supervisor.run().await.map_err(TaskError::into_source)
}

/// Tells attestors about this server's bundle, now and whenever it changes.
async fn tell_own_bundle(
    mut bundle: watch::Receiver<Arc<Bundle>>,
    attestors: watch::Sender<Option<Arc<Bundle>>>,
) -> Result<(), Infallible> {
    loop {
        attestors.send_replace(Some(Arc::clone(&bundle.borrow_and_update())));
        if bundle.changed().await.is_err() {
            return Ok(());
        }
    }
}

//! `agent run`.

use super::VERSION;
use super::health;
use super::process::{self, Role};
use super::telemetry::{Telemetry, Whose};
use crate::config::{self, AgentFlags, AgentSettings};
use crate::output::Fault;
use finial_runtime::clock::SystemClock;
use finial_runtime::files;
use finial_runtime::logging::{Handle, chain};
use finial_runtime::tasks::{BoxError, Shutdown, Supervisor, TaskError};
use std::path::Path;
use std::sync::Arc;

/// Runs an agent until it is told to stop, or until its server says that it must end.
pub(crate) fn agent(flags: &AgentFlags) -> Result<(), Fault> {
    let loaded = config::load_agent(flags).map_err(process::refused)?;
    let log = process::start_log(&loaded.settings.log, &loaded)?;
    let settings = loaded.settings;
    // Workloads of every user must reach the public socket, so its directory is made before the umask is
    // narrowed.
    prepare(settings.config.socket_path.as_deref(), "spire agent UDS directory")?;
    files::enforce_umask();
    prepare(settings.config.admin_socket_path.as_deref(), "admin UDS directory")?;
    tracing::info!(data_dir = %settings.config.data_dir.display(), version = VERSION, "Starting agent");
    let handle = log.clone();
    process::finish(Role::Agent, process::run(log, |shutdown| start(settings, handle, shutdown)))
}

fn prepare(socket: Option<&Path>, what: &'static str) -> Result<(), Fault> {
    let Some(directory) = socket.and_then(Path::parent) else { return Ok(()) };
    process::prepare_directory(directory, what).map_err(|error| Fault::new(chain(&error).to_string()))
}

async fn start(settings: AgentSettings, log: Handle, shutdown: Shutdown) -> Result<(), BoxError> {
    let AgentSettings { mut config, plugins, join_token, health, telemetry, .. } = settings;
    process::prepare_directory(&config.data_dir, "data directory")?;
    let clock = SystemClock::shared();
    let now = clock.now();
    let trust_domain = config.trust_domain.clone();
    let whose =
        Whose { service: "spire_agent", trust_domain: &trust_domain, key_exchange: config.key_exchange };
    let telemetry = Telemetry::open(telemetry, &whose, &clock)?;
    config.metrics = telemetry.metrics();
    let plugins = tokio::task::spawn_blocking(move || plugins.open(join_token, now)).await??;
    let socket = config.socket_path.clone();
    let agent = finial_agent::assemble(config, plugins, Arc::clone(&clock), log, shutdown.clone())?;
    let mut supervisor = Supervisor::new(shutdown.clone());
    telemetry.run(&mut supervisor, &trust_domain, Arc::clone(&clock))?;
    if let Some(listener) = health {
        let checks = health::of_agent(agent.directory(), socket.as_deref());
        health::add(&mut supervisor, listener, clock, checks)?;
    }
    // An agent that ends by itself, for example because it is banned, ends the process.
    supervisor.add("agent", async move {
        let result = agent.run().await;
        shutdown.stop();
        result
    });
    supervisor.run().await.map_err(TaskError::into_source)
}

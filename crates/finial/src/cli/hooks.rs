//! What starts a process, or reads a configuration: from the words of a command line to `run` and `demo`.
//!
//! A failure is told by the command line, behind the prefix that SPIRE's command has
//! (`SPIRE server configuration file is invalid: `); [`Fault::Silent`] ends with code 1 and no more words.

use crate::config::{AgentFlags, ServerFlags};
use crate::demo::{self, Afterwards, workload};
use crate::flags::Values;
use crate::output::{Fault, Terminal};
use crate::run;
use std::future::Future;

fn owned(flags: &Values, name: &str) -> String {
    flags.some_text(name).map(str::to_owned).unwrap_or_default()
}

/// What the command line of `server run` and `server validate` says.
pub(super) fn server_flags(flags: &Values) -> ServerFlags {
    ServerFlags {
        bind_address: owned(flags, "bindAddress"),
        config: owned(flags, "config"),
        data_dir: owned(flags, "dataDir"),
        expand_env: flags.is_on("expandEnv"),
        log_file: owned(flags, "logFile"),
        log_format: owned(flags, "logFormat"),
        log_level: owned(flags, "logLevel"),
        log_source_location: flags.is_on("logSourceLocation"),
        server_port: flags.int("serverPort"),
        socket_path: owned(flags, "socketPath"),
        trust_domain: owned(flags, "trustDomain"),
    }
}

/// What the command line of `agent run` and `agent validate` says.
pub(super) fn agent_flags(flags: &Values) -> AgentFlags {
    AgentFlags {
        allow_unauthenticated_verifiers: flags.is_on("allowUnauthenticatedVerifiers"),
        config: owned(flags, "config"),
        data_dir: owned(flags, "dataDir"),
        disable_sds_api: flags.is_on("disableSDSAPI"),
        disable_workload_api: flags.is_on("disableWorkloadAPI"),
        expand_env: flags.is_on("expandEnv"),
        insecure_bootstrap: flags.is_on("insecureBootstrap"),
        join_token: owned(flags, "joinToken"),
        join_token_file: owned(flags, "joinTokenFile"),
        log_file: owned(flags, "logFile"),
        log_format: owned(flags, "logFormat"),
        log_level: owned(flags, "logLevel"),
        log_source_location: flags.is_on("logSourceLocation"),
        rebootstrap_delay: owned(flags, "rebootstrapDelay"),
        rebootstrap_mode: owned(flags, "rebootstrapMode"),
        server_address: owned(flags, "serverAddress"),
        server_port: flags.int("serverPort"),
        socket_path: owned(flags, "socketPath"),
        trust_bundle: owned(flags, "trustBundle"),
        trust_bundle_format: owned(flags, "trustBundleFormat"),
        trust_bundle_url: owned(flags, "trustBundleUrl"),
        trust_domain: owned(flags, "trustDomain"),
    }
}

/// Runs the server until it is told to stop.
pub(super) fn server_run(flags: &ServerFlags, _terminal: &mut Terminal) -> Result<(), Fault> {
    run::server(flags)
}

/// Says whether the server's configuration is valid.
pub(super) fn server_validate(flags: &ServerFlags, terminal: &mut Terminal) -> Result<(), Fault> {
    run::validate_server(flags, terminal)
}

/// Runs the agent until it is told to stop.
pub(super) fn agent_run(flags: &AgentFlags, _terminal: &mut Terminal) -> Result<(), Fault> {
    run::agent(flags)
}

/// Says whether the agent's configuration is valid.
pub(super) fn agent_validate(flags: &AgentFlags, terminal: &mut Terminal) -> Result<(), Fault> {
    run::validate_agent(flags, terminal)
}

/// Shows a server, an agent and workloads at work. The words are those after `demo`.
pub(super) fn demo(words: &[String], _terminal: &mut Terminal) -> Result<(), Fault> {
    let afterwards = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => Afterwards::CleanUp,
        ["--keep" | "-keep"] => Afterwards::Keep,
        _ => return Err(Fault::new("usage: finial demo [--keep]")),
    };
    block_on(demo::run(afterwards))
}

/// Plays a workload of the demo. The words are those after `demo-workload`.
pub(super) fn demo_workload(words: &[String]) -> Result<(), Fault> {
    let (socket, role) = workload::read(words).map_err(|error| Fault::new(error.to_string()))?;
    block_on(workload::run(socket, role))
}

fn block_on(story: impl Future<Output = anyhow::Result<()>>) -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Fault::new(format!("cannot start: {error}")))?;
    runtime.block_on(story).map_err(|error| Fault::new(format!("{error:#}")))
}

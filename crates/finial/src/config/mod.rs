//! The operator's files: SPIRE's keys in, complete and typed settings out.
//!
//! For [`crate::run`]. A file is read with the command line above it and the defaults below it, and
//! *everything* that is wrong comes out at once, with its place. What SPIRE has and this version has not is
//! either harmless to ignore, then it is a warning, or it is refused. [`reference`] says of each key which it
//! is.

mod agent;
mod bootstrap;
mod duration;
mod federation;
mod file;
mod flags;
mod path;
mod plugins;
mod process;
mod reader;
#[cfg(test)]
mod reference;
mod server;
mod telemetry;
mod trust_bundle;
mod ttl;

#[cfg(test)]
mod tests;

pub(crate) use agent::AgentSettings;
pub(crate) use file::{LoadError, Loaded};
pub(crate) use flags::{AgentFlags, ServerFlags};
pub(crate) use process::{HealthListener, LogSettings};
pub(crate) use reader::UnknownKeys;
pub(crate) use server::ServerSettings;
pub(crate) use telemetry::{PrometheusSettings, TelemetrySettings, TlsFiles};

use finial_runtime::config::Document;
use reader::{Findings, Reader};
use std::path::Path;

const SERVER_FILE: &str = "conf/server/server.conf";
const AGENT_FILE: &str = "conf/agent/agent.conf";

/// Reads a server's file as the flags say.
pub(crate) fn load_server(flags: &ServerFlags) -> Result<Loaded<ServerSettings>, LoadError> {
    let document = file::read(path_or(&flags.config, SERVER_FILE), flags.expand_env)?;
    server_of(&document, flags)
}

/// Reads an agent's file as the flags say.
pub(crate) fn load_agent(flags: &AgentFlags) -> Result<Loaded<AgentSettings>, LoadError> {
    let document = file::read(path_or(&flags.config, AGENT_FILE), flags.expand_env)?;
    agent_of(&document, flags)
}

fn server_of(document: &Document, flags: &ServerFlags) -> Result<Loaded<ServerSettings>, LoadError> {
    let findings = Findings::default();
    let (document, superfluous) = file::with_first_plugins(document);
    let settings = server::read(&mut Reader::root(&document, &findings), flags);
    file::conclude(settings, findings, superfluous)
}

fn agent_of(document: &Document, flags: &AgentFlags) -> Result<Loaded<AgentSettings>, LoadError> {
    let findings = Findings::default();
    let (document, superfluous) = file::with_first_plugins(document);
    let settings = agent::read(&mut Reader::root(&document, &findings), flags);
    file::conclude(settings, findings, superfluous)
}

fn path_or<'p>(given: &'p str, default: &'p str) -> &'p Path {
    Path::new(if given.is_empty() { default } else { given })
}

//! `run` and `validate` of server and agent: from a file to a process, and to its exit code.
//!
//! For the command line. Starts the log, prepares directories, starts the plugins, has the room assembled,
//! and runs it until a signal or a failure. It decides nothing about identities.

mod agent;
mod health;
mod process;
mod server;
mod telemetry;
mod validate;
mod web;

pub(crate) use agent::agent;
pub(crate) use server::server;
pub(crate) use validate::{validate_agent, validate_server};

/// The version that is logged, and that the agent reports to its server.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

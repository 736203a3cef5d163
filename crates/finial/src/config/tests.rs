//! Whole files: what they come to, and everything that is wrong with them. Verdicts are those of SPIRE 1.16's
//! `validate`, where SPIRE has one.

use super::*;
use expect_test::{Expect, expect};
use finial_agent::config::{Bootstrap, RebootstrapMode, UnauthenticatedVerifiers};
use finial_runtime::config::hcl;
use finial_runtime::logging::{Format, Level};
use finial_server::authority::JwtSwitch;
use finial_server::nodes::AgentIdSelector;
use finial_server::policy::limits::Switch;
use finial_wire::tls::KeyExchange;
use std::time::Duration;

mod agent;
mod federation;
mod files;
mod server;
mod telemetry;

const HOUR: Duration = Duration::from_secs(3600);

const SERVER: &str = r#"trust_domain = "example.org" data_dir = "d""#;
const SERVER_PLUGINS: &str = r#"plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = ":memory:" } }
  KeyManager "memory" { plugin_data {} }
}"#;

const AGENT: &str = r#"trust_domain = "example.org" server_address = "localhost" server_port = "8081" insecure_bootstrap = true"#;
const AGENT_PLUGINS: &str = r#"plugins {
  KeyManager "memory" { plugin_data {} }
  NodeAttestor "join_token" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data {} }
}"#;

fn load_server_text(text: &str, flags: &ServerFlags) -> Result<Loaded<ServerSettings>, LoadError> {
    server_of(&hcl::parse("t.conf", text).map_err(LoadError::Syntax)?, flags)
}

fn load_agent_text(text: &str, flags: &AgentFlags) -> Result<Loaded<AgentSettings>, LoadError> {
    agent_of(&hcl::parse("t.conf", text).map_err(LoadError::Syntax)?, flags)
}

/// A server with further keys in the second line of its file.
fn server_with(keys: &str) -> Result<Loaded<ServerSettings>, LoadError> {
    load_server_text(&format!("server {{ {SERVER}\n{keys}\n}}\n{SERVER_PLUGINS}"), &ServerFlags::default())
}

/// An agent with further keys in the second line of its file.
fn agent_with(keys: &str) -> Result<Loaded<AgentSettings>, LoadError> {
    load_agent_text(&format!("agent {{ {AGENT}\n{keys}\n}}\n{AGENT_PLUGINS}"), &AgentFlags::default())
}

/// What is said about a file: problems, or warnings and notes.
fn told<T>(loaded: Result<Loaded<T>, LoadError>) -> String {
    match loaded {
        Err(error) => error.to_string(),
        Ok(loaded) => {
            let warnings = loaded.warnings.iter().map(|warning| format!("warning: {warning}\n"));
            let notes = loaded.notes.iter().map(|note| format!("note: {note}\n"));
            warnings.chain(notes).collect()
        }
    }
}

fn check<T>(loaded: Result<Loaded<T>, LoadError>, want: Expect) {
    want.assert_eq(&told(loaded));
}

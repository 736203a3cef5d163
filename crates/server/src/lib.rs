//! The certificate authority and its registry.
//!
//! For the door, which gives it a [`config::ServerConfig`] and appliances and gets a running server. It knows
//! neither command lines nor files nor databases; it must not import `agent` or any appliance.
//!
//! A module imports only modules that stand below it:
//!
//! | module | what |
//! |---|---|
//! | [`assembly`] | the only constructor of the whole |
//! | [`endpoints`] | TCP with mutual TLS, the private Unix socket |
//! | [`api`] | the gate and one file per gRPC service |
//! | [`audit`] | records of calls: in the log, and in a chained file |
//! | [`nodes`] | attest, renew, ban, tokens; may this agent SVID act |
//! | [`policy`] | who may call what, how often |
//! | [`federation`] | relationships with other trust domains, and fetching their bundles |
//! | [`registry`] | entries and agents: the index and its one writer |
//! | [`authority`] | issuing, slots, rotation, journal, own identity |
//! | [`bundle`] | the own bundle and those of others |
//! | [`vitals`] | what health checks ask |
//! | [`measured`] | appliances with counters around them |
//! | [`config`] | what a server is told |

pub mod api;
pub mod assembly;
pub mod audit;
pub mod authority;
pub mod bundle;
pub mod config;
pub mod endpoints;
pub mod federation;
pub mod measured;
pub mod nodes;
pub mod policy;
pub mod registry;
pub mod vitals;

pub use assembly::{Server, ServerError, assemble};
pub use config::{ServerConfig, ServerPlugins};

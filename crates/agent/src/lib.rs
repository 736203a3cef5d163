//! The node side: attestation, sync, cache, Workload API.
//!
//! For the door, which gives it an [`config::AgentConfig`] and appliances and gets a running agent. It knows
//! neither command lines nor files nor databases; it must not import `server` or any appliance.
//!
//! The [`cache`] is the middle: `delivery` reads it through the [`directory`], `sync` writes it, and they
//! never meet. A module imports only modules that stand below it:
//!
//! | module | what |
//! |---|---|
//! | [`assembly`] | the only constructor of the whole |
//! | [`endpoints`] | workload socket, admin socket |
//! | [`delivery`] | Workload API, debug, logger, health |
//! | [`attest`] | caller → selectors |
//! | [`explain`] | why these identities, or none |
//! | [`own_identity`] | node attestation, renewal, recovery |
//! | [`sync`] | the one writer of the cache |
//! | [`upstream`] | typed client of the server |
//! | [`directory`] | the reader's half of the cache, and the demand bell |
//! | [`cache`] | selectors → entries → SVIDs (pure) |
//! | [`storage`] | what is remembered over a restart |
//! | [`config`] | what an agent is told |

pub mod assembly;
pub mod attest;
pub mod cache;
pub mod config;
pub mod delivery;
pub mod directory;
pub mod endpoints;
pub mod explain;
pub mod own_identity;
pub mod storage;
pub mod sync;
pub mod trust;
pub mod upstream;

pub use assembly::{Agent, AgentError, assemble};
pub use config::{AgentConfig, AgentPlugins};

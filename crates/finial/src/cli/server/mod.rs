//! The commands of the server.

mod agent;
mod audit;
mod bundle;
mod debug;
mod entry;
mod federation;
mod healthcheck;
mod localauthority;
mod logger;
mod mint;
mod paging;
mod process;
mod token;

use super::connect::SERVER_FLAGS;
use super::program::Program;
use crate::flags::{Flag, OUTPUT};

/// `spire-server`, `finial server`.
pub(crate) static PROGRAM: Program = Program {
    spire_name: "spire-server",
    beyond_spire: &["audit"],
    about: "The certificate authority of a trust domain, and the registry of who gets which identity.",
    groups: &[
        ("agent", "Agents that have attested: list, ban, evict, purge"),
        ("audit", "The chained file of who called what"),
        ("bundle", "Trust bundles: the own one and those of federated trust domains"),
        ("debug", "What the server says about itself"),
        ("entry", "Registration entries: which workload gets which identity"),
        ("federation", "Relationships with other trust domains"),
        ("jwt", "Tokens by hand"),
        ("localauthority", "The server's own signing keys: prepare, activate, taint, revoke"),
        ("localauthority jwt", "Keys that sign tokens"),
        ("localauthority x509", "Keys that sign certificates"),
        ("logger", "Log levels of the running server"),
        ("token", "Join tokens, by which a new agent proves that it is expected"),
        ("upstreamauthority", "Authorities above this server: taint, revoke"),
        ("x509", "Certificates by hand"),
    ],
    commands: &[
        &agent::BAN,
        &agent::COUNT,
        &agent::EVICT,
        &agent::LIST,
        &agent::PURGE,
        &agent::SHOW,
        &audit::VERIFY,
        &bundle::COUNT,
        &bundle::DELETE,
        &bundle::LIST,
        &bundle::SET,
        &bundle::SHOW,
        &debug::GET_INFO,
        &entry::COUNT,
        &entry::CREATE,
        &entry::DELETE,
        &entry::SHOW,
        &entry::UPDATE,
        &federation::CREATE,
        &federation::DELETE,
        &federation::LIST,
        &federation::REFRESH,
        &federation::SHOW,
        &federation::UPDATE,
        &healthcheck::HEALTHCHECK,
        &localauthority::JWT_ACTIVATE,
        &localauthority::JWT_PREPARE,
        &localauthority::JWT_REVOKE,
        &localauthority::JWT_SHOW,
        &localauthority::JWT_TAINT,
        &localauthority::UPSTREAM_REVOKE,
        &localauthority::UPSTREAM_TAINT,
        &localauthority::X509_ACTIVATE,
        &localauthority::X509_PREPARE,
        &localauthority::X509_REVOKE,
        &localauthority::X509_SHOW,
        &localauthority::X509_TAINT,
        &logger::GET,
        &logger::RESET,
        &logger::SET,
        &mint::JWT,
        &mint::X509,
        &process::RUN,
        &process::VALIDATE,
        &token::GENERATE,
    ],
};

/// The flag that almost all commands have.
const OUTPUT_FLAGS: &[Flag] = &[OUTPUT];

/// A command that calls the server: its words, its line, its own flags, and what it does.
macro_rules! server_command {
    ($path:literal, $synopsis:literal, $about:literal, $own:expr, $act:ident, [$($example:expr),* $(,)?]) => {
        server_command!($path, $path, $synopsis, $about, $own, $act, [$($example),*])
    };
    ($path:literal, $usage:literal, $synopsis:literal, $about:literal, $own:expr, $act:ident, [$($example:expr),* $(,)?]) => {
        $crate::cli::command::Command {
            path: $path,
            synopsis: $synopsis,
            about: $about,
            flags: $crate::flags::FlagSet {
                name: $usage,
                groups: &[$own, $crate::cli::server::SERVER_FLAGS, $crate::cli::server::OUTPUT_FLAGS],
            },
            manner: $crate::cli::command::Manner::API,
            examples: &[$($example),*],
            action: $crate::cli::command::call!($act),
        }
    };
}

use server_command;

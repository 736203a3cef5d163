//! The commands of the agent.

mod debug;
mod fetch;
mod healthcheck;
mod logger;
mod process;
mod validate_jwt;
mod watch;
mod workload;

use super::connect::ADMIN_FLAGS;
use super::program::Program;
use crate::flags::{Flag, OUTPUT};

/// `spire-agent`, `finial agent`.
pub(crate) static PROGRAM: Program = Program {
    spire_name: "spire-agent",
    beyond_spire: &[],
    about: "The agent of a node: it recognises programs and hands them their identities.",
    groups: &[
        ("api", "The Workload API, as a program on this node sees it"),
        ("api fetch", "Identities of the calling process"),
        ("api validate", "Judging the identities of others"),
        ("debug", "What the agent says about itself"),
        ("logger", "Log levels of the running agent"),
    ],
    commands: &[
        &fetch::DEFAULT,
        &fetch::JWT,
        &fetch::X509,
        &validate_jwt::JWT,
        &watch::WATCH,
        &debug::GET_INFO,
        &healthcheck::HEALTHCHECK,
        &logger::GET,
        &logger::RESET,
        &logger::SET,
        &process::RUN,
        &process::VALIDATE,
    ],
};

/// The flag that almost all commands have.
const OUTPUT_FLAGS: &[Flag] = &[OUTPUT];

/// A command that calls the admin socket: its words, its line, its own flags, and what it does.
macro_rules! admin_command {
    ($path:literal, $synopsis:literal, $about:literal, $own:expr, $act:ident, [$($example:expr),* $(,)?]) => {
        $crate::cli::command::Command {
            path: $path,
            synopsis: $synopsis,
            about: $about,
            flags: $crate::flags::FlagSet {
                name: $path,
                groups: &[$own, $crate::cli::agent::ADMIN_FLAGS, $crate::cli::agent::OUTPUT_FLAGS],
            },
            manner: $crate::cli::command::Manner::API,
            examples: &[$($example),*],
            action: $crate::cli::command::call!($act),
        }
    };
}

use admin_command;

//! The command lines: which command, what it does, what it says.
//!
//! One executable plays three parts. Called `spire-server` or `spire-agent` it takes exactly SPIRE's command
//! lines and answers in SPIRE's words, help included. Called otherwise it is `finial`: the same commands under
//! `server` and `agent`, with help that teaches, and some of its own.
//!
//! | module | what |
//! |---|---|
//! | [`command`] | what a command is |
//! | [`program`] | the commands of one program; from words to a command, as SPIRE's command-line library does it |
//! | [`help`], [`completion`] | what `finial` says about itself, from the same tables |
//! | [`server`], [`agent`], [`logger`], [`health`] | the commands |
//! | [`own`] | the commands of `finial` itself |
//! | [`connect`] | sockets and channels |
//! | [`input`] | files and texts that commands read |
//! | [`hooks`] | what starts a process: `run`, `validate`, `demo` |
//! | `reference` | the pages `docs/commands`, made from the same tables |

mod agent;
mod command;
mod completion;
mod connect;
mod health;
mod help;
pub(crate) mod hooks;
mod input;
mod logger;
mod nearest;
mod own;
mod program;
#[cfg(test)]
mod reference;
mod server;

#[cfg(test)]
mod tests;

use crate::output::{Fault, Terminal};
use program::Program;
use std::io::{self, Write};
use std::path::Path;

/// The version that the programs tell. It is SPIRE's when they are called by SPIRE's names, since charts and
/// scripts compare it.
const SPIRE_VERSION: &str = "1.16.0-dev-unk";

/// Plays the part that the name asks for, with the words after it. Returns the exit code.
pub(crate) fn run(name: &str, words: &[String], terminal: &mut Terminal) -> u8 {
    let outcome = match Path::new(name).file_name().and_then(|name| name.to_str()) {
        Some("spire-server") => server::PROGRAM.run_as_spire(words, terminal),
        Some("spire-agent") => agent::PROGRAM.run_as_spire(words, terminal),
        _ => help::run_as_finial(words, terminal),
    };
    let outcome = outcome.and_then(|code| {
        terminal.out.flush()?;
        Ok(code)
    });
    outcome.unwrap_or_else(|fault| exit_code(&fault))
}

/// Both programs, by the word that chooses them.
fn programs() -> [(&'static str, &'static Program); 2] {
    [("server", &server::PROGRAM), ("agent", &agent::PROGRAM)]
}

/// A reader that has gone away is not worth a word: the code is the one that a shell shows for `SIGPIPE`.
fn exit_code(fault: &Fault) -> u8 {
    match fault {
        Fault::Stream(error) if error.kind() == io::ErrorKind::BrokenPipe => 141,
        _ => 1,
    }
}

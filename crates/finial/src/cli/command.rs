//! What a command is.

use crate::flags::{FlagSet, Values};
use crate::output::{Fault, Terminal};
use std::future::Future;
use std::pin::Pin;

/// One command of a program.
#[derive(Debug)]
pub(crate) struct Command {
    /// The words that choose it, with single blanks between them.
    pub(crate) path: &'static str,
    /// One line, as SPIRE has it.
    pub(crate) synopsis: &'static str,
    /// What it does and prints, for those who learn.
    pub(crate) about: &'static str,
    /// Its flags.
    pub(crate) flags: FlagSet,
    /// How it speaks when something is wrong.
    pub(crate) manner: Manner,
    /// Command lines that teach, without the program's name, with what they do.
    pub(crate) examples: &'static [(&'static str, &'static str)],
    /// What it does.
    pub(crate) action: Action,
}

/// How a command speaks when something is wrong; SPIRE's commands differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Stands before the text of a failure.
    pub(crate) prefix: &'static str,
    /// How often a mistaken flag is told.
    pub(crate) flag_error: FlagErrorTold,
    /// What ends the help: Go's own words, or nothing.
    pub(crate) help_end: &'static str,
}

/// How often a mistaken flag is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlagErrorTold {
    /// Before the usage text.
    Once,
    /// And again after it, behind the prefix.
    Twice,
}

const HELP_REQUESTED: &str = "flag: help requested";

impl Manner {
    /// Commands that call the server, or the agent's admin socket.
    pub(crate) const API: Self =
        Self { prefix: "Error: ", flag_error: FlagErrorTold::Once, help_end: HELP_REQUESTED };
    /// Commands that call the Workload API.
    pub(crate) const WORKLOAD: Self = Self { prefix: "", flag_error: FlagErrorTold::Twice, help_end: "" };
    /// `api watch`.
    pub(crate) const WATCH: Self =
        Self { prefix: "", flag_error: FlagErrorTold::Twice, help_end: HELP_REQUESTED };
    /// The agent's `healthcheck`.
    pub(crate) const AGENT_HEALTH: Self =
        Self { prefix: "Agent is unhealthy: ", flag_error: FlagErrorTold::Once, help_end: "" };
    /// `run`.
    pub(crate) const PROCESS: Self =
        Self { prefix: "", flag_error: FlagErrorTold::Twice, help_end: HELP_REQUESTED };
    /// The server's `validate`.
    pub(crate) const SERVER_CONFIG: Self = Self {
        prefix: "SPIRE server configuration file is invalid: ",
        flag_error: FlagErrorTold::Twice,
        help_end: HELP_REQUESTED,
    };
    /// The agent's `validate`.
    pub(crate) const AGENT_CONFIG: Self = Self {
        prefix: "SPIRE agent configuration file is invalid: ",
        flag_error: FlagErrorTold::Twice,
        help_end: HELP_REQUESTED,
    };
}

/// What a command gets.
pub(crate) struct Invocation<'a> {
    /// What was given on the command line.
    pub(crate) flags: &'a Values,
    /// Where it prints.
    pub(crate) terminal: &'a mut Terminal,
}

/// What comes of a command that calls somebody.
type Outcome<'a> = Pin<Box<dyn Future<Output = Result<(), Fault>> + 'a>>;

/// What a command does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Action {
    /// Calls somebody: runs on a small runtime that is there already.
    Call(for<'a> fn(Invocation<'a>) -> Outcome<'a>),
    /// Becomes a process, or reads configuration: makes its own runtime if it needs one.
    Process(fn(Invocation<'_>) -> Result<(), Fault>),
}

impl Command {
    /// Does what it does.
    pub(crate) fn perform(&self, flags: &Values, terminal: &mut Terminal) -> Result<(), Fault> {
        let invocation = Invocation { flags, terminal };
        match self.action {
            Action::Process(act) => act(invocation),
            Action::Call(act) => {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| Fault::new(format!("unable to start: {error}")))?;
                runtime.block_on(act(invocation))
            }
        }
    }
}

/// An async function as an [`Action`].
macro_rules! call {
    ($act:ident) => {
        $crate::cli::command::Action::Call(|invocation| Box::pin($act(invocation)))
    };
}

pub(crate) use call;

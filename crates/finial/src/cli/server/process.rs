//! `run` and `validate`: the flags are here, the rest is behind the hooks.

use crate::cli::command::{Action, Command, Invocation, Manner};
use crate::cli::hooks;
use crate::flags::{Flag, FlagSet, Kind, switch, text};
use crate::output::Fault;

pub(super) static RUN: Command = Command {
    path: "run",
    synopsis: "Runs the server",
    about: "Runs the server in the foreground until SIGTERM or SIGINT; a second signal ends it at once. \
         The configuration is checked first, and everything that is wrong with it is told. What the \
         command line says goes before the file.",
    flags: FlagSet { name: "run", groups: &[FLAGS] },
    manner: Manner::PROCESS,
    examples: &[("run -config conf/server/server.conf", "serve until SIGTERM or SIGINT")],
    action: Action::Process(run),
};

pub(super) static VALIDATE: Command = Command {
    path: "validate",
    synopsis: "Validates a SPIRE server configuration file",
    about: "Reads a configuration as `run` would, and starts nothing: says that it is good, or \
         everything that is wrong with it, with file, line and column.",
    flags: FlagSet { name: "validate", groups: &[FLAGS] },
    manner: Manner::SERVER_CONFIG,
    examples: &[("validate -config server.conf", "tell everything that is wrong with a configuration")],
    action: Action::Process(validate),
};

const FLAGS: &[Flag] = &[
    text("bindAddress", "IP address or DNS name of the SPIRE server"),
    text("config", "Path to a SPIRE config file"),
    text("dataDir", "Directory to store runtime data to"),
    switch("expandEnv", "Expand environment variables in SPIRE config file"),
    text("logFile", "File to write logs to"),
    text("logFormat", "'text' or 'json'"),
    text("logLevel", "'debug', 'info', 'warn', or 'error'"),
    switch("logSourceLocation", "Include source file, line number and function name in log lines"),
    Flag { name: "serverPort", kind: Kind::Int(0), help: "Port number of the SPIRE server" },
    text("socketPath", "Path to bind the SPIRE Server API socket to"),
    text("trustDomain", "The trust domain that this server belongs to"),
];

fn run(invocation: Invocation<'_>) -> Result<(), Fault> {
    hooks::server_run(&hooks::server_flags(invocation.flags), invocation.terminal)
}

fn validate(invocation: Invocation<'_>) -> Result<(), Fault> {
    hooks::server_validate(&hooks::server_flags(invocation.flags), invocation.terminal)
}

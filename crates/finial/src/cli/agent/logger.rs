//! `logger get`, `logger set`, `logger reset`.

use super::admin_command;
use crate::cli::command::{Command, Invocation};
use crate::cli::connect;
use crate::cli::logger::{LEVEL_FLAGS, WHILE_GETTING, WHILE_RESETTING, WHILE_SETTING, show, wanted_level};
use crate::output::Fault;
use finial_proto::agent::logger::logger_client::LoggerClient;
use finial_proto::agent::logger::{GetLoggerRequest, ResetLogLevelRequest, SetLogLevelRequest};

pub(super) static GET: Command = admin_command!(
    "logger get",
    "Gets the logger details",
    "Shows the level at which the agent logs now, and the one that it started with.",
    &[],
    get,
    [("logger get", "what is logged now")]
);
pub(super) static SET: Command = admin_command!(
    "logger set",
    "Sets the logger details",
    "Changes the level at which the running agent logs, without a restart, and shows the levels.",
    LEVEL_FLAGS,
    set,
    [("logger set -level debug", "log more, until the next start or `logger reset`")]
);
pub(super) static RESET: Command = admin_command!(
    "logger reset",
    "Reset the logger details to launch level",
    "Goes back to the level that the agent started with, and shows the levels.",
    &[],
    reset,
    [("logger reset", "after the search for a fault")]
);

async fn get(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let answer = LoggerClient::new(connect::to_admin(flags)).get_logger(GetLoggerRequest {}).await;
    let answer = answer.map_err(|status| Fault::of_call_while(WHILE_GETTING, &status))?;
    show(terminal, flags.format(), answer.get_ref())
}

async fn set(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let request = SetLogLevelRequest { new_level: wanted_level(flags)?.into() };
    let answer = LoggerClient::new(connect::to_admin(flags)).set_log_level(request).await;
    let answer = answer.map_err(|status| Fault::of_call_while(WHILE_SETTING, &status))?;
    show(terminal, flags.format(), answer.get_ref())
}

async fn reset(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let answer = LoggerClient::new(connect::to_admin(flags)).reset_log_level(ResetLogLevelRequest {}).await;
    let answer = answer.map_err(|status| Fault::of_call_while(WHILE_RESETTING, &status))?;
    show(terminal, flags.format(), answer.get_ref())
}

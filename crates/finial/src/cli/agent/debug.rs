//! `debug getinfo`.

use super::admin_command;
use crate::cli::command::{Command, Invocation};
use crate::cli::connect;
use crate::output::Fault;
use crate::output::agent::debug::print_info;
use finial_proto::agent::debug::GetInfoRequest;
use finial_proto::agent::debug::debug_client::DebugClient;

pub(super) static GET_INFO: Command = admin_command!(
    "debug getinfo",
    "Prints debug information about the agent",
    "Shows how long the agent runs, when it last heard from its server, what is in its cache, and \
     the chain of its own SVID.",
    &[],
    get_info,
    [("debug getinfo", "the state of the agent at a glance")]
);

async fn get_info(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let info = DebugClient::new(connect::to_admin(flags))
        .get_info(GetInfoRequest {})
        .await
        .map_err(|status| Fault::of_call(&status))?
        .into_inner();
    terminal.show(flags.format(), &info, |terminal| print_info(&mut terminal.out, &info))
}

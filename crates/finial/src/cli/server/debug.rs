//! `debug getinfo`.

use super::server_command;
use crate::cli::command::{Command, Invocation};
use crate::cli::connect;
use crate::output::Fault;
use crate::output::server::debug::print_info;
use finial_proto::server::debug::GetInfoRequest;
use finial_proto::server::debug::debug_client::DebugClient;

pub(super) static GET_INFO: Command = server_command!(
    "debug getinfo",
    "Prints debug information about the server",
    "Shows how long the server runs, how many agents, entries and bundles it has, and the chain of \
     its own SVID.",
    &[],
    get_info,
    [("debug getinfo", "the state of the server at a glance")]
);

async fn get_info(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let info = DebugClient::new(connect::to_server(flags)?)
        .get_info(GetInfoRequest {})
        .await
        .map_err(|status| Fault::of_call(&status))?
        .into_inner();
    terminal.show(flags.format(), &info, |terminal| print_info(&mut terminal.out, &info))
}

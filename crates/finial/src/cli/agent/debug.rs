//! `debug getinfo`.

use super::admin_command;
use crate::cli::command::{Command, Invocation};
use crate::cli::connect;
use crate::output::agent::debug::print_info;
use crate::output::{Fault, Format, json};
use finial_proto::agent::debug::GetInfoRequest;
use finial_proto::agent::debug::debug_client::DebugClient;

pub(super) static GET_INFO: Command =
    admin_command!("debug getinfo", "Prints debug information about the agent", &[], get_info, []);

async fn get_info(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let info = DebugClient::new(connect::to_admin(flags))
        .get_info(GetInfoRequest {})
        .await
        .map_err(|status| Fault::of_call(&status))?
        .into_inner();
    match flags.format() {
        Format::Json => Ok(json::print(&mut terminal.out, &info)?),
        Format::Pretty => print_info(&mut terminal.out, &info),
    }
}

//! `entry create`, `update`, `show`, `count`, `delete`.

mod delete;
mod find;
mod write;

pub(super) use delete::DELETE;
pub(super) use find::{COUNT, SHOW};
pub(super) use write::{CREATE, UPDATE};

use super::server_command;
use crate::cli::connect::{self, MESSAGE_MAX};
use crate::flags::Values;
use crate::output::Fault;
use finial_proto::server::entry::entry_client::EntryClient;
use tonic::transport::Channel;

fn client(flags: &Values) -> Result<EntryClient<Channel>, Fault> {
    Ok(EntryClient::new(connect::to_server(flags)?).max_decoding_message_size(MESSAGE_MAX))
}

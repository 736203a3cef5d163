//! `entry delete`.

use super::{client, server_command};
use crate::cli::command::{Command, Invocation};
use crate::cli::input::entries::parse_ids;
use crate::cli::input::read_input;
use crate::flags::text;
use crate::output::Fault;
use crate::output::server::entry::print_deleted;
use finial_proto::server::entry::BatchDeleteEntryRequest;

pub(in crate::cli::server) static DELETE: Command = server_command!(
    "entry delete",
    "Deletes registration entries",
    "Deletes one entry, or many that a JSON file names. Says of each whether it is gone; the \
     workloads lose the identity at the agent's next look.",
    &[
        text("entryID", "The Registration Entry ID of the record to delete."),
        text(
            "file",
            "Path to a file containing a JSON structure for batch deletion (optional). If set to '-', read from stdin.",
        ),
    ],
    delete,
    [
        ("entry delete -entryID 76728e93-8c4d-4a17-a40e-22a05b9603f3", "one entry"),
        ("entry delete -file -", "many: {\"ids\": [\"…\"]} on standard input")
    ]
);

async fn delete(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let ids = match (flags.some_text("file"), flags.some_text("entryID")) {
        (Some(file), _) => parse_ids(&read_input(file, "-")?)?,
        (None, Some(id)) => vec![id.to_owned()],
        (None, None) => return Err(Fault::new("an entry ID is required")),
    };
    let response = client
        .batch_delete_entry(BatchDeleteEntryRequest { ids })
        .await
        .map_err(|status| Fault::of_call(&status))?
        .into_inner();
    terminal.show(flags.format(), &response, |terminal| print_deleted(terminal, &response))
}

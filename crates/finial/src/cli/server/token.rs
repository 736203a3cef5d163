//! `token generate`.

use super::server_command;
use crate::cli::command::{Command, Invocation};
use crate::cli::connect;
use crate::cli::input::{parse_id, to_int32};
use crate::flags::{Flag, Kind, text};
use crate::output::Fault;
use crate::output::server::agent::print_token;
use finial_proto::server::agent::CreateJoinTokenRequest;
use finial_proto::server::agent::agent_client::AgentClient;

pub(super) static GENERATE: Command = server_command!(
    "token generate",
    "generate",
    "Generates a join token",
    "Makes a secret with which one new agent proves that it is expected. It can be used once, and \
     only until its time is over. With `-spiffeID` an entry is made, too, that gives the agent this \
     name, for use as a parent.",
    FLAGS,
    generate,
    [(
        "token generate -spiffeID spiffe://example.org/my-node",
        "a token for one new agent, which can be called spiffe://example.org/my-node in entries"
    )]
);

const FLAGS: &[Flag] = &[
    Flag { name: "ttl", kind: Kind::Int(600), help: "Token TTL in seconds" },
    text("spiffeID", "Additional SPIFFE ID to assign the token owner (optional)"),
];

async fn generate(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let channel = connect::to_server(flags)?;
    let agent_id = flags.some_text("spiffeID").map(parse_id).transpose()?;
    let has_id = agent_id.is_some();
    let ttl = to_int32(flags.int("ttl"), "TTL")?;
    let request = CreateJoinTokenRequest { ttl, token: String::new(), agent_id };
    let token = AgentClient::new(channel)
        .create_join_token(request)
        .await
        .map_err(|status| Fault::of_call(&status))?
        .into_inner();
    terminal.show(flags.format(), &token, |terminal| print_token(&mut terminal.out, &token, has_id))
}

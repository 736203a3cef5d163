//! `agent list`, `show`, `count`, `ban`, `evict`, `purge`.

use super::paging::all_pages;
use super::server_command;
use crate::cli::command::{Command, Invocation};
use crate::cli::connect::{self, MESSAGE_MAX};
use crate::cli::input::expiry::check_expiry;
use crate::cli::input::{parse_id, parse_match, parse_selector};
use crate::flags::{Flag, Kind, Values, list, switch, text};
use crate::output::go_text::quoted;
use crate::output::server::agent::{
    Fate, PurgedAgent, agent_id, print_agent, print_agents, print_count, print_purged, purged_json,
};
use crate::output::{Fault, Format};
use finial_proto::server::agent::agent_client::AgentClient;
use finial_proto::server::agent::{
    BanAgentRequest, CountAgentsRequest, DeleteAgentRequest, GetAgentRequest, ListAgentsRequest,
    ListAgentsResponse, list_agents_request,
};
use finial_proto::types::{AgentMask, SelectorMatch, Spiffeid};
use finial_wire::status::RpcError;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::transport::Channel;

pub(super) static LIST: Command = server_command!(
    "agent list",
    "Lists attested agents and their SPIFFE IDs",
    "Shows every agent that has attested to this server: its SPIFFE ID, how it attested, until when \
     its SVID is valid, the serial number of that SVID, and whether it may attest again. All filters \
     given must hold at once.",
    FILTER_FLAGS,
    list_agents,
    [
        ("agent list", "all agents"),
        ("agent list -banned true -output json", "the banned ones, for a program")
    ]
);
pub(super) static COUNT: Command = server_command!(
    "agent count",
    "Count attested agents",
    "Counts the agents that `agent list` would show with the same filters.",
    FILTER_FLAGS,
    count,
    [("agent count -attestationType join_token", "agents that came with a join token")]
);
pub(super) static SHOW: Command = server_command!(
    "agent show",
    "Shows the details of an attested agent given its SPIFFE ID",
    "Shows one agent with its selectors. An agent that is not known is an error.",
    &[text("spiffeID", "The SPIFFE ID of the agent to show (agent identity)")],
    show,
    [("agent show -spiffeID spiffe://example.org/spire/agent/join_token/…", "one agent and its selectors")]
);
pub(super) static BAN: Command = server_command!(
    "agent ban",
    "Ban an attested agent given its SPIFFE ID",
    "Refuses an agent from now on: its SVID is no longer accepted, and it cannot attest again until \
     it is evicted. Workloads keep the SVIDs they have until those expire.",
    &[text("spiffeID", "The SPIFFE ID of the agent to ban (agent identity)")],
    ban,
    [(
        "agent ban -spiffeID spiffe://example.org/spire/agent/join_token/…",
        "refuse the agent, and refuse to attest it again until it is evicted"
    )]
);
pub(super) static EVICT: Command = server_command!(
    "agent evict",
    "Evicts an attested agent given its SPIFFE ID",
    "Forgets an agent, and lifts a ban. An agent that may attest again comes back by itself at its \
     next call; one with a join token needs a new token.",
    &[text("spiffeID", "The SPIFFE ID of the agent to evict (agent identity)")],
    evict,
    [(
        "agent evict -spiffeID spiffe://example.org/spire/agent/join_token/…",
        "forget the agent; its token stays used"
    )]
);
pub(super) static PURGE: Command = server_command!(
    "agent purge",
    "Purge expired agents that were attested using a non-TOFU security model based on a given time",
    "Forgets agents whose SVID expired long ago and that could attest again if they came back. \
     Agents that attested once only, as with a join token, are left alone. Says of each agent what \
     became of it; with `-dryRun` only what would.",
    PURGE_FLAGS,
    purge,
    [
        ("agent purge -dryRun", "what would go"),
        ("agent purge -expiredFor 24h", "forget agents gone for a day")
    ]
);

const FILTER_FLAGS: &[Flag] = &[
    text("attestationType", "Filter by attestation type, like join_token or x509pop."),
    Flag {
        name: "banned",
        kind: Kind::ThreeWay,
        help: "Filter based on string received, 'true': banned agents, 'false': not banned agents, \
               other value will return all.",
    },
    Flag {
        name: "canReattest",
        kind: Kind::ThreeWay,
        help: "Filter based on string received, 'true': agents that can reattest, \
               'false': agents that can't reattest, other value will return all.",
    },
    text("expiresBefore", "Filter by expiration time (format: \"2006-01-02 15:04:05 -0700 -07\")"),
    Flag {
        name: "matchSelectorsOn",
        kind: Kind::Text("superset"),
        help: "The match mode used when filtering by selectors. Options: exact, any, superset and subset",
    },
    list("selector", "A colon-delimited type:value selector. Can be used more than once"),
];

const PURGE_FLAGS: &[Flag] = &[
    switch(
        "dryRun",
        "Indicates that the command will not perform any action, but will print the agents that would be purged.",
    ),
    Flag {
        name: "expiredFor",
        kind: Kind::Duration(30 * 24 * 3600),
        help: "Amount of time that has passed since the agent's SVID has expired. \
               It is used to determine which agents to purge.",
    },
];

/// Agents in one page.
const PAGE_SIZE: i32 = 1000;

fn client(flags: &Values) -> Result<AgentClient<Channel>, Fault> {
    Ok(AgentClient::new(connect::to_server(flags)?).max_decoding_message_size(MESSAGE_MAX))
}

async fn list_agents(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let filter = filter(flags)?;
    let agents = all_pages(async |page_token| {
        let request = ListAgentsRequest {
            filter: Some(filter.clone()),
            output_mask: None,
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = client.list_agents(request).await.map_err(|status| Fault::of_call(&status))?.into_inner();
        Ok((page.agents, page.next_page_token))
    });
    let agents = agents.await?;
    let listed = ListAgentsResponse { agents, next_page_token: String::new() };
    terminal.show(flags.format(), &listed, |terminal| print_agents(&mut terminal.out, &listed.agents))
}

async fn count(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let filter = filter(flags)?.into();
    let counted = client
        .count_agents(CountAgentsRequest { filter: Some(filter) })
        .await
        .map_err(|status| Fault::of_call(&status))?
        .into_inner();
    terminal.show(flags.format(), &counted, |terminal| print_count(&mut terminal.out, counted.count))
}

fn filter(flags: &Values) -> Result<list_agents_request::Filter, Fault> {
    let by_selector_match = selector_match(flags)?;
    if let Some(moment) = flags.some_text("expiresBefore") {
        check_expiry(moment)?;
    }
    Ok(list_agents_request::Filter {
        by_attestation_type: flags.text("attestationType").to_owned(),
        by_selector_match,
        by_banned: flags.three_way("banned"),
        by_can_reattest: flags.three_way("canReattest"),
        by_expires_before: flags.text("expiresBefore").to_owned(),
    })
}

fn selector_match(flags: &Values) -> Result<Option<SelectorMatch>, Fault> {
    let texts = flags.list("selector");
    if texts.is_empty() {
        return Ok(None);
    }
    let behavior = parse_match(flags.text("matchSelectorsOn"))
        .ok_or_else(|| Fault::new("unsupported match behavior"))?;
    let parse = |text: &String| {
        parse_selector(text).map_err(|fault| fault.after(&format!("error parsing selector {}", quoted(text))))
    };
    let selectors = texts.iter().map(parse).collect::<Result<_, _>>()?;
    Ok(Some(SelectorMatch { selectors, r#match: behavior.into() }))
}

fn wanted_id(flags: &Values) -> Result<Spiffeid, Fault> {
    parse_id(flags.some_text("spiffeID").ok_or_else(|| Fault::new("a SPIFFE ID is required"))?)
}

async fn show(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let request = GetAgentRequest { id: Some(wanted_id(flags)?), output_mask: None };
    let agent = client.get_agent(request).await.map_err(|status| Fault::of_call(&status))?.into_inner();
    terminal.show(flags.format(), &agent, |terminal| print_agent(&mut terminal.out, &agent))
}

async fn ban(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let request = BanAgentRequest { id: Some(wanted_id(flags)?) };
    client.ban_agent(request).await.map_err(|status| Fault::of_call(&status))?;
    writeln!(terminal.out, "{}", or_empty_object(flags, "Agent banned successfully"))?;
    Ok(())
}

async fn evict(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let request = DeleteAgentRequest { id: Some(wanted_id(flags)?) };
    client.delete_agent(request).await.map_err(|status| Fault::of_call(&status))?;
    writeln!(terminal.out, "{}", or_empty_object(flags, "Agent evicted successfully"))?;
    Ok(())
}

/// The answer has no fields.
fn or_empty_object<'a>(flags: &Values, pretty: &'a str) -> &'a str {
    match flags.format() {
        Format::Json => "{}",
        Format::Pretty => pretty,
    }
}

async fn purge(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let request = ListAgentsRequest {
        filter: Some(list_agents_request::Filter { by_can_reattest: Some(true), ..Default::default() }),
        output_mask: Some(AgentMask { x509svid_expires_at: true, ..Default::default() }),
        page_size: 0,
        page_token: String::new(),
    };
    let listed = client.list_agents(request).await;
    let listed =
        listed.map_err(|status| Fault::of_call_while("failed to list agents", &status))?.into_inner();
    let (dry_run, expired_for) = (flags.is_on("dryRun"), i128::from(flags.duration("expiredFor").as_nanos()));
    let mut purged = Vec::new();
    for agent in listed.agents {
        let id = agent_id(&agent)?;
        if nanos_since(agent.x509svid_expires_at) <= expired_for {
            continue;
        }
        let fate = if dry_run {
            Fate::Kept
        } else {
            match client.delete_agent(DeleteAgentRequest { id: agent.id }).await {
                Ok(_) => Fate::Deleted,
                Err(status) => Fate::Refused(RpcError(&status).to_string()),
            }
        };
        purged.push(PurgedAgent { agent_id: id, fate });
    }
    match flags.format() {
        Format::Json => Ok(writeln!(terminal.out, "{}", purged_json(&purged))?),
        Format::Pretty => print_purged(&mut terminal.out, &purged, dry_run),
    }
}

/// How long a moment is past; negative if it is to come.
fn nanos_since(seconds: i64) -> i128 {
    const NANOS: i128 = 1_000_000_000;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::try_from(now.as_nanos()).unwrap_or(i128::MAX) - i128::from(seconds) * NANOS
}

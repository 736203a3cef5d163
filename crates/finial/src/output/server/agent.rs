//! Attested agents and join tokens.

use super::PRINTER_BUG;
use crate::output::json::write_compact;
use crate::output::{Fault, counted, go_time};
use finial_proto::types::{Agent, JoinToken};
use finial_wire::convert::ids::id_from_proto;
use serde_json::Value;
use std::io::Write;

/// The result of `agent list`.
pub(crate) fn print_agents(out: &mut impl Write, agents: &[Agent]) -> Result<(), Fault> {
    if agents.is_empty() {
        writeln!(out, "No attested agents found")?;
        return Ok(());
    }
    let count = i64::try_from(agents.len()).unwrap_or(i64::MAX);
    write!(out, "Found {}:\n\n", counted(count, "attested agent", "attested agents"))?;
    for agent in agents {
        print_agent_lines(out, agent)?;
    }
    Ok(())
}

/// The result of `agent show`.
pub(crate) fn print_agent(out: &mut impl Write, agent: &Agent) -> Result<(), Fault> {
    write!(out, "Found an attested agent given its SPIFFE ID\n\n")?;
    print_agent_lines(out, agent)?;
    for selector in &agent.selectors {
        writeln!(out, "Selectors         : {}:{}", selector.r#type, selector.value)?;
    }
    Ok(())
}

fn print_agent_lines(out: &mut impl Write, agent: &Agent) -> Result<(), Fault> {
    let id = id_from_proto(agent.id.as_ref()).map_err(|error| Fault::new(error.to_string()))?;
    writeln!(out, "SPIFFE ID         : {id}")?;
    writeln!(out, "Attestation type  : {}", agent.attestation_type)?;
    writeln!(out, "Expiration time   : {}", go_time::local(agent.x509svid_expires_at))?;
    if agent.banned {
        writeln!(out, "Banned            : true")?;
    } else {
        writeln!(out, "Serial number     : {}", agent.x509svid_serial_number)?;
    }
    writeln!(out, "Can re-attest     : {}", agent.can_reattest)?;
    if !agent.agent_version.is_empty() {
        writeln!(out, "Agent version     : {}", agent.agent_version)?;
    }
    writeln!(out)?;
    Ok(())
}

/// The result of `agent count`.
pub(crate) fn print_count(out: &mut impl Write, count: i32) -> Result<(), Fault> {
    writeln!(out, "{}", counted(count.into(), "attested agent", "attested agents"))?;
    Ok(())
}

/// What `agent purge` did with one expired agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PurgedAgent {
    /// Whose it was.
    pub(crate) agent_id: String,
    /// What became of it.
    pub(crate) fate: Fate,
}

/// What became of an expired agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing, since nothing was to be done.
    Kept,
    /// It is gone.
    Deleted,
    /// The server refused, and how.
    Refused(String),
}

/// The result of `agent purge`.
pub(crate) fn print_purged(out: &mut impl Write, agents: &[PurgedAgent], dry_run: bool) -> Result<(), Fault> {
    if agents.is_empty() {
        writeln!(out, "No agents to purge.")?;
        return Ok(());
    }
    let count = i64::try_from(agents.len()).unwrap_or(i64::MAX);
    write!(out, "Found {}\n\n", counted(count, "expired agent", "expired agents"))?;
    if dry_run {
        writeln!(out, "\nAgents that can be purged:")?;
        for agent in agents {
            writeln!(out, "SPIFFE ID         : {}", agent.agent_id)?;
        }
        return Ok(());
    }
    let (deleted, kept): (Vec<_>, Vec<_>) = agents.iter().partition(|agent| agent.fate == Fate::Deleted);
    if !deleted.is_empty() {
        writeln!(out, "Agents purged:")?;
        for agent in deleted {
            writeln!(out, "SPIFFE ID         : {}", agent.agent_id)?;
        }
    }
    if !kept.is_empty() {
        writeln!(out, "Agents not purged:")?;
        for agent in kept {
            writeln!(out, "SPIFFE ID         : {}", agent.agent_id)?;
            writeln!(out, "Error             : {}", refusal(agent))?;
        }
    }
    Ok(())
}

/// The result of `agent purge` as JSON. Its members keep their order, for it is a structure of Go's.
pub(crate) fn purged_json(agents: &[PurgedAgent]) -> String {
    let items: Vec<String> = agents.iter().map(purged_agent_json).collect();
    format!("{{\"expired_agents\":[{}]}}", items.join(","))
}

fn purged_agent_json(agent: &PurgedAgent) -> String {
    let string = |text: &str| write_compact(&Value::from(text));
    let is_deleted = agent.fate == Fate::Deleted;
    let error = match refusal(agent) {
        "" => String::new(),
        error => format!(",\"error\":{}", string(error)),
    };
    format!("{{\"agent_id\":{},\"deleted\":{is_deleted}{error}}}", string(&agent.agent_id))
}

fn refusal(agent: &PurgedAgent) -> &str {
    match &agent.fate {
        Fate::Refused(error) => error,
        Fate::Kept | Fate::Deleted => "",
    }
}

/// The result of `token generate`. A token without an ID for its agent deserves a warning.
pub(crate) fn print_token(out: &mut impl Write, token: &JoinToken, has_id: bool) -> Result<(), Fault> {
    writeln!(out, "Token: {}", token.value)?;
    if !has_id {
        writeln!(out, "Warning: Missing SPIFFE ID.")?;
    }
    Ok(())
}

/// An agent of a response that should have an ID.
pub(crate) fn agent_id(agent: &Agent) -> Result<String, Fault> {
    match id_from_proto(agent.id.as_ref()) {
        Ok(id) => Ok(id.to_string()),
        Err(error) if agent.id.is_some() => Err(Fault::new(error.to_string())),
        Err(_) => Err(Fault::new(PRINTER_BUG)),
    }
}

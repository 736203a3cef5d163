//! `healthcheck`.

use crate::cli::command::{Command, Invocation, Manner, call};
use crate::cli::connect::{self, AGENT_HEALTH_FLAGS};
use crate::cli::health::{HEALTH_FLAGS, ask};
use crate::flags::FlagSet;
use crate::output::Fault;
use std::io::Write;

pub(super) static HEALTHCHECK: Command = Command {
    path: "healthcheck",
    synopsis: "Determines agent health status",
    about: "Asks the agent whether it serves. For init systems, containers and scripts: the exit code \
         is the answer.",
    flags: FlagSet { name: "health", groups: &[HEALTH_FLAGS, AGENT_HEALTH_FLAGS] },
    manner: Manner::AGENT_HEALTH,
    examples: &[("healthcheck", "exit code 0 if the agent serves, 1 if not")],
    action: call!(healthcheck),
};

async fn healthcheck(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    if flags.is_on("verbose") {
        writeln!(terminal.out, "Checking agent health...")?;
    }
    ask(connect::to_agent(flags)?, "agent", flags, terminal).await?;
    writeln!(terminal.out, "Agent is healthy.")?;
    Ok(())
}

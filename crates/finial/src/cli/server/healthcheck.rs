//! `healthcheck`.

use super::SERVER_FLAGS;
use crate::cli::command::{Command, Invocation, Manner, call};
use crate::cli::connect;
use crate::cli::health::{HEALTH_FLAGS, ask};
use crate::flags::FlagSet;
use crate::output::Fault;
use std::io::Write;

pub(super) static HEALTHCHECK: Command = Command {
    path: "healthcheck",
    synopsis: "Determines server health status",
    about: "Asks the server whether it serves. For init systems, containers and scripts: the exit code \
         is the answer.",
    flags: FlagSet { name: "healthcheck", groups: &[HEALTH_FLAGS, SERVER_FLAGS] },
    manner: Manner::API,
    examples: &[("healthcheck", "exit code 0 if the server serves, 1 if not")],
    action: call!(healthcheck),
};

async fn healthcheck(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let channel = connect::to_server(flags)?;
    if flags.is_on("verbose") {
        writeln!(terminal.out, "Checking server health...")?;
    }
    ask(channel, "server", flags, terminal).await.map_err(|fault| fault.after("server is unhealthy"))?;
    writeln!(terminal.out, "Server is healthy.")?;
    Ok(())
}

//! `api watch`.

use super::workload::{WorkloadClient, read_response};
use crate::cli::command::{Command, Invocation, Manner, call};
use crate::cli::connect::WORKLOAD_FLAGS;
use crate::flags::FlagSet;
use crate::output::agent::x509::{FetchedSvid, print_fetched};
use crate::output::{Fault, Terminal};
use finial_identity::TrustDomain;
use finial_proto::workload::{X509svidRequest, X509svidResponse};
use finial_runtime::config::duration::GoDuration;
use finial_wire::status::RpcError;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tonic::{Code, Status};

pub(super) static WATCH: Command = Command {
    path: "api watch",
    synopsis: "Attaches to the Workload API and prints updates as they're received",
    about: "Stays connected to the agent and prints the identities of the calling process at each \
         change, as `api fetch x509` does, until Ctrl-C. Connects again when the agent goes away.",
    flags: FlagSet { name: "watch", groups: &[WORKLOAD_FLAGS] },
    manner: Manner::WATCH,
    examples: &[("api watch", "each rotation as it happens, until Ctrl-C")],
    action: call!(watch),
};

/// How much longer each wait is than the one before it, and how long one is at most.
const WAIT_STEP: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(30);

async fn watch(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let client = WorkloadClient::new(flags, GoDuration::default())?;
    tokio::select! {
        ended = follow(&client, terminal) => ended,
        _ = tokio::signal::ctrl_c() => Err(Fault::new("context canceled")),
    }
}

/// Prints updates for ever, over as many connections as it takes.
async fn follow(client: &WorkloadClient, terminal: &mut Terminal) -> Result<(), Fault> {
    let mut last = Instant::now();
    let mut wait = WAIT_STEP;
    loop {
        let mut api = client.api.clone();
        let status = match api.fetch_x509svid(client.request(X509svidRequest {})).await {
            Err(status) => status,
            Ok(stream) => {
                let mut stream = stream.into_inner();
                loop {
                    match stream.message().await {
                        Ok(Some(response)) => {
                            wait = WAIT_STEP;
                            print_update(terminal, &response, &mut last)?;
                        }
                        Ok(None) => break Status::unknown("EOF"),
                        Err(status) => break status,
                    }
                }
            }
        };
        writeln!(terminal.err, "{}", RpcError(&status))?;
        if matches!(status.code(), Code::Cancelled | Code::InvalidArgument) {
            return Err(Fault::of_call(&status));
        }
        tokio::time::sleep(wait).await;
        wait = (wait + WAIT_STEP).min(WAIT_MAX);
    }
}

fn print_update(
    terminal: &mut Terminal,
    response: &X509svidResponse,
    last: &mut Instant,
) -> Result<(), Fault> {
    match read_response(response) {
        Ok(svids) => {
            let svids: Vec<_> = svids.into_iter().map(as_watched).collect();
            print_fetched(&mut terminal.out, &svids, GoDuration::from(last.elapsed()))?;
            *last = Instant::now();
        }
        Err(fault) => writeln!(terminal.err, "{fault}")?,
    }
    Ok(())
}

/// Without hint, and with the names of trust domains instead of their IDs: so SPIRE's command shows updates.
fn as_watched(svid: FetchedSvid) -> FetchedSvid {
    let name = |id: &String| TrustDomain::parse(id).map_or_else(|_| id.clone(), |td| td.as_str().to_owned());
    let federated = svid.federated.iter().map(|(id, bundle)| (name(id), bundle.clone())).collect();
    FetchedSvid { hint: String::new(), federated: Arc::new(federated), ..svid }
}

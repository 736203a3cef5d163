//! What the health checks of server and agent have in common.

use crate::flags::{Flag, Values, switch};
use crate::output::go_text::quoted;
use crate::output::{Fault, Terminal};
use finial_wire::status::RpcError;
use std::io::Write;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// The flags of the health checks. `shallow` is there for those who give it: there is one depth.
pub(crate) const HEALTH_FLAGS: &[Flag] = &[
    switch("shallow", "Perform a less stringent health check"),
    switch("verbose", "Print verbose information"),
];

/// Asks for the health of the whole process. `who` is `server` or `agent`.
pub(crate) async fn ask(
    channel: Channel,
    who: &str,
    flags: &Values,
    terminal: &mut Terminal,
) -> Result<(), Fault> {
    let answer = HealthClient::new(channel).check(HealthCheckRequest { service: String::new() }).await;
    let answer = match answer {
        Ok(answer) => answer.into_inner(),
        Err(status) => {
            if flags.is_on("verbose") {
                writeln!(terminal.err, "Failed to check health: {}", RpcError(&status))?;
            }
            return Err(Fault::new("unable to determine health"));
        }
    };
    if answer.status() == ServingStatus::Serving {
        return Ok(());
    }
    Err(Fault::new(format!("{who} returned status {}", quoted(answer.status().as_str_name()))))
}

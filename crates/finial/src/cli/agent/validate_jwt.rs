//! `api validate jwt`.

use super::OUTPUT_FLAGS;
use super::workload::{TIMEOUT_FLAGS, WorkloadClient};
use crate::cli::command::{Command, Invocation, Manner, call};
use crate::cli::connect::WORKLOAD_FLAGS;
use crate::flags::{Flag, FlagSet, text};
use crate::output::Fault;
use crate::output::agent::jwt::print_valid;
use finial_proto::workload::ValidateJwtsvidRequest;

pub(super) static JWT: Command = Command {
    path: "api validate jwt",
    synopsis: "Validates a JWT SVID",
    about: "Asks the agent whether a token is valid for an audience. Prints whose it is and its claims; \
         an invalid one is an error that says why.",
    flags: FlagSet { name: "validate jwt", groups: &[FLAGS, TIMEOUT_FLAGS, WORKLOAD_FLAGS, OUTPUT_FLAGS] },
    manner: Manner::WORKLOAD,
    examples: &[("api validate jwt -audience vault -svid \"$TOKEN\"", "whose token it is, if it is valid")],
    action: call!(validate),
};

const FLAGS: &[Flag] = &[text("audience", "expected audience value"), text("svid", "JWT SVID")];

async fn validate(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let client = WorkloadClient::new(flags, flags.duration("timeout"))?;
    let audience = flags.some_text("audience").ok_or_else(|| Fault::new("audience must be specified"))?;
    let svid = flags.some_text("svid").ok_or_else(|| Fault::new("svid must be specified"))?;
    let request = ValidateJwtsvidRequest { audience: audience.to_owned(), svid: svid.to_owned() };
    let mut api = client.api.clone();
    let answer = client.in_time(api.validate_jwtsvid(client.request(request))).await;
    let response = answer.map_err(|status| match status.code() {
        tonic::Code::InvalidArgument => Fault::new(format!("SVID is not valid: {}", status.message())),
        _ => Fault::of_call_while("unable to validate JWT SVID", &status),
    })?;
    terminal.show(flags.format(), response.get_ref(), |terminal| {
        print_valid(&mut terminal.out, response.get_ref())
    })
}

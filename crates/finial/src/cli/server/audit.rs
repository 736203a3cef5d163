//! `audit verify`: SPIRE has no such command.

use crate::cli::command::{Action, Command, Invocation, Manner};
use crate::flags::FlagSet;
use crate::output::Fault;
use finial_runtime::logging::chain;
use finial_server::audit::file::verify;
use std::fs::File;
use std::io::{BufReader, Write};

pub(super) static VERIFY: Command = Command {
    path: "audit verify",
    synopsis: "Tells whether an audit file is unbroken",
    about: "Follows the chain of the file that `experimental { audit_log_file }` names, from its first record to its \
         last, and tells the first that was changed, removed or put in. The file may be one that a running \
         server writes. That records were cut off at the end cannot be seen in the file: keep the hash that \
         is printed elsewhere, and compare.",
    flags: FlagSet { name: "audit verify", groups: &[] },
    manner: Manner::API,
    examples: &[("audit verify /var/log/spire/audit.jsonl", "tell the first broken record, if there is one")],
    action: Action::Process(run),
};

fn run(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let [path] = flags.arguments() else {
        return Err(Fault::new("one audit file must be named: audit verify FILE"));
    };
    let file = File::open(path).map_err(|error| Fault::new(format!("could not open {path}: {error}")))?;
    let verified = verify(BufReader::new(file))
        .map_err(|broken| Fault::new(format!("audit file {path} is broken: {}", chain(&broken))))?;
    let records = if verified.records == 1 { "record" } else { "records" };
    writeln!(terminal.out, "{} {records}, unbroken. Hash of the last: {}", verified.records, verified.hash)?;
    Ok(())
}

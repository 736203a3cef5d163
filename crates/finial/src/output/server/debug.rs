//! What the server says about itself.

use crate::output::{Fault, go_time};
use finial_proto::server::debug::GetInfoResponse;
use finial_proto::types::Spiffeid;
use finial_runtime::config::duration::GoDuration;
use std::io::{self, Write};
use std::time::Duration;

/// The result of `debug getinfo`.
pub(crate) fn print_info(out: &mut impl Write, info: &GetInfoResponse) -> Result<(), Fault> {
    writeln!(out, "Server Debug Info:")?;
    writeln!(out, "  Uptime:                  {}", uptime(info.uptime))?;
    writeln!(out, "  Registered Agents:       {}", info.agents_count)?;
    writeln!(out, "  Registration Entries:    {}", info.entries_count)?;
    writeln!(out, "  Federated Bundles:       {}", info.federated_bundles_count)?;
    print_chain(out, info.svid_chain.iter().map(|c| (c.id.as_ref(), c.subject.as_str(), c.expires_at)))?;
    Ok(())
}

/// Seconds as a duration.
pub(crate) fn uptime(seconds: i32) -> GoDuration {
    let size = GoDuration::from(Duration::from_secs(seconds.unsigned_abs().into()));
    if seconds < 0 { GoDuration::from_nanos(-size.as_nanos()) } else { size }
}

/// The certificates of the process's own SVID.
pub(crate) fn print_chain<'a>(
    out: &mut impl Write,
    chain: impl Iterator<Item = (Option<&'a Spiffeid>, &'a str, i64)>,
) -> io::Result<()> {
    for (index, (id, subject, expires_at)) in chain.enumerate() {
        if index == 0 {
            writeln!(out, "  SVID Chain:")?;
        }
        let id = if id.is_none() { "(none)".to_owned() } else { super::id_text(id) };
        writeln!(out, "    [{index}] SPIFFE ID:  {id}")?;
        writeln!(out, "        Subject:    {subject}")?;
        writeln!(out, "        Expires At: {}", go_time::rfc3339(expires_at))?;
    }
    Ok(())
}

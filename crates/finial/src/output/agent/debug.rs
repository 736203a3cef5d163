//! What the agent says about itself.

use crate::output::server::debug::{print_chain, uptime};
use crate::output::{Fault, go_time};
use finial_proto::agent::debug::GetInfoResponse;
use std::io::Write;

/// The result of `debug getinfo`.
pub(crate) fn print_info(out: &mut impl Write, info: &GetInfoResponse) -> Result<(), Fault> {
    let last_sync = match info.last_sync_success {
        0 => "(never)".to_owned(),
        seconds => go_time::rfc3339(seconds),
    };
    writeln!(out, "Agent Debug Info:")?;
    writeln!(out, "  Uptime:                          {}", uptime(info.uptime))?;
    writeln!(out, "  Last Sync Success:               {last_sync}")?;
    writeln!(out, "  Cached X.509 SVIDs:              {}", info.cached_x509_svids_count)?;
    writeln!(out, "  Cached JWT SVIDs:                {}", info.cached_jwt_svids_count)?;
    writeln!(out, "  Cached SVID Store X.509 SVIDs:   {}", info.cached_svidstore_x509_svids_count)?;
    print_chain(out, info.svid_chain.iter().map(|c| (c.id.as_ref(), c.subject.as_str(), c.expires_at)))?;
    Ok(())
}

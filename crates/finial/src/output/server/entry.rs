//! Registration entries.

use super::{id_text, is_ok, verdict};
use crate::output::{Fault, Terminal, counted, go_time};
use finial_proto::server::entry::{
    BatchCreateEntryResponse, BatchDeleteEntryResponse, BatchUpdateEntryResponse,
};
use finial_proto::types::Entry;
use std::io::{self, Write};

/// The result of `entry create`: those created, then those refused on standard error.
pub(crate) fn print_created(
    terminal: &mut Terminal,
    response: &BatchCreateEntryResponse,
) -> Result<(), Fault> {
    let results = response.results.iter().map(|result| (result.status.as_ref(), result.entry.as_ref()));
    print_batch(terminal, results, "create")
}

/// The result of `entry update`: those updated, then those refused on standard error.
pub(crate) fn print_updated(
    terminal: &mut Terminal,
    response: &BatchUpdateEntryResponse,
) -> Result<(), Fault> {
    let results = response.results.iter().map(|result| (result.status.as_ref(), result.entry.as_ref()));
    print_batch(terminal, results, "update")
}

fn print_batch<'a>(
    terminal: &mut Terminal,
    results: impl Iterator<Item = (Option<&'a finial_proto::types::Status>, Option<&'a Entry>)>,
    operation: &str,
) -> Result<(), Fault> {
    let (done, refused): (Vec<_>, Vec<_>) = results.partition(|(status, _)| is_ok(*status));
    for (_, entry) in done {
        print_entry(&mut terminal.out, entry.unwrap_or(&Entry::default()))?;
    }
    for (status, entry) in &refused {
        writeln!(terminal.err, "Failed to {operation} the following entry {}:", verdict(*status))?;
        print_entry(&mut terminal.err, entry.unwrap_or(&Entry::default()))?;
    }
    if refused.is_empty() {
        Ok(())
    } else {
        Err(Fault::new(format!("failed to {operation} one or more entries")))
    }
}

/// The result of `entry delete`. Its last line has no end, as in SPIRE.
pub(crate) fn print_deleted(
    terminal: &mut Terminal,
    response: &BatchDeleteEntryResponse,
) -> Result<(), Fault> {
    let (done, refused): (Vec<_>, Vec<_>) =
        response.results.iter().partition(|result| is_ok(result.status.as_ref()));
    for result in &done {
        writeln!(terminal.out, "Deleted entry with ID: {}", result.id)?;
    }
    if !done.is_empty() {
        write!(terminal.out, "\n\n")?;
    }
    for result in &refused {
        let verdict = verdict(result.status.as_ref());
        writeln!(terminal.err, "Failed to delete entry with ID {} {verdict}", result.id)?;
    }
    if refused.is_empty() {
        write!(terminal.out, "Deleted {} entries successfully", done.len())?;
        return Ok(());
    }
    write!(terminal.out, "\n\n")?;
    if done.is_empty() {
        write!(terminal.out, "Failed to delete {} entries", refused.len())?;
    } else {
        let (done, refused) = (done.len(), refused.len());
        write!(terminal.out, "Deleted {done} entries successfully, but failed to delete {refused} entries")?;
    }
    Err(Fault::new("failed to delete one or more entries"))
}

/// The result of `entry show`.
pub(crate) fn print_found(out: &mut impl Write, entries: &[Entry]) -> Result<(), Fault> {
    let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    writeln!(out, "Found {}", counted(count, "entry", "entries"))?;
    for entry in entries {
        print_entry(out, entry)?;
    }
    Ok(())
}

/// The result of `entry count`.
pub(crate) fn print_count(out: &mut impl Write, count: i32) -> Result<(), Fault> {
    writeln!(out, "{}", counted(count.into(), "registration entry", "registration entries"))?;
    Ok(())
}

fn print_entry(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let id = if entry.id.is_empty() { "(none)" } else { &entry.id };
    writeln!(out, "Entry ID                : {id}")?;
    writeln!(out, "SPIFFE ID               : {}", id_text(entry.spiffe_id.as_ref()))?;
    writeln!(out, "Parent ID               : {}", id_text(entry.parent_id.as_ref()))?;
    writeln!(out, "Revision                : {}", entry.revision_number)?;
    if entry.downstream {
        writeln!(out, "Downstream              : true")?;
    }
    writeln!(out, "X509-SVID TTL           : {}", ttl_text(entry.x509_svid_ttl))?;
    writeln!(out, "JWT-SVID TTL            : {}", ttl_text(entry.jwt_svid_ttl))?;
    if entry.expires_at != 0 {
        writeln!(out, "Expiration time         : {}", go_time::utc(entry.expires_at))?;
    }
    for selector in &entry.selectors {
        writeln!(out, "Selector                : {}:{}", selector.r#type, selector.value)?;
    }
    for trust_domain in &entry.federates_with {
        writeln!(out, "FederatesWith           : {trust_domain}")?;
    }
    for name in &entry.dns_names {
        writeln!(out, "DNS name                : {name}")?;
    }
    if entry.admin {
        writeln!(out, "Admin                   : true")?;
    }
    if entry.store_svid {
        writeln!(out, "StoreSvid               : true")?;
    }
    if !entry.hint.is_empty() {
        writeln!(out, "Hint                    : {}", entry.hint)?;
    }
    if let Some(additional) = &entry.additional_attributes {
        if additional.disable_x509_svid_prefetch {
            writeln!(out, "DisableX509SvidPrefetch : true")?;
        }
        if additional.jwt_svid_include_jti {
            writeln!(out, "JwtSvidIncludeJti       : true")?;
        }
    }
    writeln!(out)
}

fn ttl_text(seconds: i32) -> String {
    if seconds == 0 { "default".to_owned() } else { seconds.to_string() }
}

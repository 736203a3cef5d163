//! Federation relationships.

use super::{PRINTER_BUG, is_ok, message, verdict};
use crate::output::go_text::quoted;
use crate::output::{Fault, Terminal, counted};
use finial_proto::server::trustdomain::BatchDeleteFederationRelationshipResponse;
use finial_proto::types::federation_relationship::BundleEndpointProfile;
use finial_proto::types::{FederationRelationship, Status};
use std::io::{self, Write};

/// The result of `federation create` and `federation update`: one verdict for each relationship asked for.
pub(crate) fn print_batch<'a>(
    terminal: &mut Terminal,
    operation: &str,
    requested: &[FederationRelationship],
    results: impl Iterator<Item = (Option<&'a Status>, Option<&'a FederationRelationship>)>,
) -> Result<(), Fault> {
    let mut refused = Vec::new();
    for (index, (status, relationship)) in results.enumerate() {
        let asked = requested.get(index).ok_or_else(|| Fault::new(PRINTER_BUG))?;
        if is_ok(status) {
            writeln!(terminal.out)?;
            print_relationship(&mut terminal.out, relationship.unwrap_or(asked))?;
        } else {
            refused.push((verdict(status), asked));
        }
    }
    for (verdict, asked) in &refused {
        writeln!(terminal.out)?;
        writeln!(terminal.err, "Failed to {operation} the following federation relationship {verdict}:")?;
        print_relationship(&mut terminal.err, asked)?;
    }
    if refused.is_empty() {
        return Ok(());
    }
    Err(Fault::new(format!("failed to {operation} one or more federation relationships")))
}

/// The result of `federation list`.
pub(crate) fn print_list(
    out: &mut impl Write,
    relationships: &[FederationRelationship],
) -> Result<(), Fault> {
    let count = i64::try_from(relationships.len()).unwrap_or(i64::MAX);
    writeln!(out, "Found {}", counted(count, "federation relationship", "federation relationships"))?;
    for relationship in relationships {
        writeln!(out)?;
        print_relationship(out, relationship)?;
    }
    Ok(())
}

/// The result of `federation show`.
pub(crate) fn print_one(
    out: &mut impl Write,
    asked: &str,
    relationship: &FederationRelationship,
) -> Result<(), Fault> {
    write!(out, "Found a federation relationship with trust domain {asked}:\n\n")?;
    Ok(print_relationship(out, relationship)?)
}

/// The result of `federation delete`.
pub(crate) fn print_deleted(
    out: &mut impl Write,
    response: &BatchDeleteFederationRelationshipResponse,
) -> Result<(), Fault> {
    let result = response.results.first().ok_or_else(|| Fault::new(PRINTER_BUG))?;
    if !is_ok(result.status.as_ref()) {
        let (name, message) = (quoted(&result.trust_domain), message(result.status.as_ref()));
        return Err(Fault::new(format!("failed to delete federation relationship {name}: {message}")));
    }
    writeln!(out, "federation relationship deleted.")?;
    Ok(())
}

fn print_relationship(out: &mut impl Write, relationship: &FederationRelationship) -> io::Result<()> {
    writeln!(out, "Trust domain              : {}", relationship.trust_domain)?;
    writeln!(out, "Bundle endpoint URL       : {}", relationship.bundle_endpoint_url)?;
    match &relationship.bundle_endpoint_profile {
        Some(BundleEndpointProfile::HttpsWeb(_)) => writeln!(out, "Bundle endpoint profile   : https_web"),
        Some(BundleEndpointProfile::HttpsSpiffe(profile)) => {
            writeln!(out, "Bundle endpoint profile   : https_spiffe")?;
            writeln!(out, "Endpoint SPIFFE ID        : {}", profile.endpoint_spiffe_id)
        }
        None => Ok(()),
    }
}

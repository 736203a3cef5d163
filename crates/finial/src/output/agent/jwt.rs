//! JWT-SVIDs of a workload.

use crate::output::Fault;
use crate::output::json::{describe_struct, write_protobuf_line};
use finial_proto::workload::{JwtBundlesResponse, JwtsvidResponse, ValidateJwtsvidResponse};
use std::collections::BTreeMap;
use std::io::Write;

/// The result of `api fetch jwt`. Bundles come in the order of their trust domains; SPIRE's come in none.
pub(crate) fn print_fetched(
    out: &mut impl Write,
    svids: &JwtsvidResponse,
    bundles: &JwtBundlesResponse,
) -> Result<(), Fault> {
    for svid in &svids.svids {
        writeln!(out, "token({}):\n\t{}", svid.spiffe_id, svid.svid)?;
        if !svid.hint.is_empty() {
            writeln!(out, "hint({}):\n\t{}", svid.spiffe_id, svid.hint)?;
        }
    }
    for (trust_domain, document) in bundles.bundles.iter().collect::<BTreeMap<_, _>>() {
        write!(out, "bundle({trust_domain}):\n\t")?;
        out.write_all(document)?;
        writeln!(out)?;
    }
    Ok(())
}

/// The result of `api validate jwt` for a token that is valid.
pub(crate) fn print_valid(out: &mut impl Write, response: &ValidateJwtsvidResponse) -> Result<(), Fault> {
    let claims = match &response.claims {
        Some(claims) => write_protobuf_line(&describe_struct(claims)?),
        None => "{}".to_owned(),
    };
    writeln!(out, "SVID is valid.")?;
    writeln!(out, "SPIFFE ID : {}", response.spiffe_id)?;
    writeln!(out, "Claims    : {claims}")?;
    Ok(())
}

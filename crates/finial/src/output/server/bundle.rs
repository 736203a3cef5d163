//! Trust bundles.

use super::{PRINTER_BUG, is_ok, message};
use crate::output::go_text::quoted;
use crate::output::{Fault, counted};
use finial_identity::bundle::format::encode_spiffe;
use finial_identity::pem;
use finial_identity::x509::Certificate;
use finial_proto::server::bundle::{BatchDeleteFederatedBundleResponse, BatchSetFederatedBundleResponse};
use finial_proto::types::Bundle;
use finial_wire::convert::bundles::bundle_from_server;
use std::io::Write;

/// In which form a bundle is read or shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BundleFormat {
    /// Certificates alone.
    Pem,
    /// The document of the SPIFFE standard.
    Spiffe,
}

impl BundleFormat {
    /// Reads a name in any case; empty is PEM.
    pub(crate) fn parse(name: &str) -> Result<Self, Fault> {
        match name.to_lowercase().as_str() {
            "" | "pem" => Ok(Self::Pem),
            "spiffe" => Ok(Self::Spiffe),
            other => Err(Fault::new(format!("invalid format: {}", quoted(other)))),
        }
    }
}

/// The result of `bundle show`, and of `bundle list` with an ID. `format` is a name that nobody has looked at
/// yet: SPIRE does that only here.
pub(crate) fn print_bundle(out: &mut impl Write, bundle: &Bundle, format: &str) -> Result<(), Fault> {
    print_body(out, bundle, BundleFormat::parse(format)?)
}

/// The result of `bundle list`.
pub(crate) fn print_bundles(out: &mut impl Write, bundles: &[Bundle], format: &str) -> Result<(), Fault> {
    const STARS: &str = "****************************************";
    for (index, bundle) in bundles.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        let format = BundleFormat::parse(format)?;
        write!(out, "{STARS}\n* {}\n{STARS}\n", bundle.trust_domain)?;
        print_body(out, bundle, format)?;
    }
    Ok(())
}

fn print_body(out: &mut impl Write, bundle: &Bundle, format: BundleFormat) -> Result<(), Fault> {
    match format {
        BundleFormat::Pem => {
            for authority in &bundle.x509_authorities {
                let chain = Certificate::chain_from_der(&authority.asn1).map_err(|error| {
                    Fault::new(format!("unable to parse certificates ASN.1 DER data: {error}"))
                })?;
                for certificate in chain {
                    out.write_all(pem::encode("CERTIFICATE", certificate.der()).as_bytes())?;
                }
            }
        }
        BundleFormat::Spiffe => {
            let mut bundle = bundle_from_server(bundle).map_err(|error| Fault::new(error.to_string()))?;
            // The standard's document of today has no place for them in SPIRE.
            bundle.wit_authorities.clear();
            let document = encode_spiffe(&bundle);
            let has_keys = !(bundle.x509_authorities.is_empty() && bundle.jwt_authorities.is_empty());
            // SPIRE's command prints no list where there is nothing to list.
            let document = if has_keys { document } else { document.replacen("[]", "null", 1) };
            writeln!(out, "{document}")?;
        }
    }
    Ok(())
}

/// The result of `bundle count`.
pub(crate) fn print_count(out: &mut impl Write, count: i32) -> Result<(), Fault> {
    writeln!(out, "{}", counted(count.into(), "bundle", "bundles"))?;
    Ok(())
}

/// The result of `bundle set`.
pub(crate) fn print_set(
    out: &mut impl Write,
    response: &BatchSetFederatedBundleResponse,
) -> Result<(), Fault> {
    let result = response.results.first().ok_or_else(|| Fault::new(PRINTER_BUG))?;
    if !is_ok(result.status.as_ref()) {
        let message = message(result.status.as_ref());
        return Err(Fault::new(format!("failed to set federated bundle: {message}")));
    }
    writeln!(out, "bundle set.")?;
    Ok(())
}

/// The result of `bundle delete`.
pub(crate) fn print_deleted(
    out: &mut impl Write,
    response: &BatchDeleteFederatedBundleResponse,
) -> Result<(), Fault> {
    let result = response.results.first().ok_or_else(|| Fault::new(PRINTER_BUG))?;
    if !is_ok(result.status.as_ref()) {
        let (name, message) = (quoted(&result.trust_domain), message(result.status.as_ref()));
        return Err(Fault::new(format!("failed to delete federated bundle {name}: {message}")));
    }
    writeln!(out, "bundle deleted.")?;
    Ok(())
}

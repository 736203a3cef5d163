//! X509-SVIDs of a workload.

use crate::output::{Fault, go_time};
use finial_identity::x509::Certificate;
use finial_identity::{PrivateKey, UnixTime};
use finial_runtime::config::duration::GoDuration;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

/// An X509-SVID as the Workload API gave it, read.
#[derive(Debug)]
pub(crate) struct FetchedSvid {
    /// Whose it is.
    pub(crate) spiffe_id: String,
    /// What it is for.
    pub(crate) hint: String,
    /// The leaf, and after it the intermediates. There is one at least.
    pub(crate) chain: Vec<Certificate>,
    /// The key of the leaf.
    pub(crate) key: PrivateKey,
    /// The authorities of its trust domain.
    pub(crate) bundle: Vec<Certificate>,
    /// The authorities of other trust domains, under their names as they are shown.
    pub(crate) federated: Arc<BTreeMap<String, Vec<Certificate>>>,
}

/// The result of `api fetch x509`, and each update of `api watch`.
pub(crate) fn print_fetched(
    out: &mut impl Write,
    svids: &[FetchedSvid],
    after: GoDuration,
) -> Result<(), Fault> {
    let plural = if svids.len() == 1 { "" } else { "s" };
    writeln!(out, "Received {} svid{plural} after {after}", svids.len())?;
    for svid in svids {
        writeln!(out)?;
        print_svid(out, svid)?;
    }
    writeln!(out)?;
    Ok(())
}

fn print_svid(out: &mut impl Write, svid: &FetchedSvid) -> io::Result<()> {
    writeln!(out, "SPIFFE ID:\t\t{}", svid.spiffe_id)?;
    if !svid.hint.is_empty() {
        writeln!(out, "Hint:\t\t\t{}", svid.hint)?;
    }
    for (index, certificate) in svid.chain.iter().enumerate() {
        match index {
            0 => print_validity(out, "SVID", certificate)?,
            _ => print_validity(out, &format!("Intermediate #{index}"), certificate)?,
        }
    }
    for (index, authority) in svid.bundle.iter().enumerate() {
        print_validity(out, &format!("CA #{}", index + 1), authority)?;
    }
    for (trust_domain, authorities) in svid.federated.iter() {
        for (index, authority) in authorities.iter().enumerate() {
            print_validity(out, &format!("[{trust_domain}] CA #{}", index + 1), authority)?;
        }
    }
    Ok(())
}

fn print_validity(out: &mut impl Write, what: &str, certificate: &Certificate) -> io::Result<()> {
    let shown = |moment: UnixTime| go_time::utc(moment.seconds());
    writeln!(out, "{what} Valid After:\t{}", shown(certificate.not_before()))?;
    writeln!(out, "{what} Valid Until:\t{}", shown(certificate.not_after()))
}

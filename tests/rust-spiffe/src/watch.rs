//! What changes while a program runs: SVIDs and bundles.

use std::collections::{HashMap, HashSet};
use std::pin::pin;

use anyhow::{Result, bail};
use futures_util::StreamExt;
use spiffe::WorkloadApiClient;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::parse_x509_certificate;

use crate::{Options, Outcome};

/// An open source sees each new SVID without asking again.
pub async fn rotate(options: &Options) -> Result<()> {
    let wanted = options.number("updates", 2)?;
    let watch = async {
        let source = options.x509_source().await?;
        let mut updates = source.updated();
        let (mut seen, mut last) = (0, String::new());
        loop {
            let svid = source.svid()?;
            let (_, leaf) = parse_x509_certificate(svid.leaf().as_bytes())?;
            let serial = format!("{:x}", leaf.serial);
            if serial != last {
                let not_after = OffsetDateTime::from_unix_timestamp(leaf.validity().not_after.timestamp())?;
                println!("SVID {} {serial} {}", svid.spiffe_id(), not_after.format(&Rfc3339)?);
                last = serial;
                seen += 1;
            }
            if seen >= wanted {
                return anyhow::Ok(());
            }
            updates.changed().await?;
        }
    };
    tokio::time::timeout(options.timeout()?, watch).await.map_err(|_| Outcome::TimedOut)?
}

/// Per trust domain: the authorities, each as its bytes.
type Bundles = Vec<(String, HashSet<Vec<u8>>)>;

/// Both bundle streams deliver at once and on change.
pub async fn bundles(options: &Options) -> Result<()> {
    let wanted = options.number("updates", 2)?;
    let watch = async {
        let client = WorkloadApiClient::connect_to(options.get("socket")?).await?;
        let mut x509 = pin!(client.stream_x509_bundles().await?);
        let mut jwt = pin!(client.stream_jwt_bundles().await?);
        let mut known = HashMap::new(); // what was printed last, per kind and trust domain
        let mut kinds = HashSet::new();
        let mut updates = 0;
        while updates < wanted || kinds.len() < 2 {
            let (kind, bundles): (_, Bundles) = tokio::select! {
                Some(set) = x509.next() => ("X509-BUNDLE", set?.iter().map(|(td, bundle)| {
                    (td.to_string(), bundle.authorities().iter().map(|a| a.as_bytes().to_vec()).collect())
                }).collect()),
                Some(set) = jwt.next() => ("JWT-BUNDLE", set?.iter().map(|(td, bundle)| {
                    (td.to_string(), bundle.jwt_authorities().map(|a| a.jwk_json().to_vec()).collect())
                }).collect()),
                else => bail!("both streams ended"),
            };
            kinds.insert(kind);
            let mut changed = false;
            for (trust_domain, authorities) in bundles {
                let count = authorities.len();
                let line = format!("{kind} {trust_domain}");
                if known.get(&line) != Some(&authorities) {
                    println!("{line} {count}");
                    known.insert(line, authorities);
                    changed = true;
                }
            }
            updates += u64::from(changed);
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(options.timeout()?, watch).await.map_err(|_| Outcome::TimedOut)?
}

//! `disk`: a certificate and its key in PEM files sign.
//!
//! The files are read for every authority that is signed, so that they may be replaced while the server runs. If
//! they cannot be read then, what was read last still signs.

use super::sign::Signer;
use crate::certificate_files::{load_certificates, load_private_key};
use crate::problem::{InvalidConfig, Problem};
use async_trait::async_trait;
use finial_identity::x509::{Certificate, X509Error};
use finial_identity::{Failure, TrustDomain, UnixTime, X509Authority};
use finial_plugin::upstream_authority::{MintedX509Ca, UpstreamAuthority};
use finial_runtime::clock::Clock;
use futures_util::{StreamExt, stream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::warn;

/// The configuration of `disk`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DiskUpstreamConfig {
    /// `cert_file_path`: the certificate in PEM; what leads from it to a root may follow.
    pub cert_file_path: PathBuf,
    /// `key_file_path`: its key in PEM.
    pub key_file_path: PathBuf,
    /// `bundle_file_path`: the roots in PEM; without it the certificate must be its own root.
    pub bundle_file_path: Option<PathBuf>,
}

impl DiskUpstreamConfig {
    /// All that is wrong. Reads no files.
    #[must_use]
    pub fn validate(&self) -> Vec<Problem> {
        let required = [("cert_file_path", &self.cert_file_path), ("key_file_path", &self.key_file_path)];
        let missing = required.into_iter().filter(|(_, path)| path.as_os_str().is_empty());
        let text = "'cert_file_path' and 'key_file_path' must be set and not empty";
        missing.map(|(key, _)| Problem::new(key, text)).collect()
    }
}

/// What the files hold.
struct Material {
    signer: Signer,
    /// What leads from the signer to a root, its certificate first; empty if it is its own root.
    chain: Vec<Certificate>,
    roots: Vec<X509Authority>,
}

/// Signs with what is in the files.
pub struct DiskUpstream {
    config: DiskUpstreamConfig,
    trust_domain: TrustDomain,
    clock: Arc<dyn Clock>,
    last: Mutex<Arc<Material>>,
}

impl DiskUpstream {
    /// Reads the files, which must be right. Blocks shortly.
    pub fn open(
        config: DiskUpstreamConfig,
        trust_domain: TrustDomain,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidConfig> {
        InvalidConfig::unless_empty(config.validate())?;
        let material = load(&config, clock.now().into()).map_err(|problem| InvalidConfig(vec![problem]))?;
        let last = Mutex::new(Arc::new(material));
        Ok(Self { config, trust_domain, clock, last })
    }

    /// What the files hold now, or held last.
    fn current(&self) -> Arc<Material> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match load(&self.config, self.clock.now().into()) {
            Ok(material) => *last = Arc::new(material),
            Err(problem) => {
                warn!(error = %problem, "Unable to load the upstream CA; what was loaded last signs");
            }
        }
        Arc::clone(&last)
    }
}

fn load(config: &DiskUpstreamConfig, now: UnixTime) -> Result<Material, Problem> {
    let of = |key: &'static str, what: &'static str| {
        move |e: String| Problem::new(key, format!("unable to load upstream CA {what}: {e}"))
    };
    let key = load_private_key(&config.key_file_path).map_err(of("key_file_path", "key"))?;
    let chain = load_certificates(&config.cert_file_path).map_err(of("cert_file_path", "cert"))?;
    let certificate = chain[0].clone();
    let bundle_path = config.bundle_file_path.as_deref().filter(|path: &&Path| !path.as_os_str().is_empty());
    let (chain, roots) = match bundle_path {
        Some(path) => (chain, load_certificates(path).map_err(of("bundle_file_path", "bundle"))?),
        None if chain.len() == 1 => (Vec::new(), chain),
        None => {
            let text = "with no bundle_file_path configured only self-signed CAs are supported";
            return Err(Problem::new("cert_file_path", text));
        }
    };
    if certificate.public_key().ok().as_ref() != Some(key.public_key()) {
        let text = "unable to load upstream CA: certificate and private key do not match";
        return Err(Problem::new("key_file_path", text));
    }
    if verify(&certificate, &chain, &roots, now).is_err() {
        let text = "unable to load upstream CA: certificate cannot be validated with the provided bundle or is not \
                    self-signed";
        return Err(Problem::new("cert_file_path", text));
    }
    let roots = roots.into_iter().map(X509Authority::new).collect();
    Ok(Material { signer: Signer { certificate, key }, chain, roots })
}

/// Follows the issuers to a root; every certificate on the way must be valid now.
fn verify(
    certificate: &Certificate,
    chain: &[Certificate],
    roots: &[Certificate],
    now: UnixTime,
) -> Result<(), X509Error> {
    let mut at = certificate;
    for _ in 0..=chain.len() {
        if !at.validity().contains(now) {
            return Err(X509Error::Expired { not_after: at.not_after() });
        }
        if roots.contains(at) {
            return Ok(());
        }
        let signed = |issuer: &&Certificate| {
            let key = issuer.public_key();
            issuer.raw_subject() == at.raw_issuer()
                && key.is_ok_and(|key| at.verify_signature_by(&key).is_ok())
        };
        if roots.iter().any(|root| root.validity().contains(now) && signed(&root)) {
            return Ok(());
        }
        at = chain.iter().find(signed).ok_or(X509Error::UnknownAuthority)?;
    }
    Err(X509Error::UnknownAuthority)
}

#[async_trait]
impl UpstreamAuthority for DiskUpstream {
    fn name(&self) -> &str {
        "disk"
    }

    async fn mint_x509_ca(&self, csr: &[u8], preferred_ttl: Duration) -> Result<MintedX509Ca, Failure> {
        let material = self.current();
        let minted = material.signer.sign(csr, &self.trust_domain, preferred_ttl, self.clock.now().into())?;
        let chain = [minted].into_iter().chain(material.chain.iter().cloned()).collect();
        Ok(MintedX509Ca { chain, roots: material.roots.clone(), updates: stream::empty().boxed() })
    }
}

#[cfg(test)]
mod tests;

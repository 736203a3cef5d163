//! Where the certificate of a new X.509 authority comes from: from itself, or from the authority above.
//!
//! Either way what peers must trust is in the bundle when this is done, and the authority has been seen to
//! sign what they believe.

use super::Authority;
use super::error::{InvalidUpstream, PrepareError};
use super::signing::{X509Ca, check_authority};
use super::template;
use super::upstream::Above;
use finial_identity::x509::{
    Certificate, CsrRequest, SerialNumber, X509Error, assemble, csr_to_be_signed, verify_svid,
};
use finial_identity::{Code, Failure, X509Authority};
use finial_plugin::datastore::BundleChange;
use finial_plugin::key_manager::SigningKey;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Longest wait for a certificate from above; meanwhile nothing else can be prepared or activated.
const MINT_PATIENCE: Duration = Duration::from_secs(60);

impl Authority {
    /// Makes an authority of a key.
    pub(super) async fn certify_x509(
        &self,
        key: Arc<dyn SigningKey>,
        now: SystemTime,
    ) -> Result<X509Ca, PrepareError> {
        match &self.above {
            None => self.certify_itself(key, now).await,
            Some(above) => self.certify_above(above, key, now).await,
        }
    }

    /// Makes a self-signed authority and publishes it.
    async fn certify_itself(
        &self,
        key: Arc<dyn SigningKey>,
        now: SystemTime,
    ) -> Result<X509Ca, PrepareError> {
        let serial = SerialNumber::random().map_err(PrepareError::Random)?;
        let template = template::x509_authority(&self.config, serial, key.public_key(), now);
        let authority = X509Ca::self_signed(key, &template).await?;
        check_authority(&authority, authority.certificate(), self.config.trust_domain.id().as_str())
            .map_err(PrepareError::Certificate)?;
        let x509 = vec![X509Authority::new(authority.certificate().clone())];
        let appended = self.own_bundle.apply(BundleChange::Append { x509, jwt: Vec::new() }).await;
        appended.map_err(PrepareError::Publish)?;
        Ok(authority)
    }

    /// Has an authority signed above, and publishes the roots that come with it.
    async fn certify_above(
        &self,
        above: &Above,
        key: Arc<dyn SigningKey>,
        now: SystemTime,
    ) -> Result<X509Ca, PrepareError> {
        let csr = self.request(&*key).await?;
        let minting = above.plugin().mint_x509_ca(&csr, self.config.ca_ttl);
        let minted = tokio::time::timeout(MINT_PATIENCE, minting).await.map_err(|_| {
            let text = format!("no answer from above within {} s", MINT_PATIENCE.as_secs());
            PrepareError::Upstream(Failure::new(Code::DeadlineExceeded, text))
        })?;
        let minted = minted.map_err(PrepareError::Upstream)?;
        let chain = without_roots(minted.chain, &minted.roots);
        let authority = X509Ca::signed_above(key, chain).ok_or(PrepareError::KeyKind)?;
        self.check_minted(&authority, &minted.roots, now).await?;
        self.take_over_roots(&minted.roots).await.map_err(PrepareError::Publish)?;
        above.listen_to(minted.updates);
        Ok(authority)
    }

    /// A request for the key: the subject that authorities have here, and the ID of the trust domain.
    async fn request(&self, key: &dyn SigningKey) -> Result<Vec<u8>, PrepareError> {
        let scheme = key.public_key().certificate_scheme().ok_or(PrepareError::KeyKind)?;
        let serial = SerialNumber::random().map_err(PrepareError::Random)?;
        let id = self.config.trust_domain.id();
        let subject = template::authority_subject(&self.config.ca_subject, &serial);
        let request = CsrRequest { subject, spiffe_id: Some(&id), dns_names: &[] };
        let info = csr_to_be_signed(key.public_key(), &request);
        let signature = key.sign(scheme, &info).await.map_err(|e| PrepareError::Sign(e.into()))?;
        Ok(assemble(&info, scheme, &signature))
    }

    /// Checks what came from above before anybody is told of it: it must be what was asked for, and what it
    /// signs must be believed by those who trust the roots that are not tainted.
    async fn check_minted(
        &self,
        authority: &X509Ca,
        roots: &[X509Authority],
        now: SystemTime,
    ) -> Result<(), PrepareError> {
        let certificate = authority.certificate();
        let invalid = |error: X509Error| PrepareError::InvalidUpstream(InvalidUpstream::Certificate(error));
        let key = certificate.public_key().map_err(invalid)?;
        if key != *authority.public_key() {
            return Err(PrepareError::InvalidUpstream(InvalidUpstream::OtherKey));
        }
        let issuer = authority.upstream_chain().get(1).or_else(|| {
            let mut roots = roots.iter().map(|root| &root.certificate);
            roots.find(|root| authority.hangs_on(root))
        });
        let issuer = issuer.ok_or(PrepareError::InvalidUpstream(InvalidUpstream::NoRoot))?;
        check_authority(authority, issuer, self.config.trust_domain.id().as_str()).map_err(invalid)?;
        let serial = SerialNumber::random().map_err(PrepareError::Random)?;
        let template = template::throwaway(&self.config, serial, certificate, authority.public_key());
        let signed = authority.issue(&template).await?;
        let chain: Result<Vec<_>, _> = signed.iter().map(|der| Certificate::from_der(der)).collect();
        let untainted = roots.iter().filter(|root| !root.tainted);
        verify_svid(&chain.map_err(invalid)?, untainted, now.into())
            .map_err(|error| PrepareError::InvalidUpstream(InvalidUpstream::Chain(error)))?;
        Ok(())
    }
}

/// Roots travel in bundles, never in chains.
fn without_roots(mut chain: Vec<Certificate>, roots: &[X509Authority]) -> Vec<Certificate> {
    let is_root = |certificate: &Certificate| roots.iter().any(|root| root.certificate == *certificate);
    while chain.len() > 1 && chain.last().is_some_and(is_root) {
        chain.pop();
    }
    chain
}

//! An agent that only asks: it attests with a join token and talks to the server as its own agents do.

use crate::site::{Site, id, trust_domain};
use anyhow::{Context, Result, bail};
use finial_identity::x509::{Certificate, CsrRequest, DistinguishedName, build_csr, verify_svid};
use finial_identity::{Bundle, KeyType, PrivateKey, SpiffeId, TrustDomain, UnixTime};
use finial_proto::server::agent::agent_client::AgentClient;
use finial_proto::server::agent::attest_agent_request::{Params, Step};
use finial_proto::server::agent::attest_agent_response::Step as Answer;
use finial_proto::server::agent::{AgentX509svidParams, AttestAgentRequest};
use finial_proto::types;
use finial_wire::channel::{ChannelOptions, tls_channel};
use finial_wire::convert::svids::chain_from_proto;
use finial_wire::tls::{ExpectedServer, IdentityCell, LocalIdentity, TlsOptions, TrustSource, client_config};
use std::sync::Arc;
use std::time::SystemTime;
use tonic::transport::Channel;

/// An attested agent and its connection.
pub(crate) struct SimulatedAgent {
    /// Who it is.
    pub(crate) id: SpiffeId,
    /// One connection to the server, with the agent's SVID.
    pub(crate) channel: Channel,
    trust: Arc<Trust>,
}

#[derive(Debug)]
struct Trust(Arc<Bundle>);

impl TrustSource for Trust {
    fn authorities(&self, trust_domain: &TrustDomain) -> Option<Arc<Bundle>> {
        (self.0.trust_domain == *trust_domain).then(|| Arc::clone(&self.0))
    }
}

impl SimulatedAgent {
    /// Attests.
    pub(crate) async fn attest(site: &Site<'_>) -> Result<Self> {
        let trust = Arc::new(Trust(Arc::new(site.bundle().await?)));
        let (token, id) = site.token().await?;
        let key = PrivateKey::generate(KeyType::EcP256)?;
        let step = Step::Params(Params {
            data: Some(types::AttestationData { r#type: "join_token".into(), payload: token.into() }),
            params: Some(AgentX509svidParams { csr: csr(&key, None)?.into() }),
        });
        let request = tokio_stream::iter([AttestAgentRequest { step: Some(step) }]);
        let stranger = connect(site, &trust, None)?;
        let mut answers = AgentClient::new(stranger).attest_agent(request).await?.into_inner();
        let answer = answers.message().await?.and_then(|answer| answer.step);
        let Some(Answer::Result(result)) = answer else { bail!("the server wants more than a join token") };
        let chain = chain_from_proto(&result.svid.context("no SVID")?.cert_chain)?;
        let identity = IdentityCell::with(LocalIdentity::new(chain, Arc::new(key))?);
        Ok(Self { id, channel: connect(site, &trust, Some(identity))?, trust })
    }

    /// Checks an SVID that the server has issued.
    pub(crate) fn check(&self, svid: &types::X509svid, expected: &SpiffeId, key: &PrivateKey) -> Result<()> {
        let chain: Vec<Certificate> = chain_from_proto(&svid.cert_chain)?;
        let now = UnixTime::from(SystemTime::now());
        let found = verify_svid(&chain, self.trust.0.x509_authorities.iter(), now)?;
        if found != *expected || chain[0].spki() != key.public_key().spki() {
            bail!("not the SVID that was asked for: {found} instead of {expected}");
        }
        Ok(())
    }
}

fn connect(site: &Site<'_>, trust: &Arc<Trust>, identity: Option<Arc<IdentityCell>>) -> Result<Channel> {
    let trust: Arc<dyn TrustSource> = trust.clone();
    let expected = ExpectedServer::Is { id: trust_domain()?.server_id(), trust };
    let tls = client_config(expected, identity, &TlsOptions::default())?;
    Ok(tls_channel(site.target()?, Arc::new(tls), &ChannelOptions::default()))
}

/// A certificate request as agents make them.
pub(crate) fn csr(key: &PrivateKey, spiffe_id: Option<&SpiffeId>) -> Result<Vec<u8>> {
    let request = CsrRequest { subject: DistinguishedName::spire(), spiffe_id, dns_names: &[] };
    Ok(build_csr(key, &request)?)
}

/// Something that a simulated agent may have signed.
pub(crate) struct Workload {
    /// Whose it will be.
    pub(crate) id: SpiffeId,
    /// Its key.
    pub(crate) key: PrivateKey,
    /// A request of that key.
    pub(crate) csr: Vec<u8>,
}

impl Workload {
    /// Makes key and request.
    pub(crate) fn new(number: usize) -> Result<Self> {
        let (id, key) = (id(&format!("/workload/{number}"))?, PrivateKey::generate(KeyType::EcP256)?);
        let csr = csr(&key, Some(&id))?;
        Ok(Self { id, key, csr })
    }
}

//! One attestation: proof to the server, SVID and bundle back.

use super::keys::AgentKey;
use crate::config::{Bootstrap, BundleSource};
use finial_identity::x509::{Certificate, verify_svid};
use finial_identity::{Bundle, Code, Failure, TrustDomain, UnixTime};
use finial_plugin::node_attestor::AgentNodeAttestor;
use finial_proto::server::agent::agent_client::AgentClient;
use finial_proto::server::agent::attest_agent_request::{Params, Step as Sent};
use finial_proto::server::agent::attest_agent_response::{Result as AttestResult, Step as Got};
use finial_proto::server::agent::{AgentX509svidParams, AttestAgentRequest, AttestAgentResponse};
use finial_proto::server::bundle::GetBundleRequest;
use finial_proto::server::bundle::bundle_client::BundleClient;
use finial_proto::types;
use finial_runtime::clock::Clock;
use finial_wire::channel::{ChannelOptions, TcpTarget, tls_channel};
use finial_wire::convert::bundles::bundle_from_server;
use finial_wire::convert::svids::chain_from_proto;
use finial_wire::status::to_failure;
use finial_wire::tls::{CapturedChain, ExpectedServer, TlsOptions, TrustSource, client_config};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use tracing::{info, warn};

/// Longest wait for the end of an attestation.
const PATIENCE: Duration = Duration::from_secs(60);
/// Challenges taken before the server is thought to be mad.
const CHALLENGES_MAX: usize = 16;

/// How to reach and to convince the server.
pub struct AttestParts {
    /// Whose agent this is.
    pub trust_domain: TrustDomain,
    /// The server.
    pub server: TcpTarget,
    /// The first trust.
    pub bootstrap: Bootstrap,
    /// The proof.
    pub attestor: Arc<dyn AgentNodeAttestor>,
    /// TLS.
    pub tls: TlsOptions,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Attests.
pub struct Attester {
    parts: AttestParts,
}

/// The outcome of an attestation.
pub(super) struct AgentAttested {
    /// The agent's SVID, leaf first.
    pub(super) chain: Vec<Certificate>,
    /// Whether the agent may attest again.
    pub(super) can_reattest: bool,
    /// The bundle of the trust domain.
    pub(super) bundle: Bundle,
}

impl Attester {
    /// Prepares attestations.
    pub fn new(parts: AttestParts) -> Self {
        Self { parts }
    }

    /// Attests once. `known` is the bundle of an earlier time, which is believed before the bootstrap bundle.
    pub(super) async fn attest(
        &self,
        known: Option<Arc<Bundle>>,
        key: &AgentKey,
    ) -> Result<AgentAttested, Failure> {
        let trust = self.trust(known).await?;
        let captured = CapturedChain::default();
        let expected = match &trust {
            Some(bundle) => ExpectedServer::Is {
                id: self.parts.trust_domain.server_id(),
                trust: Arc::new(FixedTrust(Arc::clone(bundle))),
            },
            None => ExpectedServer::Anybody(captured.clone()),
        };
        let tls = client_config(expected, None, &self.parts.tls)
            .map_err(|e| Failure::internal(format!("could not set up TLS: {e}")))?;
        let channel = tls_channel(self.parts.server.clone(), Arc::new(tls), &ChannelOptions::default());
        let attested = tokio::time::timeout(PATIENCE, self.converse(channel, key)).await;
        let attested = attested.map_err(|_| {
            let text = format!("the server did not end the attestation within {} s", PATIENCE.as_secs());
            Failure::new(Code::DeadlineExceeded, text)
        })??;
        if trust.is_none() {
            self.check_captured(&captured, &attested.bundle)?;
        }
        Ok(attested)
    }

    async fn trust(&self, known: Option<Arc<Bundle>>) -> Result<Option<Arc<Bundle>>, Failure> {
        if known.is_some() {
            return Ok(known);
        }
        match &self.parts.bootstrap {
            Bootstrap::Bundle(bundle) => Ok(Some(Arc::new(Bundle::clone(bundle)))),
            Bootstrap::Fetched(source) => fetch(source.as_ref()).await.map(Some),
            Bootstrap::Insecure => {
                warn!("Insecure bootstrap enabled; skipping server certificate verification");
                Ok(None)
            }
        }
    }

    /// After an insecure bootstrap, at least the bundle must vouch for the server that gave it.
    fn check_captured(&self, captured: &CapturedChain, bundle: &Bundle) -> Result<(), Failure> {
        let now = UnixTime::from(self.parts.clock.now());
        let id = verify_svid(&captured.chain(), bundle.x509_authorities.iter(), now).map_err(|e| {
            Failure::internal(format!("the server's bundle does not vouch for the server: {e}"))
        })?;
        if id != self.parts.trust_domain.server_id() {
            return Err(Failure::internal(format!("unexpected server ID {id}")));
        }
        Ok(())
    }

    async fn converse(&self, channel: Channel, key: &AgentKey) -> Result<AgentAttested, Failure> {
        let csr = key.csr().await?;
        let name = self.parts.attestor.name().to_owned();
        let mut prover = self.parts.attestor.begin().await?;
        let (requests, outbound) = mpsc::channel(1);
        let params = Params {
            data: Some(types::AttestationData { r#type: name, payload: prover.payload().into() }),
            params: Some(AgentX509svidParams { csr: csr.into() }),
        };
        say(&requests, Sent::Params(params)).await?;
        let mut client = AgentClient::new(channel.clone());
        let answers = client.attest_agent(ReceiverStream::new(outbound)).await;
        let mut answers = answers.map_err(|e| to_failure(&e))?.into_inner();
        for _ in 0..CHALLENGES_MAX {
            match hear(&mut answers).await? {
                Got::Challenge(challenge) => {
                    let answer = prover.answer(&challenge).await?;
                    say(&requests, Sent::ChallengeResponse(answer.into())).await?;
                }
                Got::Result(result) => return self.finish(channel, result).await,
            }
        }
        Err(Failure::internal("the server does not stop to challenge"))
    }

    async fn finish(&self, channel: Channel, result: AttestResult) -> Result<AgentAttested, Failure> {
        let svid = result.svid.ok_or_else(|| Failure::internal("attest response is missing SVID"))?;
        let chain = chain_from_proto(&svid.cert_chain)
            .map_err(|e| Failure::internal(format!("invalid SVID cert chain: {e}")))?;
        let answer = BundleClient::new(channel).get_bundle(GetBundleRequest { output_mask: None }).await;
        let bundle = answer.map_err(|e| {
            let failure = to_failure(&e);
            Failure { message: format!("failed to get updated bundle: {}", failure.message), ..failure }
        })?;
        let bundle = bundle_from_server(bundle.get_ref())
            .map_err(|e| Failure::internal(format!("invalid trust bundle: {e}")))?;
        let now = UnixTime::from(self.parts.clock.now());
        let id = verify_svid(&chain, bundle.x509_authorities.iter(), now)
            .map_err(|e| Failure::internal(format!("the server sent a wrong SVID: {e}")))?;
        if *id.trust_domain() != self.parts.trust_domain {
            return Err(Failure::internal(format!("the server sent an SVID of another trust domain: {id}")));
        }
        Ok(AgentAttested { chain, can_reattest: result.reattestable, bundle })
    }
}

async fn fetch(source: &dyn BundleSource) -> Result<Arc<Bundle>, Failure> {
    let bundle = source
        .fetch()
        .await
        .map_err(|e| Failure::new(Code::Unavailable, format!("unable to fetch the trust bundle: {e}")))?;
    info!(count = bundle.x509_authorities.len(), "Trust bundle fetched");
    Ok(Arc::new(bundle))
}

async fn say(requests: &mpsc::Sender<AttestAgentRequest>, step: Sent) -> Result<(), Failure> {
    let sent = requests.send(AttestAgentRequest { step: Some(step) }).await;
    sent.map_err(|_| Failure::new(Code::Unavailable, "the server ended the attestation"))
}

async fn hear(answers: &mut Streaming<AttestAgentResponse>) -> Result<Got, Failure> {
    let answer: Result<Option<AttestAgentResponse>, Status> = answers.message().await;
    let answer = answer.map_err(|e| to_failure(&e))?;
    let step = answer.and_then(|answer| answer.step);
    step.ok_or_else(|| Failure::new(Code::Unavailable, "the server ended the attestation"))
}

/// One bundle, for one connection.
#[derive(Debug)]
struct FixedTrust(Arc<Bundle>);

impl TrustSource for FixedTrust {
    fn authorities(&self, trust_domain: &TrustDomain) -> Option<Arc<Bundle>> {
        (self.0.trust_domain == *trust_domain).then(|| Arc::clone(&self.0))
    }
}

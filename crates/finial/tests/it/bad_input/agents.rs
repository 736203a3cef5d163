//! What agents say to the server over its TCP port (cases 41 to 43, 66 to 68), and node operators on its socket.

use super::requests::{altered, plain};
use super::{expect, item_verdict, verdict};
use crate::serving;
use anyhow::{Context, Result};
use finial_identity::{KeyType, PrivateKey};
use finial_proto::server::agent::agent_client::AgentClient;
use finial_proto::server::agent::attest_agent_request::{Params, Step};
use finial_proto::server::agent::attest_agent_response::Step as Answer;
use finial_proto::server::agent::{
    AgentX509svidParams, AttestAgentRequest, BanAgentRequest, CreateJoinTokenRequest, PostStatusRequest,
    RenewAgentRequest,
};
use finial_proto::server::svid::svid_client::SvidClient;
use finial_proto::server::svid::{BatchNewX509svidRequest, NewX509svidParams};
use finial_proto::types;
use finial_testkit::{Deployment, entry};
use finial_wire::channel::{ChannelOptions, TcpTarget, tls_channel};
use finial_wire::convert::svids::chain_from_proto;
use finial_wire::tls::{
    CapturedChain, ExpectedServer, IdentityCell, LocalIdentity, TlsOptions, client_config,
};
use futures_util::stream;
use std::sync::Arc;
use tonic::Status;
use tonic::transport::Channel;

/// A connection to the server's port, as somebody or as nobody.
pub(super) fn connect(deployment: &Deployment, identity: Option<LocalIdentity>) -> Result<Channel> {
    let server = ExpectedServer::Anybody(CapturedChain::default());
    let config = client_config(server, identity.map(IdentityCell::with), &TlsOptions::default())?;
    let target = TcpTarget::new("127.0.0.1", deployment.port())?;
    Ok(tls_channel(target, Arc::new(config), &ChannelOptions::default()))
}

fn with_token(token: &str, csr: Vec<u8>) -> Params {
    let data =
        types::AttestationData { r#type: "join_token".into(), payload: token.as_bytes().to_vec().into() };
    Params { data: Some(data), params: Some(AgentX509svidParams { csr: csr.into() }) }
}

async fn attest(deployment: &Deployment, params: Params) -> Result<types::X509svid, Status> {
    let channel = connect(deployment, None).map_err(|error| Status::unknown(error.to_string()))?;
    let request = AttestAgentRequest { step: Some(Step::Params(params)) };
    let answers = AgentClient::new(channel).attest_agent(stream::iter([request])).await;
    match answers?.into_inner().message().await?.and_then(|answer| answer.step) {
        Some(Answer::Result(result)) => Ok(result.svid.unwrap_or_default()),
        other => Err(Status::unknown(format!("{other:?}"))),
    }
}

/// An agent that has attested, its ID, and a connection as which it speaks.
async fn agent(deployment: &Deployment) -> Result<(String, Channel)> {
    let token = deployment.token().await?;
    let key = PrivateKey::generate(KeyType::EcP256)?;
    let svid = attest(deployment, with_token(&token, plain(&key)?)).await?;
    let identity = LocalIdentity::new(chain_from_proto(&svid.cert_chain)?, Arc::new(key))?;
    let id = identity.id().to_string();
    Ok((id, connect(deployment, Some(identity))?))
}

fn csr() -> Result<Vec<u8>> {
    plain(&PrivateKey::generate(KeyType::EcP256)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn case_66_join_tokens() -> Result<()> {
    let deployment = serving("", "").await?;
    let mut client = AgentClient::new(deployment.server_channel());
    for ttl in [0, -1] {
        let request = CreateJoinTokenRequest { ttl, ..Default::default() };
        let refused = "InvalidArgument: ttl is required, you must provide one";
        expect(66, &verdict(client.create_join_token(request).await), refused);
    }
    let gone = "InvalidArgument: failed to attest: join token does not exist or has already been used";
    let token = deployment.token().await?;
    expect("66 good", &verdict(attest(&deployment, with_token(&token, csr()?)).await), "ok");
    expect("66 reused", &verdict(attest(&deployment, with_token(&token, csr()?)).await), gone);
    expect("66 unknown", &verdict(attest(&deployment, with_token("unknown", csr()?)).await), gone);
    let mut bytes = with_token("", csr()?);
    bytes.data = Some(types::AttestationData { r#type: "join_token".into(), payload: vec![0xff, 0].into() });
    expect("66 not a text", &verdict(attest(&deployment, bytes).await), gone);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_41_to_43_attestation() -> Result<()> {
    let deployment = serving("", "").await?;
    let token = deployment.token().await?;
    let good = with_token(&token, csr()?);
    let data = |kind: &str, payload: &'static [u8]| {
        let data = types::AttestationData { r#type: kind.into(), payload: payload.into() };
        Params { data: Some(data), ..good.clone() }
    };
    for (case, params, wanted) in [
        (
            0,
            Params { data: None, ..good.clone() },
            "InvalidArgument: malformed param: missing attestation data",
        ),
        (
            0,
            Params { params: None, ..good.clone() },
            "InvalidArgument: malformed param: missing X509-SVID parameters",
        ),
        (0, data("", b"x"), "InvalidArgument: malformed param: missing attestation data type"),
        (0, data("join_token", b""), "InvalidArgument: malformed param: missing attestation data payload"),
        (
            0,
            data("nobody", b"x"),
            r#"FailedPrecondition: error getting node attestor: could not find node attestor type "nobody""#,
        ),
        (41, with_token(&token, Vec::new()), "InvalidArgument: malformed param: missing CSR"),
    ] {
        expect(case, &verdict(attest(&deployment, params).await), wanted);
    }
    // Whoever shows a token has spent it, also with a request that is not one.
    let spoiled = verdict(attest(&deployment, with_token(&token, b"garbage".to_vec())).await);
    expect(42, &spoiled, "InvalidArgument: failed to parse CSR: …");
    let again = verdict(attest(&deployment, good).await);
    expect(
        66,
        &again,
        "InvalidArgument: failed to attest: join token does not exist or has already been used",
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_41_to_43_renewal() -> Result<()> {
    let deployment = serving("", "").await?;
    let (_, channel) = agent(&deployment).await?;
    let renew = async |csr: Option<Vec<u8>>| {
        let params = csr.map(|csr| AgentX509svidParams { csr: csr.into() });
        verdict(AgentClient::new(channel.clone()).renew_agent(RenewAgentRequest { params }).await)
    };
    expect(41, &renew(None).await, "InvalidArgument: params cannot be nil");
    expect(41, &renew(Some(Vec::new())).await, "InvalidArgument: missing CSR");
    expect(42, &renew(Some(b"garbage".to_vec())).await, "InvalidArgument: failed to parse CSR: …");
    expect(42, &renew(Some(csr()?)).await, "ok");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_41_to_43_and_65_workload_svids() -> Result<()> {
    let deployment = serving("", "").await?;
    let (id, channel) = agent(&deployment).await?;
    let mine = deployment.create_entry(entry(&id, "spiffe://example.org/a", &["unix:uid:1"])?).await?.id;
    let other = format!("{id}-other");
    let theirs = deployment.create_entry(entry(&other, "spiffe://example.org/b", &["unix:uid:1"])?).await?.id;
    let mut client = SvidClient::new(channel);
    let empty = client.batch_new_x509svid(BatchNewX509svidRequest { params: vec![] }).await;
    expect(0, &verdict(empty), "InvalidArgument: missing parameters");
    let cases: [(u8, &str, Vec<u8>, &str); 8] = [
        (41, &mine, Vec::new(), "InvalidArgument: missing CSR"),
        (42, &mine, b"garbage".to_vec(), "InvalidArgument: malformed CSR: …"),
        (43, &mine, altered(csr()?), "InvalidArgument: invalid CSR signature: …"),
        (0, "", csr()?, "InvalidArgument: missing entry ID"),
        (65, "unknown", csr()?, "NotFound: entry not found or not authorized"),
        (65, "a/b", csr()?, "NotFound: entry not found or not authorized"),
        (65, &theirs, csr()?, "NotFound: entry not found or not authorized"),
        (0, &mine, csr()?, "ok"),
    ];
    let params = cases.iter().map(|(_, entry_id, csr, _)| NewX509svidParams {
        entry_id: (*entry_id).to_owned(),
        csr: csr.clone().into(),
    });
    let request = BatchNewX509svidRequest { params: params.collect() };
    let results = client.batch_new_x509svid(request).await?.into_inner().results;
    assert_eq!(results.len(), cases.len());
    for ((case, entry, _, wanted), result) in cases.iter().zip(results) {
        expect(format!("{case} {entry}"), &item_verdict(result.status.as_ref()), wanted);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_67_and_68_agents_that_are_known() -> Result<()> {
    let deployment = serving("", "").await?;
    let (id, channel) = agent(&deployment).await?;
    let mut client = AgentClient::new(channel);
    let status =
        |length: usize| PostStatusRequest { agent_version: "v".repeat(length), ..Default::default() };
    expect(68, &verdict(client.post_status(status(255)).await), "ok");
    let too_long = "InvalidArgument: agent version is too long (max 255 characters)";
    expect(68, &verdict(client.post_status(status(256)).await), too_long);

    let path = id.strip_prefix("spiffe://example.org").context("an ID")?.to_owned();
    let id = Some(types::Spiffeid { trust_domain: "example.org".into(), path });
    AgentClient::new(deployment.server_channel()).ban_agent(BanAgentRequest { id }).await?;
    expect(67, &verdict(client.post_status(status(1)).await), "PermissionDenied: …");
    let renewal = RenewAgentRequest { params: Some(AgentX509svidParams { csr: csr()?.into() }) };
    expect(67, &verdict(client.renew_agent(renewal).await), "PermissionDenied: …");
    Ok(())
}

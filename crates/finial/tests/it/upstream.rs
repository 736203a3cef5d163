//! Servers below another authority.

use crate::authorities::{active_x509, bundle, change_x509, json, text};
use crate::{EAGER, deployment, has_ids, own_uid, serving, start_server};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use finial_identity::x509::{Certificate, CsrRequest, DistinguishedName, build_csr};
use finial_identity::{Bundle, X509Authority};
use finial_identity::{KeyType, PrivateKey, TrustDomain};
use finial_proto::server::bundle::PublishJwtAuthorityRequest;
use finial_proto::server::bundle::bundle_client::BundleClient;
use finial_proto::server::svid::NewDownstreamX509caRequest;
use finial_proto::server::svid::svid_client::SvidClient;
use finial_proto::types;
use finial_proto::workload::X509svidRequest;
use finial_testkit::{AgentOptions, Deployment, NodeAuthority, Workload, entry, eventually};
use finial_wire::channel::{ChannelOptions, TcpTarget, tls_channel};
use finial_wire::tls::{ExpectedServer, IdentityCell, LocalIdentity, TlsOptions, TrustSource, client_config};
use std::sync::Arc;
use tonic::Code;
use tonic::transport::Channel;

const ID: &str = "spiffe://example.org/w";

/// A server below an authority in files, an agent, and a workload.
async fn below_files() -> Result<(Deployment, NodeAuthority, finial_testkit::Process, Workload)> {
    let mut deployment = deployment()?;
    let files = NodeAuthority::new(deployment.path("upstream"))?;
    start_server(&mut deployment, "", &files.upstream_plugin()).await?;
    let options = AgentOptions { agent: EAGER.to_owned(), ..Default::default() };
    let (agent, parent) = deployment.start_agent("a", &options).await?;
    deployment.register(&parent, ID, &[&own_uid()], 600).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &[ID]).await?;
    Ok((deployment, files, agent, workload))
}

#[tokio::test(flavor = "multi_thread")]
async fn upstream_disk() -> Result<()> {
    let (mut deployment, files, mut agent, workload) = below_files().await?;
    let shown = json(&deployment, &["localauthority", "x509", "show"]).await?;
    ensure!(text(&shown, "/active/upstream_authority_subject_key_id")? == files.id());
    let printed = deployment.server_command(&["localauthority", "x509", "show"]).await?.ok()?;
    ensure!(printed.contains(&format!("  Upstream authority Subject Key ID: {}\n", files.id())), "{printed}");
    let prepared = deployment.server()?.line("X509 CA prepared").await?;
    ensure!(prepared.contains(&format!("upstream_authority_id={}", files.id())), "{prepared}");
    ensure!(prepared.contains("self_signed=false"), "{prepared}");
    let update = workload.x509().await?;
    let svid = update.svid(ID)?;
    ensure!(svid.chain.len() == 2 && svid.authorities.len() == 1, "{}", svid.chain.len());
    ensure!(svid.authorities[0].certificate.subject_key_id_hex() == files.id());
    ensure!(svid.chain[1].subject_key_id_hex() == active_x509(&deployment).await?);

    // The journal brings it back, with its chain.
    let before = active_x509(&deployment).await?;
    deployment.server()?.stop().await?;
    deployment.restart_server().await?;
    ensure!(active_x509(&deployment).await? == before);
    ensure!(agent.is_running());
    let minted =
        deployment.server_command(&["x509", "mint", "-spiffeID", "spiffe://example.org/m"]).await?.ok()?;
    ensure!(minted.matches("BEGIN CERTIFICATE").count() == 3, "leaf, authority, root: {minted}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn force_rotation_upstream_authority() -> Result<()> {
    let (mut deployment, old, mut agent, workload) = below_files().await?;
    let refused = deployment
        .server_command(&[
            "localauthority",
            "x509",
            "taint",
            "-authorityID",
            &active_x509(&deployment).await?,
        ])
        .await?;
    let refused = refused.ok().err().context("refused")?.to_string();
    ensure!(
        refused.contains("local authority can't be tainted if there is an upstream authority"),
        "{refused}"
    );

    let new = NodeAuthority::new(deployment.path("upstream"))?;
    change_x509(&deployment).await?;
    let shown = json(&deployment, &["localauthority", "x509", "show"]).await?;
    ensure!(text(&shown, "/active/upstream_authority_subject_key_id")? == new.id());
    ensure!(text(&shown, "/old/upstream_authority_subject_key_id")? == old.id());
    let current = ["upstreamauthority", "taint", "-subjectKeyID", &new.id()].map(str::to_owned);
    let current: Vec<&str> = current.iter().map(String::as_str).collect();
    let refused = deployment.server_command(&current).await?.ok().err().context("refused")?.to_string();
    ensure!(refused.contains("unable to use upstream authority singing current authority"), "{refused}");

    let id = old.id();
    let tainted =
        deployment.server_command(&["upstreamauthority", "taint", "-subjectKeyID", &id]).await?.ok()?;
    ensure!(tainted == format!("Tainted X.509 upstream authority:\n  Subject Key ID: {id}\n"), "{tainted}");
    let server = deployment.server()?;
    ensure!(server.line("X.509 upstream authority tainted successfully").await?.contains(&id));
    server.line("Server SVID signed using a tainted authority, forcing rotation of the Server SVID").await?;
    agent.line("Agent SVID is tainted by a root authority, forcing rotation").await?;
    eventually("an SVID below the new root", async || {
        let update = workload.x509().await.ok()?;
        (update.svid(ID).ok()?.chain.last()?.authority_key_id_hex() == new.id()).then_some(())
    })
    .await?;
    agent.line("Successfully rotated agent SVID").await?;

    let revoked = json(&deployment, &["upstreamauthority", "revoke", "-subjectKeyID", &id]).await?;
    ensure!(text(&revoked, "/upstream_authority_subject_key_id")? == id, "{revoked}");
    deployment.server()?.line("X.509 upstream authority successfully revoked").await?;
    ensure!(bundle(&deployment).await?["x509_authorities"].as_array().map(Vec::len) == Some(1));
    eventually("one root in the workload's bundle", async || {
        let update = workload.x509().await.ok()?;
        let svid = update.svid(ID).ok()?;
        (svid.authorities.len() == 1 && svid.authorities[0].id().as_str() == new.id()).then_some(())
    })
    .await?;
    Ok(())
}

#[derive(Debug)]
struct Roots(Arc<Bundle>);

impl TrustSource for Roots {
    fn authorities(&self, _: &TrustDomain) -> Option<Arc<Bundle>> {
        Some(Arc::clone(&self.0))
    }
}

/// A connection to the server with the SVID of an ID that this process has.
async fn as_workload(deployment: &Deployment, id: &str) -> Result<Channel> {
    let mut client = Workload::of(deployment.agent_socket("a")).connect();
    let mut stream = client.fetch_x509svid(X509svidRequest {}).await?.into_inner();
    let update = stream.message().await?.context("nothing")?;
    let svid = update.svids.into_iter().find(|svid| svid.spiffe_id == id).context("not there")?;
    let key = PrivateKey::from_pkcs8(&svid.x509_svid_key)?;
    let identity = LocalIdentity::new(Certificate::chain_from_der(&svid.x509_svid)?, Arc::new(key))?;
    let trust_domain = TrustDomain::parse("example.org")?;
    let mut bundle = Bundle::new(trust_domain.clone());
    let roots = Certificate::chain_from_der(&svid.bundle)?;
    bundle.x509_authorities = roots.into_iter().map(X509Authority::new).collect();
    let trust = Arc::new(Roots(Arc::new(bundle)));
    let expected = ExpectedServer::Is { id: trust_domain.server_id(), trust };
    let config = client_config(expected, Some(IdentityCell::with(identity)), &TlsOptions::default())?;
    let target = TcpTarget::new("127.0.0.1", deployment.port())?;
    Ok(tls_channel(target, Arc::new(config), &ChannelOptions::default()))
}

#[tokio::test(flavor = "multi_thread")]
async fn downstream_endpoints() -> Result<()> {
    let deployment = serving("", "").await?;
    let options = AgentOptions { agent: EAGER.to_owned(), ..Default::default() };
    let (_agent, parent) = deployment.start_agent("a", &options).await?;
    let below = "spiffe://example.org/below";
    let wanted = entry(&parent, below, &[&own_uid()])?;
    deployment.create_entry(types::Entry { downstream: true, ..wanted }).await?;
    deployment.register(&parent, ID, &[&own_uid()], 600).await?;
    has_ids(&Workload::of(deployment.agent_socket("a")), &[below, ID]).await?;

    let key = PrivateKey::generate(KeyType::EcP256)?;
    let id = TrustDomain::parse("example.org")?.id();
    let request = CsrRequest { subject: DistinguishedName::spire(), spiffe_id: Some(&id), dns_names: &[] };
    let csr = build_csr(&key, &request)?;
    let mint = NewDownstreamX509caRequest { csr: csr.into(), preferred_ttl: 600 };
    let key = types::JwtKey {
        public_key: key.public_key().spki().to_vec().into(),
        key_id: "from-below".to_owned(),
        ..Default::default()
    };
    let publish = PublishJwtAuthorityRequest { jwt_authority: Some(key) };

    let channel = as_workload(&deployment, below).await?;
    let minted = SvidClient::new(channel.clone()).new_downstream_x509ca(mint.clone()).await?.into_inner();
    ensure!(minted.ca_cert_chain.len() == 1 && minted.x509_authorities.len() == 1);
    let certificate = Certificate::from_der(&minted.ca_cert_chain[0])?;
    ensure!(
        certificate.is_ca() && certificate.subject().contains("OU=DOWNSTREAM-1"),
        "{}",
        certificate.subject()
    );
    let root = Certificate::from_der(&minted.x509_authorities[0])?;
    certificate.verify_signature_by(&root.public_key()?)?;
    let known = BundleClient::new(channel.clone()).publish_jwt_authority(publish.clone()).await?.into_inner();
    ensure!(known.jwt_authorities.iter().any(|key| key.key_id == "from-below"));
    ensure!(bundle(&deployment).await?.to_string().contains("from-below"));
    let malformed = NewDownstreamX509caRequest { csr: Bytes::from_static(b"?"), preferred_ttl: 0 };
    let refused = SvidClient::new(channel).new_downstream_x509ca(malformed).await.unwrap_err();
    ensure!(refused.code() == Code::InvalidArgument && refused.message().starts_with("malformed CSR: "));

    let channel = as_workload(&deployment, ID).await?;
    let refused = SvidClient::new(channel.clone()).new_downstream_x509ca(mint).await.unwrap_err();
    ensure!(refused.code() == Code::PermissionDenied, "{refused}");
    let text = "authorization denied for method /spire.api.server.svid.v1.SVID/NewDownstreamX509CA";
    ensure!(refused.message() == text, "{refused}");
    let refused = BundleClient::new(channel).publish_jwt_authority(publish).await.unwrap_err();
    ensure!(refused.code() == Code::PermissionDenied, "{refused}");
    Ok(())
}

//! Two trust domains, each with its own server and agent, that learn each other's bundles.

use crate::{EAGER, deployment, has_ids, own_uid};
use anyhow::{Context, Result, ensure};
use finial_identity::x509::Certificate;
use finial_identity::{Bundle, PrivateKey, TrustDomain, X509Authority};
use finial_proto::server::bundle::AppendBundleRequest;
use finial_proto::server::bundle::bundle_client::BundleClient;
use finial_proto::server::trustdomain::trust_domain_client::TrustDomainClient;
use finial_proto::server::trustdomain::{
    BatchCreateFederationRelationshipRequest, ListFederationRelationshipsRequest, RefreshBundleRequest,
};
use finial_proto::types::federation_relationship::BundleEndpointProfile;
use finial_proto::types::{self, FederationRelationshipMask};
use finial_proto::workload::X509svidRequest;
use finial_testkit::{
    AgentOptions, Deployment, NodeAuthority, Process, ServerOptions, Workload, entry, eventually, free_port,
};
use finial_wire::tls::{
    ExpectedServer, IdentityCell, LocalIdentity, TlsOptions, TrustSource, WebRoots, client_config,
    server_config, web_client_config,
};
use finial_wire::web::{Answer, Via, get};
use std::fs;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A deployment of a trust domain whose bundle is served on a port of its own.
struct Domain {
    deployment: Deployment,
    name: String,
    port: u16,
}

impl Domain {
    fn new(name: &str) -> Result<Self> {
        Ok(Self {
            deployment: deployment()?.of_trust_domain(name),
            name: name.to_owned(),
            port: free_port()?,
        })
    }

    /// Starts the server, with this profile of its bundle endpoint and these lines in its block `federation`.
    async fn serve(&mut self, profile: &str, federation: &str) -> Result<()> {
        if let Some(mut running) = self.deployment.server.take() {
            running.stop().await?;
        }
        let usual = ServerOptions::default();
        let port = self.port;
        let server = format!(
            "{}\n    federation {{\n        bundle_endpoint {{ address = \"127.0.0.1\" port = {port} \
             refresh_hint = \"1m\" {profile} }}\n        {federation}\n    }}",
            usual.server
        );
        self.deployment.start_server(&ServerOptions { server, ..usual }).await
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/", self.port)
    }

    fn id(&self, path: &str) -> String {
        self.deployment.id(path)
    }

    /// The bundle in PEM, in a file.
    async fn bundle_file(&self) -> Result<String> {
        let path = self.deployment.path("own.pem");
        fs::write(&path, self.deployment.server_command(&["bundle", "show"]).await?.ok()?)?;
        Ok(path.display().to_string())
    }

    /// Lines of somebody who fetches this bundle by SVID.
    fn by_svid(&self) -> String {
        format!(
            "federates_with \"{}\" {{ bundle_endpoint_url = \"{}\" bundle_endpoint_profile \"https_spiffe\" {{ \
             endpoint_spiffe_id = \"{}\" }} }}",
            self.name(),
            self.url(),
            self.id("/spire/server")
        )
    }

    /// Lines of somebody who fetches this bundle from the web.
    fn over_web(&self) -> String {
        format!(
            "federates_with \"{}\" {{ bundle_endpoint_url = \"{}\" bundle_endpoint_profile \"https_web\" {{}} }}",
            self.name(),
            self.url()
        )
    }

    /// Waits until the bundle of another trust domain has so many X.509 authorities.
    async fn knows(&self, other: &Self, authorities: usize) -> Result<()> {
        let what = format!("{authorities} authorities of {}", other.name());
        eventually(&what, async || {
            let arguments = ["bundle", "list", "-id", other.name()];
            let printed = self.deployment.server_command(&arguments).await.ok()?.stdout;
            (printed.matches("BEGIN CERTIFICATE").count() == authorities).then_some(())
        })
        .await
    }

    /// Starts an agent and registers this process as `/w`, federated with another trust domain.
    async fn workload(&self, other: &Self) -> Result<(Process, Workload)> {
        let options = AgentOptions { agent: EAGER.to_owned(), ..Default::default() };
        let (process, parent) = self.deployment.start_agent("agent", &options).await?;
        let mut entry = entry(&parent, &self.id("/w"), &[&own_uid()])?;
        entry.federates_with = vec![other.name().to_owned()];
        self.deployment.create_entry(entry).await?;
        let workload = Workload::of(self.deployment.agent_socket("agent"));
        has_ids(&workload, &[&self.id("/w")]).await?;
        Ok((process, workload))
    }

    async fn refresh(&self, other: &Self) -> Result<(), String> {
        let request = RefreshBundleRequest { trust_domain: other.name().to_owned() };
        let mut client = TrustDomainClient::new(self.deployment.server_channel());
        client.refresh_bundle(request).await.map(drop).map_err(|status| status.message().to_owned())
    }
}

const BY_SVID: &str = "profile \"https_spiffe\" {}";

/// The profile of an endpoint with a certificate of the web.
fn with_certificate(web: &NodeAuthority) -> Result<String> {
    let (certificate, key) = web.web_server("endpoint")?;
    Ok(format!(
        "profile \"https_web\" {{ serving_cert_file {{ cert_file_path = \"{}\" key_file_path = \"{}\" \
         file_sync_interval = \"1s\" }} }}",
        certificate.display(),
        key.display()
    ))
}

/// What a workload has for TLS.
struct Party {
    identity: Arc<IdentityCell>,
    trust: Arc<Trust>,
}

#[derive(Debug)]
struct Trust(Vec<Arc<Bundle>>);

impl TrustSource for Trust {
    fn authorities(&self, trust_domain: &TrustDomain) -> Option<Arc<Bundle>> {
        self.0.iter().find(|bundle| bundle.trust_domain == *trust_domain).cloned()
    }
}

impl Party {
    async fn of(workload: &Workload) -> Result<Self> {
        let mut stream = workload.connect().fetch_x509svid(X509svidRequest {}).await?.into_inner();
        let message = stream.message().await?.context("no answer")?;
        let svid = message.svids.first().context("no SVID")?;
        let chain = Certificate::chain_from_der(&svid.x509_svid)?;
        let key = PrivateKey::from_pkcs8(&svid.x509_svid_key)?;
        let own = (svid.spiffe_id.clone(), svid.bundle.clone());
        let bundles = std::iter::once(own).chain(message.federated_bundles).map(|(id, der)| {
            let mut bundle = Bundle::new(TrustDomain::parse(&id)?);
            let roots = Certificate::chain_from_der(&der)?;
            bundle.x509_authorities = roots.into_iter().map(X509Authority::new).collect();
            Ok(Arc::new(bundle))
        });
        let trust = Arc::new(Trust(bundles.collect::<Result<_>>()?));
        let identity = IdentityCell::with(LocalIdentity::new(chain, Arc::new(key))?);
        Ok(Self { identity, trust })
    }

    fn id(&self) -> Result<finial_identity::SpiffeId> {
        Ok(self.identity.current().context("no identity")?.id().clone())
    }
}

/// One workload calls the other; each must see who the other is.
async fn call(caller: &Party, called: &Party) -> Result<()> {
    let options = TlsOptions::default();
    let config = server_config(called.identity.clone(), called.trust.clone(), &options)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let answering = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let mut stream = TlsAcceptor::from(config).accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates().context("no certificate")?;
        let leaf = Certificate::from_der(shown.first().context("an empty chain")?)?;
        stream.write_all(leaf.spiffe_id()?.as_str().as_bytes()).await?;
        stream.shutdown().await?;
        anyhow::Ok(())
    });
    let expected = ExpectedServer::Is { id: called.id()?, trust: caller.trust.clone() };
    let config = client_config(expected, Some(caller.identity.clone()), &options)?;
    let stream = TcpStream::connect(address).await?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect("localhost".try_into()?, stream).await?;
    let mut seen = String::new();
    stream.read_to_string(&mut seen).await?;
    answering.await??;
    ensure!(seen == caller.id()?.as_str(), "the called one saw {seen:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_trust_domains_federate_and_their_workloads_talk() -> Result<()> {
    let (mut one, mut two) = (Domain::new("one.test")?, Domain::new("two.test")?);
    let web = NodeAuthority::new(two.deployment.path("web"))?;
    let authority = web.certificate_file().display().to_string();
    one.deployment.environment.push(("SSL_CERT_FILE".to_owned(), authority));

    // One learns of two from the web, by its configuration; two of one by SVID, by a command.
    two.serve(&with_certificate(&web)?, "").await?;
    one.serve(BY_SVID, &two.over_web()).await?;
    one.knows(&two, 1).await?;
    let (bundle, id) = (one.bundle_file().await?, one.id("/spire/server"));
    let relationship = [
        ["federation", "create"],
        ["-trustDomain", one.name()],
        ["-bundleEndpointURL", &one.url()],
        ["-bundleEndpointProfile", "https_spiffe"],
        ["-endpointSpiffeID", &id],
        ["-trustDomainBundlePath", &bundle],
    ];
    two.deployment.server_command(&relationship.concat()).await?.ok()?;
    two.refresh(&one).await.map_err(anyhow::Error::msg)?;

    let (_agent_of_one, in_one) = one.workload(&two).await?;
    let (_agent_of_two, in_two) = two.workload(&one).await?;
    let (a, b) = (Party::of(&in_one).await?, Party::of(&in_two).await?);
    call(&a, &b).await.context("one calls two")?;
    call(&b, &a).await.context("two calls one")?;

    // Tokens of the one are validated by the other.
    let (_, token) = in_one.jwt("somebody").await?.pop().context("no token")?;
    ensure!(in_two.validate("somebody", &token).await? == one.id("/w"));

    // An authority more comes over by itself, down to the workloads, within a quarter of the hint.
    let x509_authorities = vec![types::X509Certificate { asn1: root_of(&web)?.into(), tainted: false }];
    let request = AppendBundleRequest { x509_authorities, ..Default::default() };
    BundleClient::new(two.deployment.server_channel()).append_bundle(request).await?;
    one.knows(&two, 2).await?;
    eventually("both authorities at the workload", async || {
        let update = in_one.x509().await.ok()?;
        (update.federated.get("spiffe://two.test") == Some(&2)).then_some(())
    })
    .await?;
    call(&Party::of(&in_one).await?, &Party::of(&in_two).await?).await?;
    Ok(())
}

/// Any certificate that may be an authority.
fn root_of(web: &NodeAuthority) -> Result<Vec<u8>> {
    let text = fs::read(web.certificate_file())?;
    Ok(finial_identity::pem::decode_all(&text).pop().context("no certificate")?.der)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_may_be_down_and_come_back() -> Result<()> {
    let (mut one, mut two) = (Domain::new("one.test")?, Domain::new("two.test")?);
    two.serve(BY_SVID, "").await?;
    let seed = two.bundle_file().await?;
    two.deployment.server()?.stop().await?;

    one.serve(BY_SVID, &two.by_svid()).await?;
    let server = one.deployment.server()?;
    server.line("can't perform SPIFFE Authentication: local copy of bundle not found").await?;
    one.deployment.server_command(&["bundle", "set", "-id", two.name(), "-path", &seed]).await?.ok()?;
    let why = one.refresh(&two).await.expect_err("nobody is there");
    ensure!(
        why.starts_with(&format!(
            "failed to refresh bundle: failed to fetch federated bundle from endpoint: failed to fetch bundle: Get {:?}: \
             dial tcp ",
            two.url()
        )) && why.ends_with(": connect: connection refused"),
        "{why}"
    );
    one.knows(&two, 1).await?;

    two.deployment.restart_server().await?;
    one.refresh(&two).await.map_err(anyhow::Error::msg)?;
    let printed = one.deployment.server_command(&["bundle", "list", "-format", "spiffe"]).await?.ok()?;
    ensure!(printed.contains("jwt-svid"), "the whole bundle came: {printed}");
    // A server that federates with one that is gone still stops and starts.
    two.deployment.server()?.stop().await?;
    one.deployment.server()?.stop().await?;
    one.deployment.restart_server().await?;
    one.knows(&two, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_prove_to_be_the_endpoint_is_not_believed() -> Result<()> {
    let (mut one, mut two) = (Domain::new("one.test")?, Domain::new("two.test")?);
    two.serve(BY_SVID, "").await?;
    let other_id = two.by_svid().replace("/spire/server", "/spire/other");
    one.serve(BY_SVID, &other_id).await?;
    let seed = two.bundle_file().await?;
    one.deployment.server_command(&["bundle", "set", "-id", two.name(), "-path", &seed]).await?.ok()?;
    let why = one.refresh(&two).await.expect_err("the wrong ID");
    ensure!(why.ends_with("unexpected ID \"spiffe://two.test/spire/server\""), "{why}");

    // The bundle of somebody else does not vouch for it.
    let mine = one.bundle_file().await?;
    one.deployment.server_command(&["bundle", "set", "-id", two.name(), "-path", &mine]).await?.ok()?;
    one.serve(BY_SVID, &two.by_svid()).await?;
    let why = one.refresh(&two).await.expect_err("the wrong bundle");
    ensure!(why.contains("x509svid: could not verify leaf certificate"), "{why}");

    one.serve(BY_SVID, &two.over_web()).await?;
    let why = one.refresh(&two).await.expect_err("not of the web");
    ensure!(why.contains("maybe use https_spiffe instead of https_web"), "{why}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_serves_its_bundle_and_a_renewed_certificate() -> Result<()> {
    let mut domain = Domain::new("one.test")?;
    let web = NodeAuthority::new(domain.deployment.path("web"))?;
    domain.serve(&with_certificate(&web)?, "").await?;
    let fetch = async |path: &str| -> Result<Answer> {
        let roots = WebRoots::Given(vec![root_of(&web)?.into()]);
        let via = Via::Tls(Arc::new(web_client_config(&roots, &TlsOptions::default())?));
        Ok(get(&format!("{}{path}", domain.url()).parse()?, &via, 1 << 20).await?)
    };
    let served = fetch("").await?;
    let printed = domain.deployment.server_command(&["bundle", "show", "-format", "spiffe"]).await?.ok()?;
    let served = std::str::from_utf8(&served.body)?.to_owned();
    ensure!(served.contains("\"spiffe_refresh_hint\": 60"), "{served}");
    let printed = printed.trim_end().trim_end_matches(['}', '\n']).to_owned();
    ensure!(served.starts_with(&printed), "served {served}\nprinted {printed}");
    let absent = fetch("x").await?;
    ensure!((absent.status.as_u16(), &absent.body[..]) == (404, b"404 page not found\n"), "{absent:?}");

    let (certificate, key) = web.web_server("endpoint")?;
    let expected = finial_identity::pem::decode_all(&fs::read(&certificate)?).remove(0).der;
    eventually("the new certificate", async || {
        (shown_at(domain.port, &web).await.ok()? == expected).then_some(())
    })
    .await?;
    fs::write(&key, "broken")?;
    domain.deployment.server()?.line("Failed to load certificate").await?;
    ensure!(shown_at(domain.port, &web).await? == expected, "the good one is still served");
    Ok(())
}

/// The certificate that a web server on a port shows.
async fn shown_at(port: u16, web: &NodeAuthority) -> Result<Vec<u8>> {
    let roots = WebRoots::Given(vec![root_of(web)?.into()]);
    let config = web_client_config(&roots, &TlsOptions::default())?;
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let stream = TlsConnector::from(Arc::new(config)).connect("localhost".try_into()?, stream).await?;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    Ok(shown.context("no certificate")?.to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn relationships_are_listed_by_pages_and_masks() -> Result<()> {
    let deployment = crate::serving("", "").await?;
    let mut client = TrustDomainClient::new(deployment.server_channel());
    let relationship = |name: &str| types::FederationRelationship {
        trust_domain: name.to_owned(),
        bundle_endpoint_url: format!("https://127.0.0.1:1/{name}"),
        bundle_endpoint_profile: Some(BundleEndpointProfile::HttpsWeb(types::HttpsWebProfile {})),
        trust_domain_bundle: Some(types::Bundle { trust_domain: name.to_owned(), ..Default::default() }),
    };
    let mut mixed = relationship("d.test");
    mixed.trust_domain_bundle = relationship("a.test").trust_domain_bundle;
    let names = ["c.test", "a.test", "b.test"];
    let mut wanted: Vec<_> = names.into_iter().map(relationship).collect();
    wanted.push(mixed);
    let request = BatchCreateFederationRelationshipRequest {
        federation_relationships: wanted,
        output_mask: Some(FederationRelationshipMask::default()),
    };
    let results = client.batch_create_federation_relationship(request).await?.into_inner().results;
    let codes: Vec<i32> = results.iter().filter_map(|result| Some(result.status.as_ref()?.code)).collect();
    assert_eq!(codes, [0, 0, 0, 3]);
    assert_eq!(
        results[3].status.as_ref().map(|status| status.message.as_str()),
        Some(
            "failed to convert federation relationship: trust domain bundle (\"a.test\") must match the trust domain of \
             the federation relationship (\"d.test\")"
        )
    );
    let bare = results[0].federation_relationship.clone().context("no relationship")?;
    assert_eq!(bare, types::FederationRelationship { trust_domain: "c.test".into(), ..Default::default() });

    let mask = FederationRelationshipMask { bundle_endpoint_url: true, ..Default::default() };
    let (mut page_token, mut seen) = (String::new(), Vec::new());
    loop {
        let request =
            ListFederationRelationshipsRequest { output_mask: Some(mask), page_size: 2, page_token };
        let page = client.list_federation_relationships(request).await?.into_inner();
        if page.federation_relationships.is_empty() {
            break;
        }
        page_token = page.next_page_token;
        seen.extend(page.federation_relationships);
    }
    assert_eq!(seen.iter().map(|one| one.trust_domain.as_str()).collect::<Vec<_>>(), names);
    for one in &seen {
        assert!(one.bundle_endpoint_profile.is_none() && one.trust_domain_bundle.is_none(), "{one:?}");
        assert_eq!(one.bundle_endpoint_url, format!("https://127.0.0.1:1/{}", one.trust_domain));
    }
    Ok(())
}

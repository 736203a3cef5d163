//! Three servers below one another, each with an agent: what the lowest signs hangs on the root of the highest.

use crate::authorities::{active_x509, bundle, verify};
use crate::{EAGER, binary, has_ids, start_server};
use anyhow::{Context, Result, ensure};
use finial_identity::TrustDomain;
use finial_identity::x509::Certificate;
use finial_identity::{Bundle, X509Authority};
use finial_proto::server::bundle::GetBundleRequest;
use finial_proto::server::bundle::bundle_client::BundleClient;
use finial_testkit::{AgentOptions, Deployment, Process, Workload, entry, eventually};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Three levels of one trust domain.
pub(crate) struct Nest {
    /// Signs itself.
    pub(crate) root: Deployment,
    /// Signed by the root.
    pub(crate) middle: Deployment,
    /// Signed by the middle.
    pub(crate) leaf: Deployment,
    workloads: Vec<(Workload, String)>,
    agents: Vec<Process>,
}

impl Nest {
    /// Starts all three with these lines in the `server` blocks, an agent at each, and registers a workload at
    /// each agent.
    pub(crate) async fn start(server: &str) -> Result<Self> {
        let mut nest = Self {
            root: Deployment::new(binary())?,
            middle: Deployment::new(binary())?,
            leaf: Deployment::new(binary())?,
            workloads: Vec::new(),
            agents: Vec::new(),
        };
        start_server(&mut nest.root, server, "").await?;
        let root_agent = nest.add_agent("root").await?;
        nest.middle = start_below(&nest.root, &root_agent, "middle", server).await?;
        let middle_agent = nest.add_agent("middle").await?;
        nest.leaf = start_below(&nest.middle, &middle_agent, "leaf", server).await?;
        nest.add_agent("leaf").await?;
        Ok(nest)
    }

    /// An agent at a level, with a workload: this process. Gives the agent's ID.
    async fn add_agent(&mut self, level: &str) -> Result<String> {
        let deployment = match level {
            "root" => &self.root,
            "middle" => &self.middle,
            _ => &self.leaf,
        };
        let options = AgentOptions { agent: EAGER.to_owned(), ..Default::default() };
        let (agent, parent) = deployment.start_agent("a", &options).await?;
        let id = format!("spiffe://example.org/{level}/w");
        deployment.register(&parent, &id, &[&own_path()?], 0).await?;
        let workload = Workload::of(deployment.agent_socket("a"));
        has_ids(&workload, &[&id]).await?;
        self.workloads.push((workload, id));
        self.agents.push(agent);
        Ok(parent)
    }

    /// All servers, from the root down.
    pub(crate) fn servers(&self) -> [&Deployment; 3] {
        [&self.root, &self.middle, &self.leaf]
    }

    /// The workloads with their IDs, from the root down.
    pub(crate) fn workloads(&self) -> impl Iterator<Item = (&Workload, &str)> {
        self.workloads.iter().map(|(workload, id)| (workload, id.as_str()))
    }
}

/// The selector of this process.
fn own_path() -> Result<String> {
    Ok(format!("unix:path:{}", std::env::current_exe()?.display()))
}

/// Starts a server whose authorities are signed by the server of `above`, shown an SVID of its agent.
async fn start_below(above: &Deployment, agent: &str, name: &str, server: &str) -> Result<Deployment> {
    // A path of its own is what tells this server from others at the agent.
    let binary = above.binary_named(name)?;
    let wanted = entry(
        agent,
        &format!("spiffe://example.org/{name}/server"),
        &[&format!("unix:path:{}", binary.display())],
    )?;
    above.create_entry(finial_proto::types::Entry { downstream: true, ..wanted }).await?;
    let mut below = Deployment::new(binary)?;
    start_server(&mut below, server, &upstream_plugin(above)).await?;
    Ok(below)
}

/// The plugin of a server below this one.
pub(crate) fn upstream_plugin(above: &Deployment) -> String {
    format!(
        "UpstreamAuthority \"spire\" {{ plugin_data {{\n        server_address = \"127.0.0.1\"\n        \
         server_port = {}\n        workload_api_socket = \"{}\"\n    }} }}",
        above.port(),
        above.agent_socket("a").display()
    )
}

/// The bundle of a server, as a peer would hold it.
async fn bundle_of(deployment: &Deployment) -> Result<Bundle> {
    let mut client = BundleClient::new(deployment.server_channel());
    let answer = client.get_bundle(GetBundleRequest { output_mask: None }).await?.into_inner();
    let mut bundle = Bundle::new(TrustDomain::parse("example.org")?);
    for authority in answer.x509_authorities {
        bundle.x509_authorities.push(X509Authority::new(Certificate::from_der(&authority.asn1)?));
    }
    Ok(bundle)
}

/// By when all levels must have new authorities, the root too.
const CHANGED_BY: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread")]
async fn nested_rotation() -> Result<()> {
    let mut nest =
        Nest::start("ca_ttl = \"1m\"\n    default_x509_svid_ttl = \"15s\"\n    agent_ttl = \"20s\"").await?;
    let first = active_x509(&nest.root).await?;
    let begun = Instant::now();
    let mut issuers = [const { BTreeSet::new() }; 3];
    let mut has_restarted = false;
    loop {
        let at = begun.elapsed();
        let root = active_x509(&nest.root).await?;
        if root != first && issuers.iter().all(|seen: &BTreeSet<String>| seen.len() >= 2) && has_restarted {
            break;
        }
        ensure!(at < CHANGED_BY, "after {at:?}: {issuers:?}");
        let bundle = bundle_of(&nest.root).await?;
        for ((workload, id), seen) in nest.workloads().zip(&mut issuers) {
            let update = workload.x509().await.with_context(|| format!("{id} after {at:?}"))?;
            verify(&update, &bundle).with_context(|| format!("after {at:?}"))?;
            seen.insert(update.svid(id)?.issuer());
        }
        if !has_restarted && at > Duration::from_secs(20) {
            nest.middle.server()?.stop().await?;
            nest.middle.restart_server().await?;
            has_restarted = true;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let chain = nest.workloads().nth(2).context("a workload")?.0.x509().await?.svids[0].chain.len();
    ensure!(chain == 3, "leaf, the lowest authority and the one above it: {chain}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_every_level_verify_at_every_level() -> Result<()> {
    let nest = Nest::start("").await?;
    for (signed_at, _) in nest.workloads() {
        let (id, token) = signed_at.jwt("somebody").await?.pop().context("no token")?;
        for (verified_at, _) in nest.workloads() {
            eventually(&format!("{id} is believed"), async || {
                verified_at.validate("somebody", &token).await.ok().filter(|subject| *subject == id)
            })
            .await?;
        }
    }
    let lists = async |deployment| -> Result<_> {
        let shown = bundle(deployment).await?;
        let ids = shown["jwt_authorities"].as_array().context("keys")?.iter();
        Ok(ids.map(|key| key["key_id"].to_string()).collect::<BTreeSet<_>>())
    };
    ensure!(lists(&nest.root).await? == lists(&nest.leaf).await?);
    Ok(())
}

//! A server and agents at work, as an operator would set them up.

use crate::gauge::Gauge;
use crate::product::Product;
use anyhow::{Context, Result, anyhow};
use finial_identity::{Bundle, SpiffeId, TrustDomain, pem};
use finial_proto::server::agent::CreateJoinTokenRequest;
use finial_proto::server::agent::agent_client::AgentClient;
use finial_proto::server::bundle::GetBundleRequest;
use finial_proto::server::bundle::bundle_client::BundleClient;
use finial_proto::server::entry::BatchCreateEntryRequest;
use finial_proto::server::entry::entry_client::EntryClient;
use finial_proto::types;
use finial_testkit::{Process, eventually};
use finial_wire::channel::{ChannelOptions, TcpTarget, UnixTarget, unix_channel};
use finial_wire::convert::bundles::bundle_from_server;
use finial_wire::convert::ids::id_to_proto;
use finial_wire::status::check_item;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tonic::transport::Channel;

const TRUST_DOMAIN: &str = "bench.example";
/// Entries sent in one request.
const ENTRIES_AT_A_TIME: usize = 100;
/// After so long all is quiet: SPIRE's server looks for new entries every 5 s, an agent asks every 5 s.
const SETTLE: Duration = Duration::from_secs(12);

/// A directory, a server, and what belongs to it. Everything ends when it is dropped.
pub(crate) struct Site<'a> {
    product: &'a Product,
    port: u16,
    server: Process,
    channel: Channel,
    directory: TempDir,
}

/// An agent that runs.
pub(crate) struct Agent {
    /// What it uses.
    pub(crate) gauge: Gauge,
    /// Its Workload API.
    pub(crate) socket: PathBuf,
    /// When its process was started.
    pub(crate) started: Instant,
    process: Process,
}

/// What a workload is to be.
pub(crate) struct Registration {
    /// Its identity.
    pub(crate) id: SpiffeId,
    /// On whose node.
    pub(crate) parent: SpiffeId,
    /// How it is known: the path of its program.
    pub(crate) program: PathBuf,
}

impl<'a> Site<'a> {
    /// Starts a server.
    pub(crate) async fn start(product: &'a Product) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("finial-bench-").tempdir()?;
        fs::create_dir(directory.path().join("bin"))?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let config = directory.path().join("server.conf");
        fs::write(&config, server_config(&directory, port))?;
        let mut server = Process::start("server", &mut product.server(&config))?;
        let socket = directory.path().join("server.sock");
        let channel = unix_channel(UnixTarget::new(&socket), &ChannelOptions::default());
        let came = eventually("the server", async || {
            let answer = bundle(&channel).await;
            (answer.is_ok() || !server.is_running()).then_some(answer)
        });
        came.await.and_then(|answer| answer).with_context(|| server.output())?;
        Ok(Self { product, port, server, channel, directory })
    }

    /// A path below the directory of the site.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What the server uses.
    pub(crate) fn server(&self) -> Result<Gauge> {
        Gauge::of(self.server.pid().context("the server has ended")?)
    }

    /// Where the server listens for agents.
    pub(crate) fn target(&self) -> Result<TcpTarget> {
        Ok(TcpTarget::new("127.0.0.1", self.port)?)
    }

    /// The authorities of the trust domain.
    pub(crate) async fn bundle(&self) -> Result<Bundle> {
        bundle(&self.channel).await
    }

    /// A join token, and the agent that it will make.
    pub(crate) async fn token(&self) -> Result<(String, SpiffeId)> {
        let request = CreateJoinTokenRequest { ttl: 600, ..Default::default() };
        let token =
            AgentClient::new(self.channel.clone()).create_join_token(request).await?.into_inner().value;
        let agent = id(&format!("/spire/agent/join_token/{token}"))?;
        Ok((token, agent))
    }

    /// Registers workloads; gives the IDs of their entries.
    pub(crate) async fn register(&self, registrations: &[Registration]) -> Result<Vec<String>> {
        let mut client = EntryClient::new(self.channel.clone());
        let mut ids = Vec::with_capacity(registrations.len());
        for some in registrations.chunks(ENTRIES_AT_A_TIME) {
            let entries = some.iter().map(entry).collect();
            let request = BatchCreateEntryRequest { entries, output_mask: Some(types::EntryMask::default()) };
            for result in client.batch_create_entry(request).await?.into_inner().results {
                check_item(result.status.as_ref())?;
                ids.push(result.entry.context("no entry")?.id);
            }
        }
        Ok(ids)
    }

    /// Starts an agent with this token, without waiting for it.
    pub(crate) async fn spawn_agent(&self, token: &str) -> Result<Agent> {
        let directory = self.path(&format!("agent-{token}"));
        fs::create_dir(&directory)?;
        fs::write(directory.join("bundle.pem"), authorities(&self.bundle().await?))?;
        let config = directory.join("agent.conf");
        fs::write(&config, agent_config(&directory.display().to_string(), self.port, token))?;
        let started = Instant::now();
        let process = Process::start("agent", &mut self.product.agent(&config))?;
        let gauge = Gauge::of(process.pid().ok_or_else(|| anyhow!("the agent has ended"))?)?;
        Ok(Agent { gauge, socket: directory.join("api.sock"), started, process })
    }

    /// Starts an agent with this token and waits until workloads can connect.
    pub(crate) async fn start_agent(&self, token: &str) -> Result<Agent> {
        let agent = self.spawn_agent(token).await?;
        let connects = async || tokio::net::UnixStream::connect(&agent.socket).await.ok();
        eventually("the agent", connects).await.with_context(|| agent.process.output())?;
        Ok(agent)
    }
}

/// Waits until server and agents have heard of everything and have nothing more to do.
pub(crate) async fn settle() {
    tokio::time::sleep(SETTLE).await;
}

/// An ID of the trust domain.
pub(crate) fn id(path: &str) -> Result<SpiffeId> {
    Ok(SpiffeId::from_path(&trust_domain()?, path)?)
}

/// The trust domain.
pub(crate) fn trust_domain() -> Result<TrustDomain> {
    Ok(TrustDomain::parse(TRUST_DOMAIN)?)
}

fn entry(registration: &Registration) -> types::Entry {
    let Registration { id, parent, program } = registration;
    let path = types::Selector { r#type: "unix".into(), value: format!("path:{}", program.display()) };
    types::Entry {
        spiffe_id: Some(id_to_proto(id)),
        parent_id: Some(id_to_proto(parent)),
        selectors: vec![path],
        ..Default::default()
    }
}

async fn bundle(channel: &Channel) -> Result<Bundle> {
    let mut client = BundleClient::new(channel.clone());
    let answer = client.get_bundle(GetBundleRequest { output_mask: None }).await?;
    Ok(bundle_from_server(answer.get_ref())?)
}

fn authorities(bundle: &Bundle) -> String {
    let all = bundle.x509_authorities.iter();
    all.map(|authority| pem::encode("CERTIFICATE", authority.certificate.der())).collect()
}

fn server_config(directory: &TempDir, port: u16) -> String {
    let directory = directory.path().display();
    format!(
        r#"server {{
    trust_domain = "{TRUST_DOMAIN}"
    bind_address = "127.0.0.1"
    bind_port = "{port}"
    socket_path = "{directory}/server.sock"
    data_dir = "{directory}"
    log_file = "{directory}/server.log"
    log_level = "INFO"
    ca_ttl = "168h"
    default_x509_svid_ttl = "1h"
    ratelimit {{
        attestation = false
        signing = false
    }}
}}
plugins {{
    DataStore "sql" {{
        plugin_data {{
            database_type = "sqlite3"
            connection_string = "{directory}/server.sqlite3"
        }}
    }}
    KeyManager "memory" {{
        plugin_data {{}}
    }}
    NodeAttestor "join_token" {{
        plugin_data {{}}
    }}
}}
"#
    )
}

fn agent_config(directory: &str, port: u16, token: &str) -> String {
    format!(
        r#"agent {{
    trust_domain = "{TRUST_DOMAIN}"
    server_address = "127.0.0.1"
    server_port = {port}
    socket_path = "{directory}/api.sock"
    data_dir = "{directory}"
    log_file = "{directory}/agent.log"
    log_level = "INFO"
    trust_bundle_path = "{directory}/bundle.pem"
    join_token = "{token}"
}}
plugins {{
    KeyManager "memory" {{
        plugin_data {{}}
    }}
    NodeAttestor "join_token" {{
        plugin_data {{}}
    }}
    WorkloadAttestor "unix" {{
        plugin_data {{
            discover_workload_path = true
            workload_size_limit = -1
        }}
    }}
}}
"#
    )
}

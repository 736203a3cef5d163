//! The processes of the demo and the directory they live in.

use anyhow::{Context, Result, anyhow, bail};
use finial_identity::{SpiffeId, pem};
use finial_proto::server::agent::CreateJoinTokenRequest;
use finial_proto::server::agent::agent_client::AgentClient;
use finial_proto::server::bundle::GetBundleRequest;
use finial_proto::server::bundle::bundle_client::BundleClient;
use finial_proto::server::entry::BatchCreateEntryRequest;
use finial_proto::server::entry::entry_client::EntryClient;
use finial_proto::types;
use finial_wire::channel::{ChannelOptions, UnixTarget, unix_channel};
use finial_wire::convert::ids::id_to_proto;
use finial_wire::status::check_item;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tonic::transport::Channel;

/// How long anything may take to come up.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked whether something has come up.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A server, an agent, and where they keep their things.
pub(super) struct Deployment {
    directory: PathBuf,
    executable: PathBuf,
    token: String,
    server: Option<Child>,
    agent: Option<Child>,
}

impl Deployment {
    /// Makes the directory, open to nobody else.
    pub(super) fn create() -> Result<Self> {
        let name = format!("finial-demo-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .with_context(|| format!("making {}", directory.display()))?;
        fs::create_dir(directory.join("bin"))?;
        let executable = std::env::current_exe().context("finding this executable")?;
        Ok(Self { directory, executable, token: String::new(), server: None, agent: None })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn server_socket(&self) -> PathBuf {
        self.path("server.sock")
    }

    fn agent_socket(&self) -> PathBuf {
        self.path("agent.sock")
    }

    fn server_channel(&self) -> Channel {
        unix_channel(UnixTarget::new(self.server_socket()), &ChannelOptions::default())
    }

    /// Starts the server and prepares what the agent will need: the bundle and a token.
    pub(super) async fn start_server(&mut self) -> Result<()> {
        let port = free_port()?;
        fs::write(self.path("server.conf"), self.server_config(port))?;
        self.server = Some(self.spawn("server")?);
        self.wait_for(&self.server_socket(), "server").await?;
        fs::write(self.path("bundle.pem"), self.fetch_bundle().await?)?;
        self.token = self.create_token().await?;
        fs::write(self.path("agent.conf"), self.agent_config(port))?;
        Ok(())
    }

    /// Starts the agent; when this returns, workloads can connect.
    pub(super) async fn start_agent(&mut self) -> Result<()> {
        self.agent = Some(self.spawn("agent")?);
        self.wait_for(&self.agent_socket(), "agent").await
    }

    fn server_config(&self, port: u16) -> String {
        let directory = self.directory.display();
        format!(
            r#"# Written by `finial demo`.
server {{
    trust_domain = "example.org"
    bind_address = "127.0.0.1"
    bind_port = "{port}"
    socket_path = "{directory}/server.sock"
    data_dir = "{directory}"
    log_file = "{directory}/server.log"
}}
plugins {{
    DataStore "sql" {{
        plugin_data {{
            database_type = "sqlite3"
            connection_string = "{directory}/server.sqlite3"
        }}
    }}
    KeyManager "disk" {{
        plugin_data {{
            keys_path = "{directory}/server-keys.json"
        }}
    }}
    NodeAttestor "join_token" {{
        plugin_data {{}}
    }}
}}
"#
        )
    }

    fn agent_config(&self, port: u16) -> String {
        let (directory, token) = (self.directory.display(), &self.token);
        format!(
            r#"# Written by `finial demo`.
agent {{
    trust_domain = "example.org"
    server_address = "127.0.0.1"
    server_port = "{port}"
    socket_path = "{directory}/agent.sock"
    data_dir = "{directory}/agent"
    log_file = "{directory}/agent.log"
    trust_bundle_path = "{directory}/bundle.pem"
    join_token = "{token}"
}}
plugins {{
    KeyManager "disk" {{
        plugin_data {{
            directory = "{directory}/agent"
        }}
    }}
    NodeAttestor "join_token" {{
        plugin_data {{}}
    }}
    WorkloadAttestor "unix" {{
        plugin_data {{
            discover_workload_path = true
        }}
    }}
}}
"#
        )
    }

    fn spawn(&self, side: &str) -> Result<Child> {
        Command::new(&self.executable)
            .args([side, "run", "-config"])
            .arg(self.path(&format!("{side}.conf")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting the {side}"))
    }

    /// Waits until something answers at a socket, or its process has ended.
    async fn wait_for(&mut self, socket: &Path, side: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while tokio::net::UnixStream::connect(socket).await.is_err() {
            let child = if side == "server" { &mut self.server } else { &mut self.agent };
            let ended = child.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(self.directory.join(format!("{side}.log")));
                bail!("the {side} did not start; its log says:\n{}", log.unwrap_or_default());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn fetch_bundle(&self) -> Result<String> {
        let mut client = BundleClient::new(self.server_channel());
        let bundle = client.get_bundle(GetBundleRequest { output_mask: None }).await?.into_inner();
        Ok(bundle.x509_authorities.iter().map(|root| pem::encode("CERTIFICATE", &root.asn1)).collect())
    }

    async fn create_token(&self) -> Result<String> {
        let request = CreateJoinTokenRequest { ttl: 600, token: String::new(), agent_id: None };
        let mut client = AgentClient::new(self.server_channel());
        Ok(client.create_join_token(request).await?.into_inner().value)
    }

    /// Registers a workload, which is recognised by the path of its executable.
    pub(super) async fn register(&self, name: &str, spiffe_id: &str, ttl_seconds: i32) -> Result<()> {
        let agent = format!("spiffe://example.org/spire/agent/join_token/{}", self.token);
        let id = |text: &str| SpiffeId::parse(text).map(|id| Some(id_to_proto(&id)));
        let path = self.workload_path(name);
        let value = format!("path:{}", path.display());
        let entry = types::Entry {
            spiffe_id: id(spiffe_id)?,
            parent_id: id(&agent)?,
            selectors: vec![types::Selector { r#type: "unix".into(), value }],
            x509_svid_ttl: ttl_seconds,
            ..Default::default()
        };
        let request = BatchCreateEntryRequest { entries: vec![entry], output_mask: None };
        let mut client = EntryClient::new(self.server_channel());
        let results = client.batch_create_entry(request).await?.into_inner().results;
        let result = results.first().ok_or_else(|| anyhow!("the server did not answer"))?;
        check_item(result.status.as_ref())?;
        Ok(())
    }

    fn workload_path(&self, name: &str) -> PathBuf {
        self.path("bin").join(name)
    }

    /// Starts a workload: this executable under a name of its own.
    pub(super) fn start_workload(&self, name: &str, arguments: &[&str]) -> Result<Workload> {
        let path = self.workload_path(name);
        if !path.exists() && fs::hard_link(&self.executable, &path).is_err() {
            fs::copy(&self.executable, &path).context("copying the executable")?;
        }
        let mut child = Command::new(&path)
            .arg("demo-workload")
            .args(arguments)
            .arg("--socket")
            .arg(self.agent_socket())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", path.display()))?;
        let output = child.stdout.take().ok_or_else(|| anyhow!("the workload has no output"))?;
        Ok(Workload { name: name.to_owned(), lines: BufReader::new(output).lines(), _child: child })
    }

    /// What an operator can try on a demo that is kept.
    pub(super) fn hints(&self) -> Result<String> {
        let finial = self.executable.display();
        let (server, agent) = (self.server_socket(), self.agent_socket());
        let (server, agent) = (server.display(), agent.display());
        let parent = format!("spiffe://example.org/spire/agent/join_token/{}", self.token);
        Ok(format!(
            "Still running, in {directory}. In another terminal, try:\n\n\
             \x20 {finial} server entry show -socketPath {server}\n\
             \x20 {finial} server entry create -socketPath {server} \\\n\
             \x20     -parentID {parent} \\\n\
             \x20     -spiffeID spiffe://example.org/me -selector unix:uid:$(id -u)\n\
             \x20 {finial} agent api fetch x509 -socketPath {agent}\n\
             \x20 {finial} agent api fetch jwt -audience me -socketPath {agent}\n\n\
             Configuration files and logs lie there too. Interrupt (Ctrl-C) to stop and clean up.",
            directory = self.directory.display(),
        ))
    }

    /// Stops everything and removes the directory.
    pub(super) async fn stop(mut self) {
        for mut child in [self.agent.take(), self.server.take()].into_iter().flatten() {
            let _ = child.kill().await;
        }
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A workload that tells what happens to it, line by line.
pub(super) struct Workload {
    name: String,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Workload {
    /// Waits for the next line of a kind, and gives the rest of it.
    pub(super) async fn expect(&mut self, kind: &str) -> Result<String> {
        let wanted = tokio::time::timeout(2 * PATIENCE, async {
            while let Some(line) = self.lines.next_line().await? {
                match line.split_once(' ') {
                    Some((found, rest)) if found == kind => return Ok(rest.to_owned()),
                    Some(("failed", rest)) => bail!("{} failed: {rest}", self.name),
                    _ => {}
                }
            }
            bail!("{} ended without saying {kind:?}", self.name)
        });
        wanted.await.map_err(|_| anyhow!("{} did not say {kind:?} in time", self.name))?
    }
}

//! A server and agents in one directory.

use crate::{Outcome, Process, eventually};
use anyhow::{Context, Result, anyhow};
use finial_identity::SpiffeId;
use finial_proto::server::agent::ListAgentsRequest;
use finial_proto::server::agent::agent_client::AgentClient;
use finial_proto::server::entry::entry_client::EntryClient;
use finial_proto::server::entry::{
    BatchCreateEntryRequest, BatchDeleteEntryRequest, BatchUpdateEntryRequest, ListEntriesRequest,
};
use finial_proto::types;
use finial_wire::channel::{ChannelOptions, UnixTarget, unix_channel};
use finial_wire::convert::ids::id_to_proto;
use finial_wire::status::check_item;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::process::Command;
use tonic::transport::Channel;

/// What a server's configuration says beyond the usual.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Lines for the `server` block.
    pub server: String,
    /// Further plugins.
    pub plugins: String,
    /// Where its data is; the deployment's own directory if not given.
    pub data_dir: Option<PathBuf>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            server: "ratelimit { attestation = false }".to_owned(),
            plugins: String::new(),
            data_dir: None,
        }
    }
}

/// What an agent's configuration says beyond the usual.
#[derive(Debug, Clone, Default)]
pub struct AgentOptions {
    /// Lines for the `agent` block.
    pub agent: String,
    /// Replaces the join token attestor.
    pub node_attestor: Option<String>,
    /// Where its data is; a directory of the deployment if not given.
    pub data_dir: Option<PathBuf>,
    /// Where it looks for the server; the server's own port if not given.
    pub server_port: Option<u16>,
}

/// A directory and what runs in it.
pub struct Deployment {
    /// The server, while it runs. Dropped before its directory.
    pub server: Option<Process>,
    binary: PathBuf,
    directory: TempDir,
    port: u16,
    trust_domain: String,
    /// What the server and the agents find in their environment beside what the test has.
    pub environment: Vec<(String, String)>,
}

impl Deployment {
    /// A deployment of this binary, with nothing running yet. Other users may look into it, so that tests can
    /// start workloads as other users.
    pub fn new(binary: impl Into<PathBuf>) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("finial-test-").tempdir()?;
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let port = free_port()?;
        let trust_domain = "example.org".to_owned();
        Ok(Self {
            server: None,
            binary: binary.into(),
            directory,
            port,
            trust_domain,
            environment: Vec::new(),
        })
    }

    /// The same in another trust domain than `example.org`.
    pub fn of_trust_domain(mut self, trust_domain: &str) -> Self {
        trust_domain.clone_into(&mut self.trust_domain);
        self
    }

    /// The SPIFFE ID with this path in its trust domain.
    pub fn id(&self, path: &str) -> String {
        format!("spiffe://{}{path}", self.trust_domain)
    }

    /// The directory itself.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A path below its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The port of the server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's private socket.
    pub fn server_socket(&self) -> PathBuf {
        self.path("server.sock")
    }

    /// An agent's Workload API.
    pub fn agent_socket(&self, agent: &str) -> PathBuf {
        self.path(&format!("{agent}/public/api.sock"))
    }

    /// An agent's admin socket.
    pub fn admin_socket(&self, agent: &str) -> PathBuf {
        self.path(&format!("{agent}/admin/api.sock"))
    }

    /// Writes the server's configuration.
    pub fn configure_server(&self, options: &ServerOptions) -> Result<PathBuf> {
        let data = options.data_dir.clone().unwrap_or_else(|| self.path("server"));
        fs::create_dir_all(&data)?;
        let (data, socket, port) = (data.display(), self.server_socket(), self.port);
        let trust_domain = &self.trust_domain;
        let (socket, server, plugins) = (socket.display(), &options.server, &options.plugins);
        let text = format!(
            r#"server {{
    trust_domain = "{trust_domain}"
    bind_address = "127.0.0.1"
    bind_port = "{port}"
    socket_path = "{socket}"
    data_dir = "{data}"
    log_level = "DEBUG"
    {server}
}}
plugins {{
    DataStore "sql" {{
        plugin_data {{
            database_type = "sqlite3"
            connection_string = "{data}/datastore.sqlite3"
        }}
    }}
    KeyManager "disk" {{
        plugin_data {{
            keys_path = "{data}/keys.json"
        }}
    }}
    NodeAttestor "join_token" {{
        plugin_data {{}}
    }}
    {plugins}
}}
"#
        );
        let path = self.path("server.conf");
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Starts the server with the configuration that is there, without waiting for it.
    pub fn spawn_server(&mut self) -> Result<&mut Process> {
        let mut command = self.command();
        command.args(["server", "run", "-config"]).arg(self.path("server.conf"));
        Ok(self.server.insert(Process::start("server", &mut command)?))
    }

    /// Starts the server and waits until it serves.
    pub async fn start_server(&mut self, options: &ServerOptions) -> Result<()> {
        self.configure_server(options)?;
        self.restart_server().await
    }

    /// Starts the server again with the configuration that is there, and waits until it serves.
    pub async fn restart_server(&mut self) -> Result<()> {
        let socket = self.server_socket();
        let server = self.spawn_server()?;
        wait_for(server, &socket).await
    }

    /// A connection to the server's private socket.
    pub fn server_channel(&self) -> Channel {
        unix_channel(UnixTarget::new(self.server_socket()), &ChannelOptions::default())
    }

    /// Runs a command of the server's command line.
    pub async fn server_command(&self, arguments: &[&str]) -> Result<Outcome> {
        let mut command = self.command();
        command.arg("server").args(arguments).arg("-socketPath").arg(self.server_socket());
        Outcome::of(&mut command).await
    }

    /// Runs a command of the agent's command line against its Workload API.
    pub async fn agent_command(&self, agent: &str, arguments: &[&str]) -> Result<Outcome> {
        self.agent_command_at(&self.agent_socket(agent), arguments).await
    }

    /// Runs a command of the agent's command line against its admin socket.
    pub async fn agent_admin_command(&self, agent: &str, arguments: &[&str]) -> Result<Outcome> {
        self.agent_command_at(&self.admin_socket(agent), arguments).await
    }

    async fn agent_command_at(&self, socket: &Path, arguments: &[&str]) -> Result<Outcome> {
        let mut command = self.command();
        command.arg("agent").args(arguments).arg("-socketPath").arg(socket);
        Outcome::of(&mut command).await
    }

    /// The binary, in the environment of this deployment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The running server.
    pub fn server(&mut self) -> Result<&mut Process> {
        self.server.as_mut().context("no server was started")
    }

    /// Makes a join token.
    pub async fn token(&self) -> Result<String> {
        let printed = self.server_command(&["token", "generate", "-ttl", "600"]).await?.ok()?;
        let token = printed.lines().find_map(|line| line.strip_prefix("Token: "));
        token.map(str::to_owned).with_context(|| format!("no token in {printed:?}"))
    }

    /// Writes an agent's configuration; it will attest with the token, which may be empty for another
    /// attestor.
    pub async fn configure_agent(&self, agent: &str, token: &str, options: &AgentOptions) -> Result<()> {
        let bundle = self.path("bundle.pem");
        fs::write(&bundle, self.server_command(&["bundle", "show"]).await?.ok()?)?;
        let data = options.data_dir.clone().unwrap_or_else(|| self.path(&format!("{agent}/data")));
        fs::create_dir_all(&data)?;
        let join_token = if token.is_empty() { String::new() } else { format!("join_token = \"{token}\"") };
        let attestor = options
            .node_attestor
            .clone()
            .unwrap_or_else(|| "NodeAttestor \"join_token\" { plugin_data {} }".into());
        let port = options.server_port.unwrap_or(self.port);
        let trust_domain = &self.trust_domain;
        let (data, bundle, more) = (data.display(), bundle.display(), &options.agent);
        let (socket, admin) = (self.agent_socket(agent), self.admin_socket(agent));
        let (socket, admin) = (socket.display(), admin.display());
        let text = format!(
            r#"agent {{
    trust_domain = "{trust_domain}"
    server_address = "127.0.0.1"
    server_port = {port}
    socket_path = "{socket}"
    admin_socket_path = "{admin}"
    data_dir = "{data}"
    trust_bundle_path = "{bundle}"
    log_level = "DEBUG"
    {join_token}
    {more}
}}
plugins {{
    KeyManager "disk" {{
        plugin_data {{
            directory = "{data}"
        }}
    }}
    {attestor}
    WorkloadAttestor "unix" {{
        plugin_data {{
            discover_workload_path = true
        }}
    }}
}}
"#
        );
        fs::write(self.path(&format!("{agent}.conf")), text)?;
        Ok(())
    }

    /// Starts an agent with the configuration that is there, without waiting for it.
    pub fn spawn_agent(&self, agent: &str) -> Result<Process> {
        let mut command = self.command();
        command.args(["agent", "run", "-config"]).arg(self.path(&format!("{agent}.conf")));
        Process::start(agent, &mut command)
    }

    /// Starts an agent with the configuration that is there, and waits until workloads can connect.
    pub async fn restart_agent(&self, agent: &str) -> Result<Process> {
        let mut process = self.spawn_agent(agent)?;
        wait_for(&mut process, &self.agent_socket(agent)).await?;
        Ok(process)
    }

    /// Attests a new agent with a join token; gives its process and its SPIFFE ID.
    pub async fn start_agent(&self, agent: &str, options: &AgentOptions) -> Result<(Process, String)> {
        let token = self.token().await?;
        self.configure_agent(agent, &token, options).await?;
        let process = self.restart_agent(agent).await?;
        Ok((process, self.id(&format!("/spire/agent/join_token/{token}"))))
    }

    /// Attests a new agent with another attestor than a join token.
    pub async fn start_agent_with(
        &self,
        agent: &str,
        attestor: String,
        agent_lines: &str,
    ) -> Result<Process> {
        let options = AgentOptions {
            node_attestor: Some(attestor),
            agent: agent_lines.to_owned(),
            ..Default::default()
        };
        self.configure_agent(agent, "", &options).await?;
        self.restart_agent(agent).await
    }

    /// Registers a workload, and gives the ID of the entry.
    pub async fn register(
        &self,
        parent: &str,
        spiffe_id: &str,
        selectors: &[&str],
        ttl: i32,
    ) -> Result<String> {
        let entry = types::Entry { x509_svid_ttl: ttl, ..entry(parent, spiffe_id, selectors)? };
        Ok(self.create_entry(entry).await?.id)
    }

    /// Creates an entry, and gives it as the server stored it.
    pub async fn create_entry(&self, entry: types::Entry) -> Result<types::Entry> {
        let request = BatchCreateEntryRequest { entries: vec![entry], output_mask: None };
        let mut client = EntryClient::new(self.server_channel());
        let results = client.batch_create_entry(request).await?.into_inner().results;
        let result = results.into_iter().next().ok_or_else(|| anyhow!("no result"))?;
        check_item(result.status.as_ref())?;
        result.entry.ok_or_else(|| anyhow!("no entry"))
    }

    /// Changes all of an entry.
    pub async fn update_entry(&self, entry: types::Entry) -> Result<types::Entry> {
        let request = BatchUpdateEntryRequest { entries: vec![entry], ..Default::default() };
        let mut client = EntryClient::new(self.server_channel());
        let results = client.batch_update_entry(request).await?.into_inner().results;
        let result = results.into_iter().next().ok_or_else(|| anyhow!("no result"))?;
        check_item(result.status.as_ref())?;
        result.entry.ok_or_else(|| anyhow!("no entry"))
    }

    /// Deletes an entry.
    pub async fn delete_entry(&self, id: &str) -> Result<()> {
        let request = BatchDeleteEntryRequest { ids: vec![id.to_owned()] };
        let mut client = EntryClient::new(self.server_channel());
        let results = client.batch_delete_entry(request).await?.into_inner().results;
        let result = results.into_iter().next().ok_or_else(|| anyhow!("no result"))?;
        Ok(check_item(result.status.as_ref())?)
    }

    /// All entries.
    pub async fn entries(&self) -> Result<Vec<types::Entry>> {
        let mut client = EntryClient::new(self.server_channel());
        Ok(client.list_entries(ListEntriesRequest::default()).await?.into_inner().entries)
    }

    /// All agents.
    pub async fn agents(&self) -> Result<Vec<types::Agent>> {
        let mut client = AgentClient::new(self.server_channel());
        Ok(client.list_agents(ListAgentsRequest::default()).await?.into_inner().agents)
    }

    /// The binary under another name, so that its path is a selector of its own.
    pub fn binary_named(&self, name: &str) -> Result<PathBuf> {
        self.copy_named(&self.binary, name)
    }

    /// A program under another name in the deployment's directory.
    pub fn copy_named(&self, program: &Path, name: &str) -> Result<PathBuf> {
        let bin = self.path("bin");
        fs::create_dir_all(&bin)?;
        let path = bin.join(name);
        if !path.exists() {
            // A link is enough, and costs nothing, where both are on one file system.
            if fs::hard_link(program, &path).is_err() {
                fs::copy(program, &path).with_context(|| format!("copying {}", program.display()))?;
            }
        }
        Ok(path)
    }
}

/// A port of 127.0.0.1 that nobody listens on.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// An entry with what every entry must have.
pub fn entry(parent: &str, spiffe_id: &str, selectors: &[&str]) -> Result<types::Entry> {
    let id = |text: &str| SpiffeId::parse(text).map(|id| Some(id_to_proto(&id)));
    let selectors = selectors.iter().map(|selector| {
        let (kind, value) = selector.split_once(':').context("a selector has a colon")?;
        Ok(types::Selector { r#type: kind.to_owned(), value: value.to_owned() })
    });
    Ok(types::Entry {
        spiffe_id: id(spiffe_id)?,
        parent_id: id(parent)?,
        selectors: selectors.collect::<Result<_>>()?,
        ..Default::default()
    })
}

async fn wait_for(process: &mut Process, socket: &Path) -> Result<()> {
    let what = format!("a listener at {}", socket.display());
    let came = eventually(&what, async || {
        let connected = tokio::net::UnixStream::connect(socket).await.is_ok();
        (connected || !process.is_running()).then_some(connected)
    });
    match came.await {
        Ok(true) => Ok(()),
        Ok(false) => Err(anyhow!("it ended instead of serving:\n{}", process.output())),
        Err(error) => Err(error.context(process.output())),
    }
}

//! The plugins of an agent.

use super::{Declared, Kind, OpenPluginError, Wanted, declared, log_loaded, report};
use crate::config::reader::{Flag, Reader};
use finial_agent::AgentPlugins;
use finial_plugin::key_manager::KeyManager;
use finial_plugin::node_attestor::AgentNodeAttestor;
use finial_plugin::workload_attestor::WorkloadAttestor;
use finial_plugins_base::key_manager::{AgentDiskConfig, DiskKeyManager, MemoryKeyManager};
use finial_plugins_base::node_attestor::JoinTokenAgent;
use finial_plugins_base::node_attestor::x509pop::{X509PopAgent, X509PopAgentConfig};
use finial_plugins_base::workload_attestor::unix::{UnixAttestor, UnixConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

const KINDS: &[Kind] = &[
    Kind { name: "KeyManager", wanted: Wanted::ExactlyOne, available: &["disk", "memory"], missing: &[] },
    Kind {
        name: "NodeAttestor",
        wanted: Wanted::ExactlyOne,
        available: &["join_token", "x509pop"],
        missing: &[
            "aws_iid",
            "azure_imds",
            "azure_msi",
            "gcp_iit",
            "http_challenge",
            "k8s_psat",
            "k8s_sat",
            "sshpop",
            "tpm_devid",
        ],
    },
    Kind {
        name: "WorkloadAttestor",
        wanted: Wanted::AtLeastOne,
        available: &["unix"],
        missing: &["docker", "k8s", "slurm", "systemd", "windows"],
    },
    Kind {
        name: "SVIDStore",
        wanted: Wanted::Any,
        available: &[],
        missing: &["aws_secretsmanager", "gcp_secretmanager"],
    },
];

/// Which plugins an agent has, set up but not started.
#[derive(Debug, Clone)]
pub(crate) struct AgentPluginChoice {
    key_manager: KeyManagerChoice,
    node_attestor: NodeAttestorChoice,
    /// Of the attestor `unix`, the only one there is.
    unix: UnixConfig,
}

#[derive(Debug, Clone)]
enum KeyManagerChoice {
    Memory,
    Disk(AgentDiskConfig),
}

#[derive(Debug, Clone)]
enum NodeAttestorChoice {
    JoinToken,
    X509Pop(X509PopAgentConfig),
}

/// A join token, which no log and no `Debug` text shows.
#[derive(Clone)]
pub(crate) struct JoinToken(pub(crate) String);

impl std::fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JoinToken(..)")
    }
}

/// Reads the section; nothing if something is wrong with it.
pub(in crate::config) fn read(root: &mut Reader<'_>) -> Option<AgentPluginChoice> {
    let (mut key_manager, mut node_attestor, mut unix) = (None, None, None);
    for mut plugin in declared(root, KINDS) {
        match (plugin.kind, plugin.name) {
            ("KeyManager", "memory") => {
                plugin.with_data(|_| ());
                key_manager = Some(KeyManagerChoice::Memory);
            }
            ("KeyManager", _) => key_manager = Some(KeyManagerChoice::Disk(read_disk(&mut plugin))),
            ("NodeAttestor", "join_token") => {
                plugin.with_data(|_| ());
                node_attestor = Some(NodeAttestorChoice::JoinToken);
            }
            ("NodeAttestor", _) => {
                node_attestor = Some(NodeAttestorChoice::X509Pop(read_x509pop(&mut plugin)))
            }
            _ => unix = Some(read_unix(&mut plugin)),
        }
        plugin.block.finish_with_warnings();
    }
    Some(AgentPluginChoice { key_manager: key_manager?, node_attestor: node_attestor?, unix: unix? })
}

fn read_disk(plugin: &mut Declared<'_>) -> AgentDiskConfig {
    plugin.with_data(|data| {
        let config = AgentDiskConfig { directory: data.text("directory", Flag::NONE, "").value.into() };
        report(data, config.validate());
        config
    })
}

fn read_x509pop(plugin: &mut Declared<'_>) -> X509PopAgentConfig {
    plugin.with_data(|data| {
        let config = X509PopAgentConfig {
            private_key_path: data.text("private_key_path", Flag::NONE, "").value.into(),
            certificate_path: data.text("certificate_path", Flag::NONE, "").value.into(),
            intermediates_path: data
                .optional_text("intermediates_path")
                .map(|path| PathBuf::from(path.value)),
            spiffe_endpoint_socket: data.optional_text("spiffe_endpoint_socket").map(|socket| socket.value),
        };
        report(data, config.validate());
        config
    })
}

fn read_unix(plugin: &mut Declared<'_>) -> UnixConfig {
    plugin.with_data(|data| {
        let config = UnixConfig {
            discover_workload_path: data.is_set("discover_workload_path", false),
            workload_size_limit: data.number("workload_size_limit", None, 0).value,
        };
        report(data, config.validate());
        config
    })
}

impl AgentPluginChoice {
    /// Starts the plugins. A join token decides the node attestor, whatever the file says, as in SPIRE.
    /// Blocks: reads and writes files.
    pub(crate) fn open(
        self,
        join_token: Option<JoinToken>,
        now: SystemTime,
    ) -> Result<AgentPlugins, OpenPluginError> {
        let node_attestor: Arc<dyn AgentNodeAttestor> = match (join_token, self.node_attestor) {
            (None, NodeAttestorChoice::X509Pop(config)) => {
                Arc::new(X509PopAgent::new(config).map_err(OpenPluginError::of("NodeAttestor", "x509pop"))?)
            }
            (join_token, _) => Arc::new(JoinTokenAgent::new(join_token.map(|token| token.0))),
        };
        log_loaded("NodeAttestor", node_attestor.name());
        let (name, key_manager): (_, Arc<dyn KeyManager>) = match self.key_manager {
            KeyManagerChoice::Memory => ("memory", Arc::new(MemoryKeyManager::new())),
            KeyManagerChoice::Disk(config) => {
                let keys = DiskKeyManager::open_agent(&config, now)
                    .map_err(OpenPluginError::of("KeyManager", "disk"))?;
                ("disk", Arc::new(keys))
            }
        };
        log_loaded("KeyManager", name);
        let unix: Arc<dyn WorkloadAttestor> = Arc::new(UnixAttestor::new(self.unix));
        log_loaded("WorkloadAttestor", unix.name());
        Ok(AgentPlugins { key_manager, node_attestor, workload_attestors: vec![unix] })
    }
}

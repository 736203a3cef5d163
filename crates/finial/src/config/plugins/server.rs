//! The plugins of a server.

use super::data_store::{self, StoreChoice};
use super::{Declared, Kind, OpenPluginError, Wanted, declared, log_loaded, report};
use crate::config::reader::{Flag, Reader};
use finial_identity::{Bundle, TrustDomain};
use finial_plugin::datastore::DataStore;
use finial_plugin::key_manager::KeyManager;
use finial_plugin::node_attestor::ServerNodeAttestor;
use finial_plugin::upstream_authority::UpstreamAuthority;
use finial_plugins_base::key_manager::{DiskKeyManager, MemoryKeyManager, ServerDiskConfig};
use finial_plugins_base::node_attestor::x509pop::{X509PopServer, X509PopServerConfig};
use finial_plugins_base::upstream_authority::disk::{DiskUpstream, DiskUpstreamConfig};
use finial_plugins_base::upstream_authority::spire::{SpireUpstream, SpireUpstreamConfig};
use finial_runtime::clock::Clock;
use finial_runtime::tasks::BoxError;
use finial_server::ServerPlugins;
use finial_wire::tls::KeyExchange;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

const KINDS: &[Kind] = &[
    Kind { name: "DataStore", wanted: Wanted::ExactlyOne, available: &["sql"], missing: &[] },
    Kind {
        name: "KeyManager",
        wanted: Wanted::ExactlyOne,
        available: &["disk", "memory"],
        missing: &["aws_kms", "azure_key_vault", "gcp_kms", "hashicorp_vault"],
    },
    Kind {
        name: "NodeAttestor",
        wanted: Wanted::Any,
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
        name: "UpstreamAuthority",
        wanted: Wanted::AtMostOne,
        available: &["disk", "spire"],
        missing: &["aws_pca", "awssecret", "cert-manager", "ejbca", "gcp_cas", "vault"],
    },
    Kind {
        name: "BundlePublisher",
        wanted: Wanted::Any,
        available: &[],
        missing: &[
            "aws_rolesanywhere_trustanchor",
            "aws_s3",
            "azure_blob",
            "gcp_cloudstorage",
            "k8s_configmap",
        ],
    },
    Kind { name: "CredentialComposer", wanted: Wanted::Any, available: &[], missing: &["uniqueid"] },
    Kind { name: "Notifier", wanted: Wanted::Any, available: &[], missing: &["gcs_bundle", "k8sbundle"] },
];

/// Which plugins a server has, set up but not started.
#[derive(Debug, Clone)]
pub(crate) struct ServerPluginChoice {
    key_manager: KeyManagerChoice,
    store: StoreChoice,
    node_attestors: Vec<NodeAttestorChoice>,
    upstream_authority: Option<UpstreamChoice>,
}

#[derive(Debug, Clone)]
enum UpstreamChoice {
    Disk(DiskUpstreamConfig),
    Spire(SpireUpstreamConfig),
}

#[derive(Debug, Clone)]
enum KeyManagerChoice {
    Memory,
    Disk(ServerDiskConfig),
}

#[derive(Debug, Clone)]
enum NodeAttestorChoice {
    /// The server knows its own join tokens; declaring the plugin changes nothing.
    JoinToken,
    X509Pop(X509PopServerConfig),
}

/// Plugins that are running.
pub(crate) struct OpenServerPlugins {
    /// For the server.
    pub(crate) plugins: ServerPlugins,
    /// Where to put the server's own bundle for the attestors that ask for it; nothing if none does.
    pub(crate) own_bundle: Option<watch::Sender<Option<Arc<Bundle>>>>,
}

/// Reads the section; nothing if something is wrong with it.
pub(in crate::config) fn read(root: &mut Reader<'_>) -> Option<ServerPluginChoice> {
    let (mut key_manager, mut store, mut node_attestors) = (None, None, Vec::new());
    let mut upstream_authority = None;
    for mut plugin in declared(root, KINDS) {
        match (plugin.kind, plugin.name) {
            ("DataStore", _) => store = Some(data_store::read(&mut plugin)),
            ("KeyManager", "memory") => {
                plugin.with_data(|_| ());
                key_manager = Some(KeyManagerChoice::Memory);
            }
            ("KeyManager", _) => key_manager = Some(KeyManagerChoice::Disk(read_disk(&mut plugin))),
            ("NodeAttestor", "join_token") => {
                plugin.without_data();
                node_attestors.push(NodeAttestorChoice::JoinToken);
            }
            ("UpstreamAuthority", "disk") => {
                upstream_authority = Some(UpstreamChoice::Disk(read_disk_upstream(&mut plugin)));
            }
            ("UpstreamAuthority", _) => {
                upstream_authority = Some(UpstreamChoice::Spire(read_spire_upstream(&mut plugin)));
            }
            _ => node_attestors.push(NodeAttestorChoice::X509Pop(read_x509pop(&mut plugin))),
        }
        plugin.block.finish_with_warnings();
    }
    Some(ServerPluginChoice { key_manager: key_manager?, store: store?, node_attestors, upstream_authority })
}

fn read_disk_upstream(plugin: &mut Declared<'_>) -> DiskUpstreamConfig {
    plugin.with_data(|data| {
        let mut path = |key| data.optional_text(key).map(|setting| PathBuf::from(setting.value));
        let config = DiskUpstreamConfig {
            cert_file_path: path("cert_file_path").unwrap_or_default(),
            key_file_path: path("key_file_path").unwrap_or_default(),
            bundle_file_path: path("bundle_file_path"),
        };
        report(data, config.validate());
        config
    })
}

fn read_spire_upstream(plugin: &mut Declared<'_>) -> SpireUpstreamConfig {
    plugin.with_data(|data| {
        let key_exchange = read_upstream_experimental(&mut data.block("experimental"));
        let mut text = |key| data.optional_text(key).map(|setting| setting.value).unwrap_or_default();
        let config = SpireUpstreamConfig {
            server_address: text("server_address"),
            server_port: text("server_port"),
            workload_api_socket: text("workload_api_socket").into(),
            key_exchange,
        };
        report(data, config.validate());
        config
    })
}

fn read_upstream_experimental(section: &mut Reader<'_>) -> KeyExchange {
    if let Some(pipe) =
        section.optional_text("workload_api_named_pipe_name").filter(|pipe| !pipe.value.is_empty())
    {
        let text = "configuration: workload_api_named_pipe_name is not supported on this platform; please use \
                    workload_api_socket instead";
        section.problem(&pipe, text);
    }
    if section.is_set("require_pq_kem", false) { KeyExchange::PostQuantum } else { KeyExchange::Any }
}

fn read_disk(plugin: &mut Declared<'_>) -> ServerDiskConfig {
    plugin.with_data(|data| {
        let config = ServerDiskConfig { keys_path: data.text("keys_path", Flag::NONE, "").value.into() };
        report(data, config.validate());
        config
    })
}

fn read_x509pop(plugin: &mut Declared<'_>) -> X509PopServerConfig {
    plugin.with_data(|data| {
        let mut text = |key| data.optional_text(key).map(|setting| setting.value);
        let (mode, spiffe_prefix) = (text("mode"), text("spiffe_prefix"));
        let (ca_bundle_path, agent_path_template) = (text("ca_bundle_path"), text("agent_path_template"));
        let config = X509PopServerConfig {
            mode,
            spiffe_prefix,
            ca_bundle_path: ca_bundle_path.map(PathBuf::from),
            ca_bundle_paths: data.texts("ca_bundle_paths").into_iter().map(PathBuf::from).collect(),
            agent_path_template,
            max_intermediates: data.optional_number("max_intermediates"),
            max_rsa_key_size: data.optional_number("max_rsa_key_size"),
            verify_client_ip: data.is_set("verify_client_ip", false),
        };
        report(data, config.validate());
        config
    })
}

impl ServerPluginChoice {
    /// Starts the plugins, the data store first.
    pub(crate) async fn open(
        self,
        trust_domain: TrustDomain,
        clock: Arc<dyn Clock>,
    ) -> Result<OpenServerPlugins, BoxError> {
        let Self { key_manager, store, node_attestors, upstream_authority } = self;
        let store = store.open().await?;
        let others = FilePlugins { key_manager, node_attestors, upstream_authority };
        let open = move || others.open(store, &trust_domain, &clock);
        Ok(tokio::task::spawn_blocking(open).await??)
    }
}

/// The plugins that read and write files when they start.
struct FilePlugins {
    key_manager: KeyManagerChoice,
    node_attestors: Vec<NodeAttestorChoice>,
    upstream_authority: Option<UpstreamChoice>,
}

impl FilePlugins {
    /// Starts the plugins. Blocks.
    fn open(
        self,
        store: Arc<dyn DataStore>,
        trust_domain: &TrustDomain,
        clock: &Arc<dyn Clock>,
    ) -> Result<OpenServerPlugins, OpenPluginError> {
        let key_manager: Arc<dyn KeyManager> = match self.key_manager {
            KeyManagerChoice::Memory => {
                log_loaded("KeyManager", "memory");
                Arc::new(MemoryKeyManager::new())
            }
            KeyManagerChoice::Disk(config) => {
                let keys = DiskKeyManager::open_server(&config)
                    .map_err(OpenPluginError::of("KeyManager", "disk"))?;
                log_loaded("KeyManager", "disk");
                Arc::new(keys)
            }
        };
        let mut node_attestors: Vec<Arc<dyn ServerNodeAttestor>> = Vec::new();
        let mut own_bundle = None;
        for attestor in self.node_attestors {
            let config = match attestor {
                NodeAttestorChoice::JoinToken => {
                    log_loaded("NodeAttestor", "join_token");
                    continue;
                }
                NodeAttestorChoice::X509Pop(config) => config,
            };
            let (sender, receiver) = watch::channel(None);
            let x509pop = X509PopServer::new(&config, trust_domain.clone(), receiver, Arc::clone(clock))
                .map_err(OpenPluginError::of("NodeAttestor", "x509pop"))?;
            log_loaded("NodeAttestor", "x509pop");
            node_attestors.push(Arc::new(x509pop));
            own_bundle = (config.mode.as_deref() == Some("spiffe")).then_some(sender);
        }
        let upstream_authority = match self.upstream_authority {
            Some(upstream) => Some(open_upstream(upstream, trust_domain, clock)?),
            None => None,
        };
        Ok(OpenServerPlugins {
            plugins: ServerPlugins { key_manager, store, node_attestors, upstream_authority },
            own_bundle,
        })
    }
}

fn open_upstream(
    upstream: UpstreamChoice,
    trust_domain: &TrustDomain,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn UpstreamAuthority>, OpenPluginError> {
    let (trust_domain, clock) = (trust_domain.clone(), Arc::clone(clock));
    let opened: Arc<dyn UpstreamAuthority> = match upstream {
        UpstreamChoice::Disk(config) => {
            let disk = DiskUpstream::open(config, trust_domain, clock);
            Arc::new(disk.map_err(OpenPluginError::of("UpstreamAuthority", "disk"))?)
        }
        UpstreamChoice::Spire(config) => {
            let spire = SpireUpstream::new(&config, trust_domain, clock);
            Arc::new(spire.map_err(OpenPluginError::of("UpstreamAuthority", "spire"))?)
        }
    };
    log_loaded("UpstreamAuthority", opened.name());
    Ok(opened)
}

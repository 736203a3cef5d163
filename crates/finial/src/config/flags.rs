//! What `run` and `validate` take on the command line. Empty text, 0 and `false` count as not given, as in
//! SPIRE.

/// Flags of `server run` and `server validate`.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerFlags {
    /// `-bindAddress`
    pub(crate) bind_address: String,
    /// `-config`; empty for the default path.
    pub(crate) config: String,
    /// `-dataDir`
    pub(crate) data_dir: String,
    /// `-expandEnv`
    pub(crate) expand_env: bool,
    /// `-logFile`
    pub(crate) log_file: String,
    /// `-logFormat`
    pub(crate) log_format: String,
    /// `-logLevel`
    pub(crate) log_level: String,
    /// `-logSourceLocation`
    pub(crate) log_source_location: bool,
    /// `-serverPort`
    pub(crate) server_port: i64,
    /// `-socketPath`
    pub(crate) socket_path: String,
    /// `-trustDomain`
    pub(crate) trust_domain: String,
}

/// Flags of `agent run` and `agent validate`.
#[derive(Clone, Default)]
pub(crate) struct AgentFlags {
    /// `-allowUnauthenticatedVerifiers`
    pub(crate) allow_unauthenticated_verifiers: bool,
    /// `-config`; empty for the default path.
    pub(crate) config: String,
    /// `-dataDir`
    pub(crate) data_dir: String,
    /// `-disableSDSAPI`
    pub(crate) disable_sds_api: bool,
    /// `-disableWorkloadAPI`
    pub(crate) disable_workload_api: bool,
    /// `-expandEnv`
    pub(crate) expand_env: bool,
    /// `-insecureBootstrap`
    pub(crate) insecure_bootstrap: bool,
    /// `-joinToken`: a secret.
    pub(crate) join_token: String,
    /// `-joinTokenFile`
    pub(crate) join_token_file: String,
    /// `-logFile`
    pub(crate) log_file: String,
    /// `-logFormat`
    pub(crate) log_format: String,
    /// `-logLevel`
    pub(crate) log_level: String,
    /// `-logSourceLocation`
    pub(crate) log_source_location: bool,
    /// `-rebootstrapDelay`
    pub(crate) rebootstrap_delay: String,
    /// `-rebootstrapMode`
    pub(crate) rebootstrap_mode: String,
    /// `-serverAddress`
    pub(crate) server_address: String,
    /// `-serverPort`
    pub(crate) server_port: i64,
    /// `-socketPath`
    pub(crate) socket_path: String,
    /// `-trustBundle`
    pub(crate) trust_bundle: String,
    /// `-trustBundleFormat`
    pub(crate) trust_bundle_format: String,
    /// `-trustBundleUrl`
    pub(crate) trust_bundle_url: String,
    /// `-trustDomain`
    pub(crate) trust_domain: String,
}

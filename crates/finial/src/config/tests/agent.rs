use super::*;

fn settings(keys: &str) -> AgentSettings {
    match agent_with(keys) {
        Ok(loaded) => loaded.settings,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn defaults() {
    let AgentSettings { config, join_token, log, health, .. } = settings("");
    assert_eq!(
        (config.trust_domain.as_str(), config.server.to_string().as_str()),
        ("example.org", "localhost:8081")
    );
    assert_eq!(config.data_dir, Path::new("."));
    assert_eq!(config.socket_path.as_deref(), Some(Path::new("/tmp/spire-agent/public/api.sock")));
    assert_eq!((config.admin_socket_path, health), (None, None));
    assert!(matches!(config.bootstrap, Bootstrap::Insecure) && join_token.is_none());
    assert_eq!((config.rebootstrap, config.rebootstrap_delay), (RebootstrapMode::Never, HOUR / 6));
    assert_eq!((config.sync_interval, config.sign.availability_target), (Duration::from_secs(5), None));
    assert_eq!(config.sign.key_type.name(), "ec-p256");
    assert_eq!((config.x509_cache_max, config.jwt_cache.max), (1000, 1000));
    assert_eq!(config.jwt_cache.hit_timeout, Duration::from_secs(30));
    assert_eq!(config.unauthenticated_verifiers, UnauthenticatedVerifiers::Refuse);
    assert_eq!((config.key_exchange, log.level), (KeyExchange::Any, Level::Info));
}

#[test]
fn every_key_that_works_arrives() {
    let AgentSettings { config, join_token, .. } = settings(
        r#"
        data_dir = "a" socket_path = "/run/w/s" admin_socket_path = "/run/a/s"
        workload_x509_svid_key_type = "rsa-2048" availability_target = "48h"
        x509_svid_cache_max_size = 7 jwt_svid_cache_max_size = 8
        allow_unauthenticated_verifiers = true allowed_foreign_jwt_claims = ["a"] log_selectors = ["unix"]
        join_token = "secret" rebootstrap_delay = "1h"
        experimental { sync_interval = "1h" jwt_svid_cache_hit_timeout = "6s" require_pq_kem = true
            ratelimit { fetch_x509_svid = 1 fetch_jwt_svid = 2 fetch_x509_bundles = 3 fetch_jwt_bundles = 4 } }
        "#,
    );
    assert_eq!(config.data_dir, Path::new("a"));
    assert_eq!(config.socket_path.as_deref(), Some(Path::new("/run/w/s")));
    assert_eq!(config.admin_socket_path.as_deref(), Some(Path::new("/run/a/s")));
    assert_eq!((config.sign.key_type.name(), config.sign.availability_target), ("rsa-2048", Some(HOUR * 48)));
    assert_eq!((config.x509_cache_max, config.jwt_cache.max), (7, 8));
    assert_eq!(config.unauthenticated_verifiers, UnauthenticatedVerifiers::Allow);
    assert_eq!(config.allowed_foreign_jwt_claims.first().map(String::as_str), Some("a"));
    assert_eq!(config.log_selectors.first().map(String::as_str), Some("unix"));
    assert_eq!((config.rebootstrap_delay, config.sync_interval), (HOUR, HOUR));
    assert_eq!(config.jwt_cache.hit_timeout, Duration::from_secs(6));
    assert_eq!(config.key_exchange, KeyExchange::PostQuantum);
    let limits = config.rate_limits;
    assert_eq!((limits.fetch_x509_svid, limits.fetch_jwt_svid), (1, 2));
    assert_eq!((limits.fetch_x509_bundles, limits.fetch_jwt_bundles), (3, 4));
    assert_eq!(settings("").config.rate_limits, finial_agent::delivery::RateLimits::default());
    assert_eq!(format!("{join_token:?}"), "Some(JoinToken(..))");
    assert_eq!(settings("disable_workload_api = true").config.socket_path, None);
}

#[test]
fn secrets_are_not_among_the_values() {
    let Ok(loaded) = agent_with(r#"join_token = "hush""#) else { panic!() };
    assert_eq!(loaded.values.get("agent.join_token").map(String::as_str), Some("(hidden)"));
    assert!(!format!("{loaded:?}").contains("hush"));
    assert_eq!(loaded.values.get("agent.server_port").map(String::as_str), Some("8081"));
}

#[test]
fn flags_go_before_the_file() {
    let flags = AgentFlags {
        server_address: "::1".into(),
        server_port: 1,
        join_token: "t".into(),
        disable_workload_api: true,
        rebootstrap_delay: "2h".into(),
        ..AgentFlags::default()
    };
    let text = format!("agent {{ {AGENT} join_token = \"u\" rebootstrap_delay = \"1h\" }}\n{AGENT_PLUGINS}");
    let Ok(loaded) = load_agent_text(&text, &flags) else { panic!() };
    let AgentSettings { config, join_token, .. } = loaded.settings;
    assert_eq!(config.server.to_string(), "[::1]:1");
    assert_eq!((config.socket_path, config.rebootstrap_delay), (None, HOUR * 2));
    assert_eq!(join_token.map(|token| token.0), Some("t".to_owned()));
}

#[test]
fn exactly_one_way_of_first_trust() {
    let with = |keys: &str| {
        let text = format!(
            "agent {{ trust_domain = \"example.org\" server_address = \"a\" server_port = 1\n{keys}\n}}\n{AGENT_PLUGINS}"
        );
        load_agent_text(&text, &AgentFlags::default())
    };
    for keys in [
        r#"trust_bundle_path = "/nowhere""#,
        r#"trust_bundle_path = "/nowhere" trust_bundle_format = "spiffe""#,
        r#"trust_bundle_url = "https://x/y""#,
        r#"trust_bundle_url = "http://x/y?a=b" trust_bundle_unix_socket = "/s""#,
    ] {
        match with(keys) {
            Ok(loaded) => {
                assert!(matches!(loaded.settings.config.bootstrap, Bootstrap::Fetched(_)), "{keys}")
            }
            Err(error) => panic!("{keys}: {error}"),
        }
    }
    for (keys, want) in [
        (
            "",
            "t.conf:1:7: agent: trust_bundle_path, trust_bundle_url, or trust_bundle_spiffe_workload_api must be configured unless insecure_bootstrap is set",
        ),
        (
            r#"insecure_bootstrap = true trust_bundle_path = "x""#,
            "t.conf:2:47: agent.trust_bundle_path: only one of insecure_bootstrap or trust_bundle_path can be specified, not both",
        ),
        (
            r#"insecure_bootstrap = true trust_bundle_url = "https://x" trust_bundle_path = "x""#,
            "t.conf:2:22: agent.insecure_bootstrap: only one of insecure_bootstrap, trust_bundle_url, or trust_bundle_path can be specified, not the three options",
        ),
        (
            r#"trust_bundle_path = "x" trust_bundle_url = "https://x""#,
            "t.conf:2:21: agent.trust_bundle_path: only one of trust_bundle_url or trust_bundle_path can be specified, not both",
        ),
        (
            r#"trust_bundle_url = "http://x""#,
            "t.conf:2:20: agent.trust_bundle_url: trust bundle URL must start with https://",
        ),
        (
            r#"trust_bundle_url = "https://x" trust_bundle_unix_socket = "/s""#,
            "t.conf:2:20: agent.trust_bundle_url: trust bundle URL must start with http:// when used with trust bundle unix socket",
        ),
        (
            r#"trust_bundle_url = "http://x?a=1&spire-x=1" trust_bundle_unix_socket = "/s""#,
            "t.conf:2:20: agent.trust_bundle_url: trust_bundle_url query params can not start with spire-",
        ),
        (
            r#"trust_bundle_path = "x" trust_bundle_unix_socket = "/s""#,
            "t.conf:2:52: agent.trust_bundle_unix_socket: if trust_bundle_unix_socket is specified, so must be trust_bundle_url",
        ),
        (
            r#"trust_bundle_path = "x" trust_bundle_format = "der""#,
            r#"t.conf:2:47: agent.trust_bundle_format: invalid value for trust_bundle_format, expected "pem" or "spiffe""#,
        ),
        (
            r#"insecure_bootstrap = true rebootstrap_mode = "auto""#,
            "t.conf:2:22: agent.insecure_bootstrap: insecure_bootstrap option can not be used with rebootstrapping",
        ),
        (
            r#"trust_bundle_spiffe_workload_api = "unix:///x""#,
            "t.conf:2:36: agent.trust_bundle_spiffe_workload_api: fetching the bundle from a Workload API is not available in this version; use trust_bundle_path or trust_bundle_url",
        ),
    ] {
        assert_eq!(told(with(keys)), want, "{keys}");
    }
}

#[test]
fn all_that_is_wrong_comes_out_at_once() {
    check(
        load_agent_text(
            r#"
agent {
  bogus = 1
  bogus2 = 2
  server_port = 70000
  server_address = "not a host"
  socket_path = "/run/w/api.sock"
  admin_socket_path = "/run/w/deep/admin.sock"
  join_token = "a"
  join_token_file = "b"
  rebootstrap_mode = "bogus"
  rebootstrap_delay = "x"
  workload_x509_svid_key_type = "rsa-4096"
  availability_target = "1h"
  x509_svid_cache_max_size = -1
  jwt_svid_cache_max_size = -1
  authorized_delegates = ["spiffe://other.org/a", "spiffe://example.org/b"]
  trust_domain = "example.org"
  experimental {
    sync_interval = "x"
    jwt_svid_cache_hit_timeout = "30s"
    admin_named_pipe_name = "x"
    ratelimit { fetch_x509_svid = -1, fetch_jwt_svid = 5, fetch_secrets = 0, bogus = 1 }
    broker { socket_path = "x" }
    feature_flags = ["nope"]
  }
}
plugins {
  KeyManager "disk" { plugin_data {} }
  NodeAttestor "x509pop" { plugin_data { spiffe_endpoint_socket = "x" } }
  WorkloadAttestor "docker" { plugin_data {} }
  SVIDStore "disk" { plugin_cmd = "x" }
}
"#,
            &AgentFlags::default(),
        ),
        expect![[r#"
            t.conf:2:7: agent: trust_bundle_path, trust_bundle_url, or trust_bundle_spiffe_workload_api must be configured unless insecure_bootstrap is set
            t.conf:3:3: agent.bogus: unknown configuration detected: "bogus" is no key of agent
            t.conf:4:3: agent.bogus2: unknown configuration detected: "bogus2" is no key of agent
            t.conf:5:17: agent.server_port: 70000 is not a port
            t.conf:6:20: agent.server_address: server_address: "not a host" is neither a host name nor an IP address
            t.conf:8:23: agent.admin_socket_path: admin socket cannot be in the same directory or a subdirectory as that containing the Workload API socket
            t.conf:10:21: agent.join_token_file: only one of join_token or join_token_file can be specified, not both
            t.conf:11:22: agent.rebootstrap_mode: unknown rebootstrap mode specified: bogus
            t.conf:12:23: agent.rebootstrap_delay: could not parse rebootstrap delay duration: time: invalid duration "x"
            t.conf:13:33: agent.workload_x509_svid_key_type: key type "rsa-4096" is unknown; must be one of [rsa-2048, ec-p256, ec-p384]
            t.conf:14:25: agent.availability_target: availability_target must be at least 24h0m0s
            t.conf:15:30: agent.x509_svid_cache_max_size: x509_svid_cache_max_size should not be negative
            t.conf:16:29: agent.jwt_svid_cache_max_size: jwt_svid_cache_max_size should not be negative
            t.conf:17:26: agent.authorized_delegates: error validating authorized delegate: "spiffe://other.org/a" is not a member of trust domain "example.org"
            t.conf:17:26: agent.authorized_delegates: the Delegated Identity API is not available in this version; remove authorized_delegates
            t.conf:20:21: agent.experimental.sync_interval: could not parse synchronization interval: time: invalid duration "x"
            t.conf:21:34: agent.experimental.jwt_svid_cache_hit_timeout: jwt_svid_cache_hit_timeout (30s) must be less than 30s
            t.conf:22:29: agent.experimental.admin_named_pipe_name: invalid configuration: admin_named_pipe_name is not supported in this platform; please use admin_socket_path instead
            t.conf:23:35: agent.experimental.ratelimit.fetch_x509_svid: experimental.ratelimit.fetch_x509_svid must not be negative
            t.conf:23:78: agent.experimental.ratelimit.bogus: unknown configuration detected: "bogus" is no key of ratelimit
            t.conf:24:12: agent.experimental.broker: the SPIFFE Broker API is not available in this version; remove broker
            t.conf:25:21: agent.experimental.feature_flags: error loading feature flags: unknown feature flag(s): [nope]
            t.conf:29:35: plugins.KeyManager.disk.plugin_data.directory: directory must be configured
            t.conf:30:67: plugins.NodeAttestor.x509pop.plugin_data.spiffe_endpoint_socket: spiffe_endpoint_socket is not supported yet; write the SVID and its key to files and use certificate_path and private_key_path
            t.conf:31:3: plugins.WorkloadAttestor.docker: failed to load plugin "docker": WorkloadAttestor "docker" is not available in this version; available are: unix
            t.conf:32:35: plugins.SVIDStore.disk.plugin_cmd: external plugins are not available in this version"#]],
    );
    check(
        load_agent_text("", &AgentFlags::default()),
        expect![[r#"
        t.conf:1:1: agent.server_address: server_address must be configured
        t.conf:1:1: agent.server_port: server_port must be configured
        t.conf:1:1: agent.trust_domain: trust_domain must be configured
        t.conf:1:1: agent: trust_bundle_path, trust_bundle_url, or trust_bundle_spiffe_workload_api must be configured unless insecure_bootstrap is set
        t.conf:1:1: plugins: plugins section must be configured"#]],
    );
}

#[test]
fn what_has_no_effect_is_warned_of() {
    check(
        agent_with(
            r#"sds { default_svid_name = "x", bogus = 1 }
experimental { use_sync_authorized_entries = false, bogus = 1 }"#,
        ),
        expect![[r#"
            warning: t.conf:1:109: agent.insecure_bootstrap: the agent will believe the first server that answers; use this for trying things out only
            warning: t.conf:2:5: agent.sds: has no effect: Envoy's SDS is not available in this version
            warning: t.conf:2:32: agent.sds.bogus: unknown key; it has no effect
            warning: t.conf:3:46: agent.experimental.use_sync_authorized_entries: has no effect: the agent asks for changes only, and for everything from a server that does not know how
            warning: t.conf:3:53: agent.experimental.bogus: unknown key; it has no effect
        "#]],
    );
}

#[test]
fn a_join_token_may_be_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let with = |path: &Path| agent_with(&format!("join_token_file = {:?}", path.display().to_string()));
    std::fs::write(&path, " 0a1b\n").unwrap();
    let token = with(&path).unwrap_or_else(|error| panic!("{error}")).settings.join_token;
    assert_eq!(token.map(|token| token.0), Some("0a1b".to_owned()));
    std::fs::write(&path, "\n").unwrap();
    assert!(told(with(&path)).ends_with("agent.join_token_file: join token file is empty"));
    check(
        agent_with(r#"join_token_file = "/nowhere/token""#),
        expect![[
            r#"t.conf:2:19: agent.join_token_file: unable to read join token file "/nowhere/token": open /nowhere/token: no such file or directory"#
        ]],
    );
}

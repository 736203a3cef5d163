use super::*;

fn settings(keys: &str) -> ServerSettings {
    match server_with(keys) {
        Ok(loaded) => loaded.settings,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn defaults() {
    let ServerSettings { config, data_dir, log, health, .. } = settings("");
    assert_eq!(config.trust_domain.as_str(), "example.org");
    assert_eq!(config.bind.to_string(), "0.0.0.0:8081");
    assert_eq!(config.socket_path, Path::new("/tmp/spire-server/private/api.sock"));
    assert_eq!((data_dir.as_path(), health), (Path::new("d"), None));
    assert_eq!((log.level, log.format, log.file), (Level::Info, Format::Default, None));
    assert_eq!(
        config.authority,
        finial_server::authority::AuthorityConfig::with_defaults(config.trust_domain)
    );
    assert_eq!((config.limit_attestation, config.limit_signing), (Switch::On, Switch::On));
    assert_eq!((config.agent_pruning, config.keep_events), (None, HOUR * 12));
    assert_eq!((config.agent_id_selector, config.key_exchange), (AgentIdSelector::Omit, KeyExchange::Any));
    assert!(config.admin_ids.is_empty());
}

#[test]
fn every_key_that_works_arrives() {
    let ServerSettings { config, log, health, .. } = match load_server_text(
        &format!(
            r#"server {{
                {SERVER}
                bind_address = "[::1]"
                bind_port = 9000
                socket_path = "run/../s.sock"
                admin_ids = ["spiffe://example.org/admin", "spiffe://other.org/admin"]
                ca_ttl = "48h" ca_key_type = "rsa-2048" jwt_key_type = "ec-p384" jwt_issuer = "https://i"
                default_x509_svid_ttl = "2h" default_jwt_svid_ttl = "10m" agent_ttl = "3h" disable_jwt_svids = true
                ca_subject {{ country = ["DE"] organization = ["A", "B"] common_name = "C" }}
                ratelimit {{ attestation = false signing = false }}
                prune_attested_nodes_expired_for = "24h" prune_attested_nodes_batch_size = 7 prune_tofu_nodes = true
                log_level = "debug" log_format = "JSON" log_source_location = true
                experimental {{
                    agent_spiffe_id_as_selector = true require_pq_kem = true prune_events_older_than = "1h"
                    feature_flags = ["i_am_a_test_flag"]
                }}
            }}
            {SERVER_PLUGINS}
            health_checks {{ listener_enabled = true bind_address = "::1" bind_port = 81 live_path = "/l" ready_path = "/r" }}"#
        ),
        &ServerFlags::default(),
    ) {
        Ok(loaded) => loaded.settings,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(config.bind.to_string(), "[::1]:9000");
    assert!(config.socket_path.is_absolute() && config.socket_path.ends_with("s.sock"));
    assert!(!config.socket_path.to_string_lossy().contains(".."));
    let ids: Vec<&str> = config.admin_ids.iter().map(|id| id.as_str()).collect();
    assert_eq!(ids, ["spiffe://example.org/admin", "spiffe://other.org/admin"]);
    let authority = config.authority;
    assert_eq!((authority.ca_key_type.name(), authority.jwt_key_type.name()), ("rsa-2048", "ec-p384"));
    assert_eq!((authority.ca_ttl, authority.default_x509_svid_ttl), (HOUR * 48, HOUR * 2));
    assert_eq!((authority.default_jwt_svid_ttl, authority.agent_ttl), (HOUR / 6, HOUR * 3));
    assert_eq!((authority.jwt_issuer.as_deref(), authority.jwt), (Some("https://i"), JwtSwitch::Disabled));
    assert_eq!(authority.ca_subject.to_string(), "CN=C,O=A+O=B,C=DE");
    assert_eq!((config.limit_attestation, config.limit_signing), (Switch::Off, Switch::Off));
    expect!["Some(AgentPruning { expired_for: 86400s, scope: All, batch: 7 })"]
        .assert_eq(&format!("{:?}", config.agent_pruning));
    assert_eq!(config.keep_events, HOUR);
    assert_eq!(
        (config.agent_id_selector, config.key_exchange),
        (AgentIdSelector::Add, KeyExchange::PostQuantum)
    );
    assert_eq!((log.level, log.format), (Level::Debug, Format::Json));
    let health = health.map(|health| (health.address, health.live_path, health.ready_path));
    assert_eq!(health, Some(("[::1]:81".to_owned(), "/l".to_owned(), "/r".to_owned())));
}

#[test]
fn a_host_name_is_looked_up() {
    assert_eq!(settings(r#"bind_address = "localhost""#).config.bind.to_string(), "127.0.0.1:8081");
    check(
        server_with(r#"bind_address = "no such host""#),
        expect![[r#"t.conf:2:16: server.bind_address: could not resolve bind address "no such host""#]],
    );
}

#[test]
fn the_other_key_types_follow_that_of_the_authority() {
    let authority = settings(r#"ca_key_type = "ec-p384""#).config.authority;
    assert_eq!((authority.ca_key_type.name(), authority.jwt_key_type.name()), ("ec-p384", "ec-p384"));
    let authority = settings(r#"default_x509_svid_ttl = "30m" agent_ttl = "0s""#).config.authority;
    assert_eq!(authority.agent_ttl, HOUR / 2);
}

#[test]
fn flags_go_before_the_file_unless_they_are_empty() {
    let file = format!(
        r#"server {{ {SERVER} bind_port = 1 log_level = "WARN" socket_path = "/f" log_source_location = true }}
        {SERVER_PLUGINS}"#
    );
    let flags = ServerFlags {
        bind_address: "127.0.0.1".into(),
        server_port: 2,
        data_dir: "other".into(),
        log_level: "debug".into(),
        trust_domain: "flag.org".into(),
        ..ServerFlags::default()
    };
    let Ok(loaded) = load_server_text(&file, &flags) else { panic!() };
    let ServerSettings { config, data_dir, log, .. } = loaded.settings;
    assert_eq!((config.bind.to_string().as_str(), data_dir.to_str()), ("127.0.0.1:2", Some("other")));
    assert_eq!((log.level, config.trust_domain.as_str()), (Level::Debug, "flag.org"));
    assert_eq!(config.socket_path, Path::new("/f"));
    let flags = ServerFlags { bind_address: "nowhere.invalid".into(), log_level: "LOUD".into(), ..flags };
    check(
        load_server_text(&file, &flags),
        expect![[r#"
            command line: -logLevel: could not start logger: not a valid logrus Level: "LOUD"
            command line: -bindAddress: could not resolve bind address "nowhere.invalid""#]],
    );
}

#[test]
fn all_that_is_wrong_comes_out_at_once() {
    check(
        load_server_text(
            r#"
server {
  bind_port = 70000
  bogus = 1
  admin_ids = ["nope"]
  agent_ttl = "abc"
  ca_ttl = "1y"
  default_jwt_svid_ttl = "5x"
  default_x509_svid_ttl = "-1h"
  ca_key_type = "rsa-1024"
  jwt_key_type = "foo"
  log_level = "LOUD"
  log_format = "xml"
  log_file = "/nowhere/at/all/log"
  prune_attested_nodes_expired_for = "x"
  proxy_protocol_trusted_cidrs = ["x"]
  audit_log_enabled = "true"
  ca_subject { bogus = 1 }
  ratelimit { bogus = 1, signing = "no" }
  experimental {
    cache_reload_interval = "x"
    event_timeout = "1m"
    sql_transaction_timeout = "1m"
    feature_flags = ["nope", "wit-svid"]
    named_pipe_name = "x"
    auth_opa_policy_engine { local { rego_path = "x" } }
  }
  federation {
    bundle_endpoint { address = "0.0.0.0" port = 8443 }
    federates_with "other.org" { bundle_endpoint_url = "https://x" }
  }
}
bogus = 1
health_checks { bogus = 1, live_path = "live" }
telemetry { Prometheus { bogus = 1 } }
"#,
            &ServerFlags::default(),
        ),
        expect![[r#"
            t.conf:1:1: plugins: plugins section must be configured
            t.conf:2:8: server.data_dir: data_dir must be configured
            t.conf:2:8: server.trust_domain: trust_domain must be configured
            t.conf:3:15: server.bind_port: 70000 is not a port
            t.conf:4:3: server.bogus: unknown configuration detected: "bogus" is no key of server
            t.conf:5:15: server.admin_ids: could not parse admin ID "nope": scheme is missing or invalid
            t.conf:6:15: server.agent_ttl: could not parse agent ttl "abc": time: invalid duration "abc"
            t.conf:7:12: server.ca_ttl: could not parse default CA ttl "1y": time: unknown unit "y" in duration "1y"
            t.conf:8:26: server.default_jwt_svid_ttl: could not parse default JWT SVID ttl "5x": time: unknown unit "x" in duration "5x"
            t.conf:9:27: server.default_x509_svid_ttl: could not parse default X509 SVID ttl "-1h": it must not be negative
            t.conf:10:17: server.ca_key_type: error parsing ca_key_type: key type "rsa-1024" is unknown; must be one of [rsa-2048, rsa-4096, ec-p256, ec-p384]
            t.conf:11:18: server.jwt_key_type: error parsing jwt_key_type: key type "foo" is unknown; must be one of [rsa-2048, rsa-4096, ec-p256, ec-p384]
            t.conf:12:15: server.log_level: could not start logger: not a valid logrus Level: "LOUD"
            t.conf:13:16: server.log_format: could not start logger: unknown logger format: "xml"
            t.conf:14:14: server.log_file: open /nowhere/at/all/log: no such file or directory
            t.conf:15:38: server.prune_attested_nodes_expired_for: could not parse prune_attested_nodes_expired_for: time: invalid duration "x"
            t.conf:16:34: server.proxy_protocol_trusted_cidrs: invalid proxy_protocol_trusted_cidrs value "x": invalid CIDR address: x
            t.conf:16:34: server.proxy_protocol_trusted_cidrs: the PROXY protocol is not available in this version; let agents connect directly
            t.conf:17:23: server.audit_log_enabled: expected true or false without quotes, found a string
            t.conf:18:16: server.ca_subject.bogus: unknown configuration detected: "bogus" is no key of ca_subject
            t.conf:19:15: server.ratelimit.bogus: unknown configuration detected: "bogus" is no key of ratelimit
            t.conf:19:36: server.ratelimit.signing: expected true or false without quotes, found a string
            t.conf:21:29: server.experimental.cache_reload_interval: could not parse cache reload interval: time: invalid duration "x"
            t.conf:23:31: server.experimental.sql_transaction_timeout: both experimental sql_transaction_timeout and event_timeout set, only set event_timeout
            t.conf:24:21: server.experimental.feature_flags: error loading feature flags: unknown feature flag(s): [nope]
            t.conf:24:21: server.experimental.feature_flags: wit-svid: WIT-SVIDs are not available in this version; leave the flag out
            t.conf:25:23: server.experimental.named_pipe_name: invalid configuration: named_pipe_name is not supported in this platform; please use socket_path instead
            t.conf:26:28: server.experimental.auth_opa_policy_engine: a policy of your own is not available in this version; the built-in policy is that of SPIRE
            t.conf:30:32: server.federation.federates_with.other.org.bundle_endpoint_profile: federation configuration for trust domain "other.org": missing bundle endpoint configuration
            t.conf:34:17: health_checks.bogus: unknown configuration detected: "bogus" is no key of health check
            t.conf:34:40: health_checks.live_path: live_path "live" must begin with a slash
            t.conf:35:26: telemetry.Prometheus.bogus: unknown configuration detected: "bogus" is no key of Prometheus"#]],
    );
}

#[test]
fn what_spire_says_of_missing_things() {
    for (text, want) in [
        ("", "trust_domain must be configured"),
        ("", "data_dir must be configured"),
        ("", "plugins section must be configured"),
        (
            r#"server { trust_domain = "Example.ORG/x" }"#,
            "could not parse trust_domain \"Example.ORG/x\": trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores",
        ),
        (
            "server { trust_domain = <<EOF\nexample.org\nEOF\n}",
            "could not parse trust_domain \"example.org\\n\"",
        ),
    ] {
        let told = told(load_server_text(text, &ServerFlags::default()));
        assert!(told.contains(want), "{text}: {told}");
    }
}

#[test]
fn forms_that_spire_takes() {
    for keys in [
        r#"log_level = "INFO" log_level = "DEBUG""#,
        r#"bind_port = "0x1F91""#,
        r#"admin_ids = ["spiffe://example.org/a",]"#,
        r#"Log_Level = "INFO""#,
        r#""log_level" = "INFO""#,
        r#"ratelimit = {}"#,
        r#"ratelimit { signing = false } ratelimit { attestation = false }"#,
        "log_level = \"INFO\",\r\nlog_format = \"\"",
        "// c\n/* c */ log_level = \"INFO\" # c",
    ] {
        let loaded = server_with(keys);
        assert!(loaded.is_ok(), "{keys}: {}", told(loaded));
    }
    for text in [
        format!("server = {{ {SERVER} }}\n{SERVER_PLUGINS}"),
        format!("server {{ trust_domain = \"other.org\" }}\nServer {{ {SERVER} }}\n{SERVER_PLUGINS}"),
        r#"{"server": {"trust_domain": "example.org", "data_dir": "d", "bind_port": 28381}, "plugins": {
            "DataStore": {"sql": {"plugin_data": {"database_type": "sqlite3", "connection_string": "x"}}},
            "KeyManager": {"memory": {"plugin_data": {}}}}}"#
            .to_owned(),
        r#"{"server": [{"trust_domain": "example.org", "data_dir": "d"}], "plugins": [{
            "DataStore": [{"sql": [{"plugin_data": [{"database_type": "sqlite3", "connection_string": "x"}]}]}],
            "KeyManager": [{"memory": [{"plugin_data": [{}]}]}]}]}"#
            .to_owned(),
    ] {
        let loaded = load_server_text(&text, &ServerFlags::default());
        match loaded {
            Ok(loaded) => assert_eq!(loaded.settings.config.trust_domain.as_str(), "example.org"),
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

#[test]
fn forms_that_spire_refuses() {
    for (keys, want) in [
        ("bind_port = \"abc\"", r#"t.conf:2:13: server.bind_port: "abc" is not a whole number"#),
        (
            "bind_port = 1.5",
            "t.conf:2:13: server.bind_port: expected a whole number, found a number with a fraction",
        ),
        ("log_file = 1.5", "t.conf:2:12: server.log_file: expected a string, found a number with a fraction"),
        ("log_level { a = 1 }", "t.conf:2:11: server.log_level: expected a string, found a block"),
        (
            "disable_jwt_svids = \"true\"",
            "t.conf:2:21: server.disable_jwt_svids: expected true or false without quotes, found a string",
        ),
        ("admin_ids = \"x\"", "t.conf:2:13: server.admin_ids: expected a list of strings, found a string"),
        ("ratelimit = \"x\"", "t.conf:2:13: server.ratelimit: expected a block, found a string"),
        (
            "ca_ttl = 24",
            "t.conf:2:10: server.ca_ttl: could not parse default CA ttl \"24\": time: missing unit in duration \"24\"",
        ),
        (
            "a-b.c = 1",
            "t.conf:2:1: server.a-b.c: unknown configuration detected: \"a-b.c\" is no key of server",
        ),
        (
            "log_level = INFO",
            "unable to decode configuration at \"t.conf\": At 2:13: Unknown token: IDENT INFO",
        ),
    ] {
        assert_eq!(told(server_with(keys)), want, "{keys}");
    }
}

#[test]
fn what_has_no_effect_is_warned_of() {
    check(
        server_with(
            r#"profiling_enabled = true
max_attested_node_info_staleness = "1m"
agent_ttl = "120h"
log_level = "INFO" log_level = "DEBUG"
ca_subject {}
federation { bogus = 1 }
experimental { cache_reload_interval = "1m", events_based_cache = true, wit_issuer = "x", bogus = 1 }
} telemetry { Prometheus { port = 9988 } InMem {} bogus = 1"#,
        ),
        expect![[r#"
            warning: t.conf:2:21: server.profiling_enabled: has no effect: profiling is not available in this version
            warning: t.conf:3:36: server.max_attested_node_info_staleness: has no effect: what is known of agents is never stale, because it is held in memory
            warning: t.conf:4:13: server.agent_ttl: agent_ttl is too high for the configured ca_ttl value. SVIDs with shorter lifetimes may be issued. Please set agent_ttl to 4h or less, or the ca_ttl to 720h or more, to guarantee the full agent_ttl lifetime when CA rotations are scheduled.
            warning: t.conf:5:20: The argument "log_level" at 5:20 was already set. Each argument can only be defined once
            warning: t.conf:6:12: server.ca_subject: ca_subject configurable is set but empty; the default will be used
            warning: t.conf:7:14: server.federation.bogus: unknown key; it has no effect
            warning: t.conf:8:40: server.experimental.cache_reload_interval: has no effect: the index of entries is in memory and always up to date
            warning: t.conf:8:67: server.experimental.events_based_cache: has no effect: the index of entries is in memory and always up to date
            warning: t.conf:8:86: server.experimental.wit_issuer: has no effect: WIT-SVIDs are not available in this version
            warning: t.conf:8:91: server.experimental.bogus: unknown key; it has no effect
            warning: t.conf:9:51: telemetry.bogus: unknown key; it has no effect
        "#]],
    );
}

#[test]
fn upstream_authorities() {
    let with = |upstream: &str| {
        const OTHERS: &str = r#"DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "x" } }
KeyManager "memory" {}"#;
        let text = format!("server {{ {SERVER} }}\nplugins {{ {OTHERS}\n{upstream}\n}}");
        load_server_text(&text, &ServerFlags::default())
    };
    let disk = r#"UpstreamAuthority "disk" { plugin_data { cert_file_path = "c" key_file_path = "k" } }"#;
    let spire = r#"UpstreamAuthority "spire" { plugin_data {
server_address = "above" server_port = 8081 workload_api_socket = "/s" experimental { require_pq_kem = true } } }"#;
    assert!(with(disk).is_ok() && with(spire).is_ok());
    check(
        with(&format!("{disk}\n{spire}")),
        expect![
            "t.conf:2:9: plugins.UpstreamAuthority: constraint not satisfied: expected at most 1 but got 2"
        ],
    );
    check(
        with(
            r#"UpstreamAuthority "spire" { plugin_data {
server_port = "none"
experimental { workload_api_named_pipe_name = "p" }
} }"#,
        ),
        expect![[r#"
            t.conf:4:41: plugins.UpstreamAuthority.spire.plugin_data.server_address: server_address is required
            t.conf:4:41: plugins.UpstreamAuthority.spire.plugin_data.workload_api_socket: workload_api_socket is required
            t.conf:5:15: plugins.UpstreamAuthority.spire.plugin_data.server_port: server_port "none" is not a port: it must be a number up to 65535
            t.conf:6:47: plugins.UpstreamAuthority.spire.plugin_data.experimental.workload_api_named_pipe_name: configuration: workload_api_named_pipe_name is not supported on this platform; please use workload_api_socket instead"#]],
    );
    check(
        with(r#"UpstreamAuthority "disk" { plugin_data { bundle_file_path = "b" } }"#),
        expect![[r#"
        t.conf:4:40: plugins.UpstreamAuthority.disk.plugin_data.cert_file_path: 'cert_file_path' and 'key_file_path' must be set and not empty
        t.conf:4:40: plugins.UpstreamAuthority.disk.plugin_data.key_file_path: 'cert_file_path' and 'key_file_path' must be set and not empty"#]],
    );
}

#[test]
fn plugins_are_counted_and_known() {
    let with = |plugins: &str| {
        let text = format!("server {{ {SERVER} }}\nplugins {{\n{plugins}\n}}");
        load_server_text(&text, &ServerFlags::default())
    };
    const STORE: &str =
        r#"DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "x" } }"#;
    check(
        with(""),
        expect![[r#"
        t.conf:2:9: plugins.DataStore: 'datastore' must be configured
        t.conf:2:9: plugins.KeyManager: constraint not satisfied: expected exactly 1 but got 0"#]],
    );
    check(
        with(&format!(
            r#"{STORE}
KeyManager "memory" {{ }}
KeyManager "disk" {{ plugin_data {{ keys_path = "k" }} }}
NodeAttestor "join_token" {{ plugin_data {{}} }}
NodeAttestor "join_token" {{ plugin_data {{}} }}"#
        )),
        expect![[r#"
            t.conf:2:9: plugins.KeyManager: constraint not satisfied: expected exactly 1 but got 2
            t.conf:7:1: plugins.NodeAttestor.join_token: plugin "NodeAttestor"/"join_token" declared more than once"#]],
    );
    check(
        with(
            r#"DataStore "mine" {}
KeyManager "aws_kms" { plugin_data { region = "x" } }
KeyManager "disk" { enabled = false }
NodeAttestor "bogus" {}
NodeAttestor "ext" { plugin_cmd = "/x" plugin_checksum = "y" }
NodeAttestor "k8s_psat" { plugin_data {} }
NodeAttestor "x509pop" { plugin_cmd = "/x" }
UpstreamAuthority "vault" { plugin_data {} }
Foo "bar" { plugin_data {} }
keymanager "memory" {}"#,
        ),
        expect![[r#"
            t.conf:3:1: plugins.DataStore.mine: failed to load plugin "mine": no built-in plugin "mine" for type "DataStore"; available are: sql
            t.conf:4:1: plugins.KeyManager.aws_kms: failed to load plugin "aws_kms": KeyManager "aws_kms" is not available in this version; available are: disk, memory
            t.conf:6:1: plugins.NodeAttestor.bogus: failed to load plugin "bogus": no built-in plugin "bogus" for type "NodeAttestor"; available are: join_token, x509pop
            t.conf:7:35: plugins.NodeAttestor.ext.plugin_cmd: external plugins are not available in this version
            t.conf:8:1: plugins.NodeAttestor.k8s_psat: failed to load plugin "k8s_psat": NodeAttestor "k8s_psat" is not available in this version; available are: join_token, x509pop
            t.conf:9:39: plugins.NodeAttestor.x509pop.plugin_cmd: external plugins are not available in this version
            t.conf:10:1: plugins.UpstreamAuthority.vault: failed to load plugin "vault": UpstreamAuthority "vault" is not available in this version; available are: disk, spire
            t.conf:11:1: plugins.Foo.bar: unsupported plugin type "Foo"; there are DataStore, KeyManager, NodeAttestor, UpstreamAuthority, BundlePublisher, CredentialComposer, Notifier
            t.conf:12:1: plugins.keymanager.memory: unsupported plugin type "keymanager"; there are DataStore, KeyManager, NodeAttestor, UpstreamAuthority, BundlePublisher, CredentialComposer, Notifier"#]],
    );
}

#[test]
fn plugins_data_is_checked() {
    let with = |plugins: &str| {
        let text = format!("server {{ {SERVER} }}\nplugins {{\n{plugins}\n}}");
        load_server_text(&text, &ServerFlags::default())
    };
    check(
        with(
            r#"DataStore "sql" { plugin_data { database_type = "oracle" max_open_conns = 3 } }
KeyManager "disk" { plugin_data {} }
NodeAttestor "x509pop" { plugin_data { mode = "x" max_intermediates = 0 max_rsa_key_size = "a" } }"#,
        ),
        expect![[r#"
            t.conf:3:31: plugins.DataStore.sql.plugin_data.connection_string: datastore-sql: connection_string must be set
            t.conf:3:49: plugins.DataStore.sql.plugin_data.database_type: datastore-sql: unsupported database_type: oracle
            t.conf:4:33: plugins.KeyManager.disk.plugin_data.keys_path: keys_path is required
            t.conf:5:47: plugins.NodeAttestor.x509pop.plugin_data.mode: mode can only be either spiffe or external_pki
            t.conf:5:71: plugins.NodeAttestor.x509pop.plugin_data.max_intermediates: max_intermediates must be greater than 0
            t.conf:5:92: plugins.NodeAttestor.x509pop.plugin_data.max_rsa_key_size: "a" is not a whole number"#]],
    );
    check(
        with(
            r#"DataStore "sql" { plugin_data { database_type "mysql" { connection_string = "x" } } }
KeyManager "memory" { plugin_data = "x" }
NodeAttestor "x509pop" { plugin_data { ca_bundle_path = "/nowhere.pem" } plugin_data_file = "/nowhere.hcl" }"#,
        ),
        expect![[r#"
            t.conf:3:31: plugins.DataStore.sql.plugin_data.connection_string: datastore-sql: connection_string must be set
            t.conf:3:55: plugins.DataStore.sql.plugin_data.database_type: datastore-sql: aws_postgres and aws_mysql, with IAM instead of a password, are not available in this version; available are sqlite3, postgres and mysql, the latter two with a password in connection_string
            t.conf:4:37: plugins.KeyManager.memory.plugin_data: expected a block, found a string
            t.conf:5:93: plugins.NodeAttestor.x509pop.plugin_data_file: only one of [plugin_data, plugin_data_file] can be used
            t.conf:5:93: plugins.NodeAttestor.x509pop.plugin_data_file: open /nowhere.hcl: no such file or directory"#]],
    );
    check(
        with(
            r#"DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "x" bogus = 1 max_open_conns = 3 } bogus = 1 }
KeyManager "memory" "second label" { plugin_data = {} }
NodeAttestor "join_token" { plugin_data { bogus = 1 } }"#,
        ),
        expect![[r#"
            warning: t.conf:3:83: plugins.DataStore.sql.plugin_data.bogus: unknown key; it has no effect
            warning: t.conf:3:110: plugins.DataStore.sql.plugin_data.max_open_conns: has no effect: there is one connection that writes and a few that read, as SQLite likes it
            warning: t.conf:3:114: plugins.DataStore.sql.bogus: unknown key; it has no effect
            note: t.conf:5:43: plugins.NodeAttestor.join_token.plugin_data.bogus: unknown setting "bogus" encountered
        "#]],
    );
}

#[test]
fn only_the_first_of_several_plugins_sections_counts() {
    let text = format!("server {{ {SERVER} }}\n{SERVER_PLUGINS}\nplugins {{ NodeAttestor \"bogus\" {{}} }}");
    check(
        load_server_text(&text, &ServerFlags::default()),
        expect![[r#"
        warning: t.conf:6:1: plugins: only the first plugins section counts; this one has no effect
    "#]],
    );
    let text =
        format!("server {{ {SERVER} }}\nplugins {{ NodeAttestor \"join_token\" {{}} }}\n{SERVER_PLUGINS}");
    check(
        load_server_text(&text, &ServerFlags::default()),
        expect![[r#"
        t.conf:2:9: plugins.DataStore: 'datastore' must be configured
        t.conf:2:9: plugins.KeyManager: constraint not satisfied: expected exactly 1 but got 0"#]],
    );
}

#[test]
fn databases_are_checked() {
    let with = |data: &str| {
        let plugins = format!(
            "DataStore \"sql\" {{ plugin_data {{ {data} }} }} KeyManager \"memory\" {{ plugin_data {{}} }}"
        );
        load_server_text(&format!("server {{ {SERVER} }}\nplugins {{ {plugins} }}"), &ServerFlags::default())
    };
    check(
        with(
            r#"database_type = "postgres" connection_string = "host=db user=u password=s3cret" root_ca_path = "/x""#,
        ),
        expect![[r#"
            warning: t.conf:2:138: plugins.DataStore.sql.plugin_data.root_ca_path: has no effect: its own TLS settings are in connection_string: sslmode, sslrootcert, sslcert and sslkey
        "#]],
    );
    check(
        with(
            r#"database_type = "postgres" connection_string = "host=db user=u passfile=/x"
            ro_connection_string = "host=db s3cret" max_idle_conns = -1 conn_max_lifetime = "long""#,
        ),
        expect![[r#"
            t.conf:2:90: plugins.DataStore.sql.plugin_data.connection_string: datastore-sql: passfile of connection_string is not supported; leave it out
            t.conf:3:36: plugins.DataStore.sql.plugin_data.ro_connection_string: datastore-sql: missing "=" after "…" in connection_string
            t.conf:3:93: plugins.DataStore.sql.plugin_data.conn_max_lifetime: could not parse conn_max_lifetime "long": time: invalid duration "long""#]],
    );
    check(
        with(r#"database_type = "mysql" connection_string = "u:s3cret@tcp(db:3306)/spire""#),
        expect![
            "t.conf:2:87: plugins.DataStore.sql.plugin_data.connection_string: datastore-sql: invalid mysql config: missing parseTime=true param in connection_string"
        ],
    );
    check(
        with(
            r#"database_type = "mysql" connection_string = "u:s3cret@tcp(db:3306)/spire?parseTime=true"
            root_ca_path = "/x" client_cert_path = "/y" client_key_path = "/z" max_open_conns = 7 log_sql = true"#,
        ),
        expect![[r#""#]],
    );
    let loaded = with(r#"database_type = "mysql" connection_string = "u:s3cret@/spire?parseTime=true""#);
    assert!(!format!("{:?}", loaded.unwrap().settings).contains("s3cret"));
}

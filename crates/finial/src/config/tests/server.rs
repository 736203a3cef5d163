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
        expect![[r#""#]],
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
            "unable to decode configuration at \"t.conf\": At 2:13: Unknown token: 2:13 IDENT INFO",
        ),
    ] {
        assert_eq!(told(server_with(keys)), want, "{keys}");
    }
}

#[test]
fn what_has_no_effect_is_warned_of() {
    check(
        server_with(
            r#"audit_log_enabled = true, profiling_enabled = true
max_attested_node_info_staleness = "1m"
agent_ttl = "120h"
log_level = "INFO" log_level = "DEBUG"
ca_subject {}
federation { bogus = 1 }
experimental { cache_reload_interval = "1m", events_based_cache = true, wit_issuer = "x", bogus = 1 }
} telemetry { Prometheus { port = 9988 } InMem {} bogus = 1"#,
        ),
        expect![[r#""#]],
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
    check(with(""), expect![[r#""#]]);
    check(
        with(&format!(
            r#"{STORE}
KeyManager "memory" {{ }}
KeyManager "disk" {{ plugin_data {{ keys_path = "k" }} }}
NodeAttestor "join_token" {{ plugin_data {{}} }}
NodeAttestor "join_token" {{ plugin_data {{}} }}"#
        )),
        expect![[r#""#]],
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
UpstreamAuthority "disk" { plugin_data {} }
Foo "bar" { plugin_data {} }
keymanager "memory" {}"#,
        ),
        expect![[r#""#]],
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
            r#"DataStore "sql" { plugin_data { database_type = "postgres" max_open_conns = 3 } }
KeyManager "disk" { plugin_data {} }
NodeAttestor "x509pop" { plugin_data { mode = "x" max_intermediates = 0 max_rsa_key_size = "a" } }"#,
        ),
        expect![[r#""#]],
    );
    check(
        with(
            r#"DataStore "sql" { plugin_data { database_type "mysql" { connection_string = "x" } } }
KeyManager "memory" { plugin_data = "x" }
NodeAttestor "x509pop" { plugin_data { ca_bundle_path = "/nowhere.pem" } plugin_data_file = "/nowhere.hcl" }"#,
        ),
        expect![[r#""#]],
    );
    check(
        with(
            r#"DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "x" bogus = 1 max_open_conns = 3 } bogus = 1 }
KeyManager "memory" "second label" { plugin_data = {} }
NodeAttestor "join_token" { plugin_data { bogus = 1 } }"#,
        ),
        expect![[r#""#]],
    );
}

#[test]
fn only_the_first_of_several_plugins_sections_counts() {
    let text = format!("server {{ {SERVER} }}\n{SERVER_PLUGINS}\nplugins {{ NodeAttestor \"bogus\" {{}} }}");
    check(load_server_text(&text, &ServerFlags::default()), expect![[r#""#]]);
    let text =
        format!("server {{ {SERVER} }}\nplugins {{ NodeAttestor \"join_token\" {{}} }}\n{SERVER_PLUGINS}");
    check(load_server_text(&text, &ServerFlags::default()), expect![[r#""#]]);
}

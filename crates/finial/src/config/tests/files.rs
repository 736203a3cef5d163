use super::*;
use std::fs;
use std::path::PathBuf;

fn samples(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf").join(folder);
    fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_samples_are_good_and_say_nothing_in_vain() {
    for path in samples("server") {
        let flags = ServerFlags { config: path.display().to_string(), ..ServerFlags::default() };
        assert_eq!(told(load_server(&flags)), "", "{}", path.display());
    }
    for path in samples("agent") {
        let flags = AgentFlags { config: path.display().to_string(), ..AgentFlags::default() };
        assert_eq!(told(load_agent(&flags)), "", "{}", path.display());
    }
}

#[test]
fn files_that_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let with = |config: &str| {
        told(load_server(&ServerFlags { config: config.to_owned(), ..ServerFlags::default() }))
    };
    assert_eq!(with("/nope.conf"), "could not find config file /nope.conf: please use the -config flag");
    assert_eq!(with("/tmp"), r#"unable to read configuration at "/tmp": read /tmp: is a directory"#);
    let path = directory.path().join("s.conf");
    fs::write(&path, b"server { trust_domain = \"\xff\" }").unwrap();
    assert!(with(path.to_str().unwrap()).ends_with("At 1:26: illegal UTF-8 encoding"));
    let default = told(load_agent(&AgentFlags::default()));
    assert!(default.ends_with("conf/agent/agent.conf: please use the -config flag"), "{default}");
}

#[test]
fn the_environment_is_expanded_only_if_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.conf");
    let text = format!("server {{ trust_domain = \"$$PATH\" data_dir = \"$PATH\" }}\n{SERVER_PLUGINS}");
    fs::write(&path, text).unwrap();
    let with = |expand_env| {
        let flags = ServerFlags {
            config: path.display().to_string(),
            trust_domain: "example.org".into(),
            expand_env,
            ..ServerFlags::default()
        };
        load_server(&flags).unwrap_or_else(|error| panic!("{error}")).settings.data_dir
    };
    assert_eq!(with(false), Path::new("$PATH"));
    assert_eq!(with(true).into_os_string(), std::env::var_os("PATH").unwrap());
}

#[test]
fn plugin_data_may_be_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.hcl");
    let load = || {
        let text = format!(
            "server {{ {SERVER} }}\nplugins {{ DataStore \"sql\" {{ plugin_data {{ database_type = \"sqlite3\" \
             connection_string = \"x\" }} }}\nKeyManager \"disk\" {{ plugin_data_file = {:?} }} }}",
            path.display().to_string()
        );
        told(load_server_text(&text, &ServerFlags::default()))
    };
    let shown = |text: String| text.replace(directory.path().to_str().unwrap(), "<dir>");
    expect!["t.conf:3:40: plugins.KeyManager.disk.plugin_data_file: open <dir>/keys.hcl: no such file or directory"].assert_eq(&shown(load()));
    fs::write(&path, "keys_path = 1.5").unwrap();
    expect![[r#"
        <dir>/keys.hcl:1:13: keys_path: expected a string, found a number with a fraction
        <dir>/keys.hcl:1:13: keys_path: keys_path is required"#]]
    .assert_eq(&shown(load()));
    fs::write(&path, "keys_path = ").unwrap();
    expect!["<dir>/keys.hcl:1:1: keys_path: keys_path is required"].assert_eq(&shown(load()));
    fs::write(&path, "keys_path = \"k\"").unwrap();
    assert_eq!(load(), "");
}

use super::*;
use expect_test::{Expect, expect};

fn problem(path: &str, line: u32, message: &str) -> Problem {
    Problem { file: "t.conf".into(), line, column: 3, path: path.to_owned(), message: message.to_owned() }
}

fn check(problems: Vec<Problem>, want: Expect) {
    let problems = finial_runtime::config::InvalidConfig { problems };
    let told = verdict::<()>("server", Err(LoadError::Invalid { problems, unknown: Vec::new() }));
    want.assert_eq(&told.unwrap_err());
}

fn loaded(warnings: Vec<Problem>, notes: Vec<Problem>) -> Result<Loaded<()>, LoadError> {
    Ok(Loaded { settings: (), warnings, notes, values: std::collections::BTreeMap::new() })
}

#[test]
fn a_good_file() {
    let told = verdict("agent", loaded(vec![problem("agent.sds", 4, "has no effect")], vec![]));
    assert_eq!(
        told,
        Ok((
            "SPIRE agent configuration file is valid.\n".to_owned(),
            "Warning: t.conf:4:3: agent.sds: has no effect\n".to_owned()
        ))
    );
}

#[test]
fn one_problem_and_many() {
    check(
        vec![problem("server.ca_ttl", 2, "bad")],
        expect![[r#"
            SPIRE server configuration file is invalid: t.conf:2:3: server.ca_ttl: bad
        "#]],
    );
    check(
        vec![problem("server.ca_ttl", 2, "bad"), problem("plugins.KeyManager.disk", 3, "worse")],
        expect![[r#"
            SPIRE server configuration file is invalid:
            	t.conf:2:3: server.ca_ttl: bad
            	t.conf:3:3: plugins.KeyManager.disk: worse
        "#]],
    );
}

#[test]
fn problems_of_plugins_are_told_as_spire_does() {
    let problems = vec![
        problem("plugins.DataStore", 1, "'datastore' must be configured"),
        problem("plugins.KeyManager.disk.plugin_data.keys_path", 4, "keys_path is required"),
        problem("plugins.NodeAttestor", 5, "constraint not satisfied: expected exactly 1 but got 0"),
        problem("plugins.KeyManager.disk", 6, "and more"),
    ];
    check(
        problems.clone(),
        expect![[r#"
            SPIRE server configuration file is invalid.
            Validation errors:
            	DataStore "sql":
            		'datastore' must be configured (t.conf:1:3)
            	KeyManager "disk":
            		keys_path is required (t.conf:4:3)
            		and more (t.conf:6:3)
            	NodeAttestor:
            		constraint not satisfied: expected exactly 1 but got 0 (t.conf:5:3)
        "#]],
    );
    let told = verdict("server", loaded(vec![], problems));
    assert!(
        told.unwrap_err().starts_with("SPIRE server configuration file is invalid.\nValidation errors:\n")
    );
}

#[test]
fn files_that_are_not_there() {
    let told = verdict::<()>("server", Err(LoadError::NotFound("/nope.conf".into())));
    assert_eq!(
        told.unwrap_err(),
        "SPIRE server configuration file is invalid: could not find config file /nope.conf: please use the -config \
         flag\n"
    );
}

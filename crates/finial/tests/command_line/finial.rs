//! Called as `finial`, the binary teaches.

use std::process::{Command, Output, Stdio};

fn finial(line: &str) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_finial"))
        .args(line.split_whitespace())
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn help_that_was_asked_for() {
    for line in ["-h", "--help", "help", "server -h", "help server", "help agent api", "agent api fetch -h"] {
        let (code, stdout, stderr) = finial(line);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{line}");
        assert!(stdout.contains("Usage: finial"), "{line}: {stdout}");
    }
    let (_, stdout, _) = finial("server entry create -h");
    assert!(stdout.starts_with("Creates registration entries\n\nRegisters who gets which identity: "));
    assert!(stdout.contains("\n\nUsage: finial server entry create [flags]\n"));
    assert!(stdout.contains("\nExamples:\n  finial server entry create -parentID"));
    assert!(stdout.contains("  -selector value\n    \tA colon-delimited type:value selector."));
    assert_eq!(finial("help server entry create").1, stdout);
}

#[test]
fn help_that_was_not_asked_for() {
    for line in ["", "server", "server entry"] {
        let (code, stdout, stderr) = finial(line);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{line}");
        assert!(stderr.contains("Usage: finial"), "{line}: {stderr}");
    }
}

#[test]
fn suggestions() {
    let (code, _, stderr) = finial("sever");
    assert_eq!(code, Some(127));
    assert_eq!(
        stderr,
        "There is no command \"sever\". Did you mean \"server\"?\nRun \"finial help\" for what there is.\n"
    );
    let (code, _, stderr) = finial("server entry creat");
    assert_eq!(code, Some(127));
    assert!(stderr.starts_with("There is no command \"creat\". Did you mean \"create\"?\n"), "{stderr}");
    let (code, _, stderr) = finial("server entry create -spifeID x");
    assert_eq!(code, Some(1));
    assert_eq!(
        stderr,
        "flag provided but not defined: -spifeID (did you mean -spiffeID?)\n\
         Run \"finial server entry create -h\" for its flags.\n"
    );
}

#[test]
fn version() {
    let (code, stdout, _) = finial("--version");
    assert_eq!(code, Some(0));
    assert!(stdout.starts_with(concat!("finial ", env!("CARGO_PKG_VERSION"), " (speaks SPIRE ")), "{stdout}");
}

#[test]
fn same_commands_in_both_forms() {
    let (code, stdout, stderr) = finial("server entry create -spiffeID spiffe://example.org/x -selector a:b");
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert_eq!(stderr, "Error: a parent ID is required if the node flag is not set\n");
}

#[test]
fn completion() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, stdout, _) = finial(&format!("completion {shell}"));
        assert_eq!(code, Some(0));
        assert!(stdout.contains("finial __complete"), "{shell}");
    }
    assert_eq!(finial("__complete server entry show -hi").1, "-hint\n");
}

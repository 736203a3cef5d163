//! Outputs of commands, to the byte but for what differs from run to run.
//!
//! The expectations were recorded with real `spire-server` and `spire-agent`: run these tests with
//! `FINIAL_TEST_BINARY` set to a script around them and `UPDATE_EXPECT=1` to record them again.

mod agent;
mod bundles;
mod entries;
mod federation;
mod fresh_server;
mod mint;
mod nobody_home;

use anyhow::Result;
use expect_test::Expect;
use finial_testkit::{Deployment, Outcome};
use regex::Regex;

/// What an operator sees, with everything masked that is different each time.
fn shape(outcome: &Outcome) -> String {
    let masks = [
        (r"(?s)-----BEGIN ([A-Z ]+)-----.*?-----END [A-Z ]+-----", "<pem $1>"),
        (r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", "<token>"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
        (r"[0-9]{4}-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9](\.[0-9]+)? \+0000 UTC", "<time>"),
        (r"[0-9]{4}-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z", "<time>"),
        (
            r#""((created|expires)_at|x509svid_expires_at|uptime|last_sync_success)":"?[0-9]{2,}"?"#,
            "\"$1\":<number>",
        ),
        (r#""(exp|iat)":[0-9]+"#, "\"$1\":<time>"),
        (r#""(x|y|n|kid|key_id)": ?"[A-Za-z0-9_-]+""#, "\"$1\": \"<key>\""),
        (r"[0-9]{30,}", "<serial>"),
        (r"[A-Za-z0-9+/]{60,}=*", "<base64>"),
        (r"after [0-9.]+(µs|ms|s)", "after <duration>"),
        (r"(Uptime: +)[0-9hms]+", "$1<duration>"),
        (r"unix:uid:[0-9]+", "unix:uid:<uid>"),
        (r"1\.16\.0-dev-unk|[0-9]+\.[0-9]+\.[0-9]+(-[A-Za-z0-9.]+)?", "<version>"),
    ];
    let mut text = outcome.stdout.clone();
    if !outcome.stderr.is_empty() {
        text += &format!("[stderr]\n{}", outcome.stderr);
    }
    if outcome.code != 0 {
        text += &format!("[exit {}]\n", outcome.code);
    }
    for (pattern, mask) in masks {
        text = Regex::new(pattern).unwrap().replace_all(&text, mask).into_owned();
    }
    text
}

/// Runs a command of the server, written as on a command line.
async fn server(deployment: &Deployment, line: &str, expected: Expect) -> Result<Outcome> {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let outcome = deployment.server_command(&arguments).await?;
    expected.assert_eq(&shape(&outcome));
    Ok(outcome)
}

async fn agent(deployment: &Deployment, line: &str, expected: Expect) -> Result<Outcome> {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let is_admin = matches!(arguments.first(), Some(&"debug" | &"logger"));
    let outcome = match is_admin {
        true => deployment.agent_admin_command("a", &arguments).await?,
        false => deployment.agent_command("a", &arguments).await?,
    };
    expected.assert_eq(&shape(&outcome));
    Ok(outcome)
}

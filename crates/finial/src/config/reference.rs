//! Every key of the files, in one table: the pages `docs/reference/{server,agent}_config.md` are made of it,
//! and a test compares it with the keys that the code asks for.

mod agent;
mod plugins;
mod server;
mod shared;

use Status::{Accepted, NoEffect, Refused, Works};
use std::fmt::Write as _;

/// What comes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// It does what it says.
    Works,
    /// It is taken, and there is nothing to do for it.
    Accepted,
    /// It is taken with a warning.
    NoEffect,
    /// A file that has it is refused.
    Refused,
}

impl Status {
    fn shown(self) -> &'static str {
        match self {
            Works => "works",
            Accepted => "accepted",
            NoEffect => "no effect (warning)",
            Refused => "refused",
        }
    }
}

/// One key.
#[derive(Debug, Clone, Copy)]
struct Key {
    /// With dots, from where it is; `[]` stands for each block of a list.
    path: &'static str,
    kind: &'static str,
    default: &'static str,
    status: Status,
    meaning: &'static str,
}

const fn key(
    path: &'static str,
    kind: &'static str,
    default: &'static str,
    status: Status,
    meaning: &'static str,
) -> Key {
    Key { path, kind, default, status, meaning }
}

/// One table of a page.
struct Group {
    title: &'static str,
    text: &'static str,
    parts: &'static [Part],
}

/// Keys of one block, so that blocks can share some.
struct Part {
    /// The block, with dots, from the root of the file.
    block: &'static str,
    keys: &'static [Key],
}

const fn under(block: &'static str, keys: &'static [Key]) -> Part {
    Part { block, keys }
}

impl Group {
    /// Its keys with their whole paths.
    fn keys(&self) -> impl Iterator<Item = (String, &'static Key)> {
        self.parts.iter().flat_map(|Part { block, keys }| {
            keys.iter().map(move |key| (format!("{block}.{}", key.path), key))
        })
    }
}

const HEADING: &str = "\
<!-- Made from crates/finial/src/config/reference; `UPDATE_EXPECT=1 cargo test -p finial reference` writes it anew. -->

";

const STATUS_TEXT: &str = "\
The file is HCL (version 1) or JSON, with SPIRE's keys. What is given on the command line goes before the file, and the
file before the default; empty text, `0` and `false` count as not given. Durations are Go's: `1h30m`, `90s`, `100ms`.
With `-expandEnv`, `$NAME` and `${NAME}` are replaced by environment variables before the file is read.

Of several `plugins` sections only the first counts, of several blocks of another section all do. Everything that is
wrong with a file is reported at once, as `file:line:column: key: what is wrong`.

| status | meaning |
|---|---|
| works | does what it says |
| accepted | understood; there is nothing to do for it |
| no effect (warning) | understood and not available in this version; harmless to leave out, and said so in the log |
| refused | not available in this version, and ignoring it would be wrong or insecure: the file is refused |
";

/// The page of one process.
fn page(title: &str, intro: &str, groups: &[&Group]) -> String {
    let mut page = format!("{HEADING}# {title}\n\n{intro}\n\n{STATUS_TEXT}");
    for group in groups {
        let _ = write!(page, "\n## {}\n\n", group.title);
        if !group.text.is_empty() {
            let _ = write!(page, "{}\n\n", group.text);
        }
        page.push_str("| key | type | default | status | meaning |\n|---|---|---|---|---|\n");
        for (path, Key { kind, default, status, meaning, .. }) in group.keys() {
            let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
            let _ = writeln!(page, "| `{path}` | {kind} | {default} | {} | {meaning} |", status.shown());
        }
    }
    page
}

const SERVER_GROUPS: &[&Group] = &[
    &server::SERVER,
    &server::SUBJECT_AND_LIMITS,
    &server::FEDERATION,
    &server::EXPERIMENTAL,
    &plugins::BLOCK,
    &plugins::SERVER,
    &shared::HEALTH,
    &shared::TELEMETRY,
];

const AGENT_GROUPS: &[&Group] = &[
    &agent::AGENT,
    &agent::TRUST,
    &agent::SDS,
    &agent::EXPERIMENTAL,
    &plugins::BLOCK,
    &plugins::AGENT,
    &shared::HEALTH,
    &shared::TELEMETRY,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reader::{Findings, Reader};
    use crate::config::{AgentFlags, ServerFlags, agent, server};
    use expect_test::expect_file;
    use finial_runtime::config::hcl;
    use std::collections::BTreeSet;

    #[test]
    fn the_pages_are_current() {
        let server = page(
            "Configuration of the server",
            "`finial server run -config server.conf`; `finial server validate` says whether a file is good.",
            SERVER_GROUPS,
        );
        expect_file!["../../../../docs/reference/server_config.md"].assert_eq(&server);
        let agent = page(
            "Configuration of the agent",
            "`finial agent run -config agent.conf`; `finial agent validate` says whether a file is good.",
            AGENT_GROUPS,
        );
        expect_file!["../../../../docs/reference/agent_config.md"].assert_eq(&agent);
    }

    /// Blocks that are read only if they are there.
    const SHARED: &str = r#"telemetry { DogStatsd {} Statsd {} M3 {} }"#;

    fn asked(text: &str, read: impl FnOnce(&mut Reader<'_>)) -> BTreeSet<String> {
        let document = hcl::parse("t.conf", &format!("{text}\n{SHARED}")).unwrap();
        let findings = Findings::default();
        read(&mut Reader::root(&document, &findings));
        let shown = |path: String| {
            path.replace("[0]", "[]").replace(".federates_with.a.", ".federates_with.<trust domain>.")
        };
        findings.values().into_keys().map(shown).collect()
    }

    fn documented(groups: &[&Group]) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        for (path, _) in groups.iter().flat_map(|group| group.keys()) {
            assert!(paths.insert(path.clone()), "{path} is there twice");
        }
        paths
    }

    #[test]
    fn every_key_of_the_server_is_documented() {
        let plugins = r#"plugins {
            DataStore "sql" { plugin_data { database_type = "sqlite3" } }
            KeyManager "disk" {}
            KeyManager "memory" {}
            NodeAttestor "join_token" {}
            NodeAttestor "x509pop" {}
            UpstreamAuthority "disk" {}
            UpstreamAuthority "spire" {}
        }"#;
        let federation = r#"server { federation {
            bundle_endpoint { profile "https_web" { serving_cert_file {} } }
            federates_with "a" { bundle_endpoint_profile "https_spiffe" {} }
        } }"#;
        let text = format!("{plugins}\n{federation}");
        let asked = asked(&text, |root| drop(server::read(root, &ServerFlags::default())));
        assert_eq!(without_plugin_blocks(asked), without_plugin_blocks(documented(SERVER_GROUPS)));
    }

    #[test]
    fn every_key_of_the_agent_is_documented() {
        let plugins = r#"plugins {
            KeyManager "disk" {}
            KeyManager "memory" {}
            NodeAttestor "join_token" {}
            NodeAttestor "x509pop" {}
            WorkloadAttestor "unix" {}
        }"#;
        let asked = asked(plugins, |root| drop(agent::read(root, &AgentFlags::default())));
        assert_eq!(without_plugin_blocks(asked), without_plugin_blocks(documented(AGENT_GROUPS)));
    }

    /// Each plugin has the keys of the block itself, which are documented once.
    fn without_plugin_blocks(paths: BTreeSet<String>) -> BTreeSet<String> {
        paths
            .into_iter()
            .filter(|path| !path.starts_with("plugins.") || path.contains(".plugin_data."))
            .collect()
    }
}

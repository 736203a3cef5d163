//! The pages `docs/commands`, one for each command, made from the tables that parse and help are made from.

use super::command::Command;
use super::own::{OWN, Own};
use super::program::Program;
use super::{agent, server};
use crate::flags::{Flag, Kind, parse, type_name};
use expect_test::expect_file;
use finial_runtime::config::duration::GoDuration;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const HEADING: &str = "\
<!-- Made from crates/finial/src/cli; `UPDATE_EXPECT=1 cargo test -p finial reference` writes it anew. -->

";

const INDEX: &str = "\
# Commands

`finial <command> [flags]`. Called under the names `spire-server` and `spire-agent` (make links), the same program takes
SPIRE's command lines, which are those below without `finial server` and `finial agent`, and answers in SPIRE's words,
`-h` included.

* **Flags** are Go's: one dash or two, `-flag value` or `-flag=value`; a truth value is given with `=` only
  (`-flag=false`). Flags end at `--` and at the first word that is none.
* **`-h`** behind any command explains it, on standard output. `finial --version` tells the version.
* **Results** go to standard output, everything else to standard error. `-output json` prints one line of JSON:
  mostly the API's response, with the names of its fields as they are in the protocol.

## Exit codes

| code | meaning |
|---|---|
| 0 | done; help that was asked for |
| 1 | not done, with the reason on standard error; flags that are mistaken; help that was not asked for |
| 127 | there is no such command |
| 141 | whoever read the output has gone away |

## Where the other side is

Each command that talks to a server or an agent goes to a Unix socket. The first of these that is given counts:

1. `-socketPath`;
2. `-instance NAME`, which stands for `%i` in a template from the environment;
3. a variable of the environment;
4. the default.

| | variable | template for `-instance` | default |
|---|---|---|---|
| server | `SPIRE_SERVER_PRIVATE_SOCKET` | `SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE` | `/tmp/spire-server/private/api.sock` |
| agent, Workload API | `SPIRE_AGENT_PUBLIC_SOCKET` | `SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE` | `/tmp/spire-agent/public/api.sock` |
| agent, `debug` and `logger` | | | `/tmp/spire-agent/private/admin.sock` |
";

/// A program, as it is called.
struct Part {
    /// The folder of its pages, and the word after `finial`.
    name: &'static str,
    program: &'static Program,
}

const PARTS: [Part; 2] =
    [Part { name: "server", program: &server::PROGRAM }, Part { name: "agent", program: &agent::PROGRAM }];

impl Part {
    fn file(&self, command: &Command) -> String {
        format!("{}/{}.md", self.name, command.path.replace(' ', "_"))
    }

    fn page(&self, command: &Command) -> String {
        let Command { path, synopsis, about, .. } = command;
        let (name, spire) = (self.name, self.program.spire_name);
        let mut page = format!("{HEADING}# finial {name} {path}\n\n{synopsis}.\n\n");
        let _ = write!(
            page,
            "{about}\n\n```console\n$ finial {name} {path} [flags]\n$ {spire} {path} [flags]\n```\n\n"
        );
        page += &flags(&command.flags.sorted());
        page += &output(command);
        page += &exit_codes(command);
        page + &examples(&format!("finial {name}"), command.examples)
    }
}

fn flags(flags: &[&Flag]) -> String {
    let mut text = "## Flags\n\n| flag | type | default | meaning |\n|---|---|---|---|\n".to_owned();
    for Flag { name, kind, help } in flags {
        let (default, help) = (default(*kind), help.replace('\n', " ").replace('|', "\\|"));
        let help = capitalised(help.trim_end_matches('.'));
        let _ = writeln!(text, "| `-{name}` | {} | {default} | {help}. |", kind_text(*kind));
    }
    text + "\n"
}

fn kind_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool | Kind::Switch => "on or off",
        Kind::Text(_) => "text",
        Kind::Int(_) => "number",
        Kind::Timeout(_) => "duration",
        Kind::List => "text, many times",
        Kind::CommaList => "texts with commas",
        Kind::ThreeWay => "`true`, `false` or both",
        Kind::Format => "`pretty` or `json`",
        Kind::Duration(_) => type_name(kind),
    }
}

fn default(kind: Kind) -> String {
    match kind {
        Kind::Text(text) if !text.is_empty() => format!("`{text}`"),
        Kind::Int(number) if number != 0 => format!("`{number}`"),
        Kind::Duration(seconds) | Kind::Timeout(seconds) if seconds != 0 => {
            format!("`{}`", GoDuration::from_nanos(seconds * 1_000_000_000))
        }
        Kind::ThreeWay => "both".to_owned(),
        Kind::Format => "`pretty`".to_owned(),
        _ => String::new(),
    }
}

fn output(command: &Command) -> String {
    let has_formats = command.flags.sorted().iter().any(|flag| flag.kind == Kind::Format);
    let forms = if has_formats {
        "`pretty` (default) is for people, `json` for programs: one line of JSON."
    } else {
        "Text for people; there is no other form."
    };
    format!("## Output\n\n{forms}\n\n")
}

fn exit_codes(command: &Command) -> String {
    let prefix = command.manner.prefix.trim_end();
    let behind = if prefix.is_empty() { String::new() } else { format!(" behind `{prefix}`") };
    format!("## Exit codes\n\n0: done. 1: not done; the reason is on standard error{behind}.\n\n")
}

fn examples(program: &str, examples: &[(&str, &str)]) -> String {
    let mut text = "## Examples\n".to_owned();
    for (line, what) in examples {
        let _ = write!(text, "\n{}:\n\n```console\n$ {program} {line}\n```\n", capitalised(what));
    }
    text
}

fn own_page(own: &Own) -> String {
    let Own { name, synopsis, words, about, examples: lines } = own;
    let usage = format!("```console\n$ finial {name} {words}\n```\n\n");
    let codes = "## Exit codes\n\n0: done. 1: not done; the reason is on standard error.\n\n";
    let lines = examples("finial", lines);
    format!("{HEADING}# finial {name}\n\n{synopsis}.\n\n{about}\n\n{usage}{codes}{lines}")
}

fn index() -> String {
    let mut text = format!("{HEADING}{INDEX}");
    for part in PARTS {
        let _ =
            write!(text, "\n## finial {}\n\n{}\n\n| command | |\n|---|---|\n", part.name, part.program.about);
        for command in part.program.commands {
            let _ = writeln!(text, "| [{}]({}) | {} |", command.path, part.file(command), command.synopsis);
        }
    }
    text += "\n## finial itself\n\n| command | |\n|---|---|\n";
    for Own { name, synopsis, .. } in &OWN {
        let _ = writeln!(text, "| [{name}]({name}.md) | {synopsis} |");
    }
    text
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// All pages by their path below `docs/commands`.
fn pages() -> BTreeMap<String, String> {
    let of_parts = PARTS.iter().flat_map(|part| {
        part.program.commands.iter().map(|command| (part.file(command), part.page(command)))
    });
    let own = OWN.iter().map(|own| (format!("{}.md", own.name), own_page(own)));
    of_parts.chain(own).chain([("README.md".to_owned(), index())]).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/commands")
}

#[test]
fn the_pages_are_current() {
    for (file, page) in pages() {
        let path = folder().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        expect_file![path].assert_eq(&page);
    }
}

#[test]
fn there_is_no_page_of_a_command_that_is_gone() {
    let mut found = BTreeSet::new();
    for name in ["", "server/", "agent/"] {
        for file in std::fs::read_dir(folder().join(name)).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                found.insert(format!("{name}{}", file.file_name().to_str().unwrap()));
            }
        }
    }
    assert_eq!(found, pages().into_keys().collect());
}

#[test]
fn every_command_teaches() {
    for Part { name, program } in PARTS {
        for command in program.commands {
            let Command { path, about, examples, flags, .. } = command;
            assert!(about.ends_with('.') && !examples.is_empty(), "{name} {path}");
            for (line, _) in *examples {
                let words = line[path.len()..].split_whitespace().map(str::to_owned);
                let words: Vec<String> = words.take_while(|word| word != ">").collect();
                let values = parse(flags, &words).unwrap_or_else(|error| panic!("{line}: {error}"));
                // SPIRE's commands pass over words after the flags, so an example must not have them.
                let is_spires = !program.beyond_spire.iter().any(|word| path.starts_with(word));
                assert!(values.arguments().is_empty() || !is_spires, "{line}");
            }
        }
    }
}

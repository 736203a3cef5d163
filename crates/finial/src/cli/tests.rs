//! From words to commands, and what the tables promise.

use super::{agent, programs, run, server};
use crate::output::Terminal;
use std::collections::BTreeSet;

fn spire(name: &str, line: &str) -> (u8, String, String) {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let mut terminal = Terminal::captured();
    let code = run(name, &words, &mut terminal);
    (code, terminal.out.text().to_owned(), terminal.err.text().to_owned())
}

#[test]
fn tables_are_sound() {
    for (_, program) in programs() {
        let paths: BTreeSet<&str> = program.commands.iter().map(|command| command.path).collect();
        assert_eq!(paths.len(), program.commands.len(), "two commands with one path");
        for (group, _) in program.groups {
            assert!(program.is_group(group), "{group} is no group");
        }
        for command in program.commands {
            let flags = command.flags.sorted();
            let names: BTreeSet<&str> = flags.iter().map(|flag| flag.name).collect();
            assert_eq!(names.len(), flags.len(), "{}: two flags with one name", command.path);
            for (line, _) in command.examples {
                assert!(line.starts_with(command.path), "{line}");
            }
            if let Some((group, _)) = command.path.rsplit_once(' ') {
                let is_told = program.groups.iter().any(|(known, _)| *known == group);
                assert!(is_told || program.command(group).is_some(), "{group}: what is it for?");
            }
        }
    }
}

#[test]
fn the_name_decides() {
    assert!(spire("/usr/bin/spire-server", "").2.starts_with("Usage: spire-server "));
    assert!(spire("spire-agent", "").2.starts_with("Usage: spire-agent "));
    assert!(spire("/opt/finial", "").2.starts_with("Finial: "));
    assert!(spire("", "").2.starts_with("Finial: "));
}

#[test]
fn help_counts_wherever_it_stands() {
    for line in [
        "-h entry create",
        "entry create -h",
        "entry create word -h",
        "entry -h create",
        "entry create -x -h",
    ] {
        let (code, _, stderr) = spire("spire-server", line);
        let is_group = line.starts_with("entry -h");
        let end =
            if is_group { "    update    Updates registration entries\n" } else { "flag: help requested\n" };
        assert!(code == 0 && stderr.ends_with(end), "{line}: {code} {stderr}");
    }
    let (code, _, stderr) = spire("spire-server", "entry create -- -h");
    assert_eq!((code, stderr.as_str()), (1, "Error: at least one selector is required\n"));
}

#[test]
fn flags_before_a_command() {
    let (code, _, stderr) = spire("spire-server", "-x entry create");
    assert_eq!(code, 1);
    assert!(stderr.starts_with(
        "Invalid flags before the subcommand. If these flags are for\n\
         the subcommand, please put them after the subcommand.\n\nUsage of entry create:\n"
    ));
    assert_eq!(spire("spire-server", "-x").0, 127);
    assert_eq!(spire("spire-server", "-v entry create"), (0, String::new(), "1.16.0-dev-unk\n".to_owned()));
}

#[test]
fn longest_path() {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        agent::PROGRAM.longest_path(&words("api fetch jwt -audience x")),
        ("api fetch jwt".to_owned(), 3)
    );
    assert_eq!(agent::PROGRAM.longest_path(&words("api fetch bogus")), ("api fetch".to_owned(), 2));
    assert_eq!(
        server::PROGRAM.longest_path(&words("localauthority x509")),
        ("localauthority x509".to_owned(), 2)
    );
    assert_eq!(server::PROGRAM.longest_path(&words("entryx create")), ("entryx".to_owned(), 1));
}

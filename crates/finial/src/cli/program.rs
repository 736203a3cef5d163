//! From words to a command, as SPIRE's command-line library does it.
//!
//! A program is a flat list of commands whose paths are words. A path that only begins others stands for a
//! group: it can be asked for help and for nothing else. `-h` counts wherever it stands, up to a `--`.

use super::SPIRE_VERSION;
use super::command::{Command, FlagErrorTold};
use crate::flags::{self, FlagError, usage};
use crate::output::{Fault, Terminal};
use std::collections::BTreeMap;
use std::io::Write;

/// A program and its commands.
#[derive(Debug)]
pub(crate) struct Program {
    /// As SPIRE calls it.
    pub(crate) spire_name: &'static str,
    /// First words of commands that SPIRE does not have; its overview does not show them.
    pub(crate) beyond_spire: &'static [&'static str],
    /// What it is, for those who learn.
    pub(crate) about: &'static str,
    /// What groups of commands are for, by path.
    pub(crate) groups: &'static [(&'static str, &'static str)],
    /// All commands.
    pub(crate) commands: &'static [&'static Command],
}

/// What words ask for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Request<'a> {
    /// The path of a command or a group, or the first word if there is none.
    path: String,
    /// What follows it.
    rest: &'a [String],
    is_help: bool,
    is_version: bool,
    has_flags_before: bool,
}

/// The result of `run` when there is no such command.
const NO_SUCH_COMMAND: u8 = 127;

impl Program {
    /// Answers in SPIRE's words.
    pub(crate) fn run_as_spire(&self, words: &[String], terminal: &mut Terminal) -> Result<u8, Fault> {
        let request = self.request(words);
        if request.is_version {
            writeln!(terminal.err, "{SPIRE_VERSION}")?;
            return Ok(0);
        }
        if request.is_help && request.path.is_empty() {
            writeln!(terminal.err, "{}", self.overview())?;
            return Ok(0);
        }
        if let Some(command) = self.command(&request.path) {
            if request.is_help {
                self.print_help(terminal, &request.path)?;
                return Ok(0);
            }
            if request.has_flags_before {
                self.refuse_flags_before(terminal, &request.path)?;
                return Ok(1);
            }
            return perform(command, request.rest, terminal);
        }
        if !self.is_group(&request.path) {
            writeln!(terminal.err, "{}", self.overview())?;
            return Ok(NO_SUCH_COMMAND);
        }
        if request.is_help {
            self.print_help(terminal, &request.path)?;
            return Ok(0);
        }
        if request.has_flags_before {
            self.refuse_flags_before(terminal, &request.path)?;
        } else {
            self.print_help(terminal, &request.path)?;
        }
        Ok(1)
    }

    /// The command with this path.
    pub(crate) fn command(&self, path: &str) -> Option<&'static Command> {
        self.commands.iter().find(|command| command.path == path).copied()
    }

    /// Whether commands lie below this path.
    pub(crate) fn is_group(&self, path: &str) -> bool {
        !path.is_empty() && self.commands.iter().any(|command| is_below(command.path, path))
    }

    /// What is directly below a path, by its last word: commands, and groups as nothing.
    pub(crate) fn children(&self, path: &str) -> BTreeMap<&'static str, Option<&'static Command>> {
        let mut children = BTreeMap::new();
        for command in self.commands {
            let below = if path.is_empty() {
                command.path
            } else if is_below(command.path, path) {
                &command.path[path.len() + 1..]
            } else {
                continue;
            };
            match below.split_once(' ') {
                None => {
                    children.insert(below, Some(*command));
                }
                Some((group, _)) => {
                    children.entry(group).or_insert(None);
                }
            }
        }
        children
    }

    /// The longest path that the words begin with, and how many words it has.
    pub(crate) fn longest_path(&self, words: &[String]) -> (String, usize) {
        // A word with a blank in it, or none, or a flag is never part of a path.
        let usable =
            words.iter().take_while(|w| !w.is_empty() && !w.contains(' ') && !w.starts_with('-')).count();
        for length in (1..=usable).rev() {
            let path = words[..length].join(" ");
            if self.command(&path).is_some() || self.is_group(&path) {
                return (path, length);
            }
        }
        (words.first().cloned().unwrap_or_default(), 1.min(words.len()))
    }

    fn request<'a>(&self, words: &'a [String]) -> Request<'a> {
        let mut request = Request::default();
        for (index, word) in words.iter().enumerate() {
            match word.as_str() {
                "--" => break,
                "-h" | "-help" | "--help" => request.is_help = true,
                "-v" | "-version" | "--version" if request.path.is_empty() => request.is_version = true,
                word if request.path.is_empty() && word.starts_with('-') => request.has_flags_before = true,
                word if request.path.is_empty() && !word.is_empty() => {
                    if word.contains(' ') {
                        break;
                    }
                    let (path, length) = self.longest_path(&words[index..]);
                    request.path = path;
                    request.rest = &words[index + length..];
                }
                _ => {}
            }
        }
        request
    }

    fn overview(&self) -> String {
        let mut children = self.children("");
        children.retain(|name, _| !self.beyond_spire.contains(name));
        let width = children.keys().map(|name| name.len()).max().unwrap_or(0);
        let mut text = format!("Usage: {} [--version] [--help] <command> [<args>]\n\n", self.spire_name);
        text.push_str("Available commands are:\n");
        for (name, command) in children {
            let synopsis = command.map_or("", |command| command.synopsis);
            text.push_str(&format!("    {name:width$}    {synopsis}\n"));
        }
        text
    }

    fn refuse_flags_before(&self, terminal: &mut Terminal, path: &str) -> Result<(), Fault> {
        writeln!(terminal.err, "Invalid flags before the subcommand. If these flags are for")?;
        write!(terminal.err, "the subcommand, please put them after the subcommand.\n\n")?;
        self.print_help(terminal, path)
    }

    /// The usage of a command and of those below it, which comes first because Go's flags print it while help
    /// is put together; then the help itself.
    fn print_help(&self, terminal: &mut Terminal, path: &str) -> Result<(), Fault> {
        const OF_GROUPS: &str = "This command is accessed by using one of the subcommands below.";
        let end = match self.command(path) {
            Some(command) => {
                terminal.err.write_all(usage(&command.flags).as_bytes())?;
                command.manner.help_end
            }
            None => OF_GROUPS,
        };
        let children = self.children(path);
        for command in children.values().flatten() {
            terminal.err.write_all(usage(&command.flags).as_bytes())?;
        }
        terminal.err.write_all(end.as_bytes())?;
        if !children.is_empty() {
            let width = children.keys().map(|name| name.len()).max().unwrap_or(0);
            write!(terminal.err, "\n\nSubcommands:")?;
            for (name, command) in children {
                let synopsis = command.map_or("", |command| command.synopsis);
                write!(terminal.err, "\n    {name:width$}    {synopsis}")?;
            }
        }
        writeln!(terminal.err)?;
        Ok(())
    }
}

fn is_below(path: &str, group: &str) -> bool {
    path.strip_prefix(group).is_some_and(|rest| rest.starts_with(' '))
}

/// Reads the flags of a command and does what it does, in its manner.
fn perform(command: &Command, words: &[String], terminal: &mut Terminal) -> Result<u8, Fault> {
    match flags::parse(&command.flags, words) {
        Ok(values) => {
            let outcome = command.perform(&values, terminal);
            finish(outcome, command.manner.prefix, terminal)
        }
        Err(error) => {
            if error != FlagError::Help {
                writeln!(terminal.err, "{error}")?;
            }
            terminal.err.write_all(usage(&command.flags).as_bytes())?;
            if command.manner.flag_error == FlagErrorTold::Twice {
                writeln!(terminal.err, "{}{error}", command.manner.prefix)?;
            }
            Ok(1)
        }
    }
}

/// Tells of a failure behind a prefix. What remains are failures of our own streams.
pub(super) fn finish(outcome: Result<(), Fault>, prefix: &str, terminal: &mut Terminal) -> Result<u8, Fault> {
    match outcome {
        Ok(()) => Ok(0),
        Err(Fault::Said(text)) => {
            terminal.out.flush()?;
            writeln!(terminal.err, "{prefix}{text}")?;
            Ok(1)
        }
        Err(Fault::Silent) => Ok(1),
        Err(fault) => Err(fault),
    }
}

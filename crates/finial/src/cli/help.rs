//! `finial`: the same commands in a voice that teaches.
//!
//! Help that was asked for goes to standard output with code 0; help that was not asked for goes to standard
//! error after a line that says what is wrong.

use super::command::Command;
use super::nearest::nearest;
use super::own::{OWN, Own};
use super::program::{Program, finish};
use super::{SPIRE_VERSION, completion, hooks, programs};
use crate::flags::{self, FlagError, describe};
use crate::output::{Fault, Terminal};
use std::fmt::Write as _;
use std::io::Write;

/// The code for a command that there is not, as shells have it.
const NO_SUCH_COMMAND: u8 = 127;

const FIRST_STEPS: &str = "\
First steps:
  finial demo                                        see it work
  finial server run -config server.conf              start a server
  finial server token generate -spiffeID \\
      spiffe://example.org/my-node                   expect an agent
  finial agent run -config agent.conf -joinToken …   start that agent
  finial server entry create -h                      give a workload its identity
  finial agent api fetch x509                        see which identities you have

Called as spire-server or spire-agent, this program takes the command lines of SPIRE.
";

/// Plays the part of `finial`.
pub(super) fn run_as_finial(words: &[String], terminal: &mut Terminal) -> Result<u8, Fault> {
    let Some((word, rest)) = words.split_first() else {
        terminal.err.write_all(overview().as_bytes())?;
        return Ok(1);
    };
    match word.as_str() {
        "-h" | "-help" | "--help" => show(terminal, &overview()),
        "help" => help(rest, terminal),
        "-v" | "-version" | "--version" | "version" => {
            let version = env!("CARGO_PKG_VERSION");
            show(terminal, &format!("finial {version} (speaks SPIRE {SPIRE_VERSION})\n"))
        }
        "demo" => {
            let outcome = hooks::demo(rest, terminal);
            finish(outcome, "Error: ", terminal)
        }
        "demo-workload" => {
            let outcome = hooks::demo_workload(rest);
            finish(outcome, "Error: ", terminal)
        }
        "completion" => {
            let outcome = completion::print_script(rest, terminal);
            finish(outcome, "Error: ", terminal)
        }
        completion::CALLBACK => completion::print_candidates(rest, terminal).map(|()| 0),
        name => match programs().into_iter().find(|(known, _)| *known == name) {
            Some((name, program)) => Part { name, program }.run(rest, terminal),
            None => unknown_command(name, terminal),
        },
    }
}

fn unknown_command(name: &str, terminal: &mut Terminal) -> Result<u8, Fault> {
    let known = programs().map(|(name, _)| name).into_iter().chain(OWN.iter().map(|own| own.name));
    refuse_word(terminal, name, known, "finial help")
}

/// Says that there is no such command, which one may be meant, and where to read on.
fn refuse_word(
    terminal: &mut Terminal,
    word: &str,
    known: impl Iterator<Item = &'static str>,
    read_on: &str,
) -> Result<u8, Fault> {
    write!(terminal.err, "There is no command \"{word}\".")?;
    if let Some(name) = nearest(word, known) {
        write!(terminal.err, " Did you mean \"{name}\"?")?;
    }
    writeln!(terminal.err, "\nRun \"{read_on}\" for what there is.")?;
    Ok(NO_SUCH_COMMAND)
}

fn help(words: &[String], terminal: &mut Terminal) -> Result<u8, Fault> {
    let Some((word, rest)) = words.split_first() else { return show(terminal, &overview()) };
    match programs().into_iter().find(|(known, _)| known == word) {
        Some((name, program)) => {
            let with_flag: Vec<String> = rest.iter().cloned().chain(["-h".to_owned()]).collect();
            Part { name, program }.run(&with_flag, terminal)
        }
        None => match OWN.iter().find(|own| own.name == word) {
            Some(own) => show(terminal, &own_text(own)),
            None => unknown_command(word, terminal),
        },
    }
}

fn overview() -> String {
    let mut text = "Finial: short-lived, provable identities for workloads (SPIFFE).\n\n\
                    Usage: finial <command> [<subcommand> …] [flags]\n\nCommands:\n"
        .to_owned();
    let parts = programs().map(|(name, program)| (name, program.about));
    for (name, about) in parts.into_iter().chain(OWN.iter().map(|own| (own.name, own.synopsis))) {
        push_line(&mut text, name, about, 10);
    }
    text + "\n" + FIRST_STEPS
}

fn own_text(own: &Own) -> String {
    let Own { name, synopsis, words, about, examples } = own;
    let mut text = format!("{synopsis}\n\n{}\nUsage: finial {name} {words}\n", folded(about));
    push_examples(&mut text, "finial", examples);
    text
}

fn push_examples(text: &mut String, program: &str, examples: &[(&str, &str)]) {
    text.push_str("\nExamples:\n");
    for (line, what) in examples {
        let _ = writeln!(text, "  {program} {line}\n      {what}");
    }
}

/// A paragraph in lines that a terminal of 80 columns can show.
fn folded(paragraph: &str) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in paragraph.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > 78 {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
    }
    text + "\n"
}

fn push_line(text: &mut String, name: &str, about: &str, width: usize) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "  {name:width$}  {about}");
}

fn show(terminal: &mut Terminal, text: &str) -> Result<u8, Fault> {
    terminal.out.write_all(text.as_bytes())?;
    Ok(0)
}

/// A program as a part of `finial`.
#[derive(Clone, Copy)]
struct Part {
    name: &'static str,
    program: &'static Program,
}

impl Part {
    fn run(self, words: &[String], terminal: &mut Terminal) -> Result<u8, Fault> {
        let before_end = words.iter().take_while(|word| *word != "--");
        let is_help = before_end.clone().any(|word| matches!(word.as_str(), "-h" | "-help" | "--help"));
        let names: Vec<String> = before_end.filter(|word| !word.starts_with('-')).cloned().collect();
        let leads_with_flag = words.first().is_some_and(|word| word.starts_with('-'));
        if words.is_empty() || leads_with_flag && !is_help {
            terminal.err.write_all(self.group_text("").as_bytes())?;
            return Ok(1);
        }
        let (path, length) = self.program.longest_path(if leads_with_flag { &names } else { words });
        match self.program.command(&path) {
            Some(command) if is_help => show(terminal, &self.command_text(command)),
            Some(command) => self.perform(command, &words[length..], terminal),
            None if path.is_empty() => show(terminal, &self.group_text("")),
            None if !self.program.is_group(&path) => {
                let known = self.program.children("").into_keys();
                refuse_word(terminal, &path, known, &format!("finial {} -h", self.name))
            }
            None if is_help => show(terminal, &self.group_text(&path)),
            None => match words.get(length) {
                Some(word) => {
                    let known = self.program.children(&path).into_keys();
                    refuse_word(terminal, word, known, &format!("finial {} {path} -h", self.name))
                }
                None => {
                    terminal.err.write_all(self.group_text(&path).as_bytes())?;
                    Ok(1)
                }
            },
        }
    }

    fn perform(self, command: &Command, words: &[String], terminal: &mut Terminal) -> Result<u8, Fault> {
        match flags::parse(&command.flags, words) {
            Ok(values) => {
                let outcome = command.perform(&values, terminal);
                finish(outcome, command.manner.prefix, terminal)
            }
            Err(error) => {
                write!(terminal.err, "{error}")?;
                if let FlagError::Unknown(name) = &error {
                    let known = command.flags.sorted().into_iter().map(|flag| flag.name);
                    if let Some(name) = nearest(name, known) {
                        write!(terminal.err, " (did you mean -{name}?)")?;
                    }
                }
                writeln!(terminal.err, "\nRun \"finial {} {} -h\" for its flags.", self.name, command.path)?;
                Ok(1)
            }
        }
    }

    /// What a group is for, and what is in it.
    fn group_text(self, path: &str) -> String {
        let Self { name, program } = self;
        let about = self.about_group(path).unwrap_or(program.about);
        let line = if path.is_empty() { name.to_owned() } else { format!("{name} {path}") };
        let mut text = format!("{about}\n\nUsage: finial {line} <command> [flags]\n\nCommands:\n");
        let children = program.children(path);
        let width = children.keys().map(|name| name.len()).max().unwrap_or(0);
        for (child, command) in &children {
            let child_path = if path.is_empty() { (*child).to_owned() } else { format!("{path} {child}") };
            let about = command.map(|command| command.synopsis).or_else(|| self.about_group(&child_path));
            push_line(&mut text, child, about.unwrap_or_default(), width);
        }
        let _ = writeln!(text, "\nRun \"finial {line} <command> -h\" for more about one of them.");
        text
    }

    fn about_group(self, path: &str) -> Option<&'static str> {
        self.program.groups.iter().find(|(known, _)| *known == path).map(|(_, about)| *about)
    }

    fn command_text(self, command: &Command) -> String {
        let name = self.name;
        let Command { synopsis, about, path, .. } = command;
        let mut text = format!("{synopsis}\n\n{}\nUsage: finial {name} {path} [flags]\n", folded(about));
        push_examples(&mut text, &format!("finial {name}"), command.examples);
        text.push_str("\nFlags (one dash or two):\n");
        for flag in command.flags.sorted() {
            text.push_str(&describe(flag));
        }
        text
    }
}

//! `validate`: SPIRE's words and exit codes; in them, all that is wrong at once and with its place.

use crate::config::{self, AgentFlags, LoadError, Loaded, ServerFlags};
use crate::output::{Fault, Terminal};
use finial_runtime::config::Problem;
use std::fmt::Write as _;
use std::io::Write;

/// Says whether a server would start with this file, as far as it can be known without starting it.
pub(crate) fn validate_server(flags: &ServerFlags, terminal: &mut Terminal) -> Result<(), Fault> {
    tell("server", config::load_server(flags), terminal)
}

/// Says whether an agent would start with this file. SPIRE's does not look at plugins, this does.
pub(crate) fn validate_agent(flags: &AgentFlags, terminal: &mut Terminal) -> Result<(), Fault> {
    tell("agent", config::load_agent(flags), terminal)
}

fn tell<T>(who: &str, loaded: Result<Loaded<T>, LoadError>, terminal: &mut Terminal) -> Result<(), Fault> {
    match verdict(who, loaded) {
        Ok((text, warnings)) => {
            terminal.err.write_all(warnings.as_bytes()).map_err(Fault::Stream)?;
            terminal.out.write_all(text.as_bytes()).map_err(Fault::Stream)
        }
        Err(text) => {
            terminal.err.write_all(text.as_bytes()).map_err(Fault::Stream)?;
            Err(Fault::Silent)
        }
    }
}

/// What goes to standard output and standard error if all is well; else what goes to standard error.
fn verdict<T>(who: &str, loaded: Result<Loaded<T>, LoadError>) -> Result<(String, String), String> {
    let problems = match loaded {
        Ok(loaded) if loaded.notes.is_empty() => {
            let mut warnings = String::new();
            for warning in loaded.warnings {
                let _ = writeln!(warnings, "Warning: {warning}");
            }
            return Ok((format!("SPIRE {who} configuration file is valid.\n"), warnings));
        }
        Ok(loaded) => loaded.notes,
        Err(LoadError::Invalid { problems, .. }) => problems.problems,
        Err(error) => return Err(format!("SPIRE {who} configuration file is invalid: {error}\n")),
    };
    let is_of_plugins = |problem: &Problem| plugin_of(problem).is_some();
    Err(match problems.as_slice() {
        problems if problems.iter().all(is_of_plugins) => by_plugin(who, problems),
        [one] => format!("SPIRE {who} configuration file is invalid: {one}\n"),
        many => many.iter().fold(format!("SPIRE {who} configuration file is invalid:\n"), |text, problem| {
            text + &format!("\t{problem}\n")
        }),
    })
}

/// The plugin that a problem is about, as SPIRE names it: `KeyManager "disk"`, or its type alone.
fn plugin_of(problem: &Problem) -> Option<String> {
    let mut parts = problem.path.split('.');
    match (parts.next()?, parts.next(), parts.next()) {
        ("plugins", Some("DataStore"), None) => Some(r#"DataStore "sql""#.to_owned()),
        ("plugins", Some(kind), Some(name)) => Some(format!("{kind} {name:?}")),
        ("plugins", Some(kind), None) => Some(kind.to_owned()),
        _ => None,
    }
}

fn by_plugin(who: &str, problems: &[Problem]) -> String {
    let mut groups: Vec<(String, Vec<&Problem>)> = Vec::new();
    for problem in problems {
        let plugin = plugin_of(problem).unwrap_or_default();
        match groups.iter_mut().find(|(known, _)| *known == plugin) {
            Some((_, group)) => group.push(problem),
            None => groups.push((plugin, vec![problem])),
        }
    }
    let mut text = format!("SPIRE {who} configuration file is invalid.\nValidation errors:\n");
    for (plugin, problems) in groups {
        let _ = writeln!(text, "\t{plugin}:");
        for Problem { file, line, column, message, .. } in problems {
            let _ = writeln!(text, "\t\t{message} ({file}:{line}:{column})");
        }
    }
    text
}

#[cfg(test)]
mod tests;

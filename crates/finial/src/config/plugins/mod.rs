//! The section `plugins`: which built-ins, and how they are set up.
//!
//! SPIRE's shape: `plugins { <Type> "<name>" { plugin_data {…} } }`. Plugins that this version has not are
//! refused, never skipped: what they would have guarded or delivered would silently be missing.

mod agent;
mod data_store;
mod server;

pub(super) use agent::read as read_agent;
pub(crate) use agent::{AgentPluginChoice, JoinToken};
pub(crate) use server::ServerPluginChoice;
pub(super) use server::read as read_server;

use super::file::cause_in_go_words;
use super::reader::{Findings, Pair, Reader};
use finial_plugins_base as base;
use finial_runtime::config::{Document, hcl};
use finial_runtime::files;
use finial_runtime::logging::chain;
use std::collections::HashSet;
use std::error::Error;

/// Longest `plugin_data_file` that is read.
const DATA_FILE_MAX: u64 = 4 << 20;

/// A plugin that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("failed to configure plugin {name:?}")]
pub(crate) struct OpenPluginError {
    name: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl OpenPluginError {
    fn of<E: Error + Send + Sync + 'static>(
        kind: &'static str,
        name: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| {
            tracing::error!(
                error = %chain(&source), external = false, plugin_name = name, plugin_type = kind,
                subsystem_name = "catalog", "Failed to configure plugin"
            );
            Self { name, source: Box::new(source) }
        }
    }
}

/// Says as SPIRE does that a plugin is there.
fn log_loaded(kind: &'static str, name: &str) {
    tracing::info!(
        external = false,
        plugin_name = name,
        plugin_type = kind,
        reconfigurable = false,
        subsystem_name = "catalog",
        "Configured plugin"
    );
    tracing::info!(
        external = false,
        plugin_name = name,
        plugin_type = kind,
        subsystem_name = "catalog",
        "Plugin loaded"
    );
}

/// How many plugins of a type there must be.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    ExactlyOne,
    AtLeastOne,
    AtMostOne,
    Any,
}

/// One type of plugins.
struct Kind {
    name: &'static str,
    wanted: Wanted,
    /// What this version has.
    available: &'static [&'static str],
    /// What SPIRE has besides.
    missing: &'static [&'static str],
}

/// A plugin that is declared, known and not disabled.
struct Declared<'d> {
    kind: &'static str,
    name: &'static str,
    block: Reader<'d>,
}

/// All declared plugins that can be had, in the order of the file.
fn declared<'d>(root: &mut Reader<'d>, kinds: &'static [Kind]) -> Vec<Declared<'d>> {
    if !root.has("plugins") {
        root.problem_at("plugins", "plugins section must be configured");
        return Vec::new();
    }
    let mut seen = HashSet::new();
    let mut refused = HashSet::new();
    let mut declared = Vec::new();
    for Pair { outer: kind_name, inner: name, at, section: mut block } in root.labelled_pairs("plugins") {
        if !seen.insert((kind_name, name)) {
            block.problem_above(at, format!("plugin {kind_name:?}/{name:?} declared more than once"));
            continue;
        }
        if !block.is_set_unless("enabled", false, true) {
            continue;
        }
        let found = match block.optional_text("plugin_cmd") {
            Some(command) => {
                block.problem(&command, "external plugins are not available in this version");
                None
            }
            None => find(kinds, kind_name, name).map_err(|message| block.problem_above(at, message)).ok(),
        };
        block.accept(&["plugin_args", "plugin_checksum"]);
        match found {
            Some((kind, name)) => declared.push(Declared { kind, name, block }),
            None => drop(refused.insert(kind_name)),
        }
    }
    let is_short = |kind: &&Kind| !refused.contains(kind.name);
    for kind in kinds.iter().filter(is_short) {
        let count = declared.iter().filter(|plugin| plugin.kind == kind.name).count();
        if let Err(message) = kind.check_count(count) {
            root.block("plugins").problem_below(kind.name, message);
        }
    }
    declared
}

impl Kind {
    fn check_count(&self, count: usize) -> Result<(), String> {
        let expected = match self.wanted {
            Wanted::ExactlyOne if count != 1 => "exactly 1",
            Wanted::AtLeastOne if count < 1 => "at least 1",
            Wanted::AtMostOne if count > 1 => "at most 1",
            _ => return Ok(()),
        };
        Err(match self.name {
            "DataStore" => "'datastore' must be configured".to_owned(),
            _ => format!("constraint not satisfied: expected {expected} but got {count}"),
        })
    }
}

fn find(kinds: &'static [Kind], kind: &str, name: &str) -> Result<(&'static str, &'static str), String> {
    let Some(kind) = kinds.iter().find(|known| known.name == kind) else {
        let known: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
        return Err(format!("unsupported plugin type {kind:?}; there are {}", known.join(", ")));
    };
    if let Some(name) = kind.available.iter().find(|available| **available == name) {
        return Ok((kind.name, name));
    }
    let available = match kind.available {
        [] => "this version has none".to_owned(),
        available => format!("available are: {}", available.join(", ")),
    };
    Err(if kind.missing.contains(&name) {
        format!(
            "failed to load plugin {name:?}: {} {name:?} is not available in this version; {available}",
            kind.name
        )
    } else {
        format!(
            "failed to load plugin {name:?}: no built-in plugin {name:?} for type {:?}; {available}",
            kind.name
        )
    })
}

impl Declared<'_> {
    /// Reads `plugin_data`, or the file that stands for it. Unknown keys are warned of.
    fn with_data<T>(&mut self, decode: impl FnOnce(&mut Reader<'_>) -> T) -> T {
        self.read_data(|mut data| {
            let config = decode(&mut data);
            data.finish_with_warnings();
            config
        })
    }

    /// For a plugin that has no keys, and whose `validate` says so.
    fn without_data(&mut self) {
        self.read_data(|data| data.finish_with_notes());
    }

    fn read_data<T>(&mut self, decode: impl FnOnce(Reader<'_>) -> T) -> T {
        let Some(file) = self.block.optional_text("plugin_data_file") else {
            return decode(self.block.block("plugin_data"));
        };
        if self.block.has("plugin_data") {
            self.block.problem(&file, "only one of [plugin_data, plugin_data_file] can be used");
        }
        let findings = self.block.findings();
        let text = files::read_text_bounded(file.value.as_ref(), DATA_FILE_MAX).map_err(|error| {
            self.block.problem(&file, format!("open {}: {}", file.value, cause_in_go_words(&error)));
        });
        match text.map(|text| hcl::parse(&file.value, &text)) {
            Ok(Ok(document)) => return decode(Reader::root(&document, findings)),
            Ok(Err(problem)) => findings.problems.add(problem),
            Err(()) => {}
        }
        // What is missing in a file that cannot be read is not worth a word.
        decode(Reader::root(&Document::empty(&file.value), &Findings::default()))
    }
}

/// Puts what a plugin finds wrong with its configuration where the keys are.
fn report(data: &Reader<'_>, problems: Vec<base::Problem>) {
    for problem in problems {
        data.problem_at(problem.key, problem.message);
    }
}

//! From a path to a document, and from findings to a verdict.

use super::reader::{Findings, UnknownKeys};
use finial_runtime::config::hcl::{Body, Entry, Node, NodeKind};
use finial_runtime::config::{self, Document, InvalidConfig, Problem};
use finial_runtime::files::FileError;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Settings that were read, and what the operator should hear about them.
#[derive(Debug)]
pub(crate) struct Loaded<T> {
    /// The settings: nothing is wrong with them.
    pub(crate) settings: T,
    /// What is legal and hardly meant, or has no effect in this version.
    pub(crate) warnings: Vec<Problem>,
    /// What only `validate` complains about.
    pub(crate) notes: Vec<Problem>,
    /// Each key with what it came to, without secrets.
    pub(crate) values: BTreeMap<String, String>,
}

/// Why there are no settings. The texts are SPIRE's, where SPIRE has one.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// There is no such file.
    NotFound(PathBuf),
    /// It cannot be read.
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is neither HCL nor JSON.
    Syntax(Problem),
    /// It says something wrong.
    Invalid {
        /// All that is wrong.
        problems: InvalidConfig,
        /// The keys that are too many, which SPIRE logs.
        unknown: Vec<UnknownKeys>,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(path) => {
                write!(f, "could not find config file {}: please use the -config flag", path.display())
            }
            Self::Unreadable { path, source } => {
                let path = path.display().to_string();
                let step = if source.kind() == io::ErrorKind::IsADirectory { "read" } else { "open" };
                write!(f, "unable to read configuration at {path:?}: {step} {path}: {}", in_go_words(source))
            }
            Self::Syntax(Problem { file, line, column, message, .. }) => {
                write!(f, "unable to decode configuration at {file:?}: At {line}:{column}: {message}")
            }
            Self::Invalid { problems, .. } => problems.fmt(f),
        }
    }
}

impl Error for LoadError {}

/// The system's words as Go prints them: in lower case and without the number.
fn in_go_words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

/// Why a file could not be used, in Go's words.
pub(super) fn cause_in_go_words(error: &FileError) -> String {
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    cause.map_or_else(|| error.to_string(), in_go_words)
}

/// Reads a file, with the environment's variables in it if the operator wants that.
pub(super) fn read(path: &Path, expand_env: bool) -> Result<Document, LoadError> {
    let bytes = std::fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => {
            LoadError::NotFound(std::path::absolute(path).unwrap_or_else(|_| path.into()))
        }
        _ => LoadError::Unreadable { path: path.into(), source },
    })?;
    let name = path.display().to_string();
    let document = match String::from_utf8(bytes) {
        Ok(text) if expand_env => config::hcl::parse(&name, &config::expand(&text)),
        Ok(text) => config::hcl::parse(&name, &text),
        Err(error) => config::hcl::parse_bytes(&name, error.as_bytes()),
    };
    document.map_err(LoadError::Syntax)
}

/// The document with lists of blocks as repeated blocks, and with its first `plugins` only: SPIRE ignores
/// further ones. Each of those is a warning.
pub(super) fn with_first_plugins(document: &Document) -> (Document, Vec<Problem>) {
    let mut root = document.root().clone();
    repeat_listed_blocks(&mut root);
    let is_plugins =
        |entry: &Entry| entry.keys.first().is_some_and(|key| key.text.eq_ignore_ascii_case("plugins"));
    let mut superfluous = Vec::new();
    let mut has_plugins = false;
    root.entries.retain(|entry| {
        let is_plugins = is_plugins(entry);
        if is_plugins && has_plugins {
            superfluous.push(Problem {
                file: document.file().clone(),
                line: entry.keys[0].at.line,
                column: entry.keys[0].at.column,
                path: "plugins".to_owned(),
                message: "only the first plugins section counts; this one has no effect".to_owned(),
            });
            return false;
        }
        has_plugins |= is_plugins;
        true
    });
    for plugins in root.entries.iter_mut().filter(|entry| is_plugins(entry)) {
        keep_first_data(plugins);
    }
    superfluous.extend_from_slice(document.notices());
    (Document::from_body(document.file(), root), superfluous)
}

/// Leaves each plugin the first of its `plugin_data`: SPIRE ignores further ones.
fn keep_first_data(entry: &mut Entry) {
    let NodeKind::Object(body) = &mut entry.value.kind else { return };
    let mut has_data = false;
    body.entries.retain(|entry| {
        let is_data = entry.keys.len() == 1 && entry.keys[0].text.eq_ignore_ascii_case("plugin_data");
        let keep = !(is_data && has_data);
        has_data |= is_data;
        keep
    });
    body.entries.iter_mut().for_each(keep_first_data);
}

/// `key = [{…}, {…}]` is the same as `key {…} key {…}`; JSON made by machines is full of it.
fn repeat_listed_blocks(body: &mut Body) {
    let mut entries = Vec::with_capacity(body.entries.len());
    for mut entry in std::mem::take(&mut body.entries) {
        match &mut entry.value.kind {
            NodeKind::List(nodes) if is_list_of_blocks(nodes) => {
                let nodes = std::mem::take(nodes);
                entries.extend(nodes.into_iter().map(|value| Entry {
                    keys: entry.keys.clone(),
                    assigned: false,
                    value,
                }));
            }
            _ => entries.push(entry),
        }
    }
    for entry in &mut entries {
        if let NodeKind::Object(inner) = &mut entry.value.kind {
            repeat_listed_blocks(inner);
        }
    }
    body.entries = entries;
}

fn is_list_of_blocks(nodes: &[Node]) -> bool {
    !nodes.is_empty() && nodes.iter().all(|node| matches!(node.kind, NodeKind::Object(_)))
}

/// The settings if nothing is wrong.
pub(super) fn conclude<T>(
    settings: Option<T>,
    findings: Findings,
    notices: Vec<Problem>,
) -> Result<Loaded<T>, LoadError> {
    let (values, unknown) = (findings.values(), findings.unknown());
    let problems = findings.problems.into_vec();
    match settings {
        Some(settings) if problems.is_empty() => {
            let mut warnings = findings.warnings.into_vec();
            warnings.extend(notices);
            warnings.sort_by_key(|warning| (warning.line, warning.column));
            Ok(Loaded { settings, warnings, notes: findings.notes.into_vec(), values })
        }
        _ => Err(LoadError::Invalid { problems: InvalidConfig { problems }, unknown }),
    }
}

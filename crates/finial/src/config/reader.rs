//! A section of the file with the command line above it and the defaults below it.
//!
//! For everything in [`super`] that knows keys. Besides values it collects what is wrong, what is worth a
//! warning, and what the configuration came to, for one line in the log.

use super::duration;
use finial_runtime::config::decode::{self, LabelledPair};
use finial_runtime::config::{Document, GoDuration, Position, Problem, Problems, Section, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

/// The name of the "file" in which flags stand.
const COMMAND_LINE: &str = "command line";
/// Stands in the log for a value that must not be there.
const HIDDEN: &str = "(hidden)";

/// What was found while reading.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Problems,
    pub(super) warnings: Problems,
    /// What only `validate` complains about.
    pub(super) notes: Problems,
    values: RefCell<BTreeMap<String, String>>,
    unknown: RefCell<Vec<UnknownKeys>>,
}

/// The unknown keys of a section that may not have any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnknownKeys {
    /// The section, as SPIRE names it in the log.
    pub(crate) section: String,
    /// The keys.
    pub(crate) keys: Vec<String>,
}

impl Findings {
    /// Every key that was asked for, with the value that it came to.
    pub(super) fn values(&self) -> BTreeMap<String, String> {
        self.values.borrow().clone()
    }

    /// The unknown keys that were found, section by section.
    pub(super) fn unknown(&self) -> Vec<UnknownKeys> {
        self.unknown.borrow().clone()
    }

    fn note(&self, path: String, value: String) {
        self.values.borrow_mut().insert(path, value);
    }
}

/// What the command line says about a key. Empty text is as good as no flag, as in SPIRE.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag<'f> {
    name: &'static str,
    value: &'f str,
}

impl<'f> Flag<'f> {
    /// The key has no flag.
    pub(super) const NONE: Self = Self { name: "", value: "" };

    /// The value of a flag.
    pub(super) fn new(name: &'static str, value: &'f str) -> Self {
        Self { name, value }
    }
}

/// A value that remembers where it was set, so that complaints go there.
#[derive(Debug, Clone)]
pub(super) struct Setting<T> {
    pub(super) value: T,
    key: &'static str,
    flag: Option<&'static str>,
}

/// Who may see a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visibility {
    Public,
    Secret,
}

/// A block with two labels.
pub(super) struct Pair<'d> {
    pub(super) outer: &'d str,
    pub(super) inner: &'d str,
    /// Where the first label stands.
    pub(super) at: Position,
    pub(super) section: Reader<'d>,
}

/// A block with a label, `federates_with "example.org" { … }`.
#[derive(Debug)]
pub(super) struct Labelled<'d> {
    pub(super) label: &'d str,
    /// Where the label stands.
    pub(super) at: Position,
    pub(super) section: Reader<'d>,
}

/// One section.
#[derive(Debug)]
pub(super) struct Reader<'d> {
    findings: &'d Findings,
    section: Section<'d>,
    /// The same section once more; its problems are our warnings.
    shadow: Section<'d>,
    file: Arc<str>,
}

impl<'d> Reader<'d> {
    /// The whole document.
    pub(super) fn root(document: &'d Document, findings: &'d Findings) -> Self {
        Self {
            findings,
            section: Section::root(document, &findings.problems),
            shadow: Section::root(document, &findings.warnings),
            file: Arc::clone(document.file()),
        }
    }

    fn with(&self, section: Section<'d>, shadow: Section<'d>) -> Self {
        Self { findings: self.findings, section, shadow, file: Arc::clone(&self.file) }
    }

    /// A block, or one without keys when it is absent.
    pub(super) fn block(&mut self, name: &str) -> Self {
        let (section, shadow) = (self.section.block_or_empty(name), self.shadow.block_or_empty(name));
        self.with(section, shadow)
    }

    /// One section for each repetition of a block, or for each object of a list of blocks.
    pub(super) fn blocks(&mut self, name: &str) -> Vec<Self> {
        let sections = self.section.blocks(name);
        let shadows = self.shadow.blocks(name);
        sections.into_iter().zip(shadows).map(|(section, shadow)| self.with(section, shadow)).collect()
    }

    /// The blocks with a label below a name.
    pub(super) fn labelled(&mut self, name: &str) -> Vec<Labelled<'d>> {
        let sections = self.section.labelled(name);
        let shadows = self.shadow.labelled(name);
        let labels: Vec<&str> = sections.iter().map(|block| block.label).collect();
        self.note(name, format!("[{}]", labels.join(" ")));
        let labelled = |(block, shadow): (decode::Labelled<'d>, decode::Labelled<'d>)| Labelled {
            label: block.label,
            at: block.at,
            section: self.with(block.section, shadow.section),
        };
        sections.into_iter().zip(shadows).map(labelled).collect()
    }

    /// The blocks two labels below a name.
    pub(super) fn labelled_pairs(&mut self, name: &str) -> Vec<Pair<'d>> {
        let sections = self.section.labelled_pairs(name);
        let shadows = self.shadow.labelled_pairs(name);
        let pair = |(pair, shadow): (LabelledPair<'d>, LabelledPair<'d>)| Pair {
            outer: pair.outer,
            inner: pair.inner,
            at: pair.at,
            section: self.with(pair.section, shadow.section),
        };
        sections.into_iter().zip(shadows).map(pair).collect()
    }

    /// Whether the key is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.section.has(name)
    }

    /// Whether the key is there and is a block.
    pub(super) fn is_block(&mut self, name: &str) -> bool {
        matches!(self.section.value(name), Some(Value::Object(_)))
    }

    pub(super) fn findings(&self) -> &'d Findings {
        self.findings
    }

    fn path_of(&self, name: &str) -> String {
        let path = self.section.path();
        if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
    }

    fn note(&self, name: &str, value: impl Display) {
        self.findings.note(self.path_of(name), value.to_string());
    }

    /// Text from the flag, else from the file, else the default.
    pub(super) fn text(&mut self, key: &'static str, flag: Flag<'_>, default: &str) -> Setting<String> {
        self.text_seen_by(Visibility::Public, key, flag, default)
    }

    /// As [`Self::text`]; a secret is not logged.
    pub(super) fn text_seen_by(
        &mut self,
        visibility: Visibility,
        key: &'static str,
        flag: Flag<'_>,
        default: &str,
    ) -> Setting<String> {
        let in_file = self.section.string(key).filter(|text| !text.is_empty());
        let (value, flag) = match (flag.value, in_file) {
            ("", Some(text)) => (text, None),
            ("", None) => (default.to_owned(), None),
            (given, _) => (given.to_owned(), Some(flag.name)),
        };
        match visibility {
            Visibility::Secret if !value.is_empty() => self.note(key, HIDDEN),
            _ => self.note(key, &value),
        }
        Setting { value, key, flag }
    }

    /// Text of a key without flag and default; nothing if it is empty.
    pub(super) fn optional_text(&mut self, key: &'static str) -> Option<Setting<String>> {
        Some(self.text(key, Flag::NONE, "")).filter(|setting| !setting.value.is_empty())
    }

    /// A whole number from the flag, else from the file, else the default; 0 is as good as not given.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        flag: Option<(&'static str, i64)>,
        default: i64,
    ) -> Setting<i64> {
        let in_file = self.section.integer(key).filter(|number| *number != 0);
        let flag = flag.filter(|(_, number)| *number != 0);
        let value = flag.map(|(_, number)| number).or(in_file).unwrap_or(default);
        self.note(key, value);
        Setting { value, key, flag: flag.map(|(name, _)| name) }
    }

    /// A whole number of a key without flag, as it stands there.
    pub(super) fn optional_number(&mut self, key: &'static str) -> Option<i64> {
        let number = self.section.integer(key);
        self.note(key, number.map_or_else(String::new, |number| number.to_string()));
        number
    }

    /// True if the flag or the file says so.
    pub(super) fn is_set(&mut self, key: &'static str, flag: bool) -> bool {
        self.is_set_unless(key, flag, false)
    }

    /// What the file says, or else a default; a flag can only make it true.
    pub(super) fn is_set_unless(&mut self, key: &'static str, flag: bool, default: bool) -> bool {
        let in_file = self.section.boolean(key);
        let value = flag || in_file.unwrap_or(default);
        self.note(key, value);
        value
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<String> {
        let texts = self.section.strings(key).unwrap_or_default();
        self.note(key, format!("[{}]", texts.join(" ")));
        texts
    }

    /// A duration that is not negative; nothing if it is not given. `what` begins the complaint, with a place
    /// `{}` for the text if SPIRE shows it.
    pub(super) fn duration(&mut self, key: &'static str, flag: Flag<'_>, what: &str) -> Option<Duration> {
        let setting = Some(self.text(key, flag, "")).filter(|setting| !setting.value.is_empty())?;
        let parsed = setting.value.parse::<GoDuration>();
        let complain = |reader: &Self, why: &dyn Display| {
            let what = what.replace("{}", &format!("{:?}", setting.value));
            reader.problem(&setting, format!("could not parse {what}: {why}"));
            None
        };
        match parsed.map(GoDuration::to_std) {
            Ok(Some(duration)) => {
                self.note(key, duration::shown(duration));
                Some(duration)
            }
            Ok(None) => complain(self, &"it must not be negative"),
            Err(error) => complain(self, &error),
        }
    }

    /// Reports what is wrong with a setting where it was set.
    pub(super) fn problem<T>(&self, setting: &Setting<T>, message: impl Into<String>) {
        match setting.flag {
            Some(flag) => self.findings.problems.add(Problem {
                file: COMMAND_LINE.into(),
                line: 0,
                column: 0,
                path: format!("-{flag}"),
                message: message.into(),
            }),
            None => self.section.problem(setting.key, message),
        }
    }

    /// The value of a setting understood, or a problem.
    pub(super) fn parsed<T, E: Display>(
        &self,
        setting: &Setting<String>,
        what: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(&setting.value) {
            Ok(value) => Some(value),
            Err(error) if what.is_empty() => {
                self.problem(setting, error.to_string());
                None
            }
            Err(error) => {
                self.problem(setting, format!("{what}: {error}"));
                None
            }
        }
    }

    /// Reports what is wrong at a key.
    pub(super) fn problem_at(&self, key: &str, message: impl Into<String>) {
        self.section.problem(key, message);
    }

    /// Reports what is wrong with the section.
    pub(super) fn problem_here(&self, message: impl Into<String>) {
        self.section.problem_here(message);
    }

    /// Reports what is wrong with something that should be in the section.
    pub(super) fn problem_below(&self, name: &str, message: impl Into<String>) {
        self.report(self.section.position(), self.path_of(name), message.into());
    }

    /// Reports what is wrong with the labels of the section.
    pub(super) fn problem_above(&self, at: Position, message: impl Into<String>) {
        self.report(at, self.section.path().to_owned(), message.into());
    }

    fn report(&self, at: Position, path: String, message: String) {
        let Position { line, column } = at;
        self.findings.problems.add(Problem { file: Arc::clone(&self.file), line, column, path, message });
    }

    /// Warns about a key.
    pub(super) fn warn_at(&self, key: &str, message: impl Into<String>) {
        self.shadow.problem(key, message);
    }

    /// Warns about the section.
    pub(super) fn warn_here(&self, message: impl Into<String>) {
        self.shadow.problem_here(message);
    }

    /// Asks for keys that mean something to SPIRE and nothing here, and warns about those that are there.
    pub(super) fn without_effect(&mut self, keys: &[&'static str], why: &str) {
        for key in keys {
            let value = self.section.value(key);
            self.note(key, if value.is_some() { "(no effect)" } else { "" });
            if value.is_some() {
                self.warn_at(key, format!("has no effect: {why}"));
            }
        }
    }

    /// Asks for keys that need neither be understood nor warned of.
    pub(super) fn accept(&mut self, keys: &[&'static str]) {
        for key in keys {
            let value = self.section.value(key);
            self.note(key, if value.is_some() { "(no effect)" } else { "" });
        }
    }

    /// Asks for keys that would be wrong to ignore, and refuses those that are there.
    pub(super) fn refused(&mut self, keys: &[&'static str], why: &str) {
        for key in keys {
            let value = self.section.value(key);
            self.note(key, "");
            if value.is_some() {
                self.problem_at(key, why);
            }
        }
    }

    /// Ends a section whose keys are all known.
    pub(super) fn finish(self, what: &str) {
        let mut keys: Vec<String> =
            self.section.finish_strict(what).into_iter().map(|unknown| unknown.name).collect();
        if !keys.is_empty() {
            keys.sort();
            self.findings.unknown.borrow_mut().push(UnknownKeys { section: what.to_owned(), keys });
        }
    }

    /// Ends a section in which SPIRE lets unknown keys pass: they become warnings.
    pub(super) fn finish_with_warnings(self) {
        let warnings = &self.findings.warnings;
        self.finish_telling(warnings, |_| "unknown key; it has no effect".to_owned());
    }

    /// Ends a section whose unknown keys only `validate` complains about.
    pub(super) fn finish_with_notes(self) {
        let notes = &self.findings.notes;
        self.finish_telling(notes, |key| format!("unknown setting {key:?} encountered"));
    }

    fn finish_telling(self, whom: &Problems, what: impl Fn(&str) -> String) {
        let Self { section, file, .. } = self;
        let path = section.path().to_owned();
        for key in section.finish_lenient() {
            whom.add(Problem {
                file: Arc::clone(&file),
                line: key.at.line,
                column: key.at.column,
                message: what(&key.name),
                path: if path.is_empty() { key.name } else { format!("{path}.{}", key.name) },
            });
        }
    }
}

//! What is wrong with a config, all of it, with places.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::hcl::Position;

/// One thing that is wrong. Prints as `file:line:column: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's name as given to the parser.
    pub file: Arc<str>,
    /// The line, from 1; 0 when the place is not known.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The dotted path of the key, as `server.ratelimit.signing`; empty for problems of syntax.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl Problem {
    pub(super) fn new(file: &Arc<str>, at: Position, path: String, message: impl Into<String>) -> Self {
        Self { file: Arc::clone(file), line: at.line, column: at.column, path, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if self.path.is_empty() {
            write!(f, ": {}", self.message)
        } else {
            write!(f, ": {}: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for Problem {}

/// Collects problems while a document is decoded, so that all are reported at once.
#[derive(Debug, Default)]
pub struct Problems(Mutex<Vec<Problem>>);

impl Problems {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn add(&self, problem: Problem) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// All, in the order of the text.
    #[must_use]
    pub fn into_vec(self) -> Vec<Problem> {
        let mut problems = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems
    }

    /// `value` when there is no problem, otherwise all problems.
    pub fn into_result<T>(self, value: T) -> Result<T, InvalidConfig> {
        let problems = self.into_vec();
        if problems.is_empty() { Ok(value) } else { Err(InvalidConfig { problems }) }
    }
}

/// A config with at least one problem. Prints one problem per line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidConfig {
    /// All of them, in the order of the text.
    pub problems: Vec<Problem>,
}

impl From<Problem> for InvalidConfig {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidConfig {}

//! Where log lines go: standard output, a file that can be reopened, or a test's buffer.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::files::FileError;

/// The owner writes, the group reads.
const FILE_MODE: u32 = 0o640;

/// Where log lines go.
#[derive(Debug, Clone, Default)]
pub enum Output {
    /// Standard output, coloured when it is a terminal.
    #[default]
    Stdout,
    /// Standard error, coloured when it is a terminal.
    Stderr,
    /// A file that is appended to, made with mode 0640, and reopened on request.
    File(PathBuf),
    /// A buffer, for tests.
    Buffer(Buffer),
}

/// Collects log lines. Cheap to clone; all clones are one buffer.
#[derive(Debug, Clone, Default)]
pub struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    /// Everything written since the last call.
    #[must_use]
    pub fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[derive(Debug)]
pub(super) enum Sink {
    Stdout,
    Stderr,
    File { path: PathBuf, file: Mutex<File> },
    Buffer(Buffer),
}

impl Sink {
    pub(super) fn open(output: Output) -> Result<Self, FileError> {
        Ok(match output {
            Output::Stdout => Self::Stdout,
            Output::Stderr => Self::Stderr,
            Output::File(path) => Self::File { file: Mutex::new(open_file(&path)?), path },
            Output::Buffer(buffer) => Self::Buffer(buffer),
        })
    }

    pub(super) fn is_terminal(&self) -> bool {
        match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
            Self::File { .. } | Self::Buffer(_) => false,
        }
    }

    /// Writes one whole line. A log that cannot be written must not stop the process, so failures are dropped.
    pub(super) fn write(&self, line: &[u8]) {
        let _ = match self {
            Self::Stdout => io::stdout().lock().write_all(line),
            Self::Stderr => io::stderr().lock().write_all(line),
            Self::File { file, .. } => file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line),
            Self::Buffer(buffer) => {
                buffer.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(line);
                Ok(())
            }
        };
    }

    /// Opens the file by its name again, after a log rotation moved it away. On failure the old one stays.
    pub(super) fn reopen(&self) -> Result<(), FileError> {
        if let Self::File { path, file } = self {
            let fresh = open_file(path)?;
            *file.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        Ok(())
    }
}

fn open_file(path: &Path) -> Result<File, FileError> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(|error| FileError::new("open log file", path, error))
}

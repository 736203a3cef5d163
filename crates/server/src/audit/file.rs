//! An audit file that cannot be changed without a trace: JSON lines, each with the SHA-256 of the line before it.
//!
//! Lines are only ever appended, each in one write, before the answer of its call has left; the file is brought to
//! the disk once a second and when the server stops, so a power cut may cost the last second and nothing before
//! it. A line that a crash tore is cut off when the server comes back, and a record says so. The chain tells that
//! something was changed, removed or put in between; that the end was cut off, only the last hash kept elsewhere
//! can tell.

mod chain;
mod tail;
#[cfg(test)]
mod tests;

pub use chain::{Broken, Verified, verify};

use super::Fields;
use chain::{Tip, line};
use finial_runtime::clock::Clock;
use finial_runtime::tasks::Shutdown;
use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Why an audit file cannot be continued.
#[derive(Debug, thiserror::Error)]
pub enum AuditFileError {
    /// It cannot be opened, read or written.
    #[error("could not use the audit file {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process writes to it.
    #[error("the audit file {} belongs to another process that runs; give each server its own", .0.display())]
    InUse(PathBuf),
    /// What is in it is no audit file.
    #[error(
        "the last line of the audit file {} is no record: {why}. Keep the file for an inquiry, move it away, and start \
         again with a new one",
        path.display()
    )]
    NoRecord {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// The file of a server that runs.
#[derive(Debug)]
pub struct AuditFile {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    writer: Mutex<Writer>,
}

#[derive(Debug)]
struct Writer {
    file: File,
    tip: Tip,
    is_dirty: bool,
    has_failed: bool,
}

impl AuditFile {
    /// Opens the file, or makes it with mode 0600, and goes on after its last record.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, AuditFileError> {
        let io_error = |source| AuditFileError::Io { path: path.into(), source };
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).append(true).create(true).mode(0o600).open(path).map_err(io_error)?;
        if rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(AuditFileError::InUse(path.into()));
        }
        let tail = tail::read(&mut file).map_err(io_error)?;
        let tip = match &tail.last_line {
            None => Tip::default(),
            Some(line) => Tip::of(line).map_err(|why| AuditFileError::NoRecord { path: path.into(), why })?,
        };
        if !tail.torn.is_empty() {
            file.set_len(tail.whole_length).map_err(io_error)?;
        }
        let writer = Writer { file, tip, is_dirty: false, has_failed: false };
        let audit = Self { path: path.into(), clock, writer: Mutex::new(writer) };
        if !tail.torn.is_empty() {
            audit.tell_torn(&tail.torn);
        }
        Ok(audit)
    }

    fn tell_torn(&self, torn: &[u8]) {
        tracing::warn!(
            path = %self.path.display(), bytes = torn.len(), "The last line of the audit file was torn and is cut off"
        );
        self.append(&vec![
            ("type".to_owned(), "torn_line_removed".into()),
            ("torn_bytes".to_owned(), (torn.len() as u64).into()),
            ("torn_sha256".to_owned(), finial_identity::key::sha256_hex(torn).into()),
        ]);
    }

    /// Appends a record. A failure is told once in the log and does not stop the server; the next record that
    /// can be written goes on with the chain.
    pub fn append(&self, fields: &Fields) {
        let now = self.clock.now();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (text, tip) = line(&writer.tip, now, fields);
        match writer.file.write_all(text.as_bytes()) {
            Ok(()) => {
                writer.tip = tip;
                writer.is_dirty = true;
                writer.has_failed = false;
            }
            Err(error) if !writer.has_failed => {
                writer.has_failed = true;
                let path = self.path.display();
                tracing::error!(%path, %error, "Could not write to the audit file; records are being lost");
            }
            Err(_) => {}
        }
    }

    /// Brings what is written to the disk.
    fn sync(&self) -> io::Result<()> {
        let file = {
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            if !std::mem::take(&mut writer.is_dirty) {
                return Ok(());
            }
            writer.file.try_clone()?
        };
        file.sync_data()
    }

    /// Brings the file to the disk every second, and once more when the process stops.
    pub async fn keep_on_disk(self: Arc<Self>, shutdown: Shutdown) -> Result<(), Infallible> {
        let mut stops = false;
        while !stops {
            tokio::select! {
                () = self.clock.sleep(SYNC_EVERY) => {}
                () = shutdown.stopping() => stops = true,
            }
            let file = Arc::clone(&self);
            if let Ok(Err(error)) = tokio::task::spawn_blocking(move || file.sync()).await {
                let path = self.path.display();
                tracing::error!(%path, %error, "Could not bring the audit file to the disk");
            }
        }
        Ok(())
    }
}

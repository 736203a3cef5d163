//! Files that must survive a crash: atomic writes, bounded reads, setting a corrupt file aside.
//!
//! For journals, agent data, keys on disk and sockets' directories. Every error names the path and says
//! what an operator can do. The process's umask applies to every mode given here, as it does in SPIRE.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::Mode;

/// No write by the group, nothing for others.
const MINIMUM_UMASK: u32 = 0o027;

/// An operation on a path that failed; the cause is the source.
#[derive(Debug)]
pub struct FileError {
    operation: &'static str,
    path: PathBuf,
    advice: Option<&'static str>,
    source: io::Error,
}

impl FileError {
    /// Describes a failed operation (`"write"`, `"read"` …) on `path`.
    pub fn new(operation: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self { operation, path: path.into(), advice: advice(source.kind()), source }
    }

    /// The path in question.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The kind of the cause.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Whether the file or a directory above it does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}", self.operation, self.path.display())?;
        self.advice.map_or(Ok(()), |advice| write!(f, " ({advice})"))
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

fn advice(kind: io::ErrorKind) -> Option<&'static str> {
    use io::ErrorKind as Kind;
    Some(match kind {
        Kind::StorageFull => "the disk is full: free some space or choose another directory",
        Kind::QuotaExceeded => "the disk quota is used up: free some space or raise the quota",
        Kind::ReadOnlyFilesystem => {
            "the file system is read-only: mount it writable or choose another directory"
        }
        Kind::PermissionDenied => "check the owner and the mode of the file and of the directories above it",
        Kind::FileTooLarge => "the file is larger than it may be: is it the right one?",
        Kind::NotADirectory => "a part of the path is a file, not a directory",
        Kind::IsADirectory => "the path is a directory, not a file",
        _ => return None,
    })
}

/// Replaces `path` by `bytes` so that a reader, also after a crash, sees the old or the new content whole.
///
/// Writes a temporary file in the same directory with `mode` (less the umask), syncs it, renames it, and syncs
/// the directory. Blocks.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let temporary = beside(path);
    let written = write_and_sync(&temporary, bytes, mode)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| sync_directory(path));
    if written.is_err() {
        // The rename may have happened already; then there is nothing to remove.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(|error| FileError::new("write", path, error))
}

fn write_and_sync(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn beside(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}-{count}.tmp", std::process::id()));
    directory_of(path).join(name)
}

/// The content of `path`, refused when it is longer than `limit` bytes. Blocks.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            let message = format!("longer than {limit} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        Ok(bytes)
    };
    read().map_err(|error| FileError::new("read", path, error))
}

/// Like [`read_bounded`], as text; refused when it is not UTF-8. Blocks.
pub fn read_text_bounded(path: &Path, limit: u64) -> Result<String, FileError> {
    String::from_utf8(read_bounded(path, limit)?)
        .map_err(|error| FileError::new("read", path, io::Error::new(io::ErrorKind::InvalidData, error)))
}

/// Moves a corrupt file out of the way, to `<path>.corrupt-<unix seconds>`, and returns where it is now. Blocks.
pub fn set_aside(path: &Path, now: SystemTime) -> Result<PathBuf, FileError> {
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".corrupt-{seconds}"));
    let aside = PathBuf::from(name);
    fs::rename(path, &aside)
        .and_then(|()| sync_directory(path))
        .map_err(|error| FileError::new("set aside", path, error))?;
    Ok(aside)
}

/// Makes a directory and those above it with `mode` (less the umask); fine when it exists. Blocks.
pub fn create_directory(path: &Path, mode: u32) -> Result<(), FileError> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|error| FileError::new("create directory", path, error))
}

/// What [`enforce_umask`] found and left. Values are the usual octal masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UmaskChange {
    /// The umask the process was started with.
    pub before: u32,
    /// The umask now.
    pub now: u32,
}

impl UmaskChange {
    /// Whether the umask had to be made stricter; worth a warning.
    #[must_use]
    pub fn was_too_permissive(&self) -> bool {
        self.before != self.now
    }
}

/// Makes the umask at least 027. Affects the whole process: for the door, before anything is written.
pub fn enforce_umask() -> UmaskChange {
    // There is no way to read the umask without setting it.
    let before = rustix::process::umask(Mode::from_raw_mode(MINIMUM_UMASK)).as_raw_mode();
    let now = before | MINIMUM_UMASK;
    rustix::process::umask(Mode::from_raw_mode(now));
    let change = UmaskChange { before, now };
    if change.was_too_permissive() {
        tracing::warn!("Current umask {before:04o} is too permissive; setting umask {now:04o}");
    }
    change
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn replaces_the_whole_file_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent-data.json");
        write_atomic(&path, b"one", 0o600).unwrap();
        write_atomic(&path, b"two", 0o600).unwrap();
        assert_eq!(read_text_bounded(&path, 3).unwrap(), "two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn errors_name_the_path_and_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        write_atomic(&path, b"too long", 0o600).unwrap();
        let error = read_bounded(&path, 7).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("cannot read /") && text.contains("larger than it may be"), "{text}");
        assert_eq!(error.source().unwrap().to_string(), "longer than 7 bytes");

        let below = path.join("below");
        let error = write_atomic(&below, b"", 0o600).unwrap_err();
        assert!(error.to_string().contains("a part of the path is a file"), "{error}");
        assert!(read_bounded(&directory.path().join("absent"), 1).unwrap_err().is_not_found());
    }

    #[test]
    fn a_full_disk_is_said_so() {
        let full = Path::new("/dev/full");
        let error =
            File::options().write(true).open(full).and_then(|mut file| file.write_all(b"x")).unwrap_err();
        let error = FileError::new("write", full, error);
        expect_test::expect![[
            r#"cannot write /dev/full (the disk is full: free some space or choose another directory)"#
        ]]
        .assert_eq(&error.to_string());
    }

    #[test]
    fn a_failed_write_keeps_the_old_content() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("occupied");
        fs::create_dir(&path).unwrap();
        write_atomic(&path, b"x", 0o600).unwrap_err();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn sets_a_corrupt_file_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        write_atomic(&path, b"garbage", 0o600).unwrap();
        let aside = set_aside(&path, UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000)).unwrap();
        assert!(aside.ends_with("journal.corrupt-1700000000"));
        assert!(!path.exists() && aside.exists());
    }

    #[test]
    fn directories_are_made_once_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        create_directory(&path, 0o700).unwrap();
        create_directory(&path, 0o700).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn the_umask_ends_up_strict() {
        enforce_umask();
        let change = enforce_umask();
        assert!(!change.was_too_permissive());
        assert_eq!(change.now & MINIMUM_UMASK, MINIMUM_UMASK);
    }
}

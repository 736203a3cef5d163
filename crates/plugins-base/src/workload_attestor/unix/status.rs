//! `/proc/<pid>/status`: whose a process is.
//!
//! It is read once, so that user and groups are of one moment.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// More than a process in 65536 groups needs.
const STATUS_MAX: u64 = 1 << 20;

/// Why a status could not be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum StatusError {
    #[error("process does not exist")]
    NoProcess,
    #[error("cannot read its status: {0}")]
    Read(#[source] std::io::Error),
    #[error("its status has no valid line {0:?}")]
    Line(&'static str),
}

/// Effective user and group, and the supplementary groups.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) supplementary: Vec<u32>,
}

impl Status {
    pub(super) fn read(path: &Path) -> Result<Self, StatusError> {
        let mut text = Vec::with_capacity(2048);
        let read = File::open(path).and_then(|file| file.take(STATUS_MAX).read_to_end(&mut text));
        match read {
            Ok(_) => Self::parse(&text),
            Err(error) if is_gone(&error) => Err(StatusError::NoProcess),
            Err(error) => Err(StatusError::Read(error)),
        }
    }

    /// The name of a process may be any bytes, but the kernel escapes its line feeds: no process can write a
    /// line of its own.
    fn parse(text: &[u8]) -> Result<Self, StatusError> {
        let groups = numbers(text, "Groups:").ok_or(StatusError::Line("Groups:"))?;
        Ok(Self { uid: effective(text, "Uid:")?, gid: effective(text, "Gid:")?, supplementary: groups })
    }
}

/// A process that ends while its status is read gives `ESRCH`.
fn is_gone(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// Real, effective, saved and file-system ID stand in one line.
fn effective(text: &[u8], label: &'static str) -> Result<u32, StatusError> {
    numbers(text, label).and_then(|ids| ids.get(1).copied()).ok_or(StatusError::Line(label))
}

fn numbers(text: &[u8], label: &str) -> Option<Vec<u32>> {
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(label.as_bytes()))?;
    std::str::from_utf8(line).ok()?.split_ascii_whitespace().map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_effective_ids_and_groups() {
        let text = b"Name:\tUid:\\nGid: \xff\nState:\tS\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \nUid:\t0\t0\n";
        let status = Status { uid: 2, gid: 6, supplementary: vec![9, 10] };
        assert_eq!(Status::parse(text).unwrap(), status);
        assert_eq!(Status::parse(b"Uid:\t1\t2\nGid:\t1\t2\nGroups:\t\n").unwrap().supplementary, [0_u32; 0]);
    }

    #[test]
    fn refuses_what_is_not_a_status() {
        for text in [
            &b""[..],
            b"Uid:\t1\nGid:\t1\t1\nGroups:\n",
            b"Uid:\t1\t-2\nGid:\t1\t1\nGroups:\n",
            b"Uid:\t1\t2\n",
        ] {
            assert!(matches!(Status::parse(text), Err(StatusError::Line(_))));
        }
    }
}

//! The SHA-256 of a process's executable, remembered for as long as that is safe.
//!
//! A digest is remembered under device, inode, size, modification and change time of the file. That is sound where
//! only the kernel writes these: on the usual disk file systems. What a user can mount and serve from a program of
//! theirs (FUSE, and overlays or network shares above it) is hashed every time, and so is a file that changed in
//! the last seconds, because two changes may then share one time stamp.

use super::file_version::FileVersion;
use aws_lc_rs::digest;
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::OnceCell;

/// Digests that are remembered; when there are more, all are forgotten.
const REMEMBERED_MAX: usize = 4096;
const SETTLED_AFTER: Duration = Duration::from_secs(2);
const CHUNK: usize = 256 << 10;

/// ext2 to ext4, XFS, btrfs, F2FS, ZFS, bcachefs.
const TRUSTED_FILE_SYSTEMS: [u64; 6] =
    [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x2fc1_2fc1, 0xca45_1a4e];

/// Why there is no digest.
#[derive(Debug, thiserror::Error)]
pub(super) enum DigestError {
    #[error("open {path}: {source}", path = .path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("read {path}: {source}", path = .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("workload {path} exceeds size limit ({size} > {limit})", path = .path.display())]
    TooLarge { path: PathBuf, size: u64, limit: u64 },
    #[error("the work was stopped")]
    Stopped,
}

/// A digest that is known or being made. Whoever comes second waits instead of reading the file again.
type Pending = Arc<OnceCell<Arc<str>>>;

#[derive(Default)]
pub(super) struct Digests {
    remembered: Mutex<HashMap<FileVersion, Pending>>,
}

impl Digests {
    /// The digest of the file in lower-case hexadecimal. A `limit` of 0 is none.
    pub(super) async fn of(&self, path: PathBuf, limit: u64) -> Result<Arc<str>, DigestError> {
        // The file system may take its time even to open a file.
        let opened = off_executor(move || open(path, limit)).await?;
        match opened.version {
            None => off_executor(move || hash(opened)).await,
            Some(version) => {
                let pending = self.pending(version);
                pending.get_or_try_init(|| off_executor(move || hash(opened))).await.cloned()
            }
        }
    }

    fn pending(&self, version: FileVersion) -> Pending {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX && !remembered.contains_key(&version) {
            remembered.clear();
        }
        Arc::clone(remembered.entry(version).or_default())
    }
}

struct Opened {
    path: PathBuf,
    file: File,
    /// Nothing if the digest is not to be remembered.
    version: Option<FileVersion>,
}

fn open(path: PathBuf, limit: u64) -> Result<Opened, DigestError> {
    let opened = File::open(&path).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
    let (file, metadata) = match opened {
        Ok(opened) => opened,
        Err(source) => return Err(DigestError::Open { path, source }),
    };
    if limit > 0 && metadata.len() > limit {
        return Err(DigestError::TooLarge { path, size: metadata.len(), limit });
    }
    let version =
        (is_settled(&metadata, SystemTime::now()) && is_trusted(&file)).then(|| FileVersion::from(&metadata));
    Ok(Opened { path, file, version })
}

fn is_settled(metadata: &Metadata, now: SystemTime) -> bool {
    let changed =
        u64::try_from(metadata.ctime()).map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds + 1));
    changed.is_ok_and(|changed| now.duration_since(changed).is_ok_and(|age| age >= SETTLED_AFTER))
}

fn is_trusted(file: &File) -> bool {
    let kind = rustix::fs::fstatfs(file).map(|statfs| u64::try_from(statfs.f_type).unwrap_or(0));
    kind.is_ok_and(|kind| TRUSTED_FILE_SYSTEMS.contains(&kind))
}

fn hash(opened: Opened) -> Result<Arc<str>, DigestError> {
    hash_file(opened.file, &opened.path)
}

fn hash_file(mut file: File, path: &Path) -> Result<Arc<str>, DigestError> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(crate::hex::encode(context.finish().as_ref()).into()),
            Ok(length) => context.update(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(DigestError::Read { path: path.to_owned(), source }),
        }
    }
}

async fn off_executor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DigestError> + Send + 'static,
) -> Result<T, DigestError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(DigestError::Stopped))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[tokio::test]
    async fn limits_and_digests() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let digests = Digests::default();
        for limit in [0, 3, 4] {
            assert_eq!(&*digests.of(path.clone(), limit).await.unwrap(), OF_ABC);
        }
        let error = digests.of(path.clone(), 2).await.unwrap_err();
        assert_eq!(error.to_string(), format!("workload {} exceeds size limit (3 > 2)", path.display()));
        assert!(matches!(digests.of(directory.path().join("none"), 0).await, Err(DigestError::Open { .. })));
        assert!(matches!(digests.of(directory.path().into(), 0).await, Err(DigestError::Read { .. })));
    }

    #[tokio::test]
    async fn a_young_file_is_not_remembered_and_an_old_one_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let digests = Digests::default();
        digests.of(path.clone(), 0).await.unwrap();
        assert!(digests.remembered.lock().unwrap().is_empty());
        let metadata = std::fs::metadata(&path).unwrap();
        assert!(is_settled(&metadata, SystemTime::now() + Duration::from_secs(60)));
        assert!(!is_settled(&metadata, SystemTime::now() - Duration::from_secs(60)));

        let own = PathBuf::from("/proc/self/exe");
        let (first, second) = tokio::join!(digests.of(own.clone(), 0), digests.of(own.clone(), 0));
        assert_eq!(first.unwrap(), second.unwrap());
        let remembered = digests.remembered.lock().unwrap().len();
        assert_eq!(remembered, usize::from(open(own, 0).unwrap().version.is_some()));
    }
}

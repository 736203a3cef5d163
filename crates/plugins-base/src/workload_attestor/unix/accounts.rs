//! Names of users or groups, from a file in the format of `passwd` or `group`.

use super::file_version::FileVersion;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

const FILE_MAX: u64 = 64 << 20;

type Names = HashMap<u32, Box<str>>;

/// The names of a file, read again when the file changes.
pub(super) struct Accounts {
    path: PathBuf,
    read: Mutex<Option<(FileVersion, Arc<Names>)>>,
}

impl Accounts {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, read: Mutex::new(None) }
    }

    /// The name of an ID. A file that cannot be read has no names.
    pub(super) fn name(&self, id: u32) -> Option<Box<str>> {
        self.names()?.get(&id).cloned()
    }

    fn names(&self) -> Option<Arc<Names>> {
        let version = FileVersion::from(&std::fs::metadata(&self.path).ok()?);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match &*read {
            Some((of, names)) if *of == version => Some(Arc::clone(names)),
            _ => {
                let (version, names) = self.load()?;
                let names = Arc::new(names);
                *read = Some((version, Arc::clone(&names)));
                Some(names)
            }
        }
    }

    fn load(&self) -> Option<(FileVersion, Names)> {
        let file = File::open(&self.path).ok()?;
        let version = FileVersion::from(&file.metadata().ok()?);
        let mut text = Vec::new();
        file.take(FILE_MAX).read_to_end(&mut text).ok()?;
        Some((version, parse(&text)))
    }
}

/// `name:password:id:…`; what is not that is passed over, and of two names for one ID the first counts.
fn parse(text: &[u8]) -> Names {
    let mut names = Names::new();
    for line in text.split(|byte| *byte == b'\n') {
        let Ok(line) = std::str::from_utf8(line) else { continue };
        let mut fields = line.trim().split(':');
        let (name, id) = (fields.next().unwrap_or_default(), fields.nth(1));
        let Some(id) = id.and_then(|id| id.parse().ok()) else { continue };
        // Lines with a sign are instructions for NIS.
        if !name.is_empty() && !name.starts_with(['+', '-', '#']) {
            names.entry(id).or_insert_with(|| name.into());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn reads_lines_and_passes_over_the_rest() {
        let names = parse(
            b"root:x:0:0::/:/bin/sh\n# web:x:7:\n\xff:x:3:\n+nis:x:4:\nshort:x\nbad:x:one:\n:x:5:\nweb:*:33:a,b\nalias:x:0:\n",
        );
        let mut names: Vec<_> = names.iter().map(|(id, name)| (*id, &**name)).collect();
        names.sort_unstable();
        assert_eq!(names, [(0, "root"), (33, "web")]);
    }

    #[test]
    fn a_changed_file_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passwd");
        let accounts = Accounts::new(path.clone());
        assert_eq!(accounts.name(1), None);
        fs::write(&path, "one:x:1:").unwrap();
        assert_eq!(accounts.name(1).as_deref(), Some("one"));
        fs::write(&path, "other:x:1:").unwrap();
        assert_eq!(accounts.name(1).as_deref(), Some("other"));
        fs::remove_file(&path).unwrap();
        assert_eq!(accounts.name(1), None);
    }
}

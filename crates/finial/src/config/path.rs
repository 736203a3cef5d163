//! Paths without `.` and `..`, to compare where things are.

use std::path::{Component, Path, PathBuf};

/// Absolute and without `.` and `..`; symbolic links are not followed, as in SPIRE.
pub(super) fn absolute(path: &str) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            other => clean.push(other),
        }
    }
    clean
}

/// Whether something is in the directory of a file, or below it.
pub(super) fn is_beside_or_below(path: &Path, file: &Path) -> bool {
    file.parent().is_some_and(|directory| path.starts_with(directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_compared_without_detours() {
        let socket = absolute("/run/spire/public/api.sock");
        for (path, want) in [
            ("/run/spire/public/admin.sock", true),
            ("/run/spire/public/deep/admin.sock", true),
            ("/run/spire/private/../public/admin.sock", true),
            ("/run/./spire//public/admin.sock", true),
            ("/run/spire/public-2/admin.sock", false),
            ("/run/spire/private/admin.sock", false),
        ] {
            assert_eq!(is_beside_or_below(&absolute(path), &socket), want, "{path}");
        }
    }
}

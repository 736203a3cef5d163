//! Tests that a machine cannot run say so by name, and `cargo xtask test` collects them.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

/// Says that a test is skipped, and why.
pub fn skip(name: &str, why: &str) {
    let line = format!("{name}: {why}");
    eprintln!("SKIPPED {line}");
    if let Some(path) = std::env::var_os("FINIAL_SKIPPED_TESTS")
        && let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path)
    {
        let _ = writeln!(file, "{line}");
    }
}

/// The real client of a language (`GO`, `PYTHON`, `JAVA`, `RUST`), if it was built.
pub fn client_of(language: &str) -> Option<PathBuf> {
    std::env::var_os(format!("FINIAL_CLIENT_{language}")).map(PathBuf::from)
}

/// Whether the tests run as root, which some of them need.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

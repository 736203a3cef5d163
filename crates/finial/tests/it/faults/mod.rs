//! What goes wrong on real machines: disks, files, networks, clocks, two of a kind.

mod clocks;
mod disks;
mod files;
mod network;

use crate::EAGER;
use anyhow::Result;
use finial_testkit::AgentOptions;
use std::fs;
use std::path::{Path, PathBuf};

const ID: &str = "spiffe://example.org/w";

fn eager() -> AgentOptions {
    AgentOptions { agent: EAGER.to_owned(), ..Default::default() }
}

fn contents(directory: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for file in fs::read_dir(directory)? {
        let path = file?.path();
        files.push((path.clone(), fs::read(&path)?));
    }
    files.sort();
    Ok(files)
}

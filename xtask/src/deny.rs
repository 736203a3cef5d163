//! What may come into the build: licences, crates that are refused, sources (`deny.toml`).

use crate::run::{command, run, target};
use anyhow::Result;
use std::fs;
use std::path::PathBuf;

/// The one that `deny.toml` is written for.
const VERSION: &str = "0.20.2";
/// What needs nothing but the crates themselves, so that it can be promised everywhere.
const PROMISED: [&str; 3] = ["bans", "licenses", "sources"];
/// Seconds for the database of advisories; a network that swallows packets must not hold up the tests.
const FETCH_SECONDS: &str = "60";

/// Checks all dependencies. Known vulnerabilities are looked up where their database can be had; that it
/// could not be had is said, and is no failure.
pub(crate) fn check() -> Result<()> {
    let tool = installed()?;
    run(command(&tool).arg("check").args(PROMISED))?;
    let mut fetch = command("timeout");
    fetch.arg(FETCH_SECONDS).arg(&tool).args(["fetch", "db"]);
    if let Err(error) = run(&mut fetch) {
        println!("advisories: skipped, their database cannot be fetched from here ({error})");
        return Ok(());
    }
    run(command(&tool).args(["check", "--disable-fetch", "advisories"]))
}

/// `cargo-deny`, built once and kept beside the build cache.
fn installed() -> Result<PathBuf> {
    let tools = target().join("tools");
    let directory = tools.join(format!("cargo-deny-{VERSION}"));
    let tool = directory.join("bin/cargo-deny");
    if tool.exists() {
        return Ok(tool);
    }
    println!("cargo-deny is missing and will be built, which takes minutes");
    let build = tools.join("build");
    let mut install = command(env!("CARGO"));
    install
        .args(["install", "--quiet", "--locked", "--profile", "dev", "--version"])
        .args([&format!("={VERSION}"), "cargo-deny", "--root"])
        .arg(&directory)
        .env("CARGO_TARGET_DIR", &build)
        // A tool for a second of work: what counts is how long its compilation takes.
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    run(&mut install)?;
    fs::remove_dir_all(&build)?;
    Ok(tool)
}

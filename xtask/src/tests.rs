//! `cargo xtask test`: everything, with a summary of what could not be tested here.

use crate::debian::install;
use crate::run::{cargo, command, has, run, target};
use crate::{clients, deny, fuzz};
use anyhow::{Result, bail};
use std::fs;
use std::time::Instant;

/// Seconds that each fuzz target gets.
const FUZZ_SECONDS: u32 = 5;

/// Format and lints.
pub(crate) fn check() -> Result<()> {
    cargo(["fmt", "--all", "--check"], &[])?;
    cargo(["clippy", "--workspace", "--all-targets", "--all-features"], &["--", "-D", "warnings"])
}

/// Everything. What a machine cannot test is told by name; in CI that is a failure.
pub(crate) fn all() -> Result<()> {
    let started = Instant::now();
    let skips = target().join("skipped-tests.txt");
    fs::create_dir_all(target())?;
    fs::write(&skips, "")?;
    check()?;
    deny::check()?;
    // Some tests move the clock of the processes that they start.
    if !has("faketime") {
        install("faketime");
    }
    install_databases();
    let clients = clients::build_all()?;
    let mut test = command(env!("CARGO"));
    test.args(["test", "--workspace", "--all-features"]).env("FINIAL_SKIPPED_TESTS", &skips);
    clients.export(&mut test);
    run(&mut test)?;
    fuzz::run(FUZZ_SECONDS)?;
    let skipped = fs::read_to_string(&skips)?;
    let skipped: Vec<&str> = skipped.lines().chain(clients.missing.iter().map(String::as_str)).collect();
    println!("\nall tests passed in {} s", started.elapsed().as_secs());
    if skipped.is_empty() {
        return Ok(());
    }
    println!("not tested on this machine:");
    for name in &skipped {
        println!("  {name}");
    }
    if std::env::var("CI").is_ok_and(|value| value == "true") {
        bail!("{} tests were skipped, and in CI nothing may be", skipped.len());
    }
    Ok(())
}

/// Tests start database servers of their own, from the programs of these packages.
fn install_databases() {
    // Debian keeps PostgreSQL's programs out of the search path, but for those that find them there.
    for (program, package) in [("pg_ctlcluster", "postgresql"), ("mariadbd", "mariadb-server")] {
        if !has(program) {
            install(package);
        }
    }
}

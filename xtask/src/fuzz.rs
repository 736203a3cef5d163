//! Every parser of foreign bytes, fuzzed for a moment.
//!
//! The targets are built with the coverage instrumentation that libFuzzer reads, without a nightly compiler.

use crate::run::{command, root, target};
use anyhow::{Context, Result};
use std::fs;

/// What libFuzzer needs to see where an input leads.
const INSTRUMENTATION: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks";
/// Larger inputs are refused by size, which needs no fuzzing.
const INPUT_MAX: &str = "-max_len=8192";

/// Builds all targets and runs each for `seconds`.
pub(crate) fn run(seconds: u32) -> Result<()> {
    let fuzz = root().join("fuzz");
    let triple = host()?;
    let build_directory = target().join("fuzz");
    let mut build = command(env!("CARGO"));
    build
        .args(["build", "--release", "--bins", "--target", &triple, "--manifest-path"])
        .arg(fuzz.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", &build_directory)
        .env("RUSTFLAGS", INSTRUMENTATION);
    crate::run::run(&mut build)?;
    for entry in fs::read_dir(fuzz.join("fuzz_targets")).context("reading fuzz/fuzz_targets")? {
        let path = entry?.path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        let corpus = target().join("fuzz-corpus").join(name);
        fs::create_dir_all(&corpus)?;
        let mut fuzzer = command(build_directory.join(&triple).join("release").join(name));
        fuzzer.arg(format!("-max_total_time={seconds}")).args([INPUT_MAX, "-timeout=10", "-verbosity=0"]);
        fuzzer.arg(&corpus);
        let seeds = fuzz.join("seeds").join(name);
        if seeds.is_dir() {
            fuzzer.arg(seeds);
        }
        crate::run::run(&mut fuzzer)?;
    }
    Ok(())
}

fn host() -> Result<String> {
    let output = command("rustc").arg("-vV").output().context("asking rustc for its host")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not name its host")
}

//! What a developer runs: `cargo xtask <command>`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

mod clients;
mod debian;
mod deny;
mod fuzz;
mod run;
mod tests;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask <command>

  test     everything that CI runs: format, lints, dependencies, tests with real clients, fuzzing for a
           moment. Installs what the tests need where it is missing, and says what.
  check    format and lints only
  deny     licences, sources and refused crates among the dependencies (deny.toml)
  clients  builds the real clients of the whole-system tests
  fuzz     [seconds]  runs every fuzz target for so long (default 20)
  bench    measures the hot paths (see bench/README.md)
";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["test"] => tests::all(),
        ["check"] => tests::check(),
        ["deny"] => deny::check(),
        ["clients"] => clients::build_all().map(|_| ()),
        ["fuzz"] => fuzz::run(20),
        ["fuzz", seconds] => fuzz::run(seconds.parse()?),
        ["bench", rest @ ..] => run::cargo(["run", "--release", "-p", "finial-bench", "--"], rest),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("unknown command {other:?}\n\n{HELP}"),
    }
}

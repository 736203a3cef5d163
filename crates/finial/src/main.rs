//! The one binary: server, agent, demo.
//!
//! The door: it reads command lines, configuration and answers, chooses plugins, and prints. Rules of the
//! domain live elsewhere.

mod cli;
mod config;
mod demo;
mod flags;
mod output;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let name = words.next().unwrap_or_default();
    let words: Vec<String> = words.collect();
    ExitCode::from(cli::run(&name, &words, &mut output::Terminal::of_process()))
}

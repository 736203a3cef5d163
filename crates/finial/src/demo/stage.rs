//! How the story is told: live on a terminal, in plain lines elsewhere.
#![allow(clippy::print_stdout, reason = "the demo speaks to whoever started it")]

use anyhow::Result;
use std::io::{IsTerminal, Write, stdout};
use std::time::Instant;

/// The story so far.
pub(super) struct Story {
    live: bool,
    number: usize,
}

impl Story {
    pub(super) fn begin(title: &str) -> Self {
        let live = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        if live {
            println!("\x1b[1m{title}\x1b[0m\n");
        } else {
            println!("{title}\n");
        }
        Self { live, number: 0 }
    }

    /// One thing that happens, with how long it took. A failure is told and ends the story.
    pub(super) async fn stage<T>(
        &mut self,
        what: &str,
        happens: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.number += 1;
        let number = self.number;
        if self.live {
            print!("  \x1b[2m…\x1b[0m {what}");
            let _ = stdout().flush();
        }
        let started = Instant::now();
        let outcome = happens.await;
        let took = started.elapsed().as_millis();
        match (&outcome, self.live) {
            (Ok(_), true) => println!("\r  \x1b[32m✓\x1b[0m {what} \x1b[2m{took} ms\x1b[0m"),
            (Ok(_), false) => println!("{number}. {what}: ok, {took} ms"),
            (Err(_), true) => println!("\r  \x1b[31m✗\x1b[0m {what} \x1b[2m{took} ms\x1b[0m"),
            (Err(_), false) => println!("{number}. {what}: FAILED after {took} ms"),
        }
        outcome
    }

    /// A detail of the last stage.
    pub(super) fn note(&self, text: &str) {
        if self.live {
            println!("      \x1b[2m{text}\x1b[0m");
        } else {
            println!("   {text}");
        }
    }

    pub(super) fn end(&self, text: &str) {
        println!("\n{text}");
    }

    /// What to try next.
    pub(super) fn hints(&self, text: &str) {
        println!("\n{text}");
    }
}

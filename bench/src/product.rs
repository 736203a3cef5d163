//! What is measured: a Finial, or a SPIRE for comparison.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// A server and an agent that go together.
#[derive(Debug)]
pub(crate) struct Product {
    /// How the report calls it.
    pub(crate) name: &'static str,
    server: Program,
    agent: Program,
}

#[derive(Debug)]
struct Program {
    path: PathBuf,
    /// What a multi-call binary wants to hear first.
    role: Option<&'static str>,
}

impl Program {
    fn run(&self, config: &Path) -> Command {
        let mut command = Command::new(&self.path);
        command.args(self.role).args(["run", "-config"]).arg(config);
        command
    }
}

impl Product {
    /// Our own, one binary for both.
    pub(crate) fn finial(path: PathBuf) -> Self {
        let program = |role| Program { path: path.clone(), role: Some(role) };
        Self { name: "Finial", server: program("server"), agent: program("agent") }
    }

    /// The other.
    pub(crate) fn spire(server: PathBuf, agent: PathBuf) -> Self {
        let program = |path| Program { path, role: None };
        Self { name: "SPIRE", server: program(server), agent: program(agent) }
    }

    /// Runs the server.
    pub(crate) fn server(&self, config: &Path) -> Command {
        self.server.run(config)
    }

    /// Runs the agent.
    pub(crate) fn agent(&self, config: &Path) -> Command {
        self.agent.run(config)
    }
}

/// Builds `finial` as it is shipped; it stands beside this program.
pub(crate) fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = std::process::Command::new(cargo);
    build.args(["build", "--release", "-p", "finial"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    ensure!(build.status().context("running cargo")?.success(), "finial does not build");
    let path = std::env::current_exe()?.with_file_name("finial");
    ensure!(path.exists(), "no {}: run this with --release, or give --finial PATH", path.display());
    Ok(path)
}

//! Builds the real clients of the whole-system tests, each in its own language, and the suites of others.

use crate::debian::install;
use crate::run::{command, has, root, run, target};
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

/// The clients that could be built, and the names of those that could not.
#[derive(Default)]
pub(crate) struct Clients {
    /// Environment variable and path of each.
    built: Vec<(&'static str, PathBuf)>,
    /// What cannot be tested here, and why.
    pub(crate) missing: Vec<String>,
}

impl Clients {
    /// Tells the tests where the clients are.
    pub(crate) fn export(&self, test: &mut Command) {
        for (name, path) in &self.built {
            test.env(name, path);
        }
    }
}

/// A client: its folder below `tests/`, what it needs, and how it is built.
struct Recipe {
    folder: &'static str,
    variable: &'static str,
    /// Programs, and the Debian packages that have them.
    needs: &'static [(&'static str, &'static str)],
    build: fn(&Recipe) -> Result<PathBuf>,
}

const RECIPES: [Recipe; 5] = [
    Recipe {
        folder: "go-spiffe",
        variable: "FINIAL_CLIENT_GO",
        needs: &[("go", "golang")],
        build: |recipe| {
            let out = recipe.out().join("client");
            run(command("go").current_dir(recipe.source()).args(["build", "-o"]).arg(&out).arg("."))?;
            Ok(out)
        },
    },
    Recipe {
        folder: "py-spiffe",
        variable: "FINIAL_CLIENT_PYTHON",
        needs: &[("python3", "python3-venv")],
        build: |recipe| {
            let venv = recipe.out().join("venv");
            if !venv.join("bin/python").exists() {
                run(command(system_python()).args(["-m", "venv"]).arg(&venv))?;
            }
            let requirements = recipe.source().join("requirements.txt");
            run(command(venv.join("bin/pip")).args(["install", "-q", "-r"]).arg(requirements))?;
            recipe.wrapper(&format!(
                "exec '{}' '{}' \"$@\"",
                venv.join("bin/python").display(),
                recipe.source().join("client.py").display()
            ))
        },
    },
    Recipe {
        folder: "java-spiffe",
        variable: "FINIAL_CLIENT_JAVA",
        needs: &[("javac", "default-jdk-headless"), ("mvn", "maven")],
        build: |recipe| {
            let out = recipe.out();
            let directory = format!("-DbuildDirectory={}", out.display());
            run(command("mvn").current_dir(recipe.source()).args([
                "-q",
                "-B",
                "-DskipTests",
                &directory,
                "package",
            ]))?;
            recipe.wrapper(&format!("exec java -jar '{}' \"$@\"", out.join("client.jar").display()))
        },
    },
    Recipe {
        folder: "rust-spiffe",
        variable: "FINIAL_CLIENT_RUST",
        needs: &[],
        build: |recipe| {
            let mut build = command(env!("CARGO"));
            build.args(["build", "--manifest-path"]).arg(recipe.source().join("Cargo.toml"));
            run(build.env("CARGO_TARGET_DIR", recipe.out()))?;
            Ok(recipe.out().join("debug/client"))
        },
    },
    Recipe {
        folder: "registry-suites",
        variable: "FINIAL_CLIENT_SUITES",
        needs: &[],
        build: |recipe| {
            let mut build = command(recipe.source().join("run.sh"));
            run(build.env("OUT", recipe.out()).env("BUILD_ONLY", "1"))?;
            Ok(recipe.out().join("bin"))
        },
    },
];

impl Recipe {
    fn source(&self) -> PathBuf {
        root().join("tests").join(self.folder)
    }

    fn out(&self) -> PathBuf {
        target().join("clients").join(self.folder)
    }

    /// A script that starts the client, for languages whose programs need a starter.
    fn wrapper(&self, line: &str) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.out().join("client");
        std::fs::write(&path, format!("#!/bin/sh\n{line}\n"))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }
}

/// Builds all clients that can be built here.
pub(crate) fn build_all() -> Result<Clients> {
    let mut clients = Clients::default();
    for recipe in &RECIPES {
        for (program, package) in recipe.needs {
            if !has(program) {
                install(package);
            }
        }
        let absent: Vec<&str> =
            recipe.needs.iter().map(|(program, _)| *program).filter(|program| !has(program)).collect();
        if !absent.is_empty() {
            let (folder, absent) = (recipe.folder, absent.join(", "));
            clients.missing.push(format!("{folder}: {absent} is not on this machine"));
            continue;
        }
        std::fs::create_dir_all(recipe.out())?;
        clients.built.push((recipe.variable, (recipe.build)(recipe)?));
    }
    Ok(clients)
}

/// The system's Python where there is one: other users, as which tests run workloads, can start it too.
fn system_python() -> &'static str {
    let system = "/usr/bin/python3";
    if std::path::Path::new(system).exists() { system } else { "python3" }
}

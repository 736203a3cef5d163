//! Compiles `proto/` without `protoc`: protox parses, prost and tonic generate.
//!
//! Each contract is a pass of its own, so that each has its own descriptor set, and so that the two
//! files without a package (Workload API, journal) do not meet in one module.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;
use protox::Compiler;

const ROOT: &str = "proto";

/// Messages that hold a key, a token or a secret. `src/redact.rs` prints them without it.
const SECRET: [&str; 10] = [
    ".X509SVID",
    ".JWTSVID",
    ".WITSVID",
    ".ValidateJWTSVIDRequest",
    ".spire.api.types.AttestationData",
    ".spire.api.types.JWTSVID",
    ".spire.api.types.JoinToken",
    ".spire.api.types.WITSVID",
    ".spire.api.server.agent.v1.CreateJoinTokenRequest",
    ".spire.api.agent.delegatedidentity.v1.X509SVIDWithKey",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={ROOT}");
    generate("types", &["spire/api/types"])?;
    generate("server", &["spire/api/server"])?;
    generate("agent", &["spire/api/agent"])?;
    generate("workload", &["spiffe/workload"])?;
    generate("stored", &["spire/common"])?;
    generate("journal", &["private/server/journal"])?;
    generate("rpc", &["google/rpc"])?;
    Ok(())
}

/// Writes `$OUT_DIR/<pass>/<package>.rs` for the files below `folders`, and `$OUT_DIR/<pass>.binpb`
/// with their descriptors and all that they import.
fn generate(pass: &str, folders: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut files = Vec::new();
    for folder in folders {
        find_files(&Path::new(ROOT).join(folder), &mut files)?;
    }
    files.sort();

    let mut compiler = Compiler::new([ROOT])?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    let mut descriptors = compiler.file_descriptor_set();

    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let sources = out.join(pass);
    fs::create_dir_all(&sources)?;

    let mut config = tonic_prost_build::Config::new();
    config.bytes(["."]).skip_debug(SECRET).out_dir(&sources);
    if pass != "types" {
        config.extern_path(".spire.api.types", "crate::types");
    }
    tonic_prost_build::configure().out_dir(&sources).compile_fds_with_config(descriptors.clone(), config)?;

    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    fs::write(out.join(pass).with_extension("binpb"), descriptors.encode_to_vec())?;
    Ok(())
}

fn find_files(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}

//! The documents of the project lead where they say.

use regex::Regex;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// All documents below a folder; what was built or fetched is none of ours.
fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            documents(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

#[test]
fn links_lead_to_files() {
    let mut found = Vec::new();
    documents(&root(), &mut found);
    assert!(found.len() > 50, "{found:?}");
    let link = Regex::new(r"\]\(([^)# ]+)[^)]*\)").unwrap();
    let mut broken = Vec::new();
    for document in found {
        let text = fs::read_to_string(&document).unwrap();
        for target in link.captures_iter(&text).map(|link| link[1].to_owned()) {
            let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !is_elsewhere && !document.with_file_name("").join(&target).exists() {
                broken.push(format!("{} → {target}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_document_is_in_the_index() {
    let mut found = Vec::new();
    documents(&root().join("docs"), &mut found);
    let index = fs::read_to_string(root().join("docs/README.md")).unwrap();
    for document in found {
        let name = document.strip_prefix(root().join("docs")).unwrap().to_str().unwrap();
        let is_listed_by_its_own_index = name == "README.md" || name.starts_with("commands/");
        assert!(is_listed_by_its_own_index || index.contains(&format!("]({name})")), "{name}");
    }
}

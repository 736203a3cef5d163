//! Called as `spire-server` or `spire-agent`, the binary answers as the real ones did.
//!
//! The records hold what SPIRE printed for command lines that reach nobody: help, mistaken flags, missing
//! flags, sockets that are not there.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

struct Case<'a> {
    line: &'a str,
    words: Vec<String>,
    environment: Vec<(String, String)>,
    stdout: String,
    stderr: String,
    code: i32,
}

#[test]
fn cases_52_and_59_server() {
    replay("spire-server", include_str!("recorded/server.txt"), 170);
}

#[test]
fn agent() {
    replay("spire-agent", include_str!("recorded/agent.txt"), 40);
}

fn replay(name: &str, record: &str, expected_count: usize) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join(name);
    symlink(env!("CARGO_BIN_EXE_finial"), &program).unwrap();
    let cases: Vec<Case<'_>> = record.split("\n\n$ ").skip(1).map(|text| Case::parse(name, text)).collect();
    assert!(cases.len() >= expected_count, "only {} cases", cases.len());
    let wrong: Vec<String> = cases.iter().filter_map(|case| case.check(&program)).collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

impl<'a> Case<'a> {
    fn parse(name: &str, text: &'a str) -> Self {
        let (line, rest) = text.split_once('\n').unwrap();
        let mut case = Self {
            line,
            words: words(line.split("   [").next().unwrap()),
            environment: Vec::new(),
            stdout: String::new(),
            stderr: String::new(),
            code: 0,
        };
        assert_eq!(case.words.remove(0), name);
        let mut into_stdout = true;
        for line in rest.lines() {
            if let Some(code) = line.strip_prefix("[rc] ") {
                case.code = code.parse().unwrap();
                break;
            } else if let Some(pair) = line.strip_prefix("[env] {'") {
                let (name, value) = pair.split_once("': '").unwrap();
                case.environment.push((name.to_owned(), value.strip_suffix("'}").unwrap().to_owned()));
            } else if line == "[stdout]" || line == "[stderr]" {
                into_stdout = line == "[stdout]";
            } else if line != "[stdout] (empty)" && line != "[stderr] (empty)" {
                let into = if into_stdout { &mut case.stdout } else { &mut case.stderr };
                into.push_str(line);
                into.push('\n');
            }
        }
        case
    }

    /// What differs, if something does.
    fn check(&self, program: &Path) -> Option<String> {
        if self.is_about_a_socket_that_exists() {
            return None;
        }
        let output = Command::new(program)
            .args(&self.words)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let got = (text(&output.stdout), text(&output.stderr), output.status.code());
        if got == (self.stdout.clone(), self.stderr.clone(), Some(self.code)) {
            return None;
        }
        let (stdout, stderr, code) = got;
        Some(format!(
            "$ {}\n--- expected {}\n{}{}--- got {code:?}\n{stdout}{stderr}",
            self.line, self.code, self.stdout, self.stderr
        ))
    }

    /// On a machine that runs SPIRE, the usual sockets are there.
    fn is_about_a_socket_that_exists(&self) -> bool {
        [
            "/tmp/spire-server/private/api.sock",
            "/tmp/spire-agent/public/api.sock",
            "/tmp/spire-agent/private/admin.sock",
        ]
        .iter()
        .any(|socket| self.stderr.contains(&format!("{socket}: connect")) && Path::new(socket).exists())
    }
}

/// The words of a line, as a shell splits it when it only has quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

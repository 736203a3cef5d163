//! Shell completion: short scripts that ask this program what could come next.

use super::own::OWN;
use super::program::Program;
use super::programs;
use crate::flags::{FlagSet, Kind};
use crate::output::{Fault, Format, Terminal};
use std::io::Write;

/// The hidden command that the scripts call, with all words so far; the last one is being written.
pub(super) const CALLBACK: &str = "__complete";

const BASH: &str = r#"_finial() {
    local IFS=$'\n'
    COMPREPLY=($(compgen -W "$(finial __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _finial finial
"#;

const ZSH: &str = r#"#compdef finial
_finial() {
    local -a candidates
    candidates=("${(@f)$(finial __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "$candidates" ]]; then compadd -a candidates; else _files; fi
}
compdef _finial finial
"#;

const FISH: &str = r"function __finial_complete
    set -l words (commandline -opc) (commandline -ct)
    finial __complete $words[2..-1] 2>/dev/null
end
complete -c finial -a '(__finial_complete)'
";

/// `completion bash|zsh|fish`.
pub(super) fn print_script(words: &[String], terminal: &mut Terminal) -> Result<(), Fault> {
    let script = match words.first().map(String::as_str) {
        Some("bash") => BASH,
        Some("zsh") => ZSH,
        Some("fish") => FISH,
        _ => {
            return Err(Fault::new(
                "which shell? bash: source <(finial completion bash); \
                 zsh: source <(finial completion zsh); fish: finial completion fish | source",
            ));
        }
    };
    Ok(terminal.out.write_all(script.as_bytes())?)
}

/// Prints what could come next, one per line.
pub(super) fn print_candidates(words: &[String], terminal: &mut Terminal) -> Result<(), Fault> {
    for candidate in candidates(words) {
        writeln!(terminal.out, "{candidate}")?;
    }
    Ok(())
}

/// What the last word could become.
pub(super) fn candidates(words: &[String]) -> Vec<String> {
    let Some((last, before)) = words.split_last() else { return Vec::new() };
    let mut found: Vec<String> = match before.split_first() {
        None => {
            let parts = programs().map(|(name, _)| name).into_iter();
            parts.chain(OWN.iter().map(|own| own.name)).map(str::to_owned).collect()
        }
        Some((first, before)) => match first.as_str() {
            "completion" if before.is_empty() => ["bash", "zsh", "fish"].map(str::to_owned).to_vec(),
            "help" => return candidates(&words[1..]),
            name => match programs().into_iter().find(|(known, _)| *known == name) {
                Some((_, program)) => of_program(program, before, last),
                None => Vec::new(),
            },
        },
    };
    found.retain(|candidate| candidate.starts_with(last.as_str()));
    found
}

fn of_program(program: &Program, before: &[String], last: &str) -> Vec<String> {
    let (path, length) = program.longest_path(before);
    let Some(command) = program.command(&path) else {
        let path = if length == 0 { String::new() } else { path };
        return program.children(&path).into_keys().map(str::to_owned).collect();
    };
    if let Some(values) = before[length..].last().and_then(|word| values_of(&command.flags, word)) {
        return values;
    }
    let dashes = if last.starts_with("--") { "--" } else { "-" };
    let flags = command.flags.sorted().into_iter().map(|flag| format!("{dashes}{}", flag.name));
    let below = program.children(&path).into_keys().map(str::to_owned);
    if last.starts_with('-') { flags.collect() } else { below.collect() }
}

/// The values of a flag that is waiting for one, if they are known.
fn values_of(set: &FlagSet, word: &str) -> Option<Vec<String>> {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    let flag = set.sorted().into_iter().find(|flag| flag.name == name)?;
    match flag.kind {
        Kind::Bool | Kind::Switch => None,
        Kind::Format => Some(Format::NAMES.map(str::to_owned).to_vec()),
        Kind::ThreeWay => Some(["true", "false"].map(str::to_owned).to_vec()),
        // The shell completes files.
        _ => Some(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &[&str]) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        assert_eq!(candidates(&words), expected);
    }

    #[test]
    fn completes() {
        check("se", &["server"]);
        check("server entry ", &["count", "create", "delete", "show", "update"]);
        check("server en", &["entry"]);
        check("server entry show -match", &["-matchFederatesWithOn", "-matchSelectorsOn"]);
        check("server entry show --spiffe", &["--spiffeID"]);
        check("server entry show -output ", &["pretty", "json"]);
        check("server agent list -banned f", &["false"]);
        check("agent api fetch ", &["jwt", "x509"]);
        check("agent api fetch x509 -write ", &[]);
        check("help agent lo", &["logger"]);
        check("completion f", &["fish"]);
        check("nonsense x", &[]);
    }
}

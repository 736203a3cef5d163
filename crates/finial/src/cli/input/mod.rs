//! What commands read: files, standard input, and the texts of flags, with Go's verdicts.

pub(crate) mod entries;
pub(crate) mod expiry;
pub(crate) mod federation;
pub(crate) mod json;

use crate::output::Fault;
use crate::output::go_text::system_error;
use finial_identity::SpiffeId;
use finial_proto::types::{self, selector_match};
use finial_wire::convert::ids::id_to_proto;
use std::fs::File;
use std::io::{self, Read};

/// Longest file or standard input that is read.
const INPUT_MAX: u64 = 256 << 20;

/// The whole of a file, or of standard input if the path is `stdin_path`.
pub(crate) fn read_input(path: &str, stdin_path: &str) -> Result<Vec<u8>, Fault> {
    if path == stdin_path {
        return read_all(io::stdin().lock()).map_err(|error| Fault::of_file("read", "/dev/stdin", &error));
    }
    let file = File::open(path).map_err(|error| Fault::of_file("open", path, &error))?;
    read_all(file).map_err(|error| Fault::of_file("read", path, &error))
}

fn read_all(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = from.take(INPUT_MAX + 1).read_to_end(&mut bytes)?;
    if read as u64 > INPUT_MAX {
        return Err(io::Error::other(format!("more than {INPUT_MAX} bytes")));
    }
    Ok(bytes)
}

/// A SPIFFE ID as a message.
pub(crate) fn parse_id(text: &str) -> Result<types::Spiffeid, Fault> {
    Ok(id_to_proto(&SpiffeId::parse(text)?))
}

/// `type:value`; the value may have colons.
pub(crate) fn parse_selector(text: &str) -> Result<types::Selector, Fault> {
    let (kind, value) = text
        .split_once(':')
        .ok_or_else(|| Fault::new(format!("selector \"{text}\" must be formatted as type:value")))?;
    Ok(types::Selector { r#type: kind.to_owned(), value: value.to_owned() })
}

/// How sets are compared. Federated trust domains have the same numbers.
pub(crate) fn parse_match(name: &str) -> Option<selector_match::MatchBehavior> {
    use selector_match::MatchBehavior::{MatchAny, MatchExact, MatchSubset, MatchSuperset};
    match name {
        "exact" => Some(MatchExact),
        "any" => Some(MatchAny),
        "superset" => Some(MatchSuperset),
        "subset" => Some(MatchSubset),
        _ => None,
    }
}

/// A number that the wire carries in 32 bits; `what` names it in the error.
pub(crate) fn to_int32(number: i64, what: &str) -> Result<i32, Fault> {
    i32::try_from(number).map_err(|_| {
        Fault::new(format!("invalid value for {what}: overflow converting int({number}) to int32"))
    })
}

/// Writes a file as SPIRE does: over what is there, with this mode if it is new.
pub(crate) fn write_file(path: &str, bytes: &[u8], mode: u32) -> Result<(), Fault> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .map_err(|error| Fault::of_file("open", path, &error))?;
    file.write_all(bytes).map_err(|error| Fault::new(format!("write {path}: {}", system_error(&error))))
}

/// Readable by its owner alone.
pub(crate) const MODE_PRIVATE: u32 = 0o600;
/// Readable by everybody.
pub(crate) const MODE_PUBLIC: u32 = 0o644;

/// A name below a folder, as Go joins them: without doubled slashes.
pub(crate) fn join_path(folder: &str, name: &str) -> String {
    let trimmed = folder.trim_end_matches('/');
    match (folder, trimmed) {
        ("", _) => name.to_owned(),
        (_, "") => format!("/{name}"),
        _ => format!("{}/{name}", clean_path(trimmed)),
    }
}

/// Without `.` and `..` where they can be resolved in the text, as Go's `path.Clean`.
pub(crate) fn clean_path(path: &str) -> String {
    let is_rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if is_rooted => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (is_rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_as_in_go() {
        assert_eq!(join_path("/tmp/m/", "key.pem"), "/tmp/m/key.pem");
        assert_eq!(join_path("a/./b/../c", "x"), "a/c/x");
        assert_eq!(join_path("", "x"), "x");
        assert_eq!(join_path("/", "x"), "/x");
        assert_eq!(clean_path("../a//b/"), "../a/b");
        assert_eq!(clean_path("./"), ".");
        assert_eq!(clean_path("/../x"), "/x");
    }

    #[test]
    fn cases_53_and_56_selectors() {
        let selector = parse_selector("unix:path:/a:b").unwrap();
        assert_eq!((selector.r#type.as_str(), selector.value.as_str()), ("unix", "path:/a:b"));
        assert_eq!(
            parse_selector("nocolon").unwrap_err().to_string(),
            "selector \"nocolon\" must be formatted as type:value"
        );
    }
}

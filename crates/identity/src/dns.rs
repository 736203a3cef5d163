//! DNS names of entries and requests, with the rules and the texts of SPIRE.
//!
//! SPIRE asks for labels that IDNA can live with but takes any ASCII character within them, so `a_b` is a
//! name. One thing is stricter here: whitespace and control characters, which SPIRE lets through, are refused,
//! because no resolver and no certificate verifier reads them alike.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use std::collections::HashSet;

/// Longest label in octets (RFC 1035 §2.3.4).
const LABEL_MAX: usize = 63;
/// Longest name in octets.
const NAME_MAX: usize = 253;
const ACE_PREFIX: &str = "xn--";

/// Why a DNS name was refused. The texts are SPIRE's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsNameError {
    /// A character that is not ASCII.
    #[error("name must be ascii")]
    NotAscii,
    /// More than one `*`.
    #[error("too many wildcards")]
    TooManyWildcards,
    /// A `*` elsewhere than as the whole first label.
    #[error("wildcard must be first label")]
    WildcardNotFirst,
    /// Nothing there.
    #[error("empty or only whitespace")]
    Empty,
    /// An absolute name.
    #[error("domain ends with dot")]
    EndsWithDot,
    /// A label that is empty, too long, or not sound for IDNA; or the whole name, when it is too long or has
    /// an empty label.
    #[error("idna error\nidna: invalid label {0:?}")]
    InvalidLabel(String),
    /// Whitespace or a control character.
    #[error("idna error\nidna: disallowed rune U+{:04X}", *.0 as u32)]
    DisallowedCharacter(char),
    /// A wildcard and a name that it covers stand side by side.
    #[error("name {0:?} overlaps with an existing wildcard name in the list: wildcard overlap")]
    WildcardOverlap(String),
}

/// Checks a DNS name, which may begin with the label `*`.
pub fn validate_dns_name(name: &str) -> Result<(), DnsNameError> {
    if !name.is_ascii() {
        return Err(DnsNameError::NotAscii);
    }
    match name.bytes().filter(|byte| *byte == b'*').count() {
        0 => validate_plain(name),
        1 => validate_plain(name.strip_prefix("*.").ok_or(DnsNameError::WildcardNotFirst)?),
        _ => Err(DnsNameError::TooManyWildcards),
    }
}

/// Checks that no wildcard among the names covers another of them.
pub fn check_wildcard_overlap(names: &[String]) -> Result<(), DnsNameError> {
    let known: HashSet<&str> = names.iter().map(String::as_str).collect();
    let is_covered = |name: &str| {
        let parent = name.split_once('.').map_or_else(|| "*".to_owned(), |(_, parent)| format!("*.{parent}"));
        known.contains(parent.as_str())
    };
    match names.iter().find(|name| !name.starts_with('*') && is_covered(name)) {
        Some(name) => Err(DnsNameError::WildcardOverlap(name.clone())),
        None => Ok(()),
    }
}

fn validate_plain(name: &str) -> Result<(), DnsNameError> {
    if name.trim().is_empty() {
        return Err(DnsNameError::Empty);
    }
    if name.ends_with('.') {
        return Err(DnsNameError::EndsWithDot);
    }
    if let Some(character) = name.chars().find(|c| c.is_ascii_control() || *c == ' ') {
        return Err(DnsNameError::DisallowedCharacter(character));
    }
    let invalid = |part: &str| Err(DnsNameError::InvalidLabel(part.to_owned()));
    for label in name.split('.') {
        if label.is_empty() {
            return invalid(name);
        }
        if !has_sound_hyphens(label) || !is_sound_ace(label) {
            return invalid(label);
        }
    }
    if let Some(label) = name.split('.').find(|label| label.len() > LABEL_MAX) {
        return invalid(label);
    }
    if name.len() > NAME_MAX || !is_sound_direction(name) {
        return invalid(name);
    }
    Ok(())
}

/// Hyphens neither at an end nor, the prefix of encoded labels aside, in third and fourth place.
fn has_sound_hyphens(label: &str) -> bool {
    let is_marked = label.get(2..4) == Some("--");
    (!is_marked || label.starts_with(ACE_PREFIX))
        && !label.starts_with('-')
        && (!label.ends_with('-') || label == ACE_PREFIX)
}

/// Whether an encoded label is what IDNA gives for the label that it stands for.
fn is_sound_ace(label: &str) -> bool {
    !label.starts_with(ACE_PREFIX) || survives_idna(label)
}

/// The rule for names with right-to-left labels looks at all labels together.
fn is_sound_direction(name: &str) -> bool {
    !name.contains(ACE_PREFIX) || survives_idna(name)
}

fn survives_idna(text: &str) -> bool {
    let encoded = Uts46::new().to_ascii(
        text.as_bytes(),
        AsciiDenyList::EMPTY,
        Hyphens::Check,
        DnsLength::VerifyAllowRootDot,
    );
    encoded.is_ok_and(|encoded| {
        let mut pairs = encoded.split('.').zip(text.split('.'));
        pairs.all(|(is, was)| is == was || (!was.starts_with(ACE_PREFIX) && is.eq_ignore_ascii_case(was)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(name: &str) -> String {
        validate_dns_name(name).map_or_else(|error| error.to_string(), |()| "ok".to_owned())
    }

    /// What SPIRE's code answers, golang.org/x/net 0.57.
    #[test]
    fn cases_48_and_58_verdicts_of_spire() {
        let label = |label: &str| format!("idna error\nidna: invalid label {label:?}");
        for name in [
            "com",
            "example.org",
            "EXAMPLE.org",
            "*.example.org",
            "a_b",
            "_spiffe.a",
            "___.com",
            "1.2.3.4",
            "1",
            "a.b.c",
            "a/b",
            "a:b",
            "a@b",
            "!a",
            "~",
            "[::1]",
            "a,b",
            "<a>",
            "a-b",
            "a--b",
            "xn-a",
            "xn--nxasmq6b",
            "xn--80ak6aa92e.com",
            "abc.xn--nxasmq6b.org",
            "EXAMPLE.xn--nxasmq6b.org",
            "xn--ls8h.la",
            "xn--eckwd4c7c.xn--zckzah",
            "xn--www-hoa",
            "xn--maana-pta",
            "xn--fsqu00a",
            "xn--bcher-kva",
            "xn--kgbechtv",
            "xn--mgba3gch31f060k",
            "xn--54b7fta0cc",
        ] {
            assert_eq!(text(name), "ok", "{name}");
        }
        for (name, expected) in [
            ("", "empty or only whitespace".to_owned()),
            (" ", "empty or only whitespace".to_owned()),
            ("*.", "empty or only whitespace".to_owned()),
            (".", "domain ends with dot".to_owned()),
            ("example.org.", "domain ends with dot".to_owned()),
            ("*", "wildcard must be first label".to_owned()),
            ("*a.b", "wildcard must be first label".to_owned()),
            ("a*.b", "wildcard must be first label".to_owned()),
            ("a.*.b", "wildcard must be first label".to_owned()),
            ("*.*.x", "too many wildcards".to_owned()),
            ("*.foo.*.bar", "too many wildcards".to_owned()),
            ("exämple.org", "name must be ascii".to_owned()),
            ("💩.com", "name must be ascii".to_owned()),
            ("a..b", label("a..b")),
            (".a", label(".a")),
            ("-a", label("-a")),
            ("a-", label("a-")),
            ("a.-b", label("-b")),
            ("a.b-.c", label("b-")),
            ("*.-a", label("-a")),
            ("aa--", label("aa--")),
            ("ab--cd", label("ab--cd")),
            ("XN--nxasmq6b", label("XN--nxasmq6b")),
            ("Xn--nxasmq6b", label("Xn--nxasmq6b")),
            ("xn--0ca24w", label("xn--0ca24w")),
        ] {
            assert_eq!(text(name), expected, "{name}");
        }
    }

    /// Refused by SPIRE with the decoded label in the text, here with the label as given.
    #[test]
    fn unsound_encoded_labels() {
        for name in [
            "xn--",
            "xn--a",
            "xn--a-ecp",
            "xn--abc-.x",
            "xn--zz--abc",
            "xn--ab-",
            "xn--Bcher-kva",
            "xn--bcher-KVA",
            "xn--999999b",
            "xn--0000000000",
            "xn--zn7c.com",
            "xn--8i7tfa",
        ] {
            assert!(matches!(validate_dns_name(name), Err(DnsNameError::InvalidLabel(_))), "{name}");
        }
    }

    #[test]
    fn lengths() {
        let long = "a".repeat(63);
        let name = |last: usize| format!("{long}.{long}.{long}.{}", "a".repeat(last));
        assert_eq!(text(&long), "ok");
        assert_eq!(text(&format!("{long}a")), format!("idna error\nidna: invalid label \"{long}a\""));
        assert_eq!(text(&name(61)), "ok");
        assert_eq!(text(&name(62)), format!("idna error\nidna: invalid label {:?}", name(62)));
    }

    #[test]
    fn whitespace_and_control_characters() {
        for name in ["a b", " example.org", "example.org\t", "a\nb", "a\0b", "a\x7fb", "*. a"] {
            assert!(matches!(validate_dns_name(name), Err(DnsNameError::DisallowedCharacter(_))), "{name:?}");
        }
        assert_eq!(text("a b"), "idna error\nidna: disallowed rune U+0020");
    }

    #[test]
    fn case_49_overlaps() {
        let check = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            check_wildcard_overlap(&names)
        };
        assert_eq!(check(&["example.com", "*.example.com"]), Ok(()));
        assert_eq!(check(&["example.com", "*.example.com", "foo.bar.example.com"]), Ok(()));
        let overlap = DnsNameError::WildcardOverlap("foo.example.com".to_owned());
        assert_eq!(check(&["example.com", "*.example.com", "foo.example.com"]), Err(overlap.clone()));
        assert_eq!(check(&["foo.example.com", "*.example.com", "example.com"]), Err(overlap.clone()));
        assert_eq!(
            overlap.to_string(),
            "name \"foo.example.com\" overlaps with an existing wildcard name in the list: wildcard overlap"
        );
    }

    proptest! {
        #[test]
        fn never_panics(name in ".{0,80}", ascii in "[ -~.*-]{0,80}", ace in "xn--[a-z0-9-]{0,20}(\\.xn--[a-z0-9-]{0,20})?") {
            let _ = validate_dns_name(&name);
            let _ = validate_dns_name(&ascii);
            let _ = validate_dns_name(&ace);
            let _ = check_wildcard_overlap(&[name, ascii, ace]);
        }
    }
}

//! Environment variables inside config text (`-expandEnv`).

/// Replaces `$NAME` and `${NAME}` by what `lookup` knows, and by nothing when it knows nothing.
///
/// `$$` is a dollar sign. A dollar before anything that cannot be a name stays; a malformed `${` goes away.
/// It works on the whole text, comments and strings included, before any parsing, as in SPIRE.
pub fn expand_with(text: &str, mut lookup: impl FnMut(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // In a malformed text with many `${` and no `}` we look for the brace only once.
    let mut has_closing = true;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        let (name, used) = variable(rest, &mut has_closing);
        match name {
            Some("$") => out.push('$'),
            Some("") => {}
            Some(name) => out.push_str(&lookup(name).unwrap_or_default()),
            None => out.push('$'),
        }
        rest = &rest[used..];
    }
    out.push_str(rest);
    out
}

/// [`expand_with`] the variables of this process.
#[must_use]
pub fn expand(text: &str) -> String {
    expand_with(text, |name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
}

/// The name after a dollar and how many bytes it takes; an empty name is malformed, `None` is no name at all.
fn variable<'a>(rest: &'a str, has_closing: &mut bool) -> (Option<&'a str>, usize) {
    let bytes = rest.as_bytes();
    match bytes {
        [] => (None, 0),
        [b'{', special, b'}', ..] if is_special(*special) => (Some(&rest[1..2]), 3),
        [b'{', ..] => {
            let end = if *has_closing { rest.find('}') } else { None };
            *has_closing = end.is_some();
            match end {
                // `${}`, and `${` without an end: malformed.
                Some(1) => (Some(""), 2),
                None => (Some(""), 1),
                Some(end) => (Some(&rest[1..end]), end + 1),
            }
        }
        [special, ..] if is_special(*special) => (Some(&rest[..1]), 1),
        _ => {
            let end =
                bytes.iter().position(|b| *b != b'_' && !b.is_ascii_alphanumeric()).unwrap_or(bytes.len());
            if end == 0 { (None, 0) } else { (Some(&rest[..end]), end) }
        }
    }
}

/// The one-character variables of a shell.
fn is_special(byte: u8) -> bool {
    matches!(byte, b'*' | b'#' | b'$' | b'@' | b'!' | b'?' | b'-' | b'0'..=b'9')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_as_go_does() {
        let lookup = |name: &str| match name {
            "HOME" => Some("/root".to_owned()),
            "a b" => Some("spaced".to_owned()),
            "1" => Some("one".to_owned()),
            _ => None,
        };
        for (text, want) in [
            ("$HOME/x", "/root/x"),
            ("${HOME}x", "/rootx"),
            ("$UNSET|${UNSET}|", "||"),
            ("a$$b", "a$b"),
            ("a${$}b", "a$b"),
            ("$", "$"),
            ("50$ off", "50$ off"),
            ("$.x", "$.x"),
            ("${}x", "x"),
            ("${HOME", "HOME"),
            ("${a b}", "spaced"),
            ("$12", "one2"),
            ("é$HOMEé", "é/rooté"),
        ] {
            assert_eq!(expand_with(text, lookup), want, "{text}");
        }
    }
}

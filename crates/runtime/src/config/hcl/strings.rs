//! Quoted strings and heredocs: from how they are written to what they mean, and back.

/// What a quoted string means, quotes included in `raw`. Text inside `${ }` stays as it is written.
///
/// The lexer has seen that quotes, braces and escapes are complete.
pub(super) fn unquote(raw: &str) -> Result<String, &'static str> {
    let inner =
        raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).ok_or("literal not terminated")?;
    if !inner.contains('\\') {
        return Ok(inner.to_owned());
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("${") {
            let (template, after) = rest.split_at(template_length(rest));
            bytes.extend_from_slice(template.as_bytes());
            rest = after;
        } else if c == '\\' {
            rest = unescape(&rest[1..], &mut bytes)?;
        } else {
            let (plain, after) = rest.split_at(c.len_utf8());
            bytes.extend_from_slice(plain.as_bytes());
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| "the string's escapes do not make valid UTF-8")
}

fn template_length(text: &str) -> usize {
    let mut braces = 0_usize;
    for (index, c) in text.char_indices() {
        match c {
            '{' => braces += 1,
            '}' if braces == 1 => return index + 1,
            '}' => braces -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Decodes one escape whose backslash is taken already, and returns what follows it.
fn unescape<'a>(text: &'a str, bytes: &mut Vec<u8>) -> Result<&'a str, &'static str> {
    const ILLEGAL: &str = "illegal char escape";
    let c = text.chars().next().ok_or(ILLEGAL)?;
    let simple = match c {
        'a' => Some(b'\x07'),
        'b' => Some(b'\x08'),
        'f' => Some(b'\x0c'),
        'n' => Some(b'\n'),
        'r' => Some(b'\r'),
        't' => Some(b'\t'),
        'v' => Some(b'\x0b'),
        '\\' | '"' => Some(c as u8),
        _ => None,
    };
    if let Some(byte) = simple {
        bytes.push(byte);
        return Ok(&text[1..]);
    }
    let (skip, digits, radix) = match c {
        '0'..='7' => (0, 3, 8),
        'x' => (1, 2, 16),
        'u' => (1, 4, 16),
        'U' => (1, 8, 16),
        _ => return Err(ILLEGAL),
    };
    let number = text.get(skip..skip + digits).ok_or(ILLEGAL)?;
    let code = u32::from_str_radix(number, radix).map_err(|_| ILLEGAL)?;
    if matches!(c, 'u' | 'U') {
        // Like Go, half a surrogate pair becomes the replacement character.
        let c = match code {
            0xd800..=0xdfff => char::REPLACEMENT_CHARACTER,
            code => char::from_u32(code).ok_or(ILLEGAL)?,
        };
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        bytes.push(u8::try_from(code).map_err(|_| ILLEGAL)?);
    }
    Ok(&text[skip + digits..])
}

/// What a heredoc means. After `<<-`, the indentation of the closing line is taken off all lines, if all have it;
/// after `<<`, it stays as the last thing in the text.
pub(super) fn heredoc_text(raw: &str) -> String {
    let (head, rest) = raw.split_once('\n').unwrap_or((raw, ""));
    let rest = rest.strip_suffix('\n').unwrap_or(rest);
    let (body, closing) = match rest.rfind('\n') {
        Some(end) => rest.split_at(end + 1),
        None => ("", rest),
    };
    let word = closing.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let indent = &closing[..closing.len() - word.len()];
    if !head.starts_with("<<-") {
        return format!("{body}{indent}");
    }
    let lines = body.strip_suffix('\n').map(|body| body.split('\n'));
    let Some(lines) = lines else { return String::new() };
    if lines.clone().all(|line| line.starts_with(indent)) {
        lines.flat_map(|line| [&line[indent.len()..], "\n"]).collect()
    } else {
        body.to_owned()
    }
}

/// A quoted string that means `text`, without anything that would be taken as `${ }`.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' if chars.peek() == Some(&'{') => out.push_str("\\x24"),
            c if c.is_control() || c == '\u{e123}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

//! sprig's functions on texts: case, cutting, searching, paths, hashes, base64.

use super::{Arguments, Function, Outcome, RESULT_MAX, text};
use crate::agent_path_template::Value;
use crate::hex;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("upper", 1..=1, |values| text(letters(&Arguments::new(values).text()?, upper))),
    Function::new("lower", 1..=1, |values| text(letters(&Arguments::new(values).text()?, lower))),
    Function::new("title", 1..=1, |values| {
        text(at_word_starts(&Arguments::new(values).text()?, separates, upper))
    }),
    Function::new("untitle", 1..=1, |values| {
        text(at_word_starts(&Arguments::new(values).text()?, char::is_whitespace, lower))
    }),
    Function::new("trim", 1..=1, |values| text(Arguments::new(values).text()?.trim())),
    Function::new("trimAll", 2..=2, |values| {
        with_two(values, |set, from| from.trim_matches(|c| set.contains(c)).to_owned())
    }),
    Function::new("trimPrefix", 2..=2, |values| {
        with_two(values, |prefix, from| from.strip_prefix(prefix).unwrap_or(from).to_owned())
    }),
    Function::new("trimSuffix", 2..=2, |values| {
        with_two(values, |suffix, from| from.strip_suffix(suffix).unwrap_or(from).to_owned())
    }),
    Function::new("nospace", 1..=1, |values| {
        text(Arguments::new(values).text()?.replace(char::is_whitespace, ""))
    }),
    Function::new("trunc", 2..=2, trunc),
    Function::new("substr", 3..=3, substr),
    Function::new("repeat", 2..=2, repeat),
    Function::new("replace", 3..=3, replace),
    Function::new("contains", 2..=2, |values| ask_two(values, |part, whole| whole.contains(part))),
    Function::new("hasPrefix", 2..=2, |values| ask_two(values, |prefix, whole| whole.starts_with(prefix))),
    Function::new("hasSuffix", 2..=2, |values| ask_two(values, |suffix, whole| whole.ends_with(suffix))),
    Function::new("plural", 3..=3, plural),
    Function::new("base", 1..=1, |values| text(base(&Arguments::new(values).text()?))),
    Function::new("dir", 1..=1, |values| text(dir(&Arguments::new(values).text()?))),
    Function::new("clean", 1..=1, |values| text(clean(&Arguments::new(values).text()?))),
    Function::new("ext", 1..=1, |values| text(ext(&Arguments::new(values).text()?))),
    Function::new("isAbs", 1..=1, |values| Ok(Value::Bool(Arguments::new(values).text()?.starts_with('/')))),
    Function::new("sha1sum", 1..=1, |values| hash(values, &digest::SHA1_FOR_LEGACY_USE_ONLY)),
    Function::new("sha256sum", 1..=1, |values| hash(values, &digest::SHA256)),
    Function::new("adler32sum", 1..=1, |values| text(adler32(&Arguments::new(values).text()?).to_string())),
    Function::new("b64enc", 1..=1, |values| text(STANDARD.encode(Arguments::new(values).text()?))),
    Function::new("b64dec", 1..=1, b64dec),
    Function::new("splitList", 2..=2, split_list),
    Function::new("join", 2..=2, join),
];

fn with_two(values: Vec<Value>, make: impl Fn(&str, &str) -> String) -> Outcome {
    let mut arguments = Arguments::new(values);
    let (first, second) = (arguments.text()?, arguments.text()?);
    text(make(&first, &second))
}

fn ask_two(values: Vec<Value>, holds: impl Fn(&str, &str) -> bool) -> Outcome {
    let mut arguments = Arguments::new(values);
    let (first, second) = (arguments.text()?, arguments.text()?);
    Ok(Value::Bool(holds(&first, &second)))
}

/// Go changes letter by letter: a letter that would become several stays as it is.
fn upper(letter: char) -> char {
    let mut upper = letter.to_uppercase();
    if upper.len() == 1 { upper.next().unwrap_or(letter) } else { letter }
}

fn lower(letter: char) -> char {
    letter.to_lowercase().next().unwrap_or(letter)
}

fn letters(from: &str, change: fn(char) -> char) -> String {
    from.chars().map(change).collect()
}

fn at_word_starts(from: &str, separates: fn(char) -> bool, change: fn(char) -> char) -> String {
    let mut at_start = true;
    let changed = from.chars().map(|letter| {
        let changed = if at_start { change(letter) } else { letter };
        at_start = separates(letter);
        changed
    });
    changed.collect()
}

/// Where Go's `strings.Title` sees the end of a word.
fn separates(letter: char) -> bool {
    if letter.is_ascii() {
        !letter.is_ascii_alphanumeric() && letter != '_'
    } else {
        !letter.is_alphanumeric() && letter.is_whitespace()
    }
}

/// A negative length keeps the end.
fn trunc(values: Vec<Value>) -> Outcome {
    let mut arguments = Arguments::new(values);
    let (length, from) = (arguments.int()?, arguments.text()?);
    let wanted = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
    if wanted >= from.len() {
        return text(from);
    }
    if length >= 0 { slice(&from, 0, wanted) } else { slice(&from, from.len() - wanted, from.len()) }
}

fn substr(values: Vec<Value>) -> Outcome {
    let mut arguments = Arguments::new(values);
    let (start, end, from) = (arguments.int()?, arguments.int()?, arguments.text()?);
    let end = usize::try_from(end).ok();
    match usize::try_from(start) {
        Err(_) => slice(&from, 0, end.ok_or("slice bounds out of range")?),
        Ok(start) => slice(&from, start, end.filter(|end| *end <= from.len()).unwrap_or(from.len())),
    }
}

fn slice(from: &str, start: usize, end: usize) -> Outcome {
    if start > end || end > from.len() {
        return Err("slice bounds out of range".into());
    }
    from.get(start..end).map_or_else(|| Err("the cut is inside of a character".into()), text)
}

fn repeat(values: Vec<Value>) -> Outcome {
    let mut arguments = Arguments::new(values);
    let (count, from) = (arguments.int()?, arguments.text()?);
    let count = usize::try_from(count).map_err(|_| "negative repeat count")?;
    match from.len().checked_mul(count) {
        Some(length) if length <= RESULT_MAX => text(from.repeat(count)),
        _ => Err("the result is too long".into()),
    }
}

fn replace(values: Vec<Value>) -> Outcome {
    let mut arguments = Arguments::new(values);
    let (old, new, from) = (arguments.text()?, arguments.text()?, arguments.text()?);
    let count = if old.is_empty() { from.chars().count() + 1 } else { from.matches(&old).count() };
    match count.checked_mul(new.len()) {
        Some(added) if added <= RESULT_MAX => text(from.replace(&old, &new)),
        _ => Err("the result is too long".into()),
    }
}

fn plural(values: Vec<Value>) -> Outcome {
    let mut arguments = Arguments::new(values);
    let (one, many, count) = (arguments.text()?, arguments.text()?, arguments.int()?);
    text(if count == 1 { one } else { many })
}

/// Go's `path.Base`.
fn base(path: &str) -> String {
    if path.is_empty() {
        return ".".into();
    }
    match path.trim_end_matches('/').rsplit('/').next() {
        None | Some("") => "/".into(),
        Some(last) => last.into(),
    }
}

/// Go's `path.Dir`.
fn dir(path: &str) -> String {
    clean(path.rfind('/').map_or("", |slash| &path[..=slash]))
}

/// Go's `path.Clean`.
fn clean(path: &str) -> String {
    let is_absolute = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => {
                kept.pop();
            }
            ".." if is_absolute => {}
            other => kept.push(other),
        }
    }
    match (is_absolute, kept.is_empty()) {
        (false, true) => ".".into(),
        (true, _) => format!("/{}", kept.join("/")),
        (false, false) => kept.join("/"),
    }
}

/// Go's `path.Ext`.
fn ext(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rfind('.').map_or_else(String::new, |dot| name[dot..].to_owned())
}

fn hash(values: Vec<Value>, algorithm: &'static digest::Algorithm) -> Outcome {
    text(hex::encode(digest::digest(algorithm, Arguments::new(values).text()?.as_bytes()).as_ref()))
}

fn adler32(from: &str) -> u32 {
    const MODULUS: u32 = 65_521;
    let (a, b) = from.bytes().fold((1, 0), |(a, b), byte| {
        let a = (a + u32::from(byte)) % MODULUS;
        (a, (b + a) % MODULUS)
    });
    b << 16 | a
}

/// sprig gives the error as the result; here it is an error.
fn b64dec(values: Vec<Value>) -> Outcome {
    let bytes = STANDARD.decode(Arguments::new(values).text()?).map_err(|_| "illegal base64 data")?;
    text(String::from_utf8(bytes).map_err(|_| "what is decoded is not text")?)
}

fn split_list(values: Vec<Value>) -> Outcome {
    let mut arguments = Arguments::new(values);
    let (separator, from) = (arguments.text()?, arguments.text()?);
    if separator.is_empty() {
        return Ok(Value::texts(from.chars()));
    }
    Ok(Value::texts(from.split(&separator)))
}

/// A list, or one value as a list of itself; `nil` in a list is passed over.
fn join(values: Vec<Value>) -> Outcome {
    let mut arguments = Arguments::new(values);
    let separator = arguments.text()?;
    let list = match arguments.value() {
        Value::List(list) => list,
        Value::Nil => Vec::new(),
        other => vec![other],
    };
    let texts = list.iter().filter(|value| **value != Value::Nil).map(Value::to_text);
    text(texts.collect::<Vec<_>>().join(&separator))
}

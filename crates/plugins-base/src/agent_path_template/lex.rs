//! The tokens of a template.

use super::{Position, TemplateError};

/// A token with the place where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: Position,
    /// Whether nothing separates it from the token before: `.A.B` is one operand, `.A .B` are two.
    pub(super) joined: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// What stands outside of `{{ }}`.
    Text(String),
    /// `{{`.
    Open,
    /// `}}`.
    Close,
    /// A function, a keyword or a constant.
    Word(String),
    /// `.A`, without the dot.
    Field(String),
    Dot,
    /// `$` or `$x`, with the sign.
    Variable(String),
    Str(String),
    Int(i64),
    LeftParen,
    RightParen,
    Pipe,
    Comma,
    Declare,
    Assign,
}

pub(super) fn lex(text: &str) -> Result<Vec<Token>, TemplateError> {
    let mut lexer = Lexer { rest: text, at: Position { line: 1, column: 1 }, tokens: Vec::new() };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    rest: &'a str,
    at: Position,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), TemplateError> {
        let mut trim_left = false;
        loop {
            let (text, at) = match self.rest.find("{{") {
                Some(length) => (self.take(length).to_owned(), self.at),
                None => (self.take(self.rest.len()).to_owned(), self.at),
            };
            let is_last = self.rest.is_empty();
            let text = if trim_left { text.trim_start_matches(is_space) } else { &text };
            let trim_right = !is_last && self.opens_with_trim();
            let text = if trim_right { text.trim_end_matches(is_space) } else { text };
            if !text.is_empty() {
                self.push(Kind::Text(text.to_owned()), at);
            }
            if is_last {
                return Ok(());
            }
            let open_at = self.at;
            self.take(if trim_right { 3 } else { 2 });
            let comment = if trim_right { self.rest.trim_start_matches(is_space) } else { self.rest };
            trim_left = if comment.starts_with("/*") {
                self.take(self.rest.len() - comment.len());
                self.comment(open_at)?
            } else {
                self.push(Kind::Open, open_at);
                self.action(open_at)?
            };
        }
    }

    fn opens_with_trim(&self) -> bool {
        self.rest[2..].strip_prefix('-').is_some_and(|after| after.starts_with(is_space))
    }

    /// Whether the text that follows is to be trimmed.
    fn comment(&mut self, open_at: Position) -> Result<bool, TemplateError> {
        let Some(end) = self.rest.find("*/") else { return Err(error(open_at, "unclosed comment")) };
        self.take(end + 2);
        let after = self.rest.trim_start_matches(is_space);
        let trims = after.len() < self.rest.len() && after.starts_with("-}}");
        if trims {
            self.take(self.rest.len() - after.len() + 3);
        } else if self.rest.starts_with("}}") {
            self.take(2);
        } else {
            return Err(error(self.at, "comment ends before closing delimiter"));
        }
        Ok(trims)
    }

    /// The tokens up to and with `}}`; whether the text that follows is to be trimmed.
    fn action(&mut self, open_at: Position) -> Result<bool, TemplateError> {
        let mut joined = false;
        loop {
            let at = self.at;
            let spaces = self.rest.len() - self.rest.trim_start_matches(is_space).len();
            if spaces > 0 {
                self.take(spaces);
                joined = false;
                if self.rest.starts_with("-}}") {
                    self.take(1);
                    let at = self.at;
                    self.take(2);
                    self.push(Kind::Close, at);
                    return Ok(true);
                }
                continue;
            }
            if self.rest.starts_with("}}") {
                self.take(2);
                self.push(Kind::Close, at);
                return Ok(false);
            }
            if self.rest.is_empty() {
                return Err(error(open_at, "unclosed action"));
            }
            let kind = self.token(at)?;
            self.tokens.push(Token { kind, at, joined });
            joined = true;
        }
    }

    fn token(&mut self, at: Position) -> Result<Kind, TemplateError> {
        let Some(first) = self.rest.chars().next() else { return Err(error(at, "unclosed action")) };
        let second = self.rest[first.len_utf8()..].chars().next();
        match first {
            '(' => Ok(self.single(Kind::LeftParen)),
            ')' => Ok(self.single(Kind::RightParen)),
            '|' => Ok(self.single(Kind::Pipe)),
            ',' => Ok(self.single(Kind::Comma)),
            '=' => Ok(self.single(Kind::Assign)),
            ':' if second == Some('=') => {
                self.take(2);
                Ok(Kind::Declare)
            }
            '"' => self.quoted(at),
            '`' => self.raw(at),
            '\'' => self.character(at),
            '$' => {
                self.take(1);
                let name = self.word();
                Ok(Kind::Variable(format!("${name}")))
            }
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => {
                Err(error(at, "floating-point numbers are not supported"))
            }
            '.' => {
                self.take(1);
                let name = self.word();
                Ok(if name.is_empty() { Kind::Dot } else { Kind::Field(name) })
            }
            '+' | '-' | '0'..='9' => self.number(at),
            c if c.is_alphabetic() || c == '_' => Ok(Kind::Word(self.word())),
            c => Err(error(at, format!("unexpected {c:?}"))),
        }
    }

    fn single(&mut self, kind: Kind) -> Kind {
        self.take(1);
        kind
    }

    fn word(&mut self) -> String {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        self.take(end).to_owned()
    }

    fn number(&mut self, at: Position) -> Result<Kind, TemplateError> {
        let end = self
            .rest
            .char_indices()
            .find(|(index, c)| !(c.is_alphanumeric() || matches!(c, '_' | '.') || (*index == 0)))
            .map_or(self.rest.len(), |(index, _)| index);
        let text = self.take(end).to_owned();
        if text.contains('.') {
            return Err(error(at, "floating-point numbers are not supported"));
        }
        parse_int(&text).map(Kind::Int).ok_or_else(|| error(at, format!("bad number syntax: {text:?}")))
    }

    fn raw(&mut self, at: Position) -> Result<Kind, TemplateError> {
        self.take(1);
        let Some(end) = self.rest.find('`') else { return Err(error(at, "unterminated raw quoted string")) };
        let text = self.take(end).replace('\r', "");
        self.take(1);
        Ok(Kind::Str(text))
    }

    fn quoted(&mut self, at: Position) -> Result<Kind, TemplateError> {
        self.take(1);
        let mut text = String::new();
        loop {
            match self.rest.chars().next() {
                None | Some('\n') => return Err(error(at, "unterminated quoted string")),
                Some('"') => {
                    self.take(1);
                    return Ok(Kind::Str(text));
                }
                Some(_) => text.push(self.unquoted('"')?),
            }
        }
    }

    fn character(&mut self, at: Position) -> Result<Kind, TemplateError> {
        self.take(1);
        if self.rest.is_empty() || self.rest.starts_with(['\'', '\n']) {
            return Err(error(at, "malformed character constant"));
        }
        let character = self.unquoted('\'')?;
        if !self.rest.starts_with('\'') {
            return Err(error(at, "malformed character constant"));
        }
        self.take(1);
        Ok(Kind::Int(i64::from(u32::from(character))))
    }

    /// One character inside of quotes, escaped or not.
    fn unquoted(&mut self, quote: char) -> Result<char, TemplateError> {
        let at = self.at;
        let bad = || error(at, "unknown escape sequence");
        let plain = self.next().ok_or_else(bad)?;
        if plain != '\\' {
            return Ok(plain);
        }
        match self.next().ok_or_else(bad)? {
            'a' => Ok('\x07'),
            'b' => Ok('\x08'),
            'f' => Ok('\x0c'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\x0b'),
            '\\' => Ok('\\'),
            c if c == quote => Ok(c),
            'u' => self.code_point(4).ok_or_else(bad),
            'U' => self.code_point(8).ok_or_else(bad),
            // Bytes beyond ASCII would not be text.
            'x' => self.code_point(2).filter(char::is_ascii).ok_or_else(bad),
            _ => Err(bad()),
        }
    }

    fn code_point(&mut self, digits: usize) -> Option<char> {
        let text = self.rest.get(..digits)?;
        let number =
            text.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(text, 16).ok())??;
        self.take(digits);
        char::from_u32(number)
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.take(next.len_utf8());
        Some(next)
    }

    fn take(&mut self, length: usize) -> &str {
        let (taken, rest) = self.rest.split_at(length);
        for character in taken.chars() {
            if character == '\n' {
                self.at = Position { line: self.at.line + 1, column: 1 };
            } else {
                self.at.column += 1;
            }
        }
        self.rest = rest;
        taken
    }

    fn push(&mut self, kind: Kind, at: Position) {
        self.tokens.push(Token { kind, at, joined: false });
    }
}

/// Go's integer literals: decimal, `0x`, `0o`, `0b`, and a leading zero for octal; `_` between digits.
fn parse_int(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    // An underscore may stand between two digits.
    if digits.starts_with('_') && radix == 10 || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let digits = digits.replace('_', "");
    let is_plain = digits.bytes().all(|b| b.is_ascii_alphanumeric());
    if is_plain { i64::from_str_radix(&format!("{sign}{digits}"), radix).ok() } else { None }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

pub(super) fn error(at: Position, message: impl Into<String>) -> TemplateError {
    TemplateError { at, message: message.into() }
}

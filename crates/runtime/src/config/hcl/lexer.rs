//! Text to tokens, each with its place.

use super::SyntaxError;
use super::ast::Position;
use super::cursor::Cursor;

/// What a token is. The names in problems are HCL's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Eof,
    Ident,
    Number,
    Float,
    Bool,
    String,
    Heredoc,
    LeftBracket,
    RightBracket,
    LeftBrace,
    RightBrace,
    Comma,
    Period,
    Assign,
    Add,
    Sub,
}

impl TokenKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Eof => "EOF",
            Self::Ident => "IDENT",
            Self::Number => "NUMBER",
            Self::Float => "FLOAT",
            Self::Bool => "BOOL",
            Self::String => "STRING",
            Self::Heredoc => "HEREDOC",
            Self::LeftBracket => "LBRACK",
            Self::RightBracket => "RBRACK",
            Self::LeftBrace => "LBRACE",
            Self::RightBrace => "RBRACE",
            Self::Comma => "COMMA",
            Self::Period => "PERIOD",
            Self::Assign => "ASSIGN",
            Self::Add => "ADD",
            Self::Sub => "SUB",
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind,
    pub(super) text: &'a str,
    pub(super) at: Position,
}

/// The next token of HCL after spaces and comments.
pub(super) fn next_token<'a>(cursor: &mut Cursor<'a>) -> Result<Token<'a>, SyntaxError> {
    skip_blank(cursor)?;
    let (at, start) = (cursor.position(), cursor.offset());
    let kind = match cursor.peek() {
        None => TokenKind::Eof,
        Some(c) if is_letter(c) => {
            cursor.bump_while(|c| is_letter(c) || is_digit(c) || c == '-' || c == '.')?;
            if matches!(cursor.since(start), "true" | "false") { TokenKind::Bool } else { TokenKind::Ident }
        }
        Some(c) if c.is_ascii_digit() => number(cursor)?,
        Some(c) => {
            cursor.bump()?;
            match c {
                '"' => string(cursor, at)?,
                '<' => heredoc(cursor, at)?,
                '.' if cursor.peek().is_some_and(|c| c.is_ascii_digit()) => {
                    cursor.bump_while(|c| c.is_ascii_digit())?;
                    exponent(cursor)?;
                    TokenKind::Float
                }
                '-' if cursor.peek().is_some_and(|c| c.is_ascii_digit()) => number(cursor)?,
                '.' => TokenKind::Period,
                '-' => TokenKind::Sub,
                '+' => TokenKind::Add,
                '=' => TokenKind::Assign,
                ',' => TokenKind::Comma,
                '[' => TokenKind::LeftBracket,
                ']' => TokenKind::RightBracket,
                '{' => TokenKind::LeftBrace,
                '}' => TokenKind::RightBrace,
                _ => return Err(SyntaxError::new(at, "illegal char")),
            }
        }
    };
    Ok(Token { kind, text: cursor.since(start), at })
}

fn skip_blank(cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
    loop {
        cursor.bump_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r'))?;
        let rest = cursor.rest();
        if rest.starts_with('#') || rest.starts_with("//") {
            cursor.bump_while(|c| c != '\n')?;
        } else if rest.starts_with("/*") {
            block_comment(cursor)?;
        } else if rest.starts_with('/') {
            return Err(cursor.error("expected '/' for comment"));
        } else {
            return Ok(());
        }
    }
}

fn block_comment(cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
    let at = cursor.position();
    cursor.bump()?;
    cursor.bump()?;
    let mut star = false;
    while let Some(c) = cursor.bump()? {
        if star && c == '/' {
            return Ok(());
        }
        star = c == '*';
    }
    Err(SyntaxError::new(at, "comment not terminated"))
}

fn number(cursor: &mut Cursor<'_>) -> Result<TokenKind, SyntaxError> {
    let (at, start) = (cursor.position(), cursor.offset());
    if cursor.bump_if(|c| c == '0')? && cursor.bump_if(|c| matches!(c, 'x' | 'X'))? {
        let digits = cursor.bump_while(|c| c.is_ascii_hexdigit())?;
        return if digits > 0 {
            Ok(TokenKind::Number)
        } else {
            Err(SyntaxError::new(at, "illegal hexadecimal number"))
        };
    }
    cursor.bump_while(|c| c.is_ascii_digit())?;
    let digits = cursor.since(start);
    let point = cursor.bump_if(|c| c == '.')?;
    if point {
        cursor.bump_while(|c| c.is_ascii_digit())?;
    }
    if exponent(cursor)? || point {
        return Ok(TokenKind::Float);
    }
    // As in HCL 1, the first digit after the zero is not looked at: `08` passes here and fails only as an integer.
    if digits.starts_with('0') && digits.bytes().skip(2).any(|digit| digit >= b'8') {
        return Err(SyntaxError::new(at, "illegal octal number"));
    }
    Ok(TokenKind::Number)
}

/// Takes `e5`, `E-5` …; an error when the digits are missing.
fn exponent(cursor: &mut Cursor<'_>) -> Result<bool, SyntaxError> {
    let at = cursor.position();
    if !cursor.bump_if(|c| matches!(c, 'e' | 'E'))? {
        return Ok(false);
    }
    cursor.bump_if(|c| matches!(c, '-' | '+'))?;
    let digits = cursor.bump_while(|c| c.is_ascii_digit())?;
    if digits > 0 {
        Ok(true)
    } else {
        Err(SyntaxError::new(at, "illegal number: the exponent has no digits"))
    }
}

/// The rest of a string after its opening quote. Quotes and newlines inside `${ }` belong to the string.
fn string(cursor: &mut Cursor<'_>, at: Position) -> Result<TokenKind, SyntaxError> {
    let mut braces = 0_usize;
    loop {
        match cursor.bump()? {
            None => return Err(SyntaxError::new(at, "literal not terminated")),
            Some('\n') if braces == 0 => return Err(SyntaxError::new(at, "literal not terminated")),
            Some('"') if braces == 0 => return Ok(TokenKind::String),
            Some('$') if braces == 0 && cursor.bump_if(|c| c == '{')? => braces = 1,
            Some('{') if braces > 0 => braces += 1,
            Some('}') if braces > 0 => braces -= 1,
            Some('\\') => escape(cursor)?,
            Some(_) => {}
        }
    }
}

fn escape(cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
    let at = cursor.position();
    let illegal = || SyntaxError::new(at, "illegal char escape");
    let (digits, is_digit): (usize, fn(char) -> bool) = match cursor.bump()? {
        Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' | '"') => return Ok(()),
        Some('0'..='7') => (2, |c| matches!(c, '0'..='7')),
        Some('x') => (2, |c| c.is_ascii_hexdigit()),
        Some('u') => (4, |c| c.is_ascii_hexdigit()),
        Some('U') => (8, |c| c.is_ascii_hexdigit()),
        _ => return Err(illegal()),
    };
    for _ in 0..digits {
        if !cursor.bump_if(is_digit)? {
            return Err(illegal());
        }
    }
    Ok(())
}

/// The rest of a heredoc after its first `<`, up to and with the line of its closing anchor.
fn heredoc(cursor: &mut Cursor<'_>, at: Position) -> Result<TokenKind, SyntaxError> {
    if !cursor.bump_if(|c| c == '<')? {
        return Err(SyntaxError::new(at, "heredoc expected second '<', didn't see it"));
    }
    let dash = usize::from(cursor.bump_if(|c| c == '-')?);
    let start = cursor.offset();
    cursor.bump_while(|c| is_letter(c) || is_digit(c))?;
    let anchor = cursor.since(start);
    match cursor.bump()? {
        None => return Err(SyntaxError::new(at, "heredoc not terminated")),
        Some('\n') => {}
        Some(_) => return Err(SyntaxError::new(at, "invalid characters in heredoc anchor")),
    }
    if anchor.is_empty() {
        return Err(SyntaxError::new(at, "zero-length heredoc anchor"));
    }
    loop {
        let start = cursor.offset();
        cursor.bump_while(|c| c != '\n')?;
        let line = cursor.since(start);
        if cursor.bump()?.is_none() {
            return Err(SyntaxError::new(at, "heredoc not terminated"));
        }
        // As in HCL 1, the closing line of `<<-ANCHOR` must be longer than the anchor, that is, indented.
        if line.len() >= anchor.len() + dash && closes(line, anchor) {
            return Ok(TokenKind::Heredoc);
        }
    }
}

fn closes(line: &str, anchor: &str) -> bool {
    line.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b')
        .strip_prefix(anchor)
        .is_some_and(|rest| rest.bytes().all(|b| b == b'\r'))
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || (!c.is_ascii() && c.is_alphabetic())
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric())
}

//! Tokens of HCL to a tree.

use std::collections::HashSet;

use super::ast::{Body, Entry, Key, KeyForm, Node, NodeKind, Position};
use super::cursor::Cursor;
use super::lexer::{Token, TokenKind, next_token};
use super::strings::{heredoc_text, quote, unquote};
use super::{MAX_DEPTH, Parsed, SyntaxError};

pub(super) fn parse(text: &str) -> Result<Parsed, SyntaxError> {
    let mut parser = Parser { cursor: Cursor::new(text), ahead: None, notices: Vec::new() };
    let body = parser.body(Enclosed::No, 0)?;
    Ok(Parsed { body, notices: parser.notices })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Enclosed {
    No,
    Yes,
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    ahead: Option<Token<'a>>,
    notices: Vec<SyntaxError>,
}

impl<'a> Parser<'a> {
    fn peek(&mut self) -> Result<Token<'a>, SyntaxError> {
        let token = match self.ahead {
            Some(token) => token,
            None => next_token(&mut self.cursor)?,
        };
        self.ahead = Some(token);
        Ok(token)
    }

    fn take(&mut self) -> Result<Token<'a>, SyntaxError> {
        let token = self.peek()?;
        self.ahead = None;
        Ok(token)
    }

    fn body(&mut self, enclosed: Enclosed, depth: usize) -> Result<Body, SyntaxError> {
        let mut entries = Vec::new();
        let mut seen = HashSet::new();
        while enclosed == Enclosed::No || self.peek()?.kind != TokenKind::RightBrace {
            let Some(entry) = self.entry(depth)? else { break };
            note_duplicates(&entry, &mut seen, &mut self.notices);
            entries.push(entry);
            if self.peek()?.kind == TokenKind::Comma {
                self.take()?;
            }
        }
        Ok(Body { entries })
    }

    /// One entry; `None` at the end of the text.
    fn entry(&mut self, depth: usize) -> Result<Option<Entry>, SyntaxError> {
        let mut keys: Vec<Key> = Vec::new();
        loop {
            let token = self.take()?;
            match token.kind {
                TokenKind::Ident | TokenKind::String => {
                    keys.push(key(token)?);
                    check_depth(depth + keys.len(), token.at)?;
                }
                TokenKind::Eof if keys.is_empty() => return Ok(None),
                TokenKind::Eof | TokenKind::RightBrace if !keys.is_empty() => {
                    return Err(no_value(&keys, token.at));
                }
                TokenKind::Assign => {
                    match keys.len() {
                        0 => return Err(SyntaxError::new(token.at, "no object keys found!")),
                        1 => {}
                        _ => {
                            return Err(SyntaxError::new(
                                token.at,
                                "nested object expected: LBRACE got: ASSIGN",
                            ));
                        }
                    }
                    if self.peek()?.kind == TokenKind::Eof {
                        // HCL 1 forgets such a key without a word.
                        self.notices.push(no_value(&keys, token.at));
                        return Ok(None);
                    }
                    let value = self.value(depth + 1)?;
                    return Ok(Some(Entry { keys, assigned: true, value }));
                }
                TokenKind::LeftBrace if keys.is_empty() => {
                    return Err(SyntaxError::new(token.at, "expected: IDENT | STRING got: LBRACE"));
                }
                TokenKind::LeftBrace => {
                    let value = self.object(token.at, depth + keys.len())?;
                    return Ok(Some(Entry { keys, assigned: false, value }));
                }
                other => {
                    let message = format!("expected: IDENT | STRING | ASSIGN | LBRACE got: {}", other.name());
                    return Err(SyntaxError::new(token.at, message));
                }
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        let token = self.take()?;
        match token.kind {
            TokenKind::LeftBrace => self.object(token.at, depth),
            TokenKind::LeftBracket => self.list(token.at, depth),
            _ => match literal(token)? {
                Some(node) => Ok(node),
                None => {
                    let message = format!("Unknown token: {} {}", token.kind.name(), token.text);
                    Err(SyntaxError::new(token.at, message.trim_end()))
                }
            },
        }
    }

    /// The rest of an object after its opening brace.
    fn object(&mut self, at: Position, depth: usize) -> Result<Node, SyntaxError> {
        check_depth(depth, at)?;
        let body = self.body(Enclosed::Yes, depth)?;
        let token = self.take()?;
        if token.kind != TokenKind::RightBrace {
            let message = format!("object expected closing RBRACE got: {}", token.kind.name());
            return Err(SyntaxError::new(token.at, message));
        }
        Ok(Node { at, kind: NodeKind::Object(body) })
    }

    /// The rest of a list after its opening bracket.
    fn list(&mut self, at: Position, depth: usize) -> Result<Node, SyntaxError> {
        check_depth(depth, at)?;
        let mut nodes = Vec::new();
        let mut need_comma = false;
        loop {
            let token = self.take()?;
            match token.kind {
                TokenKind::RightBracket => return Ok(Node { at, kind: NodeKind::List(nodes) }),
                TokenKind::Comma => need_comma = false,
                other if need_comma => {
                    let message =
                        format!("error parsing list, expected comma or list end, got: {}", other.name());
                    return Err(SyntaxError::new(token.at, message));
                }
                TokenKind::LeftBrace => {
                    nodes.push(self.object(token.at, depth + 1)?);
                    need_comma = true;
                }
                // As in HCL 1, no comma is needed after a list within a list.
                TokenKind::LeftBracket => nodes.push(self.list(token.at, depth + 1)?),
                other => {
                    let node = literal(token)?.ok_or_else(|| {
                        let message = format!("unexpected token while parsing list: {}", other.name());
                        SyntaxError::new(token.at, message)
                    })?;
                    nodes.push(node);
                    need_comma = true;
                }
            }
        }
    }
}

pub(super) fn check_depth(depth: usize, at: Position) -> Result<(), SyntaxError> {
    if depth > MAX_DEPTH {
        return Err(SyntaxError::new(at, format!("nested deeper than {MAX_DEPTH} levels")));
    }
    Ok(())
}

/// Every key of an assigned entry counts; blocks may repeat.
pub(super) fn note_duplicates(
    entry: &Entry,
    seen: &mut HashSet<(String, bool)>,
    notices: &mut Vec<SyntaxError>,
) {
    if !entry.assigned {
        return;
    }
    for key in &entry.keys {
        let quoted = key.form != KeyForm::Bare;
        if !seen.insert((key.text.clone(), quoted)) {
            let Position { line, column } = key.at;
            let name = quote(&key.text);
            let name = if quoted { quote(&name) } else { name };
            let message = format!(
                "The argument {name} at {line}:{column} was already set. Each argument can only be defined once"
            );
            notices.push(SyntaxError::new(key.at, message));
        }
    }
}

fn key(token: Token<'_>) -> Result<Key, SyntaxError> {
    let (text, form) = match token.kind {
        TokenKind::String => (unquoted(token)?, KeyForm::Quoted),
        _ => (token.text.to_owned(), KeyForm::Bare),
    };
    Ok(Key { text, form, at: token.at })
}

fn literal(token: Token<'_>) -> Result<Option<Node>, SyntaxError> {
    let kind = match token.kind {
        TokenKind::Number => NodeKind::Integer(token.text.to_owned()),
        TokenKind::Float => NodeKind::Float(token.text.to_owned()),
        TokenKind::Bool => NodeKind::Bool(token.text == "true"),
        TokenKind::String => NodeKind::String { value: unquoted(token)?, raw: Some(token.text.into()) },
        TokenKind::Heredoc => NodeKind::String { value: heredoc_text(token.text), raw: None },
        _ => return Ok(None),
    };
    Ok(Some(Node { at: token.at, kind }))
}

fn unquoted(token: Token<'_>) -> Result<String, SyntaxError> {
    unquote(token.text).map_err(|message| SyntaxError::new(token.at, message))
}

fn no_value(keys: &[Key], at: Position) -> SyntaxError {
    let keys: Vec<String> = keys
        .iter()
        .map(|key| if key.form == KeyForm::Bare { key.text.clone() } else { quote(&key.text) })
        .collect();
    let message = format!("key '{}' expected start of object ('{{') or assignment ('=')", keys.join(" "));
    SyntaxError::new(at, message)
}

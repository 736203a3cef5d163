//! JSON to the same tree. A list of objects becomes repeated blocks, as in HCL.

use std::collections::HashSet;

use super::ast::{Body, Entry, Key, KeyForm, Node, NodeKind, Position};
use super::cursor::Cursor;
use super::parser::{check_depth, note_duplicates};
use super::{Parsed, SyntaxError};

pub(super) fn parse(text: &str) -> Result<Parsed, SyntaxError> {
    let mut parser = Parser { cursor: Cursor::new(text), notices: Vec::new() };
    parser.blank()?;
    let root = parser.object(0)?;
    parser.blank()?;
    match parser.cursor.peek() {
        None => Ok(Parsed { body: root, notices: parser.notices }),
        Some(_) => Err(parser.cursor.error("unexpected text after the end of the JSON object")),
    }
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    notices: Vec<SyntaxError>,
}

impl Parser<'_> {
    fn blank(&mut self) -> Result<(), SyntaxError> {
        self.cursor.bump_while(char::is_whitespace).map(drop)
    }

    fn object(&mut self, depth: usize) -> Result<Body, SyntaxError> {
        let at = self.cursor.position();
        check_depth(depth, at)?;
        self.cursor.bump()?;
        let mut entries = Vec::new();
        let mut seen = HashSet::new();
        loop {
            self.blank()?;
            if self.cursor.bump_if(|c| c == '}')? {
                return Ok(Body { entries });
            }
            self.entry(depth, &mut entries, &mut seen)?;
            self.blank()?;
            if !self.cursor.bump_if(|c| c == ',')? && self.cursor.peek() != Some('}') {
                return Err(self.unexpected("',' or '}'", at));
            }
        }
    }

    fn entry(
        &mut self,
        depth: usize,
        entries: &mut Vec<Entry>,
        seen: &mut HashSet<(String, bool)>,
    ) -> Result<(), SyntaxError> {
        let at = self.cursor.position();
        if self.cursor.peek() != Some('"') {
            return Err(self.unexpected("STRING", at));
        }
        let text = self.string()?;
        self.blank()?;
        if !self.cursor.bump_if(|c| c == ':')? {
            return Err(self.unexpected("':'", at));
        }
        self.blank()?;
        let Some(value) = self.value(depth + 1)? else { return Ok(()) };
        let keys = vec![Key { text, form: KeyForm::Json, at }];
        match value.kind {
            NodeKind::List(nodes) if !nodes.is_empty() && nodes.iter().all(is_object) => {
                entries.extend(nodes.into_iter().map(|value| Entry {
                    keys: keys.clone(),
                    assigned: false,
                    value,
                }));
            }
            kind => {
                let assigned = !matches!(kind, NodeKind::Object(_));
                let entry = Entry { keys, assigned, value: Node { at: value.at, kind } };
                note_duplicates(&entry, seen, &mut self.notices);
                entries.push(entry);
            }
        }
        Ok(())
    }

    /// A value; `None` for `null`.
    fn value(&mut self, depth: usize) -> Result<Option<Node>, SyntaxError> {
        let at = self.cursor.position();
        let kind = match self.cursor.peek() {
            Some('{') => NodeKind::Object(self.object(depth)?),
            Some('[') => self.list(depth)?,
            Some('"') => NodeKind::String { value: self.string()?, raw: None },
            Some(c) if c == '-' || c.is_ascii_digit() => self.number()?,
            Some(c) if c.is_ascii_alphabetic() => match self.word()? {
                "true" => NodeKind::Bool(true),
                "false" => NodeKind::Bool(false),
                "null" => return Ok(None),
                _ => return Err(SyntaxError::new(at, "expected a JSON value")),
            },
            _ => return Err(self.unexpected("a value", at)),
        };
        Ok(Some(Node { at, kind }))
    }

    fn list(&mut self, depth: usize) -> Result<NodeKind, SyntaxError> {
        let at = self.cursor.position();
        check_depth(depth, at)?;
        self.cursor.bump()?;
        let mut nodes = Vec::new();
        loop {
            self.blank()?;
            if self.cursor.bump_if(|c| c == ']')? {
                return Ok(NodeKind::List(nodes));
            }
            let here = self.cursor.position();
            let node = self.value(depth + 1)?;
            nodes.push(
                node.ok_or_else(|| SyntaxError::new(here, "unexpected token while parsing list: NULL"))?,
            );
            self.blank()?;
            if !self.cursor.bump_if(|c| c == ',')? && self.cursor.peek() != Some(']') {
                return Err(self.unexpected("',' or ']'", at));
            }
        }
    }

    fn word(&mut self) -> Result<&str, SyntaxError> {
        let start = self.cursor.offset();
        self.cursor.bump_while(|c| c.is_ascii_alphanumeric())?;
        Ok(self.cursor.since(start))
    }

    fn number(&mut self) -> Result<NodeKind, SyntaxError> {
        let (at, start) = (self.cursor.position(), self.cursor.offset());
        self.cursor.bump_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'))?;
        let text = self.cursor.since(start);
        if text.parse::<serde_json::Number>().is_err() {
            return Err(SyntaxError::new(at, "illegal number (JSON numbers have no leading zero)"));
        }
        let whole = !text.contains(['.', 'e', 'E']);
        Ok(if whole { NodeKind::Integer(text.to_owned()) } else { NodeKind::Float(text.to_owned()) })
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        let (at, start) = (self.cursor.position(), self.cursor.offset());
        self.cursor.bump()?;
        loop {
            match self.cursor.bump()? {
                None | Some('\n') => return Err(SyntaxError::new(at, "literal not terminated")),
                Some('"') => break,
                Some('\\') => self.cursor.bump().map(drop)?,
                Some(_) => {}
            }
        }
        serde_json::from_str(self.cursor.since(start))
            .map_err(|_| SyntaxError::new(at, "illegal char escape"))
    }

    fn unexpected(&self, expected: &str, opened: Position) -> SyntaxError {
        match self.cursor.peek() {
            Some(c) => self.cursor.error(&format!("expected: {expected} got: {c:?}")),
            None => SyntaxError::new(opened, format!("expected: {expected} got: EOF")),
        }
    }
}

fn is_object(node: &Node) -> bool {
    matches!(node.kind, NodeKind::Object(_))
}

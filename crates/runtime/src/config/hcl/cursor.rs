//! A walk through a text that counts lines and columns; for HCL and JSON.

use super::SyntaxError;
use super::ast::Position;

/// Walks through a text and counts lines and columns.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    offset: usize,
    line: u32,
    column: u32,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, offset: 0, line: 1, column: 1 }
    }

    /// The place of the next character.
    pub(super) fn position(&self) -> Position {
        Position { line: self.line, column: self.column }
    }

    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    pub(super) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.offset]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.text[self.offset..].chars().next()
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    /// Takes the next character; `None` at the end.
    pub(super) fn bump(&mut self) -> Result<Option<char>, SyntaxError> {
        let Some(c) = self.peek() else { return Ok(None) };
        match c {
            '\0' => return Err(self.error("unexpected null character (0x00)")),
            '\u{e123}' => return Err(self.error("unicode code point U+E123 reserved for internal use")),
            '\n' => {
                self.line += 1;
                self.column = 1;
            }
            _ => self.column += 1,
        }
        self.offset += c.len_utf8();
        Ok(Some(c))
    }

    /// Takes characters as long as they are `wanted`, and says how many.
    pub(super) fn bump_while(&mut self, wanted: impl Fn(char) -> bool) -> Result<usize, SyntaxError> {
        let mut count = 0;
        while self.peek().is_some_and(&wanted) {
            self.bump()?;
            count += 1;
        }
        Ok(count)
    }

    /// Takes the next character if it is `wanted`.
    pub(super) fn bump_if(&mut self, wanted: impl Fn(char) -> bool) -> Result<bool, SyntaxError> {
        let hit = self.peek().is_some_and(wanted);
        if hit {
            self.bump()?;
        }
        Ok(hit)
    }

    /// A problem at the next character.
    pub(super) fn error(&self, message: &str) -> SyntaxError {
        SyntaxError::new(self.position(), message)
    }
}

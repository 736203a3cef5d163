//! Reading JSON text.

use super::{Json, SyntaxError};

/// Deepest nesting that is read. Go goes to 10000; documents of ours need six.
const DEPTH_MAX: usize = 512;

type Scanned<T> = Result<T, SyntaxError>;

/// Reads one value with nothing but blanks around it.
pub(crate) fn parse(bytes: &[u8]) -> Scanned<Json> {
    let text = String::from_utf8_lossy(bytes);
    let mut scanner = Scanner { text: &text, at: 0 };
    let value = scanner.value(0)?;
    match scanner.peek_past_blanks() {
        None => Ok(value),
        Some(found) => Err(unexpected(found, "after top-level value")),
    }
}

/// Go looks at bytes: of a longer character it shows the first one, as if it were a character.
fn unexpected(found: char, context: impl Into<String>) -> SyntaxError {
    let first = found.encode_utf8(&mut [0; 4]).as_bytes()[0];
    SyntaxError::Unexpected { found: char::from(first), context: context.into() }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take(&mut self) -> Scanned<char> {
        let c = self.peek().ok_or(SyntaxError::End)?;
        self.at += c.len_utf8();
        Ok(c)
    }

    fn peek_past_blanks(&mut self) -> Option<char> {
        while let Some(' ' | '\t' | '\r' | '\n') = self.peek() {
            self.at += 1;
        }
        self.peek()
    }

    fn take_past_blanks(&mut self) -> Scanned<char> {
        self.peek_past_blanks();
        self.take()
    }

    fn value(&mut self, depth: usize) -> Scanned<Json> {
        if depth > DEPTH_MAX {
            return Err(SyntaxError::Depth);
        }
        match self.take_past_blanks()? {
            '{' => self.object(depth),
            '[' => self.list(depth),
            '"' => Ok(Json::Text(self.string()?)),
            't' => self.literal("true", Json::Bool(true)),
            'f' => self.literal("false", Json::Bool(false)),
            'n' => self.literal("null", Json::Null),
            first @ ('-' | '0'..='9') => self.number(first),
            found => Err(unexpected(found, "looking for beginning of value")),
        }
    }

    fn literal(&mut self, name: &str, value: Json) -> Scanned<Json> {
        for expected in name.chars().skip(1) {
            let found = self.take()?;
            if found != expected {
                return Err(unexpected(found, format!("in literal {name} (expecting '{expected}')")));
            }
        }
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Scanned<Json> {
        let start = self.at - 1;
        let mut members = Vec::new();
        if self.peek_past_blanks() == Some('}') {
            self.at += 1;
            return Ok(Json::Object(members, start..self.at));
        }
        loop {
            match self.take_past_blanks()? {
                '"' => {}
                found => return Err(unexpected(found, "looking for beginning of object key string")),
            }
            let name = self.string()?;
            match self.take_past_blanks()? {
                ':' => {}
                found => return Err(unexpected(found, "after object key")),
            }
            members.push((name, self.value(depth + 1)?));
            match self.take_past_blanks()? {
                ',' => {}
                '}' => return Ok(Json::Object(members, start..self.at)),
                found => return Err(unexpected(found, "after object key:value pair")),
            }
        }
    }

    fn list(&mut self, depth: usize) -> Scanned<Json> {
        let mut items = Vec::new();
        if self.peek_past_blanks() == Some(']') {
            self.at += 1;
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            match self.take_past_blanks()? {
                ',' => {}
                ']' => return Ok(Json::List(items)),
                found => return Err(unexpected(found, "after array element")),
            }
        }
    }

    fn string(&mut self) -> Scanned<String> {
        let mut text = String::new();
        loop {
            match self.take()? {
                '"' => return Ok(text),
                '\\' => text.push(self.escape()?),
                found if found < ' ' => return Err(unexpected(found, "in string literal")),
                c => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Scanned<char> {
        Ok(match self.take()? {
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            c @ ('"' | '\\' | '/') => c,
            'u' => self.unicode()?,
            found => return Err(unexpected(found, "in string escape code")),
        })
    }

    /// Half a surrogate pair becomes the replacement character.
    fn unicode(&mut self) -> Scanned<char> {
        let first = self.hex()?;
        if let Some(c) = char::from_u32(first) {
            return Ok(c);
        }
        let before = self.at;
        if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with("\\u") {
            self.at += 2;
            let second = self.hex()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = before;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self) -> Scanned<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let found = self.take()?;
            let digit = found.to_digit(16);
            code =
                code * 16 + digit.ok_or_else(|| unexpected(found, "in \\u hexadecimal character escape"))?;
        }
        Ok(code)
    }

    fn number(&mut self, first: char) -> Scanned<Json> {
        let start = self.at - 1;
        let lead = if first == '-' { self.digit("in numeric literal")? } else { first };
        if lead != '0' {
            self.digits();
        }
        if self.peek() == Some('.') {
            self.at += 1;
            self.digit("after decimal point in numeric literal")?;
            self.digits();
        }
        if let Some('e' | 'E') = self.peek() {
            self.at += 1;
            if let Some('+' | '-') = self.peek() {
                self.at += 1;
            }
            self.digit("in exponent of numeric literal")?;
            self.digits();
        }
        Ok(Json::Number(self.text[start..self.at].to_owned()))
    }

    fn digit(&mut self, context: &str) -> Scanned<char> {
        match self.take()? {
            digit @ '0'..='9' => Ok(digit),
            found => Err(unexpected(found, context)),
        }
    }

    fn digits(&mut self) {
        while let Some('0'..='9') = self.peek() {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        assert_eq!(parse(text.as_bytes()).unwrap_err().to_string(), expected);
    }

    #[test]
    fn errors_as_in_go() {
        check_error("", "unexpected end of JSON input");
        check_error("{", "unexpected end of JSON input");
        check_error("nonsense", "invalid character 'o' in literal null (expecting 'u')");
        check_error("x", "invalid character 'x' looking for beginning of value");
        check_error("garbage", "invalid character 'g' looking for beginning of value");
        check_error("{} x", "invalid character 'x' after top-level value");
        check_error("{x", "invalid character 'x' looking for beginning of object key string");
        check_error("{\"a\" 1}", "invalid character '1' after object key");
        check_error("{\"a\":1 2", "invalid character '2' after object key:value pair");
        check_error("[1 2]", "invalid character '2' after array element");
        check_error("[1,]", "invalid character ']' looking for beginning of value");
        check_error("\"a\nb\"", "invalid character '\\n' in string literal");
        check_error("\"\\q\"", "invalid character 'q' in string escape code");
        check_error("\"\\u12x\"", "invalid character 'x' in \\u hexadecimal character escape");
        check_error("-x", "invalid character 'x' in numeric literal");
        check_error("1.x", "invalid character 'x' after decimal point in numeric literal");
        check_error("1ex", "invalid character 'x' in exponent of numeric literal");
        check_error("01", "invalid character '1' after top-level value");
        check_error("\u{feff}{}", "invalid character 'ï' looking for beginning of value");
        check_error("'", r"invalid character '\'' looking for beginning of value");
        check_error(&"[".repeat(600), "exceeded max depth");
    }

    #[test]
    fn values() {
        let text = r#" {"a": [1, -2.5e3, true, null], "b": "x\u00e9\ud83d\ude00\ud800\/"} "#;
        let expected = vec![
            (
                "a".to_owned(),
                Json::List(vec![
                    Json::Number("1".to_owned()),
                    Json::Number("-2.5e3".to_owned()),
                    Json::Bool(true),
                    Json::Null,
                ]),
            ),
            ("b".to_owned(), Json::Text("xé😀\u{fffd}/".to_owned())),
        ];
        assert_eq!(parse(text.as_bytes()), Ok(Json::Object(expected, 1..text.len() - 1)));
    }
}

//! PEM (RFC 7468), read with the tolerance and written with the layout of Go's `encoding/pem`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Most blocks that are read from one text.
const BLOCKS_MAX: usize = 10_000;
/// Characters of base64 in a line.
const LINE: usize = 64;
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// A labelled block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemBlock {
    /// For example `CERTIFICATE`.
    pub label: String,
    /// The content.
    pub der: Vec<u8>,
}

/// All blocks of a text. As when Go's `pem.Decode` is called again and again, text between blocks and
/// malformed blocks are passed over, and so are headers within a block.
pub fn decode_all(text: &[u8]) -> Vec<PemBlock> {
    let mut blocks = Vec::new();
    let mut lines = Lines { rest: text };
    while blocks.len() < BLOCKS_MAX {
        let Some(line) = lines.next() else { break };
        let Some(label) = label_of(line, BEGIN) else { continue };
        let after_begin = lines;
        match read_body(&mut lines, label) {
            Some(der) => blocks.push(PemBlock { label: label.to_owned(), der }),
            None => lines = after_begin,
        }
    }
    blocks
}

/// Writes one block, with a line feed at its end.
pub fn encode(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = String::with_capacity(body.len() + body.len() / LINE + 2 * label.len() + 40);
    text.push_str(&format!("{BEGIN}{label}{DASHES}\n"));
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("{END}{label}{DASHES}\n"));
    text
}

/// The lines of a text without their ends and without blanks at their ends.
#[derive(Clone, Copy)]
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        Some(line.trim_ascii_end())
    }
}

/// The label of a `BEGIN` or `END` line.
fn label_of<'a>(line: &'a [u8], start: &str) -> Option<&'a str> {
    let label = line.strip_prefix(start.as_bytes())?.strip_suffix(DASHES.as_bytes())?;
    std::str::from_utf8(label).ok()
}

/// The content up to the matching `END` line; nothing if there is none or the content is not base64.
fn read_body(lines: &mut Lines<'_>, label: &str) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let mut in_headers = true;
    loop {
        let line = lines.next()?;
        if line.starts_with(END.as_bytes()) {
            return if label_of(line, END)? == label { STANDARD.decode(&body).ok() } else { None };
        }
        if line.starts_with(BEGIN.as_bytes()) {
            return None;
        }
        in_headers = in_headers && (line.contains(&b':') || body.is_empty() && line.is_empty());
        if !in_headers {
            body.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::testdata;
    use proptest::prelude::*;

    fn labels(text: &str) -> Vec<(String, usize)> {
        decode_all(text.as_bytes()).into_iter().map(|block| (block.label, block.der.len())).collect()
    }

    #[test]
    fn what_go_writes_is_written() {
        for name in ["spire-root", "spire-svid-key", "csr-empty"] {
            let text = testdata::text(name);
            let blocks = decode_all(text.as_bytes());
            assert_eq!(blocks.len(), 1);
            assert_eq!(encode(&blocks[0].label, &blocks[0].der), text);
        }
        assert_eq!(encode("X", &[]), "-----BEGIN X-----\n-----END X-----\n");
    }

    #[test]
    fn what_go_passes_over_is_passed_over() {
        let a = |n: usize| ("A".to_owned(), n);
        assert_eq!(labels(""), []);
        assert_eq!(labels("text\n-----BEGIN A-----\nAAAA\n-----END A-----\nmore\n"), [a(3)]);
        assert_eq!(labels("-----BEGIN A-----\r\nAAAA\r\n-----END A-----\r\n"), [a(3)]);
        assert_eq!(labels("-----BEGIN A-----\nK: v\nL: w\n\nAAAA\n-----END A-----"), [a(3)]);
        assert_eq!(
            labels("-----BEGIN A-----\nAA\nAA\n-----END A-----\n-----BEGIN A-----\n-----END A-----\n"),
            [a(3), a(0)]
        );
        assert_eq!(
            labels("-----BEGIN B-----\nAAAA\n-----END A-----\n-----BEGIN A-----\nAAAA\n-----END A-----\n"),
            [a(3)]
        );
        assert_eq!(labels("-----BEGIN B-----\nA\n-----BEGIN A-----\nAAAA\n-----END A-----\n"), [a(3)]);
        assert_eq!(
            labels("-----BEGIN B-----\n!!!!\n-----END B-----\n-----BEGIN A-----\nAAAA\n-----END A-----\n"),
            [a(3)]
        );
        assert_eq!(labels("-----BEGIN A-----\nAAAA\n"), []);
        assert_eq!(labels(" -----BEGIN A-----\nAAAA\n-----END A-----\n"), []);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(blocks in proptest::collection::vec(("[A-Z][A-Z ]{0,20}", proptest::collection::vec(any::<u8>(), 0..300)), 0..4)) {
            let text: String = blocks.iter().map(|(label, der)| encode(label, der)).collect();
            let expected: Vec<_> = blocks.into_iter().map(|(label, der)| PemBlock { label, der }).collect();
            prop_assert_eq!(decode_all(text.as_bytes()), expected);
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "(-----(BEGIN|END) ?[AB]?(-----)?|[A-Za-z:=\n ]){0,40}") {
            let _ = decode_all(&bytes);
            let _ = decode_all(text.as_bytes());
        }
    }
}

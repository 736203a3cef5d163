//! A tree back to HCL text with the same meaning.

use super::ast::{Body, Entry, Key, KeyForm, Node, NodeKind};
use super::strings::quote;

pub(super) fn print(body: &Body) -> String {
    let mut out = String::new();
    entries(&mut out, body, 0);
    out
}

fn entries(out: &mut String, body: &Body, indent: usize) {
    for entry in &body.entries {
        self::indent(out, indent);
        self::entry(out, entry, indent);
        out.push('\n');
    }
}

fn entry(out: &mut String, entry: &Entry, indent: usize) {
    for key in &entry.keys {
        self::key(out, key);
        out.push(' ');
    }
    if entry.assigned {
        out.push_str("= ");
    }
    node(out, &entry.value, indent);
}

fn key(out: &mut String, key: &Key) {
    if key.form != KeyForm::Quoted && is_identifier(&key.text) {
        out.push_str(&key.text);
    } else {
        out.push_str(&quote(&key.text));
    }
}

fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    first
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        && !matches!(text, "true" | "false")
}

fn node(out: &mut String, node: &Node, indent: usize) {
    match &node.kind {
        NodeKind::String { raw: Some(raw), .. } => out.push_str(raw),
        NodeKind::String { value, raw: None } => out.push_str(&quote(value)),
        NodeKind::Integer(text) | NodeKind::Float(text) => out.push_str(text),
        NodeKind::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        NodeKind::List(nodes) => {
            out.push('[');
            for (index, item) in nodes.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                self::node(out, item, indent);
            }
            out.push(']');
        }
        NodeKind::Object(body) if body.entries.is_empty() => out.push_str("{}"),
        NodeKind::Object(body) => {
            out.push_str("{\n");
            entries(out, body, indent + 1);
            self::indent(out, indent);
            out.push('}');
        }
    }
}

fn indent(out: &mut String, indent: usize) {
    for _ in 0..indent {
        out.push_str("  ");
    }
}

//! JSON text as Go's encoders write it.

use serde_json::{Number, Value};
use std::fmt::Write;

/// As `encoding/json`: no blanks, keys in order, `<`, `>` and `&` escaped.
pub(crate) fn write_compact(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, Style { separator: ",", is_html_safe: true });
    text
}

/// As `protojson` in one line: a blank after each comma, nothing escaped for HTML.
pub(crate) fn write_protobuf_line(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, Style { separator: ", ", is_html_safe: false });
    text
}

#[derive(Clone, Copy)]
struct Style {
    separator: &'static str,
    is_html_safe: bool,
}

fn write(out: &mut String, value: &Value, style: Style) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_string(out, text, style),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(style.separator);
                }
                write(out, item, style);
            }
            out.push(']');
        }
        Value::Object(members) => {
            // The map may keep the order of insertion, if some crate asks serde_json for that.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (index, (key, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push_str(style.separator);
                }
                write_string(out, key, style);
                out.push(':');
                write(out, member, style);
            }
            out.push('}');
        }
    }
}

/// Whole numbers without a fraction; very large and very small ones with an exponent of at least one digit.
fn write_number(out: &mut String, number: &Number) {
    let float = match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(_), _, _) | (_, Some(_), _) | (_, _, None) => {
            out.push_str(&number.to_string());
            return;
        }
        (None, None, Some(float)) => float,
    };
    let size = float.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{float:e}");
        out.push_str(&if text.contains("e-") { text } else { text.replace('e', "e+") });
    } else {
        out.push_str(&float.to_string());
    }
}

fn write_string(out: &mut String, text: &str, style: Style) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' => push_escape(out, c),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' if style.is_html_safe => push_escape(out, c),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn push_escape(out: &mut String, c: char) {
    // Writing to a `String` cannot fail.
    let _ = write!(out, "\\u{:04x}", u32::from(c));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn compact() {
        let value = json!({"z": [1, 2.5, 1795466076.0, 1e21, 1e-7, null], "a": "<&>\u{2028}\u{1}\u{7f}é"});
        assert_eq!(
            write_compact(&value),
            "{\"a\":\"\\u003c\\u0026\\u003e\\u2028\\u0001\u{7f}é\",\"z\":[1,2.5,1795466076,1e+21,1e-7,null]}"
        );
    }

    #[test]
    fn protobuf_line() {
        let value = json!({"aud": ["a", "b"], "exp": 1795466076.0, "sub": "<"});
        assert_eq!(write_protobuf_line(&value), r#"{"aud":["a", "b"], "exp":1795466076, "sub":"<"}"#);
    }
}

//! JSON that is read strictly and written as Go writes it.
//!
//! Reading: an object with the same member twice is refused at every level, because two readers that
//! pick different ones would see two different tokens (RFC 7515 §4, RFC 7519 §4); depth is bounded,
//! and nothing may follow the value. Writing: `&`, `<` and `>` are escaped, so that what we sign and
//! publish is byte for byte what SPIRE does.

use super::error::clipped;
use serde::Serialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Number, Value};
use std::fmt;

/// Deepest nesting that is read. Claims travel on as `google.protobuf.Struct`, which takes three
/// messages for each level where readers give up after a hundred.
pub const DEPTH_MAX: u8 = 32;

/// Why a text was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

/// Reads one JSON value and nothing after it.
pub fn read(text: &[u8]) -> Result<Value, JsonError> {
    let mut input = serde_json::Deserializer::from_slice(text);
    let value = Strict { levels: DEPTH_MAX }.deserialize(&mut input);
    let value = value.and_then(|value| input.end().map(|()| value));
    value.map_err(|error| JsonError(go_text(&error, text)))
}

/// Reads one JSON object and nothing after it. `go_type` is what SPIRE reads it into and says in its
/// refusal of anything else.
pub fn read_object(text: &[u8], go_type: &str) -> Result<Map<String, Value>, JsonError> {
    match read(text)? {
        Value::Object(members) => Ok(members),
        other => Err(JsonError(wrong_type(&other, go_type))),
    }
}

/// Go's text for a value of the wrong type.
pub(super) fn wrong_type(found: &Value, go_type: &str) -> String {
    let kind = match found {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("json: cannot unmarshal {kind} into Go value of type {go_type}")
}

/// Go's text for what is most often wrong; serde's, with the position, for the rest.
fn go_text(error: &serde_json::Error, text: &[u8]) -> String {
    let serde_text = error.to_string();
    let line = text.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1));
    let found = line.and_then(|line| line.get(error.column().checked_sub(1)?));
    match (error.classify(), found.filter(|found| found.is_ascii())) {
        (Category::Eof, _) => "unexpected end of JSON input".to_owned(),
        (Category::Data, _) => {
            format!("json: {}", serde_text.rsplit_once(" at line ").map_or(&*serde_text, |(what, _)| what))
        }
        (_, Some(&found)) if serde_text.starts_with("expected value") => {
            format!("invalid character {:?} looking for beginning of value", char::from(found))
        }
        (_, Some(&found)) if serde_text.starts_with("trailing characters") => {
            format!("invalid character {:?} after top-level value", char::from(found))
        }
        _ => format!("json: {serde_text}"),
    }
}

struct Strict {
    levels: u8,
}

impl Strict {
    fn inner<E: de::Error>(&self) -> Result<Self, E> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { levels })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = input.next_element_seed(self.inner()?)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = input.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(de::Error::custom(format_args!("duplicate key '{}' in object", clipped(&name))));
            }
            let value = input.next_value_seed(self.inner()?)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

/// Writes without blanks, as Go's `json.Marshal`.
pub(crate) fn write_compact(value: &impl Serialize) -> String {
    go_escapes(serde_json::to_string(value).expect("plain structs with text keys always serialize"))
}

/// Writes with four blanks a level, as Go's `json.MarshalIndent` in SPIRE.
pub(crate) fn write_indented(value: &impl Serialize) -> String {
    let mut out = Vec::new();
    let style = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut out, style);
    value.serialize(&mut writer).expect("plain structs with text keys always serialize");
    go_escapes(String::from_utf8(out).expect("serde_json writes UTF-8"))
}

/// These characters can only stand inside texts, so they may be replaced in the finished document.
fn go_escapes(json: String) -> String {
    const SPECIAL: [char; 5] = ['&', '<', '>', '\u{2028}', '\u{2029}'];
    if !json.contains(SPECIAL) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match c {
            c if SPECIAL.contains(&c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn plain_json_is_read_as_it_stands() {
        let text = br#" {"a":[1,-2,2.5,18446744073709551615,true,null,"\u00e4\"x"],"b":{"a":{}}} "#;
        let want = json!({"a": [1, -2, 2.5, u64::MAX, true, null, "ä\"x"], "b": {"a": {}}});
        assert_eq!(read(text).unwrap(), want);
    }

    #[test]
    fn duplicate_members_are_refused_at_every_level() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"[[{"x":{"a":1,"b":2,"a":3}}]]"#] {
            let error = read(text.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), "json: duplicate key 'a' in object", "{text}");
        }
        assert!(read(br#"{"a":1,"A":2}"#).is_ok(), "names differ in case");
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let deepest = usize::from(DEPTH_MAX);
        assert!(read(nested(deepest).as_bytes()).is_ok());
        assert!(read(nested(deepest + 1).as_bytes()).is_err());
        assert!(read("[".repeat(1 << 20).as_bytes()).is_err());
        assert!(read("{\"a\":".repeat(1 << 20).as_bytes()).is_err());
    }

    #[test]
    fn what_is_not_one_value_is_refused() {
        for text in
            ["", " ", "{} x", "{}{}", "{}\0", "\u{feff}{}", "{a:1}", "{\"a\":1,}", "nul", "1e999", "'a'"]
        {
            assert!(read(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(read(b"\"\xff\"").is_err());
        for text in ["[]", "\"x\"", "null", "1"] {
            assert!(read_object(text.as_bytes(), "x").is_err(), "{text}");
        }
    }

    #[test]
    fn refused_in_the_words_of_go() {
        let refused = |text: &str| read_object(text.as_bytes(), "jwt.Claims").unwrap_err().to_string();
        assert_eq!(refused(""), "unexpected end of JSON input");
        assert_eq!(refused("{\"a\":"), "unexpected end of JSON input");
        assert_eq!(refused("x"), "invalid character 'x' looking for beginning of value");
        assert_eq!(refused("{\n \"a\": g}"), "invalid character 'g' looking for beginning of value");
        assert_eq!(refused("{}\n x"), "invalid character 'x' after top-level value");
        assert_eq!(refused("[]"), "json: cannot unmarshal array into Go value of type jwt.Claims");
    }

    #[test]
    fn written_as_go_does() {
        let value = json!({"b": "<a>&\u{2028}\u{2029}", "a": [], "c": {}});
        let escaped = r#""\u003ca\u003e\u0026\u2028\u2029""#;
        assert_eq!(write_compact(&value), format!(r#"{{"a":[],"b":{escaped},"c":{{}}}}"#));
        assert_eq!(
            write_indented(&value),
            format!("{{\n    \"a\": [],\n    \"b\": {escaped},\n    \"c\": {{}}\n}}")
        );
        assert_eq!(read(write_compact(&value).as_bytes()).unwrap(), value);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }

        #[test]
        fn agrees_with_serde_json_or_refuses(text in r#"[\[\]\{\}",:a1e\.\-\\u0 ]{0,40}"#) {
            if let Ok(value) = read(text.as_bytes()) {
                prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
            }
        }
    }
}

//! From JSON to Go's types, with Go's type errors.

use super::Json;

/// Where a value goes: the innermost structure, the path of members from the outermost, and Go's type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Nothing for the document itself.
    pub(crate) field: Option<(&'a str, &'a str)>,
    /// As Go prints it.
    pub(crate) go_type: &'a str,
}

/// Reads values, passing over those of the wrong kind. As in Go, the first of these is what is told at the end.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    first_error: Option<String>,
}

impl Decoder {
    /// What was read, if nothing was of the wrong kind.
    pub(crate) fn finish<T>(self, read: T) -> Result<T, String> {
        match self.first_error {
            None => Ok(read),
            Some(error) => Err(error),
        }
    }

    fn refuse(&mut self, value: &Json, place: Place<'_>) {
        let what = match value {
            Json::Null => "null".to_owned(),
            Json::Bool(_) => "bool".to_owned(),
            Json::Number(_) => "number".to_owned(),
            Json::Text(_) => "string".to_owned(),
            Json::List(_) => "array".to_owned(),
            Json::Object(..) => "object".to_owned(),
        };
        self.refuse_as(&what, place);
    }

    fn refuse_as(&mut self, what: &str, place: Place<'_>) {
        let Place { field, go_type } = place;
        self.first_error.get_or_insert_with(|| match field {
            None => format!("json: cannot unmarshal {what} into Go value of type {go_type}"),
            Some((structure, path)) => {
                format!(
                    "json: cannot unmarshal {what} into Go struct field {structure}.{path} of type {go_type}"
                )
            }
        });
    }

    /// The members of an object; none of anything else.
    pub(crate) fn members<'j>(&mut self, value: &'j Json, place: Place<'_>) -> &'j [(String, Json)] {
        match value {
            Json::Object(members, _) => members,
            Json::Null => &[],
            other => {
                self.refuse(other, place);
                &[]
            }
        }
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items<'j>(&mut self, value: &'j Json, place: Place<'_>) -> &'j [Json] {
        match value {
            Json::List(items) => items,
            Json::Null => &[],
            other => {
                self.refuse(other, place);
                &[]
            }
        }
    }

    /// A text into its place.
    pub(crate) fn text(&mut self, into: &mut String, value: &Json, place: Place<'_>) {
        match value {
            Json::Text(text) => into.clone_from(text),
            Json::Null => {}
            other => self.refuse(other, place),
        }
    }

    /// A truth value into its place.
    pub(crate) fn bool(&mut self, into: &mut bool, value: &Json, place: Place<'_>) {
        match value {
            Json::Bool(truth) => *into = *truth,
            Json::Null => {}
            other => self.refuse(other, place),
        }
    }

    /// A whole number into its place, if it fits.
    pub(crate) fn integer<T: std::str::FromStr>(&mut self, into: &mut T, value: &Json, place: Place<'_>) {
        match value {
            Json::Number(text) => match text.parse() {
                Ok(number) => *into = number,
                Err(_) => self.refuse_as(&format!("number {text}"), place),
            },
            Json::Null => {}
            other => self.refuse(other, place),
        }
    }

    /// Texts into their place.
    pub(crate) fn texts(&mut self, into: &mut Vec<String>, value: &Json, place: Place<'_>) {
        *into = Vec::new();
        for item in self.items(value, place) {
            let mut text = String::new();
            self.text(&mut text, item, Place { go_type: "string", ..place });
            into.push(text);
        }
    }
}

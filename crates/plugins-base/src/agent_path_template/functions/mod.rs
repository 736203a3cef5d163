//! The functions of templates: what there is, how many arguments it takes, and what SPIRE has beyond.

mod lists;
mod logic;
mod print;
mod regexes;
mod texts;

use super::Value;
use super::parse::{Base, Operand};
use std::ops::RangeInclusive;

/// What a function gives; the text of an error without its name.
type Outcome = Result<Value, String>;

/// Longest text or list that a function makes.
const RESULT_MAX: usize = 1 << 16;

/// For functions that take any number of arguments.
const MANY: usize = usize::MAX;

/// A function of templates.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    arguments: RangeInclusive<usize>,
    run: fn(Vec<Value>) -> Outcome,
    /// Where the function takes a regular expression first, it is checked when the template is read.
    takes_regex: bool,
    /// `and` and `or` stop at the first argument of this truth.
    settled_by: Option<bool>,
}

impl Function {
    const fn new(
        name: &'static str,
        arguments: RangeInclusive<usize>,
        run: fn(Vec<Value>) -> Outcome,
    ) -> Self {
        Self { name, arguments, run, takes_regex: false, settled_by: None }
    }

    /// Checks a call as far as it is known before there are data.
    pub(super) fn check_call(&self, arguments: &[Operand], is_piped: bool) -> Result<(), String> {
        let count = arguments.len() + usize::from(is_piped);
        if !self.arguments.contains(&count) {
            let (least, most) = (*self.arguments.start(), *self.arguments.end());
            let wanted = match most {
                MANY => format!("at least {least}"),
                _ if least == most => least.to_string(),
                _ => format!("{least} to {most}"),
            };
            return Err(format!("wrong number of args for {}: want {wanted} got {count}", self.name));
        }
        match arguments.first().map(|first| &first.base) {
            Some(Base::Literal(Value::Text(pattern))) if self.takes_regex => {
                regexes::compile(pattern).map(|_| ()).map_err(|text| format!("{}: {text}", self.name))
            }
            _ => Ok(()),
        }
    }

    /// Whether the arguments after this one do not matter.
    pub(super) fn is_settled_by(&self, argument: &Value) -> bool {
        self.settled_by == Some(argument.is_true())
    }

    /// Calls it. The number of arguments has been checked.
    pub(super) fn call(&self, arguments: Vec<Value>) -> Outcome {
        (self.run)(arguments)
    }
}

/// The function of that name, or why there is none.
pub(super) fn find(name: &str) -> Result<&'static Function, String> {
    // sprig's `must…` differ by returning errors, which all functions do here.
    let plain = match name.strip_prefix("must") {
        Some(rest) if MUST.contains(&name) => {
            let mut letters = rest.chars();
            letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
        }
        _ => name.to_owned(),
    };
    let tables = [logic::FUNCTIONS, print::FUNCTIONS, texts::FUNCTIONS, lists::FUNCTIONS, regexes::FUNCTIONS];
    match tables.into_iter().flatten().find(|function| function.name == plain) {
        Some(function) => Ok(function),
        None if UNSUPPORTED.contains(&name) => {
            Err(format!("function {name:?} of SPIRE is not supported in agent path templates by Finial"))
        }
        None => Err(format!("function {name:?} not defined")),
    }
}

const MUST: &[&str] = &[
    "mustAppend",
    "mustCompact",
    "mustFirst",
    "mustHas",
    "mustInitial",
    "mustLast",
    "mustPrepend",
    "mustPush",
    "mustRegexFind",
    "mustRegexFindAll",
    "mustRegexMatch",
    "mustRegexReplaceAll",
    "mustRegexReplaceAllLiteral",
    "mustRegexSplit",
    "mustRest",
    "mustReverse",
    "mustSlice",
    "mustUniq",
    "mustWithout",
];

/// What SPIRE's templates have beyond: changing maps, making many lines, words whose rules are a library's own.
const UNSUPPORTED: &[&str] = &[
    "abbrev",
    "abbrevboth",
    "b32dec",
    "b32enc",
    "call",
    "camelcase",
    "chunk",
    "dig",
    "html",
    "indent",
    "initials",
    "js",
    "kebabcase",
    "merge",
    "mergeOverwrite",
    "mustChunk",
    "mustMerge",
    "mustMergeOverwrite",
    "nindent",
    "omit",
    "pick",
    "pluck",
    "seq",
    "set",
    "snakecase",
    "swapcase",
    "unset",
    "urlJoin",
    "urlParse",
    "urlquery",
    "wrap",
    "wrapWith",
];

/// Takes the arguments one by one, as the types that a function wants.
struct Arguments(std::vec::IntoIter<Value>);

impl Arguments {
    fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    fn value(&mut self) -> Value {
        self.0.next().unwrap_or(Value::Nil)
    }

    fn text(&mut self) -> Result<String, String> {
        match self.value() {
            Value::Text(text) => Ok(text),
            other => Err(mismatch("string", &other)),
        }
    }

    fn int(&mut self) -> Result<i64, String> {
        match self.value() {
            Value::Int(number) => Ok(number),
            other => Err(mismatch("int", &other)),
        }
    }

    fn list(&mut self) -> Result<Vec<Value>, String> {
        match self.value() {
            Value::List(list) => Ok(list),
            other => Err(mismatch("list", &other)),
        }
    }

    fn rest(self) -> Vec<Value> {
        self.0.collect()
    }
}

fn mismatch(wanted: &str, got: &Value) -> String {
    format!("wrong type for value; expected {wanted}; got {}", got.kind())
}

fn text(text: impl Into<String>) -> Outcome {
    Ok(Value::Text(text.into()))
}

//! Truth, comparison, choice and look-up: Go's `and or not eq ne lt le gt ge len index`, and sprig's `default
//! empty coalesce ternary all any fail uuidv4`.

use super::{Arguments, Function, MANY, Outcome, mismatch, text};
use crate::agent_path_template::Value;
use std::cmp::Ordering;

pub(super) const FUNCTIONS: &[Function] = &[
    Function { settled_by: Some(false), ..Function::new("and", 1..=MANY, last_of) },
    Function { settled_by: Some(true), ..Function::new("or", 1..=MANY, last_of) },
    Function::new("not", 1..=1, |values| Ok(Value::Bool(!Arguments::new(values).value().is_true()))),
    Function::new("eq", 2..=MANY, eq),
    Function::new("ne", 2..=2, |values| {
        let mut arguments = Arguments::new(values);
        Ok(Value::Bool(!equal(&arguments.value(), &arguments.value())?))
    }),
    Function::new("lt", 2..=2, |values| ordered(values, Ordering::is_lt)),
    Function::new("le", 2..=2, |values| ordered(values, Ordering::is_le)),
    Function::new("gt", 2..=2, |values| ordered(values, Ordering::is_gt)),
    Function::new("ge", 2..=2, |values| ordered(values, Ordering::is_ge)),
    Function::new("len", 1..=1, len),
    Function::new("index", 1..=MANY, index),
    Function::new("default", 1..=MANY, default),
    Function::new("empty", 1..=1, |values| Ok(Value::Bool(!Arguments::new(values).value().is_true()))),
    Function::new("coalesce", 0..=MANY, |values| {
        Ok(values.into_iter().find(Value::is_true).unwrap_or(Value::Nil))
    }),
    Function::new("all", 0..=MANY, |values| Ok(Value::Bool(values.iter().all(Value::is_true)))),
    Function::new("any", 0..=MANY, |values| Ok(Value::Bool(values.iter().any(Value::is_true)))),
    Function::new("ternary", 3..=3, ternary),
    Function::new("fail", 1..=1, |values| Err(Arguments::new(values).text()?)),
    Function::new("uuidv4", 0..=0, |_| text(uuid::Uuid::new_v4().to_string())),
];

/// `and` and `or`, when no argument before the last decided.
fn last_of(values: Vec<Value>) -> Outcome {
    Ok(values.into_iter().next_back().unwrap_or(Value::Nil))
}

fn eq(values: Vec<Value>) -> Outcome {
    let mut arguments = Arguments::new(values);
    let first = arguments.value();
    for other in arguments.rest() {
        if equal(&first, &other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a), Value::Int(b)) => Ok(a == b),
        (Value::Text(a), Value::Text(b)) => Ok(a == b),
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        _ => Err("incompatible types for comparison".into()),
    }
}

fn ordered(values: Vec<Value>, holds: fn(Ordering) -> bool) -> Outcome {
    let mut arguments = Arguments::new(values);
    match (arguments.value(), arguments.value()) {
        (Value::Int(a), Value::Int(b)) => Ok(Value::Bool(holds(a.cmp(&b)))),
        (Value::Text(a), Value::Text(b)) => Ok(Value::Bool(holds(a.cmp(&b)))),
        _ => Err("incompatible types for comparison".into()),
    }
}

fn len(values: Vec<Value>) -> Outcome {
    let length = match Arguments::new(values).value() {
        Value::Text(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        other => return Err(format!("len of type {}", other.kind())),
    };
    i64::try_from(length).map(Value::Int).map_err(|_| "too long".into())
}

/// An entry that a map does not have is empty, as for Go's `map[string]string`.
fn index(values: Vec<Value>) -> Outcome {
    let mut arguments = Arguments::new(values);
    let mut value = arguments.value();
    for key in arguments.rest() {
        value = match (value, key) {
            (Value::List(list), Value::Int(at)) => {
                let element = usize::try_from(at).ok().and_then(|at| list.into_iter().nth(at));
                element.ok_or_else(|| format!("index out of range: {at}"))?
            }
            (Value::Map(mut map), Value::Text(key)) => map.remove(&key).unwrap_or_else(|| Value::from("")),
            (Value::Text(text), Value::Int(at)) => {
                let byte = usize::try_from(at).ok().and_then(|at| text.as_bytes().get(at).copied());
                byte.map(|byte| Value::Int(byte.into())).ok_or_else(|| format!("index out of range: {at}"))?
            }
            (value @ (Value::List(_) | Value::Map(_) | Value::Text(_)), key) => {
                return Err(format!("cannot index {} with {}", value.kind(), key.kind()));
            }
            (other, _) => return Err(format!("can't index item of type {}", other.kind())),
        };
    }
    Ok(value)
}

fn default(values: Vec<Value>) -> Outcome {
    let mut arguments = Arguments::new(values);
    let (default, given) = (arguments.value(), arguments.value());
    Ok(if given.is_true() { given } else { default })
}

fn ternary(values: Vec<Value>) -> Outcome {
    let mut arguments = Arguments::new(values);
    let (yes, no) = (arguments.value(), arguments.value());
    match arguments.value() {
        Value::Bool(holds) => Ok(if holds { yes } else { no }),
        other => Err(mismatch("bool", &other)),
    }
}

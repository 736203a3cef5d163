//! sprig's functions on lists and maps. None changes its argument.

use super::{Arguments, Function, MANY, Outcome, mismatch};
use crate::agent_path_template::Value;
use std::collections::BTreeMap;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("list", 0..=MANY, |values| Ok(Value::List(values))),
    Function::new("tuple", 0..=MANY, |values| Ok(Value::List(values))),
    Function::new("first", 1..=1, |values| end(values, |list| list.into_iter().next())),
    Function::new("last", 1..=1, |values| end(values, |list| list.into_iter().next_back())),
    Function::new("rest", 1..=1, |values| part(values, |list| list.into_iter().skip(1).collect())),
    Function::new("initial", 1..=1, |values| {
        part(values, |mut list| {
            list.pop();
            list
        })
    }),
    Function::new("reverse", 1..=1, |values| part(values, |list| list.into_iter().rev().collect())),
    Function::new("compact", 1..=1, |values| {
        part(values, |list| list.into_iter().filter(Value::is_true).collect())
    }),
    Function::new("uniq", 1..=1, |values| part(values, uniq)),
    Function::new("sortAlpha", 1..=1, sort_alpha),
    Function::new("toStrings", 1..=1, |values| part(values, texts)),
    Function::new("append", 2..=2, append),
    Function::new("push", 2..=2, append),
    Function::new("prepend", 2..=2, prepend),
    Function::new("concat", 0..=MANY, concat),
    Function::new("without", 1..=MANY, without),
    Function::new("has", 2..=2, has),
    Function::new("slice", 1..=3, slice),
    Function::new("dict", 0..=MANY, dict),
    Function::new("get", 2..=2, get),
    Function::new("hasKey", 2..=2, has_key),
    Function::new("keys", 1..=1, |values| Ok(Value::texts(map(&mut Arguments::new(values))?.into_keys()))),
    Function::new("values", 1..=1, |values| {
        Ok(Value::List(map(&mut Arguments::new(values))?.into_values().collect()))
    }),
];

fn end(values: Vec<Value>, take: impl Fn(Vec<Value>) -> Option<Value>) -> Outcome {
    Ok(take(Arguments::new(values).list()?).unwrap_or(Value::Nil))
}

fn part(values: Vec<Value>, make: impl Fn(Vec<Value>) -> Vec<Value>) -> Outcome {
    Ok(Value::List(make(Arguments::new(values).list()?)))
}

fn uniq(list: Vec<Value>) -> Vec<Value> {
    let mut kept: Vec<Value> = Vec::with_capacity(list.len());
    for value in list {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}

fn texts(list: Vec<Value>) -> Vec<Value> {
    list.into_iter().filter(|value| *value != Value::Nil).map(|value| Value::Text(value.to_text())).collect()
}

fn sort_alpha(values: Vec<Value>) -> Outcome {
    let list = match Arguments::new(values).value() {
        Value::List(list) => list,
        other => vec![other],
    };
    let mut sorted: Vec<String> =
        list.iter().filter(|value| **value != Value::Nil).map(Value::to_text).collect();
    sorted.sort_unstable();
    Ok(Value::texts(sorted))
}

fn append(values: Vec<Value>) -> Outcome {
    let mut arguments = Arguments::new(values);
    let mut list = arguments.list()?;
    list.push(arguments.value());
    Ok(Value::List(list))
}

fn prepend(values: Vec<Value>) -> Outcome {
    let mut arguments = Arguments::new(values);
    let mut list = arguments.list()?;
    list.insert(0, arguments.value());
    Ok(Value::List(list))
}

fn concat(values: Vec<Value>) -> Outcome {
    let mut all = Vec::new();
    for value in values {
        match value {
            Value::List(list) => all.extend(list),
            other => return Err(mismatch("list", &other)),
        }
    }
    Ok(Value::List(all))
}

fn without(values: Vec<Value>) -> Outcome {
    let mut arguments = Arguments::new(values);
    let list = arguments.list()?;
    let omitted = arguments.rest();
    Ok(Value::List(list.into_iter().filter(|value| !omitted.contains(value)).collect()))
}

fn has(values: Vec<Value>) -> Outcome {
    let mut arguments = Arguments::new(values);
    let wanted = arguments.value();
    match arguments.value() {
        Value::Nil => Ok(Value::Bool(false)),
        Value::List(list) => Ok(Value::Bool(list.contains(&wanted))),
        other => Err(mismatch("list", &other)),
    }
}

/// sprig's `slice list [start [end]]`.
fn slice(values: Vec<Value>) -> Outcome {
    let count = values.len();
    let mut arguments = Arguments::new(values);
    let list = arguments.list()?;
    if list.is_empty() {
        return Ok(Value::Nil);
    }
    let start = if count > 1 { arguments.int()? } else { 0 };
    let end = if count > 2 { Some(arguments.int()?) } else { None };
    let start = usize::try_from(start).map_err(|_| "slice bounds out of range")?;
    let end = end.map_or(Ok(list.len()), usize::try_from).map_err(|_| "slice bounds out of range")?;
    match list.get(start..end) {
        Some(part) => Ok(Value::List(part.to_vec())),
        None => Err("slice bounds out of range".into()),
    }
}

/// A name without a value has an empty text.
fn dict(values: Vec<Value>) -> Outcome {
    let mut map = BTreeMap::new();
    let mut values = values.into_iter();
    while let Some(name) = values.next() {
        map.insert(name.to_text(), values.next().unwrap_or_else(|| Value::from("")));
    }
    Ok(Value::Map(map))
}

fn map(arguments: &mut Arguments) -> Result<BTreeMap<String, Value>, String> {
    match arguments.value() {
        Value::Map(map) => Ok(map),
        other => Err(mismatch("map", &other)),
    }
}

fn get(values: Vec<Value>) -> Outcome {
    let mut arguments = Arguments::new(values);
    let mut map = map(&mut arguments)?;
    let name = arguments.text()?;
    Ok(map.remove(&name).unwrap_or_else(|| Value::from("")))
}

fn has_key(values: Vec<Value>) -> Outcome {
    let mut arguments = Arguments::new(values);
    let map = map(&mut arguments)?;
    Ok(Value::Bool(map.contains_key(&arguments.text()?)))
}

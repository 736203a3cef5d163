//! Config as plain values: to compare two configs deeply, or to look at free-form parts.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use super::hcl::{Body, Key, Node, NodeKind};

/// A value without places. Labels are nesting; repeated blocks are one; a repeated key holds its last value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    String(String),
    /// A number as it was written.
    Number(String),
    /// `true` or `false`.
    Bool(bool),
    /// A list; repeated lists are one list.
    List(Vec<Value>),
    /// A block or an object.
    Object(BTreeMap<String, Value>),
}

impl Value {
    /// The value of a whole body.
    #[must_use]
    pub fn of_body(body: &Body) -> Self {
        let mut object = BTreeMap::new();
        for entry in &body.entries {
            if let Some((first, labels)) = entry.keys.split_first() {
                put(&mut object, first, Self::labelled(labels, &entry.value));
            }
        }
        Self::Object(object)
    }

    /// The value of one node.
    #[must_use]
    pub fn of_node(node: &Node) -> Self {
        match &node.kind {
            NodeKind::String { value, .. } => Self::String(value.clone()),
            NodeKind::Integer(text) | NodeKind::Float(text) => Self::Number(text.clone()),
            NodeKind::Bool(value) => Self::Bool(*value),
            NodeKind::List(nodes) => Self::List(nodes.iter().map(Self::of_node).collect()),
            NodeKind::Object(body) => Self::of_body(body),
        }
    }

    /// The value of a node below labels.
    pub(super) fn labelled(labels: &[Key], node: &Node) -> Self {
        labels.iter().rev().fold(Self::of_node(node), |inner, label| {
            Self::Object(BTreeMap::from([(label.text.clone(), inner)]))
        })
    }

    /// Adds what was written later under the same key.
    pub(super) fn merge(&mut self, later: Self) {
        match (self, later) {
            (Self::Object(object), Self::Object(later)) => {
                for (name, value) in later {
                    match object.entry(name) {
                        Slot::Occupied(mut slot) => slot.get_mut().merge(value),
                        Slot::Vacant(slot) => {
                            slot.insert(value);
                        }
                    }
                }
            }
            (Self::List(list), Self::List(later)) => list.extend(later),
            (slot, later) => *slot = later,
        }
    }
}

fn put(object: &mut BTreeMap<String, Value>, key: &Key, value: Value) {
    match object.entry(key.text.clone()) {
        Slot::Occupied(mut slot) => slot.get_mut().merge(value),
        Slot::Vacant(slot) => {
            slot.insert(value);
        }
    }
}

//! How a section finds its entries: names, labels, repetitions, and what does not fit.

use std::collections::HashSet;

use super::scalar::{Read, Wanted};
use super::{Item, Section};
use crate::config::hcl::{Body, Entry, Node, NodeKind, Position};
use crate::config::problem::Problem;

impl<'d> Section<'d> {
    pub(super) fn ask(&mut self, name: &str) {
        self.asked.insert(name.to_ascii_lowercase());
    }

    pub(super) fn matching(&self, name: &str) -> impl Iterator<Item = Item<'d>> {
        self.items.iter().filter(move |item| item.keys[0].text.eq_ignore_ascii_case(name)).copied()
    }

    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(super) fn child(&self, name: &str, at: Position, items: Vec<Item<'d>>) -> Self {
        let path = self.path_of(name);
        Section { file: self.file, problems: self.problems, path, at, items, asked: HashSet::new() }
    }

    /// The entries of all blocks under a name.
    pub(super) fn children(&self, name: &str) -> Vec<Item<'d>> {
        self.matching(name).flat_map(|item| self.below(name, item)).collect()
    }

    /// The entries one level below an item: those of its object, or the item itself without its first key.
    pub(super) fn below(&self, path: &str, item: Item<'d>) -> Vec<Item<'d>> {
        match (item.keys, &item.value.kind) {
            ([_], NodeKind::Object(body)) => items_of(body),
            ([_], _) => {
                self.mismatch(path, item.value, Wanted::BLOCK);
                Vec::new()
            }
            (keys, _) => vec![Item { keys: &keys[1..], ..item }],
        }
    }

    /// The values of a key that should not be a block.
    pub(super) fn direct(&mut self, name: &str, wanted: Wanted) -> Vec<&'d Node> {
        self.ask(name);
        let (direct, labelled): (Vec<Item<'d>>, Vec<Item<'d>>) =
            self.matching(name).partition(|item| item.keys.len() == 1);
        for item in labelled {
            self.mismatch(name, item.value, wanted);
        }
        direct.into_iter().map(|item| item.value).collect()
    }

    pub(super) fn scalar<T>(
        &mut self,
        name: &str,
        wanted: Wanted,
        read: fn(&NodeKind) -> Read<T>,
    ) -> Option<T> {
        let nodes = self.direct(name, wanted);
        let mut last = None;
        for node in nodes {
            last = self.accept(name, node, wanted, read).or(last);
        }
        last
    }

    pub(super) fn accept<T>(
        &self,
        name: &str,
        node: &Node,
        wanted: Wanted,
        read: fn(&NodeKind) -> Read<T>,
    ) -> Option<T> {
        match read(&node.kind) {
            Read::Value(value) => Some(value),
            Read::Mismatch => {
                self.mismatch(name, node, wanted);
                None
            }
            Read::Malformed(message) => {
                self.problems.add(Problem::new(self.file, node.at, self.path_of(name), message));
                None
            }
        }
    }

    pub(super) fn mismatch(&self, name: &str, node: &Node, wanted: Wanted) {
        let message = format!("expected {}, found {}", wanted.0, node.kind.name());
        self.problems.add(Problem::new(self.file, node.at, self.path_of(name), message));
    }
}

pub(super) fn items_of(body: &Body) -> Vec<Item<'_>> {
    let item = |(index, entry)| {
        let entry: &Entry = entry;
        Item { keys: &entry.keys, value: &entry.value, first: index == 0 }
    };
    body.entries.iter().enumerate().filter(|(_, entry)| !entry.keys.is_empty()).map(item).collect()
}

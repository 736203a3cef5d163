//! Typed decoding of a document, key by key, with HCL 1's weak typing.
//!
//! For every config struct of the rooms and of the plugins. A [`Section`] is asked for keys by name and type;
//! what does not fit becomes a problem with its place and decoding goes on, so that all problems come out at once.
//! Names match without regard to ASCII case, repeated blocks are one section, labels are nesting, and the last
//! of a repeated key wins: all as in SPIRE. Durations and other texts are parsed by the caller, who reports
//! through [`Section::problem`].
//!
//! ```
//! use finial_runtime::config::{Problems, Section, hcl};
//!
//! let document = hcl::parse("server.conf", r#"server { trust_domain = "example.org" bind_port = "8081" }"#)?;
//! let problems = Problems::new();
//! let mut root = Section::root(&document, &problems);
//! let mut server = root.block_or_empty("server");
//! let trust_domain = server.string("trust_domain");
//! let port = server.integer("bind_port");
//! server.finish_strict("server");
//! root.finish_strict("top-level");
//! assert_eq!((trust_domain.as_deref(), port), (Some("example.org"), Some(8081)));
//! problems.into_result(())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod scalar;
mod unknown;
mod walk;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::hcl::{Body, Document, Entry, Key, Node, NodeKind, Position};
use super::problem::{Problem, Problems};
use super::value::Value;
use scalar::Wanted;
use walk::items_of;

pub use unknown::UnknownKey;

/// An entry as seen from a section: the first of `keys` is the name looked for, the others are labels.
#[derive(Debug, Clone, Copy)]
struct Item<'d> {
    keys: &'d [Key],
    value: &'d Node,
    /// Whether it is the first entry of its braces (unknown labels are only reported there, as in SPIRE).
    first: bool,
}

/// One block of a config, to be asked for its keys.
#[derive(Debug)]
pub struct Section<'d> {
    file: &'d Arc<str>,
    problems: &'d Problems,
    path: String,
    at: Position,
    items: Vec<Item<'d>>,
    asked: HashSet<String>,
}

/// A labelled block: `federates_with "example.org" { … }`.
#[derive(Debug)]
pub struct Labelled<'d> {
    /// The label.
    pub label: &'d str,
    /// Where the label stands.
    pub at: Position,
    /// The block.
    pub section: Section<'d>,
}

/// A block with two labels of its own: `KeyManager "disk" { … }` inside `plugins`.
#[derive(Debug)]
pub struct LabelledPair<'d> {
    /// The first label.
    pub outer: &'d str,
    /// The second label.
    pub inner: &'d str,
    /// Where the first label stands.
    pub at: Position,
    /// The block.
    pub section: Section<'d>,
}

impl<'d> Section<'d> {
    /// The whole document.
    #[must_use]
    pub fn root(document: &'d Document, problems: &'d Problems) -> Self {
        let at = Position { line: 1, column: 1 };
        Self {
            file: document.file(),
            problems,
            path: String::new(),
            at,
            items: items_of(document.root()),
            asked: HashSet::new(),
        }
    }

    /// The dotted path from the root; empty for the root.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where the section begins.
    #[must_use]
    pub fn position(&self) -> Position {
        self.at
    }

    /// Whether it has no keys at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether the key is there, with any value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.matching(name).next().is_some()
    }

    /// Text; a bare whole number counts as text.
    pub fn string(&mut self, name: &str) -> Option<String> {
        self.scalar(name, Wanted::STRING, scalar::string)
    }

    /// A whole number; a quoted one in Go's notation (`"8081"`, `"0x1f"`, `"017"`) counts too.
    pub fn integer(&mut self, name: &str) -> Option<i64> {
        self.scalar(name, Wanted::INTEGER, scalar::integer)
    }

    /// A bare number.
    pub fn float(&mut self, name: &str) -> Option<f64> {
        self.scalar(name, Wanted::FLOAT, scalar::float)
    }

    /// A bare `true` or `false`.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        self.scalar(name, Wanted::BOOL, scalar::boolean)
    }

    /// A list of texts; repeated lists are one list.
    pub fn strings(&mut self, name: &str) -> Option<Vec<String>> {
        let mut all: Option<Vec<String>> = None;
        for node in self.direct(name, Wanted::LIST) {
            match &node.kind {
                NodeKind::List(nodes) => {
                    let texts = nodes
                        .iter()
                        .filter_map(|node| self.accept(name, node, Wanted::STRING, scalar::string));
                    all.get_or_insert_default().extend(texts);
                }
                _ => self.mismatch(name, node, Wanted::LIST),
            }
        }
        all
    }

    /// A block of keys with texts: `labels { region = "eu" }`.
    pub fn string_map(&mut self, name: &str) -> Option<BTreeMap<String, String>> {
        let mut block = self.block(name)?;
        let mut map = BTreeMap::new();
        let names: Vec<&'d str> = block.items.iter().map(|item| item.keys[0].text.as_str()).collect();
        for key in names {
            if let Some(text) = block.string(key) {
                map.insert(key.to_owned(), text);
            }
        }
        Some(map)
    }

    /// Whatever is there, as a plain value.
    pub fn value(&mut self, name: &str) -> Option<Value> {
        self.ask(name);
        let mut values = self.matching(name).map(|item| Value::labelled(&item.keys[1..], item.value));
        let mut first = values.next()?;
        values.for_each(|later| first.merge(later));
        Some(first)
    }

    /// A block, with all its repetitions; `None` when it is absent.
    pub fn block(&mut self, name: &str) -> Option<Section<'d>> {
        self.ask(name);
        let at = self.matching(name).next()?.value.at;
        let items = self.children(name);
        Some(self.child(name, at, items))
    }

    /// A block, or one without keys when it is absent.
    pub fn block_or_empty(&mut self, name: &str) -> Section<'d> {
        self.block(name).unwrap_or_else(|| self.child(name, self.at, Vec::new()))
    }

    /// One section for each repetition of a block and for each object of a list: `[{…}, {…}]`.
    pub fn blocks(&mut self, name: &str) -> Vec<Section<'d>> {
        self.ask(name);
        let matching: Vec<Item<'d>> = self.matching(name).collect();
        let mut nodes = Vec::new();
        for item in matching {
            match (item.keys, &item.value.kind) {
                ([_], NodeKind::List(list)) => nodes.extend(list.iter().map(|node| (item, node))),
                _ => nodes.push((item, item.value)),
            }
        }
        let mut sections = Vec::new();
        for (item, node) in nodes {
            let items = self.below(name, Item { value: node, ..item });
            let path = format!("{name}[{}]", sections.len());
            sections.push(self.child(&path, node.at, items));
        }
        sections
    }

    /// The labelled blocks under a name, in the order in which their labels first appear.
    pub fn labelled(&mut self, name: &str) -> Vec<Labelled<'d>> {
        self.ask(name);
        let children = self.children(name);
        let mut index: HashMap<&'d str, usize> = HashMap::new();
        let mut groups: Vec<(&'d Key, Position, Vec<Item<'d>>)> = Vec::new();
        for child in children {
            let label = &child.keys[0];
            let items = self.below(&format!("{name}.{}", label.text), child);
            let slot = *index.entry(&label.text).or_insert(groups.len());
            match groups.get_mut(slot) {
                Some((_, _, known)) => known.extend(items),
                None => groups.push((label, child.value.at, items)),
            }
        }
        groups
            .into_iter()
            .map(|(label, at, items)| Labelled {
                label: &label.text,
                at: label.at,
                section: self.child(&format!("{name}.{}", label.text), at, items),
            })
            .collect()
    }

    /// The blocks two labels below a name (`plugins { Type "name" { … } }`, in any nesting), one for each
    /// occurrence, in the order of the text.
    pub fn labelled_pairs(&mut self, name: &str) -> Vec<LabelledPair<'d>> {
        self.ask(name);
        let mut pairs = Vec::new();
        for outer in self.children(name) {
            let outer_key = &outer.keys[0];
            let outer_path = format!("{name}.{}", outer_key.text);
            for inner in self.below(&outer_path, outer) {
                let inner_key = &inner.keys[0];
                let path = format!("{outer_path}.{}", inner_key.text);
                let items = self.below(&path, inner);
                pairs.push(LabelledPair {
                    outer: &outer_key.text,
                    inner: &inner_key.text,
                    at: outer_key.at,
                    section: self.child(&path, inner.value.at, items),
                });
            }
        }
        pairs
    }

    /// A block as a document of its own that remembers its places: to be decoded by a plugin, or printed for one.
    pub fn document(&mut self, name: &str) -> Option<Document> {
        let block = self.block(name)?;
        let entry = |item: &Item<'_>| Entry {
            keys: item.keys.to_vec(),
            assigned: item.keys.len() == 1 && !matches!(item.value.kind, NodeKind::Object(_)),
            value: item.value.clone(),
        };
        Some(Document::of(self.file, Body { entries: block.items.iter().map(entry).collect() }))
    }

    /// Reports what the caller found wrong with a key's value, at the value, or at the section when it is absent.
    pub fn problem(&self, name: &str, message: impl Into<String>) {
        let at = self.matching(name).last().map_or(self.at, |item| item.value.at);
        self.problems.add(Problem::new(self.file, at, self.path_of(name), message));
    }

    /// Reports what the caller found wrong with the section as a whole.
    pub fn problem_here(&self, message: impl Into<String>) {
        self.problems.add(Problem::new(self.file, self.at, self.path.clone(), message));
    }
}

#[cfg(test)]
mod tests;

//! Keys that nobody asked for.

use super::{Item, Section};
use crate::config::go_text::quoted;
use crate::config::hcl::{Key, KeyForm, Position};
use crate::config::problem::Problem;

/// A key that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    /// The key.
    pub name: String,
    /// Where it stands.
    pub at: Position,
}

impl Section<'_> {
    /// Ends the decoding of a section whose keys are all known: each unknown key becomes a problem.
    ///
    /// Returns them too, since SPIRE also logs them (`section`, `keys`). `what` names the section for people.
    pub fn finish_strict(self, what: &str) -> Vec<UnknownKey> {
        let unknown = self.unknown();
        for key in &unknown {
            let mut message =
                format!("unknown configuration detected: {} is no key of {what}", quoted(&key.name));
            if let Some(known) = self.nearest(&key.name) {
                message.push_str(&format!("; did you mean {}?", quoted(known)));
            }
            self.problems.add(Problem::new(self.file, key.at, self.path_of(&key.name), message));
        }
        unknown
    }

    /// Ends the decoding of a section that may have other keys, and returns them.
    pub fn finish_lenient(self) -> Vec<UnknownKey> {
        self.unknown()
    }

    fn unknown(&self) -> Vec<UnknownKey> {
        let counted = |item: &&Item<'_>| item.first || item.keys.len() == 1;
        let keys = self.items.iter().filter(counted).flat_map(|item| item.keys);
        keys.filter(|key| self.is_unknown(key))
            .map(|key| UnknownKey { name: key.text.clone(), at: key.at })
            .collect()
    }

    /// Keys in quotes are never unknown, as in SPIRE: they are labels.
    fn is_unknown(&self, key: &Key) -> bool {
        key.form != KeyForm::Quoted && !self.asked.contains(&key.text.to_ascii_lowercase())
    }

    fn nearest(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        let distances = self.asked.iter().map(|known| (distance(known, &name), known.as_str()));
        distances
            .filter(|(distance, known)| *distance <= 2 && *distance * 2 < known.len())
            .min()
            .map(|best| best.1)
    }
}

/// How many letters must be added, removed or changed; large numbers for long names.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX / 4;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

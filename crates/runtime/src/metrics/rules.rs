//! What becomes of a name and its labels before a sink sees them: SPIRE's rules, and those of the library
//! below it. Pure.

/// A name with its labels, as sinks get them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Parts joined by dots, the prefix first.
    pub name: String,
    /// In the order in which they were given; the trust domain and the host are last.
    pub labels: Vec<(String, String)>,
}

/// What the operator wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Stands before every name; nothing if empty.
    pub prefix: String,
    /// The value of the label `trust_domain`, if there shall be one.
    pub trust_domain: Option<String>,
    /// The value of the label `host`, if there shall be one.
    pub host: Option<String>,
    /// Beginnings of names that are shown although a shorter one is blocked.
    pub allowed_prefixes: Vec<String>,
    /// Beginnings of names that are not shown.
    pub blocked_prefixes: Vec<String>,
    /// The only labels that are shown, if there is a list.
    pub allowed_labels: Option<Vec<String>>,
    /// Labels that are not shown.
    pub blocked_labels: Vec<String>,
}

impl Rules {
    /// The name and the labels to show; nothing if the name is blocked.
    pub fn apply(&self, name: &str, labels: &[(&str, &str)]) -> Option<Key> {
        let name = if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) };
        if !self.shows(&name) {
            return None;
        }
        let clean = |(name, value): &(&str, &str)| (sanitized(name), sanitized(value));
        let mut labels: Vec<_> = labels.iter().map(clean).collect();
        labels.extend(self.trust_domain.as_ref().map(|td| ("trust_domain".to_owned(), sanitized(td))));
        // The host is not cleaned: it comes from below SPIRE's own rules.
        labels.extend(self.host.as_ref().map(|host| ("host".to_owned(), host.clone())));
        labels.retain(|(name, _)| self.shows_label(name));
        Some(Key { name, labels })
    }

    /// The longest beginning decides; blocked goes before allowed, and what nobody names is shown.
    fn shows(&self, name: &str) -> bool {
        let longest = |prefixes: &[String]| {
            let matching = prefixes.iter().filter(|prefix| name.starts_with(prefix.as_str()));
            matching.map(|prefix| prefix.len() + 1).max().unwrap_or(0)
        };
        let blocked = longest(&self.blocked_prefixes);
        blocked == 0 || longest(&self.allowed_prefixes) > blocked
    }

    fn shows_label(&self, name: &str) -> bool {
        let is_in = |names: &[String]| names.iter().any(|known| known == name);
        !is_in(&self.blocked_labels) && self.allowed_labels.as_deref().is_none_or(is_in)
    }
}

/// Text of which every run of characters besides letters, digits and `_` has become one `_`, together with a
/// `_` that follows it.
#[must_use]
pub fn sanitized(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if is_word(character) {
            clean.push(character);
            continue;
        }
        clean.push('_');
        while characters.next_if(|next| !is_word(*next)).is_some() {}
        characters.next_if_eq(&'_');
    }
    clean
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_characters_become_one_underscore() {
        for (text, want) in [
            ("example.org", "example_org"),
            ("1.16.0-dev-unk", "1_16_0_dev_unk"),
            ("a._b", "a_b"),
            ("a_.b", "a__b"),
            ("a..:-_-b", "a__b"),
            ("zürich", "z_rich"),
            ("", ""),
            ("...", "_"),
        ] {
            assert_eq!(sanitized(text), want, "{text}");
        }
    }

    fn names(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn the_longest_prefix_decides() {
        let rules = Rules {
            prefix: "spire_server".to_owned(),
            allowed_prefixes: names(&["spire_server.rpc.entry", "spire_server.ca"]),
            blocked_prefixes: names(&["spire_server.rpc", "spire_server.ca"]),
            ..Rules::default()
        };
        for (name, want) in
            [("rpc.agent.x", false), ("rpc.entry.x", true), ("ca.manager", false), ("started", true)]
        {
            assert_eq!(rules.apply(name, &[]).is_some(), want, "{name}");
        }
    }

    #[test]
    fn labels_are_cleaned_added_and_filtered() {
        let rules = Rules {
            trust_domain: Some("example.org".to_owned()),
            host: Some("node-1.local".to_owned()),
            blocked_labels: names(&["secret"]),
            ..Rules::default()
        };
        let key = rules.apply("a", &[("sta-tus", "o k"), ("secret", "s")]).unwrap();
        let labels: Vec<_> = key.labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(labels, ["sta_tus=o_k", "trust_domain=example_org", "host=node-1.local"]);
        let only = Rules { allowed_labels: Some(names(&["host"])), ..rules };
        assert_eq!(only.apply("a", &[("status", "OK")]).unwrap().labels.len(), 1);
    }
}

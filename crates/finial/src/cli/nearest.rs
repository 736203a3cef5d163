//! What somebody who mistyped a name may have meant.

/// The name that is most like a word, if one is like it.
pub(super) fn nearest(word: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let word = word.to_lowercase();
    known
        .map(|name| (distance(&word, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 5 || is_start(&word, name))
        .min()
        .map(|(_, name)| name)
}

fn is_start(word: &str, name: &str) -> bool {
    word.len() >= 2 && name.to_lowercase().starts_with(word)
}

/// How many letters must be added, removed or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_what_is_near() {
        let names = || ["entry", "agent", "bundle", "healthcheck", "localauthority"].into_iter();
        assert_eq!(nearest("entrie", names()), Some("entry"));
        assert_eq!(nearest("entrys", names()), Some("entry"));
        assert_eq!(nearest("helthcheck", names()), Some("healthcheck"));
        assert_eq!(nearest("local", names()), Some("localauthority"));
        assert_eq!(nearest("xyz", names()), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}

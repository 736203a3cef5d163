//! URLs of bundle endpoints: read as Go reads them, since operators know its complaints.

/// Why a text is no URL of a bundle endpoint. The texts are those of SPIRE and of Go's `net/url`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointUrlError {
    /// Not a URL.
    #[error("failed to parse bundle endpoint URL: parse {url:?}: {reason}")]
    Malformed {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another scheme, or none.
    #[error("bundle endpoint URL must use the https scheme")]
    NotHttps,
    /// No host.
    #[error("bundle endpoint URL must specify the host")]
    NoHost,
    /// A user or a password.
    #[error("bundle endpoint URL must not contain user info")]
    UserInfo,
}

const SCHEME: &str = "https";

/// Checks the URL of a bundle endpoint (SPIFFE Federation, section 5.2.1) and gives it with its scheme in small
/// letters and with what must be escaped, otherwise as it was.
pub fn check_endpoint_url(url: &str) -> Result<String, EndpointUrlError> {
    let malformed = |reason: String| EndpointUrlError::Malformed { url: url.to_owned(), reason };
    if url.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err(malformed("net/url: invalid control character in URL".to_owned()));
    }
    let (scheme, rest) = split_scheme(url).map_err(|reason| malformed(reason.to_owned()))?;
    let Some(after) = rest.strip_prefix("//") else {
        return Err(match scheme.eq_ignore_ascii_case(SCHEME) {
            true => EndpointUrlError::NoHost,
            false => EndpointUrlError::NotHttps,
        });
    };
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    let (authority, path) = after.split_at(end);
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    check_host(host).map_err(malformed)?;
    check_escapes(path).map_err(malformed)?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Err(EndpointUrlError::NotHttps);
    }
    if host.is_empty() {
        return Err(EndpointUrlError::NoHost);
    }
    if user.is_some() {
        return Err(EndpointUrlError::UserInfo);
    }
    Ok(format!("{SCHEME}://{}{}", escaped(host, b""), escaped(path, NOT_IN_PATH)))
}

/// What a path must not have as it is.
const NOT_IN_PATH: &[u8] = b" \"<>\\^`{|}";

/// With these bytes, and those that are not ASCII, in base 16.
fn escaped(part: &str, forbidden: &[u8]) -> String {
    let mut text = String::with_capacity(part.len());
    for byte in part.bytes() {
        match byte.is_ascii() && !forbidden.contains(&byte) {
            true => text.push(char::from(byte)),
            false => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// The scheme, which is empty if there is none, and what follows it.
fn split_scheme(url: &str) -> Result<(&str, &str), &'static str> {
    let is_later = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.');
    match url.find(|c: char| !c.is_ascii_alphabetic() && !is_later(c)) {
        Some(0) if url.starts_with(':') => Err("missing protocol scheme"),
        Some(end) if url.starts_with(|c: char| c.is_ascii_alphabetic()) && url[end..].starts_with(':') => {
            Ok((&url[..end], &url[end + 1..]))
        }
        Some(end) if url[end..].starts_with(':') => Err("first path segment in URL cannot contain colon"),
        _ => Ok(("", url)),
    }
}

fn check_host(host: &str) -> Result<(), String> {
    let port = match host.strip_prefix('[') {
        Some(bracketed) => match bracketed.rsplit_once(']') {
            Some((_, port)) => port,
            None => return Err("missing ']' in host".to_owned()),
        },
        None => host.find(':').map_or("", |colon| &host[colon..]),
    };
    let is_port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    if !is_port {
        return Err(format!("invalid port {port:?} after host"));
    }
    let is_of_host =
        |c: &char| c.is_alphanumeric() || !c.is_ascii() || "-_.~!$&'()*+,;=:[]<>\"%".contains(*c);
    match host.chars().find(|c| !is_of_host(c)) {
        Some(bad) => Err(format!("invalid character {:?} in host name", bad.to_string())),
        None => check_escapes(host).and_then(|()| check_host_escapes(host)),
    }
}

/// In a host only what is not ASCII is escaped, and the sign that begins the zone of an address.
fn check_host_escapes(host: &str) -> Result<(), String> {
    let is_ascii = |escape: &&str| escape.as_bytes().get(1).is_some_and(|digit| *digit < b'8');
    let escapes = host.match_indices('%').filter_map(|(at, _)| host.get(at..at + 3));
    match escapes.filter(is_ascii).find(|escape| *escape != "%25") {
        Some(bad) => Err(format!("invalid URL escape {bad:?}")),
        None => Ok(()),
    }
}

/// Each `%` must be followed by two digits in base 16.
fn check_escapes(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('%') {
        let digits = text.as_bytes().get(at + 1..at + 3);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            let shown: String = text[at..].chars().take(3).collect();
            return Err(format!("invalid URL escape {shown:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_kept_is_kept_again(url in "(https|HTTPS|http)?(://|:)?[\\PC%@:\\[\\]/]{0,12}") {
            if let Ok(kept) = check_endpoint_url(&url) {
                prop_assert_eq!(check_endpoint_url(&kept), Ok(kept));
            }
        }
    }

    #[test]
    fn good_ones_keep_all_but_the_case_of_their_scheme() {
        for (given, kept) in [
            ("https://host", "https://host"),
            ("HTTPS://Host.test/B?q=%20#f", "https://Host.test/B?q=%20#f"),
            ("https://host:8443/", "https://host:8443/"),
            ("https://host:/", "https://host:/"),
            ("https://[::1]:8443", "https://[::1]:8443"),
            ("https://127.0.0.1/a@b", "https://127.0.0.1/a@b"),
            ("https://[fe80::1%25eth0]/", "https://[fe80::1%25eth0]/"),
            ("https://é.test/a b", "https://%C3%A9.test/a%20b"),
        ] {
            assert_eq!(check_endpoint_url(given).as_deref(), Ok(kept));
        }
    }

    #[test]
    fn bad_ones_are_refused_in_spires_words() {
        let parse =
            |url: &str, reason: &str| format!("failed to parse bundle endpoint URL: parse {url:?}: {reason}");
        for (url, want) in [
            ("", "bundle endpoint URL must use the https scheme".to_owned()),
            ("foo", "bundle endpoint URL must use the https scheme".to_owned()),
            ("http://x", "bundle endpoint URL must use the https scheme".to_owned()),
            ("//x/y", "bundle endpoint URL must use the https scheme".to_owned()),
            ("https:x", "bundle endpoint URL must specify the host".to_owned()),
            ("https:///b", "bundle endpoint URL must specify the host".to_owned()),
            ("https://u:p@x/", "bundle endpoint URL must not contain user info".to_owned()),
            ("https://@x/", "bundle endpoint URL must not contain user info".to_owned()),
            ("https://x:abc/", parse("https://x:abc/", "invalid port \":abc\" after host")),
            ("https://[::1]x/", parse("https://[::1]x/", "invalid port \"x\" after host")),
            ("https://x y/", parse("https://x y/", "invalid character \" \" in host name")),
            ("https://[::1", parse("https://[::1", "missing ']' in host")),
            ("https://x/%zz", parse("https://x/%zz", "invalid URL escape \"%zz\"")),
            ("https://%41.test/", parse("https://%41.test/", "invalid URL escape \"%41\"")),
            ("https://x/%1", parse("https://x/%1", "invalid URL escape \"%1\"")),
            (":foo", parse(":foo", "missing protocol scheme")),
            ("1x:foo", parse("1x:foo", "first path segment in URL cannot contain colon")),
            ("https://x\n", parse("https://x\n", "net/url: invalid control character in URL")),
        ] {
            assert_eq!(check_endpoint_url(url).map_err(|error| error.to_string()), Err(want), "{url:?}");
        }
    }
}

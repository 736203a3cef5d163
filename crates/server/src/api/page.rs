//! Page tokens: the number of the last row of the page before, in decimal.

use finial_identity::Failure;

/// Most records a page holds, whatever was asked for.
const PAGE_MAX: usize = 10_000;

/// What part of a list is asked for.
pub(super) struct Page {
    /// Rows after this one.
    pub(super) after_row: i64,
    /// At most so many.
    pub(super) limit: usize,
    paged: bool,
}

impl Page {
    /// Reads size and token of a request; a size of 0 or less asks for everything.
    ///
    /// `what` is what could not be listed then. (SPIRE answers `Internal` here; the caller is at fault.)
    pub(super) fn from_request(size: i32, token: &str, what: &str) -> Result<Self, Failure> {
        let Some(limit) = usize::try_from(size).ok().filter(|size| *size > 0) else {
            return Ok(Self { after_row: i64::MIN, limit: usize::MAX, paged: false });
        };
        let after_row = if token.is_empty() {
            i64::MIN
        } else {
            let unreadable = || format!("failed to list {what}: could not parse token '{token}'");
            token.parse().map_err(|_| Failure::invalid(unreadable()))?
        };
        Ok(Self { after_row, limit: limit.min(PAGE_MAX), paged: true })
    }

    /// The token of the next page: there is one whenever this page has rows, as SPIRE does it.
    pub(super) fn next_token(&self, last_row: Option<i64>) -> String {
        last_row.filter(|_| self.paged).map(|row| row.to_string()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_148_tokens() {
        assert_eq!(Page::from_request(0, "ignored", "agents").unwrap().next_token(Some(3)), "");
        let page = Page::from_request(5, "", "agents").unwrap();
        assert_eq!((page.after_row, page.limit), (i64::MIN, 5));
        assert_eq!(page.next_token(Some(7)), "7");
        assert_eq!(page.next_token(None), "");
        assert_eq!(Page::from_request(5, "9223372036854775807", "agents").unwrap().after_row, i64::MAX);
        let refused = Page::from_request(5, "x", "agents").err().unwrap();
        assert_eq!(refused.message, "failed to list agents: could not parse token 'x'");
    }
}

//! Lists that the server gives in pages.

use crate::output::Fault;

/// All items of a list. `fetch` is given the token of a page; it gives the page's items, and the token of the
/// next one, which is empty behind the last.
pub(super) async fn all_pages<T>(
    mut fetch: impl AsyncFnMut(String) -> Result<(Vec<T>, String), Fault>,
) -> Result<Vec<T>, Fault> {
    let mut items = Vec::new();
    let mut page_token = String::new();
    loop {
        let (page, next) = fetch(page_token).await?;
        items.extend(page);
        if next.is_empty() {
            return Ok(items);
        }
        page_token = next;
    }
}

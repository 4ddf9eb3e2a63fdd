//! Explain: why a record is in mOS, or is not.

use maud::{Markup, html};

use super::exists;
use super::parts::pager::address;

/// Where it is.
pub(super) const PATH: &str = "/explain";

/// A link that explains a record, where there is such a page.
pub(super) fn link(id: &str) -> Option<Markup> {
    exists(PATH).then(|| html! { a href=(address(PATH, &[("record", id)])) { "Explain" } })
}

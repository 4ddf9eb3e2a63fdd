//! A line above the page that says what was done, or could not be.

use maud::{Markup, html};

/// It was done. Read aloud when there is time.
pub fn done(body: &Markup) -> Markup {
    html! { div.notice.good role="status" { (body) } }
}

/// Something should be known.
pub fn warning(body: &Markup) -> Markup {
    html! { div.notice.warning role="status" { (body) } }
}

/// It was not done. Read aloud at once.
pub fn failed(body: &Markup) -> Markup {
    html! { div.notice.bad role="alert" { (body) } }
}

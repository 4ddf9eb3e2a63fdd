//! What stands where a list would be.

use maud::{Markup, html};

use super::icon::Icon;

/// Nothing is here: why, and what to do, if anything.
pub fn empty(icon: Icon, what: &str, next: &Markup) -> Markup {
    html! {
        div.empty {
            (icon.markup())
            p.empty-what { (what) }
            p { (next) }
        }
    }
}

//! A card: a white box with a heading.

use maud::{Markup, html};

/// A box with a heading.
pub fn card(heading: &str, body: &Markup) -> Markup {
    with_actions(heading, &html! {}, body)
}

/// A box with a heading, and buttons at its top right.
pub fn with_actions(heading: &str, actions: &Markup, body: &Markup) -> Markup {
    html! {
        section.card {
            header.card-header {
                h2 { (heading) }
                div.actions { (actions) }
            }
            div.card-body { (body) }
        }
    }
}

/// Names and their values, one below the other.
pub fn facts(facts: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in facts {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}

/// A few big numbers side by side.
pub fn figures(figures: &[(&str, String)]) -> Markup {
    html! {
        dl.figures {
            @for (name, value) in figures {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}

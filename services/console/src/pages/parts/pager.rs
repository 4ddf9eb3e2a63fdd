//! From page to page of a list, and back to its first page.

use maud::{Markup, html};

/// Of a list that begins with the newest. `next` is the address of the following page, `first` that
/// of the first one where this is not it.
pub fn pager(next: Option<&str>, first: Option<&str>) -> Markup {
    ways(next, first, ("Older", "Newest"))
}

/// The same of a list that is in another order than that of time.
pub fn pages(next: Option<&str>, first: Option<&str>) -> Markup {
    ways(next, first, ("Next page", "First page"))
}

fn ways(next: Option<&str>, first: Option<&str>, (on, back): (&str, &str)) -> Markup {
    html! {
        @if next.is_some() || first.is_some() {
            nav.pager aria-label="Pages" {
                @if let Some(first) = first { a.button href=(first) { (back) } }
                @if let Some(next) = next { a.button href=(next) rel="next" { (on) } }
            }
        }
    }
}

/// A path with values after `?`, encoded.
pub fn address(path: &str, values: &[(&str, &str)]) -> String {
    let mut address = path.to_owned();
    let values = values.iter().filter(|(_, value)| !value.is_empty());
    for (place, (name, value)) in values.enumerate() {
        address.push(if place == 0 { '?' } else { '&' });
        address.push_str(name);
        address.push('=');
        address.extend(url::form_urlencoded::byte_serialize(value.as_bytes()));
    }
    address
}

/// An id as one part of a path.
pub(crate) fn part(id: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    encoded.replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_and_empty_ones_left_out() {
        assert_eq!(
            address("/logs", &[("topic", ""), ("job", "a&b"), ("x", "ä c")]),
            "/logs?job=a%26b&x=%C3%A4+c"
        );
        assert_eq!(part("a/b c?+"), "a%2Fb%20c%3F%2B");
    }
}

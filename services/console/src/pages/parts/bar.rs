//! Bars: how much of something is done, and what became of it. The numbers always stand beside
//! them.

use maud::{Markup, html};

/// How much of something.
pub(crate) fn progress(label: &str, done: u64, total: u64) -> Markup {
    html! {
        progress aria-label=(label) max=(total.max(1)) value=(done.min(total.max(1))) {}
    }
}

/// What something consists of, each part in the colour of its class. Decoration: the numbers say
/// it.
pub(crate) fn stack(parts: &[(&str, u64)], total: u64) -> Markup {
    let sum: u64 = parts.iter().map(|(_, number)| number).sum();
    let whole = total.max(sum).max(1);
    let mut left = 0;
    let places = parts.iter().map(|(class, number)| {
        let place = (*class, share(left, whole), share(*number, whole));
        left += number;
        place
    });
    html! {
        svg.stack viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            @for (class, x, width) in places.filter(|(.., width)| *width > 0) {
                rect class=(class) x=(x) y="0" width=(width) height="10" {}
            }
        }
    }
}

/// In thousandths; something is never nothing.
fn share(number: u64, whole: u64) -> u64 {
    let exact = u128::from(number) * 1_000 / u128::from(whole);
    let share = u64::try_from(exact).unwrap_or(1_000);
    if number > 0 { share.max(1) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_side_by_side_and_fill_no_more_than_the_whole() {
        let bar = stack(
            &[("a", 1), ("b", 0), ("c", 499_999), ("d", u64::MAX / 2)],
            10,
        );
        let bar = bar.into_string();
        assert!(
            bar.contains("class=\"a\" x=\"0\" y=\"0\" width=\"1\""),
            "{bar}"
        );
        assert!(!bar.contains("class=\"b\""), "{bar}");
        let half = stack(&[("a", 5)], 10).into_string();
        assert!(half.contains("width=\"500\""), "{half}");
        let empty = progress("x", 7, 0).into_string();
        assert!(empty.contains("max=\"1\" value=\"1\""), "{empty}");
    }
}

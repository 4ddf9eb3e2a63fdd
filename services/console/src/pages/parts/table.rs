//! Tables. On a narrow screen each row becomes a block, with the column's name before each value.

use maud::{Markup, html};

/// A table with a caption for those who do not see it; each row has as many cells as there are
/// columns.
pub fn table(
    caption: &str,
    columns: &[&str],
    rows: impl IntoIterator<Item = Vec<Markup>>,
) -> Markup {
    html! {
        div.table-frame tabindex="0" role="region" aria-label=(caption) {
            // The roles stand there because a narrow screen's blocks have none.
            table role="table" {
                caption { (caption) }
                thead role="rowgroup" {
                    tr role="row" {
                        @for column in columns { th scope="col" role="columnheader" { (column) } }
                    }
                }
                tbody role="rowgroup" {
                    @for row in rows {
                        tr role="row" {
                            @for (column, cell) in columns.iter().zip(row) {
                                td role="cell" data-column=(column) { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A number with its thousands apart.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        for (given, shown) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(number(given), shown);
        }
    }

    #[test]
    fn what_comes_from_outside_is_escaped() {
        let row = vec![html! { ("<script>alert(1)</script>") }];
        let table = table("<b>", &["\"x"], [row]).into_string();
        assert!(
            !table.contains("<script") && !table.contains("<b>"),
            "{table}"
        );
        assert!(table.contains("&lt;script&gt;"));
    }
}

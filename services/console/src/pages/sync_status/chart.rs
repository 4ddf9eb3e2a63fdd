//! The last hours as a chart: a bar an hour for the changes that came, and before it one for what
//! went to mOS.

use domain::Timestamp;
use maud::{Markup, html};

use crate::pages::parts::table::number;
use crate::pages::parts::{table, time};
use crate::views::HourView;

/// Of the drawing, in its own units.
const HEIGHT: u64 = 100;
const STEP: u64 = 30;
const BAR: u64 = 22;
/// Where the bars begin: the highest number stands before them.
const LEFT: u64 = 60;

/// The chart, with what it shows in words.
pub(super) fn chart(hours: &[HourView]) -> Markup {
    let all = |of: fn(&HourView) -> u64| hours.iter().map(of).sum::<u64>();
    let (read, sent, parked) = (
        all(|hour| hour.read),
        all(|hour| hour.sent),
        all(|hour| hour.parked),
    );
    if read + sent + parked == 0 {
        return html! { p.quiet { "No change has come in the last 24 hours." } };
    }
    let highest = hours.iter().map(|hour| hour.read.max(hour.sent)).max();
    let highest = highest.unwrap_or_default().max(1);
    let count = u64::try_from(hours.len()).unwrap_or_default();
    let width = LEFT + count * STEP;
    let words = format!(
        "Last 24 hours: {} changes came, {} records were created or updated in mOS, {} were parked; at most {} in an hour.",
        number(read),
        number(sent),
        number(parked),
        number(highest)
    );
    html! {
        svg.chart viewBox=(format!("0 0 {width} 130")) role="img" aria-label=(words) {
            line.axis x1=(LEFT) y1="105" x2=(width) y2="105" {}
            line.grid x1=(LEFT) y1="5" x2=(width) y2="5" {}
            text x=(LEFT - 8) y="10" text-anchor="end" { (number(highest)) }
            text x=(LEFT - 8) y="108" text-anchor="end" { "0" }
            @for (place, hour) in (0_u64..).zip(hours) {
                @let x = LEFT + place * STEP + (STEP - BAR) / 2;
                @let (came, went) = (height(hour.read, highest), height(hour.sent, highest));
                g {
                    title data-clock=(hour.from) { (says(hour)) }
                    rect.hit x=(LEFT + place * STEP) y="5" width=(STEP) height=(HEIGHT) {}
                    rect.came x=(x) y=(5 + HEIGHT - came) width=(BAR) height=(came) {}
                    rect.went x=(x + 5) y=(5 + HEIGHT - went) width=(BAR - 10) height=(went) {}
                    @if hour.parked > 0 { circle.parked cx=(x + BAR / 2) cy="111" r="4" {} }
                }
                @if place % 6 == 0 || place + 1 == count {
                    text x=(x + BAR / 2) y="127" text-anchor="middle" data-clock=(hour.from) { (clock(hour.from)) }
                }
            }
        }
        p.legend {
            span { i.came {} "Changes that came (" (number(read)) ")" }
            span { i.went {} "Created or updated in mOS (" (number(sent)) ")" }
            span { i.parked {} "Hours with parked records (" (number(parked)) ")" }
        }
        p.quiet { "Each bar is an hour; the last one is still running. Times are in " span data-zone { "UTC" } "." }
        details {
            summary { "The same in numbers" }
            (table::table(
                "Live changes by hour",
                &["Hour from", "Changes that came", "Created or updated in mOS", "Parked"],
                hours.iter().rev().filter(|hour| hour.read + hour.sent + hour.parked > 0).map(row),
            ))
        }
    }
}

fn row(hour: &HourView) -> Vec<Markup> {
    vec![
        time::at(hour.from),
        html! { (number(hour.read)) },
        html! { (number(hour.sent)) },
        html! { (number(hour.parked)) },
    ]
}

fn height(records: u64, highest: u64) -> u64 {
    let exact = u128::from(records) * u128::from(HEIGHT) / u128::from(highest);
    let height = u64::try_from(exact).unwrap_or(HEIGHT).min(HEIGHT);
    if records > 0 { height.max(1) } else { 0 }
}

/// `2026-11-22T15:00:00.000Z` as `15:00`.
fn clock(at: Timestamp) -> String {
    at.to_string().chars().skip(11).take(5).collect()
}

fn says(hour: &HourView) -> String {
    format!(
        "{} UTC: {} came, {} created or updated, {} parked",
        clock(hour.from),
        number(hour.read),
        number(hour.sent),
        number(hour.parked)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(number: i64, read: u64, sent: u64) -> HourView {
        HourView {
            from: Timestamp::from_micros(number * 3_600_000_000),
            read,
            sent,
            parked: 0,
        }
    }

    #[test]
    fn the_highest_hour_fills_the_chart_and_the_smallest_is_seen() {
        let hours = [hour(13, 1, 0), hour(14, 4_000, 2_000)];
        let chart = chart(&hours).into_string();
        for part in [
            "4,001 changes came",
            "14:00 UTC: 4,000 came, 2,000 created or updated, 0 parked",
            "class=\"came\" x=\"94\" y=\"5\" width=\"22\" height=\"100\"",
            "class=\"went\" x=\"99\" y=\"55\" width=\"12\" height=\"50\"",
            "data-clock=\"1970-01-01T14:00:00.000Z\"",
            "data-column=\"Changes that came\">4,000</td>",
            "class=\"came\" x=\"64\" y=\"104\" width=\"22\" height=\"1\"",
        ] {
            assert!(chart.contains(part), "{part} in {chart}");
        }
    }

    #[test]
    fn nothing_is_said_in_words() {
        let empty = chart(&[hour(13, 0, 0)]).into_string();
        assert!(
            !empty.contains("<svg") && empty.contains("No change"),
            "{empty}"
        );
    }
}

//! Times: UTC with the zone named; a script shows them in the zone of whoever looks.

use std::time::Duration;

use domain::Timestamp;
use maud::{Markup, html};

/// A moment.
pub fn at(at: Timestamp) -> Markup {
    let shown = at.to_string();
    // 2026-11-22T15:04:05.123Z, always.
    let (day, time) = shown.split_once('T').unwrap_or((shown.as_str(), ""));
    let time = time.split_once('.').map_or(time, |(seconds, _)| seconds);
    html! { time datetime=(shown) { (day) " " (time) " UTC" } }
}

/// A moment that may not have come.
pub fn or_never(moment: Option<Timestamp>, never: &str) -> Markup {
    moment.map_or_else(|| html! { (never) }, at)
}

/// A sentence; each moment in it, as programs write them, is shown as a moment.
pub fn within(text: &str) -> Markup {
    html! {
        @for (place, word) in text.split(' ').enumerate() {
            @if place > 0 { " " }
            @let (before, bare, after) = apart(word);
            @match Timestamp::parse(bare) {
                Some(moment) if bare.ends_with('Z') => { (before) (at(moment)) (after) }
                _ => (word),
            }
        }
    }
}

/// A word without the marks around it.
fn apart(word: &str) -> (&str, &str, &str) {
    let begun = word.trim_start_matches(['(', '`']);
    let bare = begun.trim_end_matches(['.', ',', ';', ':', ')', '`']);
    let before = word.len() - begun.len();
    let after = before + bare.len();
    (
        word.get(..before).unwrap_or_default(),
        bare,
        word.get(after..).unwrap_or_default(),
    )
}

/// How long, in the largest two units.
pub fn long(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// How long ago.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", long(now.since(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_names_its_zone_and_says_itself_to_programs() {
        let time = at(Timestamp::parse("2026-11-22T15:04:05.123Z").unwrap());
        assert_eq!(
            time.into_string(),
            "<time datetime=\"2026-11-22T15:04:05.123Z\">2026-11-22 15:04:05 UTC</time>"
        );
        assert_eq!(
            within("Holds <it> until 2026-11-22T15:04:05.000Z, in 2026.").into_string(),
            "Holds &lt;it&gt; until <time datetime=\"2026-11-22T15:04:05.000Z\">2026-11-22 15:04:05 UTC</time>, in 2026."
        );
        assert_eq!(
            within("paused (2026-11-22T15:04:05.000Z).").into_string(),
            "paused (<time datetime=\"2026-11-22T15:04:05.000Z\">2026-11-22 15:04:05 UTC</time>)."
        );
        assert_eq!(long(Duration::from_secs(59)), "59 s");
        assert_eq!(long(Duration::from_secs(3_661)), "1 h 1 min");
        assert_eq!(long(Duration::from_secs(90_000)), "1 d 1 h");
    }
}

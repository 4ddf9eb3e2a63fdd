//! A notice as text and as HTML: the same words in both.

use std::fmt::Write as _;

use domain::Timestamp;
use domain::notification::Notice;

/// The last line of every mail.
const FOOTER: &str = "Sent by mosync, which keeps mOS in step with Salesforce, to the addresses in mOS Settings (mOS Admin Email Notification).";

/// The subject of a mail.
pub(crate) fn subject(notice: &Notice) -> String {
    format!("[mosync] {}", notice.headline())
}

/// What is said of it, a name and a text each; what is empty is left out.
fn lines(notice: &Notice) -> Vec<(&'static str, String)> {
    let lines = [
        ("What", notice.object.clone()),
        ("How many", notice.count.to_string()),
        ("When", moment(notice.at)),
        ("It lasted", notice.lasted().unwrap_or_default()),
        ("Why", in_words(&notice.cause)),
        ("What to do", in_words(&notice.advice)),
    ];
    let said = lines.into_iter();
    said.filter(|(_, text)| !text.is_empty()).collect()
}

/// A moment, to the minute. Nobody knows in which zone a mail is read.
fn moment(at: Timestamp) -> String {
    let shown = at.to_string();
    // 2026-11-22T15:04:05.123Z, always.
    let (day, time) = shown.split_once('T').unwrap_or((shown.as_str(), ""));
    let minutes = time.get(..5).unwrap_or(time);
    format!("{day} {minutes} UTC")
}

/// A sentence; each moment in it, as programs write them, becomes one for people.
fn in_words(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let bare = word.trim_end_matches(['.', ',', ';', ':', ')']);
        let at = Timestamp::parse(bare).filter(|_| bare.ends_with('Z'));
        at.map_or_else(
            || word.to_owned(),
            |at| moment(at) + word.get(bare.len()..).unwrap_or_default(),
        )
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The plain text.
pub(crate) fn text(notice: &Notice, link: Option<&str>) -> String {
    let mut text = format!("{}\n\n", notice.headline());
    for (name, said) in lines(notice) {
        writeln(&mut text, format_args!("{name}: {said}"));
    }
    if !notice.details.is_empty() {
        text.push('\n');
        for line in &notice.details {
            writeln(&mut text, format_args!("- {}", in_words(line)));
        }
    }
    if let Some(link) = link {
        writeln(&mut text, format_args!("\n{link}"));
    }
    writeln(&mut text, format_args!("\n-- \n{FOOTER}"));
    text
}

/// The same as HTML, without style sheets or pictures.
pub(crate) fn html(notice: &Notice, link: Option<&str>) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<body>\n<h1>{}</h1>\n<table>\n",
        escaped(&notice.headline())
    );
    for (name, said) in lines(notice) {
        let said = escaped(&said);
        writeln(
            &mut html,
            format_args!("<tr><th align=\"left\">{name}</th><td>{said}</td></tr>"),
        );
    }
    html.push_str("</table>\n");
    if !notice.details.is_empty() {
        html.push_str("<ul>\n");
        for line in &notice.details {
            writeln(
                &mut html,
                format_args!("<li>{}</li>", escaped(&in_words(line))),
            );
        }
        html.push_str("</ul>\n");
    }
    if let Some(link) = link {
        let link = escaped(link);
        writeln(
            &mut html,
            format_args!("<p><a href=\"{link}\">{link}</a></p>"),
        );
    }
    writeln(
        &mut html,
        format_args!("<hr>\n<p>{}</p>\n</body>\n</html>", escaped(FOOTER)),
    );
    html
}

fn writeln(text: &mut String, line: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _never_fails = writeln!(text, "{line}").is_ok();
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(char),
        }
    }
    escaped
}

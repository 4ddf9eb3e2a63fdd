//! A notice as text and as HTML: the same words in both.

use std::fmt::Write as _;

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
        ("When", notice.at.to_string()),
        ("It lasted", notice.lasted().unwrap_or_default()),
        ("Why", notice.cause.clone()),
        ("What to do", notice.advice.clone()),
    ];
    let said = lines.into_iter();
    said.filter(|(_, text)| !text.is_empty()).collect()
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
            writeln(&mut text, format_args!("- {line}"));
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
            writeln(&mut html, format_args!("<li>{}</li>", escaped(line)));
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

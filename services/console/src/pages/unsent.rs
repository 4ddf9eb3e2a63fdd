//! What was written in a session that has ended: nothing is done with it, and the page that is
//! answered keeps it, to be sent again. By forms alone, so that it works without scripts, too.

use axum::response::Response;
use http::{StatusCode, Uri};
use maud::{Markup, html};

use super::layout;
use super::parts::card;
use super::parts::form::TOKEN;
use super::settings::SCRIPT;
use crate::entry::Person;

/// On pages that keep something: they are not left without a word.
pub(super) const KEEPING_SCRIPT: &str = SCRIPT;

/// What a form of the console's own has sent.
#[derive(Debug)]
pub(crate) struct Unsent {
    address: String,
    fields: Vec<(String, String)>,
}

impl Unsent {
    pub(crate) fn of(address: &Uri, body: &[u8]) -> Self {
        let address = address.path_and_query();
        Self {
            address: address.map_or("/", |it| it.as_str()).to_owned(),
            fields: url::form_urlencoded::parse(body).into_owned().collect(),
        }
    }

    /// The token of the session that it was written in.
    pub(crate) fn token(&self) -> &str {
        let token = self.fields.iter().find(|(name, _)| name == TOKEN);
        token.map_or("", |(_, value)| value.as_str())
    }

    fn written(&self) -> impl Iterator<Item = &(String, String)> {
        self.fields.iter().filter(|(name, _)| name != TOKEN)
    }

    /// Where it goes, and all that it says.
    fn shown(&self) -> Markup {
        let address = ("Order", html! { code { (self.address) } });
        let written = self.written();
        let written = written.map(|(name, value)| (name.as_str(), html! { (value) }));
        let facts = std::iter::once(address).chain(written);
        card::facts(&facts.collect::<Vec<_>>())
    }

    /// Sends it again, with the token of the session that there is now.
    pub(super) fn form(&self, token: Option<&str>, label: &str) -> Markup {
        html! {
            form #kept method="post" action=(self.address) data-guarded data-unsaved {
                @if let Some(token) = token { input type="hidden" name=(TOKEN) value=(token); }
                @for (name, value) in self.written() { input type="hidden" name=(name) value=(value); }
                button.button type="submit" { (label) }
            }
        }
    }
}

/// For somebody who has signed in since it was written: it goes out when they have seen that it has
/// not yet, and what it says, for it may be another who wrote it in this browser.
pub(crate) fn send_again(person: &Person, unsent: &Unsent) -> Response {
    let body = html! {
        section.card {
            h1 { "Nothing was done yet" }
            // Where a form has asked in the background, its script tells this as what is wrong.
            div.fault { p { "This was written in a session that has ended, so nothing was done." } }
            p { "What was written is kept on this page. If you send it again, it is sent as from " strong { (person.session.username) } ":" }
            (unsent.shown())
            (unsent.form(Some(&person.form_token), "Send it again"))
        }
    };
    let page = layout::bare_with("Nothing was done yet", &body, &[KEEPING_SCRIPT]);
    layout::respond(StatusCode::FORBIDDEN, page)
}

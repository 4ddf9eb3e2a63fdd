//! Access: who gets in, and the tokens of programs.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::Desk;
use super::context::PageContext;
use super::download;
use super::fault::sentence;
use super::layout::{Page, answer};
use super::parts::form::{self, Field};
use super::parts::icon::Icon;
use super::parts::{badge, card, empty, notice, table, time};
use super::sent::Sent;
use crate::OpsError;
use crate::pages::asked::Path;
use crate::rights::Right;
use crate::views::{MakeToken, NewTokenView, TokenView};

/// Where it is.
pub(crate) const PATH: &str = "/access";

/// The tokens as CSV.
pub(super) const EXPORT: &str = "/access/tokens/export";

/// The scopes, and what they are for people.
const SCOPES: &[(&str, &str)] = &[
    ("read", "Read: status, jobs, parked records and logs"),
    ("operate", "Operate: also sync all, jobs, parked records"),
    ("administer", "Administer: also settings, users and access"),
];

/// What was written into the form, and what is wrong with it.
#[derive(Default)]
struct Written {
    name: String,
    scope: String,
    /// Beside the name.
    error: Option<String>,
    /// Beside the scope.
    scope_error: Option<String>,
}

pub(super) async fn show(State(desk): State<Desk>, context: PageContext) -> Response {
    let page = page(&desk, &context, &Written::default()).await;
    answer(&context, page)
}

pub(super) async fn export(State(desk): State<Desk>, context: PageContext) -> Response {
    let tokens = desk.operations.tokens().await.map(|list| list.tokens);
    download::whole(&context, "mosync-tokens.csv", tokens).await
}

pub(super) async fn make(State(desk): State<Desk>, context: PageContext, sent: Sent) -> Response {
    let caller = context.caller();
    let asked = MakeToken {
        name: sent.get("name").unwrap_or_default(),
        scope: sent.get("scope").unwrap_or_default(),
    };
    let is_known = Right::of_name(&asked.scope).is_some();
    let made = desk.operations.make_token(&asked, &caller).await;
    let page = match made {
        // Whatever else cannot be read then: it is shown this once.
        Ok(made) => Ok(page(&desk, &context, &Written::default())
            .await
            .unwrap_or_else(|unread| titled(html! { p { (sentence(&unread.to_string())) } }))
            .notice(once(&made))),
        Err(error @ (OpsError::Invalid(_) | OpsError::Conflict(_))) => {
            let status = error.status();
            let said = Some(sentence(&error.to_string()));
            let (error, scope_error) = if is_known || asked.name.is_empty() {
                (said, None)
            } else {
                (None, said)
            };
            let written = Written {
                name: asked.name,
                scope: asked.scope,
                error,
                scope_error,
            };
            let page = page(&desk, &context, &written).await;
            page.map(|page| page.status(status))
        }
        Err(error) => Err(error),
    };
    answer(&context, page)
}

pub(super) async fn revoke(
    State(desk): State<Desk>,
    context: PageContext,
    Path(token): Path<String>,
) -> Response {
    let revoked = desk
        .operations
        .revoke_token(&token, &context.caller())
        .await;
    let page = match revoked {
        Ok(revoked) => {
            let done = html! { "The token " strong { (revoked.name) } " is revoked. Whoever presents it is refused from now on." };
            let page = page(&desk, &context, &Written::default()).await;
            page.map(|page| page.notice(notice::done(&done)))
        }
        Err(error) => Err(error),
    };
    answer(&context, page)
}

fn titled(body: Markup) -> Page {
    Page::new("Access", Icon::Access, body)
}

async fn page(desk: &Desk, context: &PageContext, written: &Written) -> Result<Page, OpsError> {
    let tokens = desk.operations.tokens().await?.tokens;
    let people = desk.web.as_ref().map(|web| &web.people);
    let snapshot = desk.operations.permissions().await?;
    let now = context.status.read_at;
    let body = html! {
        (card::card("API tokens", &list(context, &tokens)))
        (card::card("New token", &new_token(context, written)))
        @if let Some(people) = people {
            (card::card("People", &card::facts(&[
                ("Administrators", html! {
                    (people.administrators(&snapshot, now)) " users, by the permission set "
                    code { (people.admin_permission_set) } " in Salesforce"
                }),
                ("Operators", names(&people.operators, "console.operators")),
                ("Viewers", names(&people.viewers, "console.viewers")),
            ])))
        }
    };
    Ok(titled(body)
        .actions(html! { a.button href=(EXPORT) { "Export CSV" } })
        .hint(html! { "Who may see and steer the sync. What was done by whom is in the integration log." }))
}

fn names(names: &std::collections::BTreeSet<String>, key: &str) -> Markup {
    html! {
        @if names.is_empty() { "nobody; the configuration names them as " code { (key) } }
        @else { (names.iter().cloned().collect::<Vec<_>>().join(", ")) }
    }
}

/// The token itself: this once.
fn once(made: &NewTokenView) -> Markup {
    notice::done(&html! {
        p { "The token " strong { (made.token.name) } " is made. Copy it now: it is not shown again." }
        p { code #new-token { (made.secret) } }
    })
}

fn list(context: &PageContext, tokens: &[TokenView]) -> Markup {
    if tokens.is_empty() {
        return empty::empty(
            Icon::Access,
            "No token has been made here.",
            &html! { "A program needs one to call the API. The token in the configuration, if there is one, is not listed." },
        );
    }
    let rows = tokens.iter().map(|token| {
        vec![
            html! { strong { (token.name) } },
            html! { (scope(token.scope)) },
            html! { (time::at(token.created)) " by " (token.created_by) },
            time::or_never(token.used, "never"),
            state(token),
            html! {
                @if token.revoked.is_none() {
                    (form::order(context, &format!("/access/tokens/{}/revoke", token.id), html! {
                        button.bad-button type="submit" { "Revoke" span.only-read { " " (token.name) } }
                    }))
                }
            },
        ]
    });
    table::table(
        "API tokens",
        &["Name", "Scope", "Made", "Last used", "State", ""],
        rows,
    )
}

const fn scope(right: Right) -> &'static str {
    match right {
        Right::Read => "Read",
        Right::Operate => "Operate",
        Right::Administer => "Administer",
    }
}

fn state(token: &TokenView) -> Markup {
    html! {
        @match (token.revoked, &token.revoked_by) {
            (Some(at), Some(by)) => { (badge::badge(badge::Tone::Plain, "Revoked")) " " (time::at(at)) " by " (by) }
            _ => { (badge::badge(badge::Tone::Good, "In force")) }
        }
    }
}

fn new_token(context: &PageContext, written: &Written) -> Markup {
    let name = Field::new("name", "Name")
        .help("Who uses it, such as Monthly report.")
        .error(written.error.as_deref())
        .required();
    let scope = Field::new("scope", "Scope")
        .help("What it may do. Less is safer.")
        .error(written.scope_error.as_deref());
    form::order(
        context,
        "/access/tokens",
        html! {
            (name.input("text", &written.name))
            (scope.select(SCOPES, &written.scope))
            (form::submit("Make token"))
        },
    )
}

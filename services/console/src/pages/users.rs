//! mOS Users: who holds mOS permission and through what, and who owns matching opportunities without.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::permission::Grant;
use maud::{Markup, html};

use super::Desk;
use super::context::PageContext;
use super::fault::{PageFault, sentence};
use super::layout::Page;
use super::parts::icon::Icon;
use super::parts::table::number;
use super::parts::{badge, card, empty, notice, record, table, time};
use super::{download, left, settings};
use crate::OpsError;
use crate::export;
use crate::views::{Format, HolderView, OtherView, UserView, UsersView};

/// Where it is.
pub(super) const PATH: &str = "/users";
pub(super) const CSV: &str = "/users/csv";

pub(super) async fn show(State(desk): State<Desk>, context: PageContext) -> Response {
    let page = match desk.operations.users().await {
        Ok(users) => Ok(page(&context, &users)),
        // Permissions were not read yet.
        Err(OpsError::Conflict(why)) => Ok(unread(&why)),
        Err(error) => Err(error),
    };
    settings::answer(&context, page)
}

pub(super) async fn csv(State(desk): State<Desk>, context: PageContext) -> Response {
    let users = desk.operations.users().await;
    match users.and_then(|users| export::users(&users)) {
        Ok(text) => {
            let media_type = Format::Csv.media_type();
            download::attached("mos-users.csv", media_type, text.into())
        }
        Err(error) => PageFault::within(&context, error).into_response(),
    }
}

fn unread(why: &str) -> Page {
    let body = card::card(
        "Holders",
        &empty::empty(
            Icon::Users,
            "Nobody knows yet who holds mOS permission.",
            &html! { (sentence(why)) },
        ),
    );
    Page::new("mOS Users", Icon::Users, body)
}

fn page(context: &PageContext, users: &UsersView) -> Page {
    let inexact = !users.why_not_exact.is_empty();
    let body = html! {
        @if inexact {
            (notice::warning(&html! {
                "The numbers of opportunities are upper bounds, because Salesforce cannot say the whole filter:"
                ul { @for why in &users.why_not_exact { li { (sentence(why)) } } }
            }))
        }
        @if users.others_opportunities > 0 {
            (notice::warning(&html! {
                "Matching opportunities that are not synced: " (number(users.others_opportunities)) ". Their owners have no mOS permission; they are listed below with the reason."
            }))
        }
        (card::card("Holders of mOS permission", &holders(context, users)))
        (card::card("Without mOS permission", &others(context, users)))
    };
    Page::new("mOS Users", Icon::Users, body)
        .hint(html! {
            (number(users.holders.len() as u64)) " users hold mOS permission. Permissions were read "
            (time::or_never(users.permissions_polled, "never")) "."
        })
        .actions(html! { (left::button()) a.button href=(CSV) { "Export CSV" } })
}

fn holders(context: &PageContext, users: &UsersView) -> Markup {
    if users.holders.is_empty() {
        return empty::empty(
            Icon::Users,
            "Nobody holds mOS permission.",
            &html! { "Nothing is synced before somebody does: assign the permission set mOS User or mOS Admin in Salesforce. It counts within a few minutes." },
        );
    }
    let rows = users
        .holders
        .iter()
        .map(|holder| holder_row(context, holder));
    table::table(
        "Holders of mOS permission",
        &[
            "User",
            "Permission set",
            "Until",
            "Opportunities in scope",
            "Remarks",
        ],
        rows,
    )
}

fn holder_row(context: &PageContext, holder: &HolderView) -> Vec<Markup> {
    vec![
        user(context, &holder.user),
        html! { ul { @for grant in &holder.grants { li { (granted(grant)) } } } },
        time::or_never(holder.until, "no end"),
        html! { (number(holder.opportunities)) },
        remarks(holder),
    ]
}

/// What is to be said beside the permission sets, which stand in their own column.
fn remarks(holder: &HolderView) -> Markup {
    let words = holder.words.iter();
    let others: Vec<&String> = words.filter(|words| !words.starts_with("holds ")).collect();
    html! {
        @if others.is_empty() { span.quiet { "–" } }
        @else { ul { @for words in others { li { (time::within(&sentence(words))) } } } }
    }
}

fn granted(grant: &Grant) -> Markup {
    html! {
        (grant.permission_set)
        @match &grant.group {
            Some(group) => { ", through the group " (group) }
            None => { ", directly" }
        }
        @if let Some(until) = grant.expires { ", until " (time::at(until)) }
    }
}

fn others(context: &PageContext, users: &UsersView) -> Markup {
    if users.others.is_empty() {
        return empty::empty(
            Icon::Users,
            "Every owner of a matching opportunity holds mOS permission.",
            &html! { "Owners without it would be listed here with the reason." },
        );
    }
    let rows = users.others.iter().map(|other| other_row(context, other));
    html! {
        (table::table(
            "Users without mOS permission",
            &["User", "Matching opportunities, not synced", "Why"],
            rows,
        ))
        @if users.others_left_off > 0 {
            p.help { (number(users.others_left_off)) " more are not listed." }
        }
    }
}

fn other_row(context: &PageContext, other: &OtherView) -> Vec<Markup> {
    vec![
        user(context, &other.user),
        html! { (number(other.opportunities)) },
        html! { ul { @for words in &other.words { li { (time::within(&sentence(words))) } } } },
    ]
}

/// In one element: on a narrow screen a cell's parts would stand beside each other.
fn user(context: &PageContext, user: &UserView) -> Markup {
    html! {
        div.who {
            strong { (user.name.as_deref().unwrap_or("A user who cannot be read")) }
            @if let Some(username) = &user.username { span.quiet { (username) } " " }
            (record::id(context, &user.id))
            @if user.is_active == Some(false) { " " (badge::badge(badge::Tone::Warning, "Inactive")) }
            @if user.is_frozen == Some(true) { " " (badge::badge(badge::Tone::Warning, "Frozen")) }
        }
    }
}

//! The saves of the past: what each changed, and the way back.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::json;

use super::save::{Came, foresee};
use super::{HISTORY, HISTORY_EXPORT, PATH, REVERT, answer, effect};
use crate::OpsError;
use crate::pages::context::PageContext;
use crate::pages::layout::Page;
use crate::pages::parts::form;
use crate::pages::parts::icon::Icon;
use crate::pages::parts::{badge, card, empty, pager, table, time};
use crate::pages::sent::Sent;
use crate::pages::{Desk, download};
use crate::views::{PastSave, RevertSettings, SaveSettings, SettingsHistory};

/// Saves on a page.
const SHOWN: usize = 20;

pub(in crate::pages) async fn show(
    State(desk): State<Desk>,
    context: PageContext,
    RawQuery(query): RawQuery,
) -> Response {
    let page = async {
        let operations = &desk.operations;
        let asked = Sent::asked(query.as_deref());
        let before = asked.number("before")?;
        let history = operations.settings_history(before, Some(SHOWN)).await?;
        let compared = match (asked.number("from")?, asked.number("to")?) {
            (None, None) => None,
            (from, to) => Some(operations.settings_diff(from, to).await?),
        };
        let current = operations.settings().await?.revision;
        let body = html! {
            @if let Some(compared) = &compared {
                (card::card(
                    &format!("From revision {} to revision {}", compared.from, compared.to),
                    &effect::changes(&compared.changes),
                ))
            }
            (card::card("Saves", &saves(&context, &history, current)))
            (pager::pager(
                history.next.map(|next| format!("{HISTORY}?before={next}")).as_deref(),
                before.map(|_| HISTORY),
            ))
        };
        Ok(Page::new("History of mOS Settings", Icon::Settings, body)
            .hint(html! { "Every save makes a revision. Going back makes a new one, too; its effect is shown first." })
            .actions(html! {
                a.button href=(PATH) { "mOS Settings" }
                a.button href=(HISTORY_EXPORT) { "Export CSV" }
            }))
    };
    answer(&context, page.await)
}

pub(in crate::pages) async fn export(State(desk): State<Desk>, context: PageContext) -> Response {
    let all = desk.operations.all_saves();
    download::csv(&context, "mos-settings-history.csv", all).await
}

fn saves(context: &PageContext, history: &SettingsHistory, current: u64) -> Markup {
    if history.revisions.is_empty() {
        return empty::empty(
            Icon::Settings,
            "Nothing was saved yet.",
            &html! { "The settings are as they come. The first save appears here." },
        );
    }
    let rows = history.revisions.iter().map(|save| {
        vec![
            html! {
                div {
                    (save.revision) " "
                    @if save.revision == current { (badge::badge(badge::Tone::Good, "In force")) }
                }
            },
            time::at(save.saved),
            html! { (save.author) },
            effect::changes(&save.changes),
            back_to(context, save, current),
        ]
    });
    table::table(
        "Saves, newest first",
        &["Revision", "Saved", "By", "What it changed", ""],
        rows,
    )
}

fn back_to(context: &PageContext, save: &PastSave, current: u64) -> Markup {
    html! {
        @if save.revision != current {
            div {
                (form::order(context, REVERT, html! {
                    input type="hidden" name="to" value=(save.revision);
                    input type="hidden" name="base" value=(current);
                    button.button type="submit" { "Revert to this" span.only-read { " revision " (save.revision) } }
                }))
                " "
                a href=(format!("{HISTORY}?from={}&to={current}", save.revision)) { "Compare with now" }
            }
        }
    }
}

/// What going back would do. It is saved as any other document.
pub(in crate::pages) async fn revert(
    State(desk): State<Desk>,
    context: PageContext,
    sent: Sent,
) -> Response {
    let page = async {
        let (to, base) = (sent.needed("to")?, sent.needed("base")?);
        let operations = &desk.operations;
        let asked = RevertSettings {
            to: Some(to),
            base: Some(base),
            dry_run: true,
        };
        let author = crate::Author::of(&context.caller(), None);
        // Says what is wrong with the numbers, and changes nothing.
        operations.revert_settings(&asked, &author).await?;
        let mut settings = operations.settings_revision(to).await?.settings;
        // Which org is served is confirmed, not reverted.
        settings.org = operations.settings_revision(base).await?.settings.org;
        let document = json!(settings);
        let asked = SaveSettings {
            base: Some(base),
            settings: serde_json::from_value(document.clone()).ok(),
        };
        foresee(&desk, &context, &asked, document, Came::History).await
    };
    let page: Result<Page, OpsError> = page.await;
    answer(&context, page)
}

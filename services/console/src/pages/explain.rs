//! Explain: why a record is in mOS, or is not, as a chain of what decides it.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};

use super::context::PageContext;
use super::layout::Page;
use super::parts::form::Field;
use super::parts::icon::Icon;
use super::parts::table::number;
use super::parts::{badge, card, empty, notice, pager, record, table, time};
use super::sent::Sent;
use super::{Desk, PageFault, fault, job, left, logs, parked, words};
use crate::OpsError;
use crate::views::{
    ExplainCode, ExplainCondition, ExplainMos, ExplainOpportunity, ExplainOwner, ExplainSettings,
    ExplainThrough, ExplainView, Found,
};

/// Where it is.
pub(super) const PATH: &str = "/explain";

/// A link that explains a record.
pub(super) fn link(id: &str) -> Markup {
    html! { a href=(pager::address(PATH, &[("record", id)])) { "Explain" } }
}

pub(super) async fn show(
    State(desk): State<Desk>,
    context: PageContext,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(asked) = Sent::asked(query.as_deref()).get("record") else {
        let body = html! {
            (card::card("Which record", &form("", None)))
            (empty::empty(
                Icon::Explain,
                "Why is a record in mOS, or why not?",
                &html! { "Paste its id, or the address of its page in Salesforce." },
            ))
        };
        return page(body).response(&context);
    };
    match desk.operations.explain(&asked).await {
        Ok(view) => {
            let body = html! {
                (card::card("Which record", &form(&asked, None)))
                (answer(&context, &view))
            };
            page(body).response(&context)
        }
        // What was asked is corrected in place; what is out of reach is tried again from here.
        Err(error) => {
            let said = fault::sentence(&error.to_string());
            let is_invalid = matches!(error, OpsError::Invalid(_));
            let body = card::card("Which record", &form(&asked, is_invalid.then_some(&said)));
            let failed = notice::failed(&html! { (said) });
            let status = error.status();
            if matches!(error, OpsError::Invalid(_) | OpsError::OutOfReach(_)) {
                page(body).notice(failed).status(status).response(&context)
            } else {
                PageFault::within(&context, error).into_response()
            }
        }
    }
}

fn page(body: Markup) -> Page {
    Page::new("Explain", Icon::Explain, body)
        .hint(html! { "The sync rule, step by step, as it stands for one record right now." })
        .actions(left::button())
}

fn form(asked: &str, error: Option<&String>) -> Markup {
    let field = Field::new("record", "Record id or address")
        .help("Of a user, account, contact, opportunity or opportunity contact role.")
        .error(error.map(String::as_str))
        .required();
    html! {
        form.filters method="get" action=(PATH) {
            div.row {
                (field.input("search", asked))
                div.field.go { button.brand-button type="submit" { "Explain" } }
            }
        }
    }
}

/// Whether a step of the chain lets the record pass; `None`: nobody knows.
type Passes = Option<bool>;

fn answer(context: &PageContext, view: &ExplainView) -> Markup {
    html! {
        (card::with_actions("The answer", &links(context, view), &verdict(view)))
        ol.chain {
            @if let Some(found) = view.found { (salesforce(view, found)) }
            @if let Some(settings) = &view.settings { (of_settings(settings)) }
            @if let Some(opportunity) = &view.opportunity { (of_opportunity(context, opportunity)) }
            @if let Some(owner) = &view.owner { (of_owner(context, owner)) }
            @if let Some(through) = &view.through { (of_through(context, through)) }
            @for gate in &view.gates {
                (step("Held up", Some(false), &html! { p { (fault::said(&gate.words)) } }))
            }
            @if let Some(next) = view.next_window {
                (step("Window", None, &html! { p { "Changes are taken in windows; the next one begins " (time::at(next)) "." } }))
            }
            @if let Some(entry) = &view.parked {
                (step("Parked", Some(entry.dismissed.is_some()), &html! {
                    p { strong { (words::failure(entry.kind)) } ", since " (time::at(entry.since)) ", tried again " (entry.retries) " times." }
                    p { (entry.message) }
                    p.quiet { (entry.advice) }
                    @if let Some(dismissal) = &entry.dismissed {
                        p { "Dismissed by " (dismissal.by) " " (time::at(dismissal.at)) ": " (dismissal.reason) }
                    }
                    p { a href=(pager::address(parked::PATH, &[("group", &entry.group)])) { "All records of this cause" } }
                }))
            }
            @if let Some(mos) = &view.mos { (of_mos(view, mos)) }
        }
        @if !view.log.is_empty() {
            (card::card("Last in the integration log", &logs::lines(context, &view.log)))
        }
    }
}

fn links(context: &PageContext, view: &ExplainView) -> Markup {
    html! {
        @if let Some(object) = view.object { (object.api_name()) " " }
        (record::id(context, &view.id))
        " "
        a.button href=(pager::address(logs::PATH, &[("record", view.id.as_str())])) { "Timeline" }
    }
}

fn verdict(view: &ExplainView) -> Markup {
    let (tone, word) = match view.code {
        ExplainCode::InScopeAndCurrent => (badge::Tone::Good, "In mOS, and current"),
        ExplainCode::InScopeNotYet | ExplainCode::WaitingForWindow => {
            (badge::Tone::Busy, "On its way")
        }
        ExplainCode::Parked | ExplainCode::OtherOrg => (badge::Tone::Bad, "Needs attention"),
        ExplainCode::Disabled | ExplainCode::Sandbox | ExplainCode::Dismissed => {
            (badge::Tone::Warning, "Held")
        }
        _ if view.in_scope == Some(false) => (badge::Tone::Plain, "Not in scope"),
        ExplainCode::NotASyncedObject
        | ExplainCode::Deleted
        | ExplainCode::NotVisible
        | ExplainCode::FilterDoesNotMatch
        | ExplainCode::Closed
        | ExplainCode::LastWordSent
        | ExplainCode::PermissionsNotRead
        | ExplainCode::OwnerWithoutPermission
        | ExplainCode::PermissionExpired
        | ExplainCode::OwnerInactive
        | ExplainCode::PermissionDoesNotCount
        | ExplainCode::OpportunityNotVisible
        | ExplainCode::NoOpportunity
        | ExplainCode::NoOpportunityMatches
        | ExplainCode::NoOwnerWithPermission => (badge::Tone::Warning, "Not synced"),
    };
    html! {
        p.answer { (badge::badge(tone, word)) " " strong { (fault::said(&view.verdict)) } }
        p { (fault::said(&view.advice)) }
        p.quiet { "Read " (time::at(view.read_at)) }
    }
}

fn step(name: &str, passes: Passes, body: &Markup) -> Markup {
    let (class, word) = match passes {
        Some(true) => ("passes", "Passes"),
        Some(false) => ("stops", "Stops here"),
        None => ("open", "For the record"),
    };
    html! {
        li class=(class) {
            h3 { (name) span.only-read { ": " (word) } }
            (body)
        }
    }
}

fn salesforce(view: &ExplainView, found: Found) -> Markup {
    let seen = view.seen.as_ref();
    let body = html! {
        p {
            @match found {
                Found::Row => { "The record is there" }
                Found::Deleted => { "The record is in the recycle bin" }
                Found::Absent => { "The record is not to be seen" }
            }
            @if let Some(modified) = seen.and_then(|seen| seen.modified) { ", last changed " (time::at(modified)) }
            "."
        }
        @if let Some(stream) = seen.and_then(|seen| seen.stream.as_ref()) {
            p.quiet {
                "The event stream was last heard " (time::at(stream.heard))
                @if !stream.at_end { " and is behind" }
                "."
            }
        }
        @if let Some(poll) = seen.and_then(|seen| seen.poll) {
            p.quiet { "Its object was polled to the end " (time::or_never(poll.polled, "not yet")) "." }
        }
    };
    step("In Salesforce", Some(found == Found::Row), &body)
}

fn of_settings(settings: &ExplainSettings) -> Markup {
    let body = html! {
        p {
            "Revision " (settings.revision) ", saved " (time::at(settings.saved)) " by " (settings.author)
            "; changes are taken: " (settings.frequency.replace('_', " ")) "."
        }
    };
    step("Settings", None, &body)
}

fn of_opportunity(context: &PageContext, opportunity: &ExplainOpportunity) -> Markup {
    let closed = opportunity.is_closed && !opportunity.sync_closed;
    let body = html! {
        p {
            "Opportunity " (record::id(context, &opportunity.id)) ": the filter "
            @if opportunity.matches { "matches" } @else { strong { "does not match" } }
            ". It is " @if opportunity.is_closed { "closed" } @else { "open" }
            "; closed ones are " @if !opportunity.sync_closed { "not " } "synced."
        }
        @for sentence in &opportunity.undefined { p.wrong { (fault::said(sentence)) } }
        @if !opportunity.conditions.is_empty() {
            (table::table(
                "Conditions of the filter",
                &["No.", "Condition", "The record has", "Holds"],
                opportunity.conditions.iter().map(condition),
            ))
            p.quiet {
                @match &opportunity.logic {
                    Some(logic) => { "Filter logic: " code { (logic) } }
                    None => { "All conditions must hold." }
                }
            }
        }
    };
    step(
        "Opportunity filter",
        Some(opportunity.matches && !closed),
        &body,
    )
}

fn condition(condition: &ExplainCondition) -> Vec<Markup> {
    vec![
        html! { (condition.number) },
        html! {
            code { (condition.field) } " " (condition.operator.replace('_', " ")) " "
            strong { (condition.values.join(", ")) }
        },
        html! {
            @match &condition.met { Some(met) => { (met) } None => { span.quiet { "blank" } } }
        },
        match condition.holds {
            Some(true) => badge::badge(badge::Tone::Good, "Yes"),
            Some(false) => badge::badge(badge::Tone::Bad, "No"),
            None => badge::badge(badge::Tone::Warning, "Unknown"),
        },
    ]
}

fn of_owner(context: &PageContext, owner: &ExplainOwner) -> Markup {
    let body = html! {
        p {
            @match &owner.user.name { Some(name) => { (name) " " } None => {} }
            (record::id(context, &owner.user.id)) " "
            @if owner.permitted { "holds mOS permission" } @else { strong { "does not hold mOS permission" } }
            @if let Some(until) = owner.until { " until " (time::at(until)) }
            "."
        }
        ul.words { @for sentence in &owner.words { li { (fault::said(sentence)) } } }
        p.quiet { "By permission snapshot " (owner.snapshot) "." }
    };
    step("Permission", Some(owner.permitted), &body)
}

fn of_through(context: &PageContext, through: &ExplainThrough) -> Markup {
    let at_least = if through.cut_short { "at least " } else { "" };
    let rows = through.owners.iter().map(|one| {
        vec![
            record::id(context, &one.owner),
            html! { (number(one.opportunities)) },
            if one.permitted {
                badge::badge(badge::Tone::Good, "In scope")
            } else {
                badge::badge(badge::Tone::Plain, "Not in scope")
            },
            time::within(&one.words.join("; ")),
        ]
    });
    let body = html! {
        p {
            "It hangs on " (number(through.all)) " opportunities; " (at_least) (number(through.matching))
            " match the settings, " (at_least) (number(through.in_scope)) " of them are in scope."
        }
        @if !through.owners.is_empty() {
            (table::table("Owners of these opportunities", &["Owner", "Opportunities", "Scope", "Why"], rows))
        }
        @if through.owners_left_off > 0 { p.quiet { "And " (number(through.owners_left_off)) " more owners." } }
        @if !through.examples.is_empty() {
            p {
                "In scope, for example: "
                @for (place, example) in through.examples.iter().enumerate() {
                    @if place > 0 { ", " }
                    (record::id(context, example))
                }
            }
        }
    };
    step("Its opportunities", Some(through.in_scope > 0), &body)
}

fn of_mos(view: &ExplainView, mos: &ExplainMos) -> Markup {
    let passes = mos
        .held
        .map(|held| held && mos.differs.as_ref().is_none_or(Vec::is_empty));
    let body = html! {
        p {
            @match (mos.held, mos.as_of) {
                (Some(true), Some(as_of)) => { "mOS holds it as it was in Salesforce " (time::at(as_of)) "." }
                (Some(true), None) => { "mOS holds it." }
                (Some(false), _) => { "mOS does not hold it." }
                (None, _) => { "mOS has not said." }
            }
            @match &mos.differs {
                Some(differs) if differs.is_empty() => { " Every mapped field is as it is in Salesforce." }
                Some(differs) => { " These fields would change now: " (differs.join(", ")) "." }
                None => {}
            }
        }
        @if let Some(trouble) = &mos.trouble { p.wrong { (fault::said(trouble)) } }
        @if !mos.fields.is_empty() {
            details {
                summary { "What mOS holds" }
                dl.facts {
                    @for (name, value) in &mos.fields {
                        div { dt { (name) } dd { (text(value)) } }
                    }
                }
            }
        }
        @if let Some(last) = &view.last_job { p { "Last job named with it: " (job::link(last, last)) } }
        @if !view.possible_jobs.is_empty() {
            p {
                "Brought by " @if view.possible_jobs.len() > 1 { "one of " }
                @for (place, id) in view.possible_jobs.iter().enumerate() {
                    @if place > 0 { ", " }
                    (job::link(id, id))
                }
            }
        }
    };
    step("In mOS", passes, &body)
}

fn text(value: &serde_json::Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

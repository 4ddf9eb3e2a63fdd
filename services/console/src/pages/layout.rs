//! The frame of every page: global header with tabs, the line of state, the page's header.

use axum::response::{IntoResponse as _, Response};
use domain::job::JobKind;
use http::{StatusCode, header};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::context::PageContext;
use super::parts::icon::Icon;
use super::parts::{badge, form, record, time};
use super::{PageFault, assets, fault, job, sync_status, words};
use crate::OpsError;
use crate::rights::Right;
use crate::views::{JobView, StatusView, Verdict};

/// The tabs in their order: name, path, and who sees them.
pub(super) const TABS: &[(&str, &str, Right)] = &[
    ("mOS Settings", "/settings", Right::Administer),
    ("Field Mapping", "/mapping", Right::Administer),
    ("mOS Users", "/users", Right::Administer),
    ("Sync Status", sync_status::PATH, Right::Read),
    ("Jobs", "/jobs", Right::Read),
    ("Parked Records", "/parked", Right::Read),
    ("Integration Logs", "/logs", Right::Read),
    ("Explain", "/explain", Right::Read),
    ("Notifications", "/notifications", Right::Operate),
    ("Access", "/access", Right::Administer),
];

/// A page's own part.
#[derive(Debug)]
pub struct Page {
    title: String,
    icon: Icon,
    /// A line under the title.
    hint: Option<Markup>,
    /// Buttons at the top right.
    actions: Option<Markup>,
    scripts: Vec<&'static str>,
    body: Markup,
    status: StatusCode,
    notices: Vec<Markup>,
}

impl Page {
    /// With a title and what is on it.
    pub fn new(title: impl Into<String>, icon: Icon, body: Markup) -> Self {
        Self {
            title: title.into(),
            icon,
            hint: None,
            actions: None,
            scripts: Vec::new(),
            body,
            status: StatusCode::OK,
            notices: Vec::new(),
        }
    }

    /// A line under the title.
    #[must_use]
    pub fn hint(mut self, hint: Markup) -> Self {
        self.hint = Some(hint);
        self
    }

    /// Buttons at the top right.
    #[must_use]
    pub fn actions(mut self, actions: Markup) -> Self {
        self.actions = Some(actions);
        self
    }

    /// A script of the assets that this page needs.
    #[must_use]
    pub fn script(mut self, name: &'static str) -> Self {
        self.scripts.push(name);
        self
    }

    /// Another HTTP status than 200.
    #[must_use]
    pub const fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// What was done, or could not be, above everything else; see [`super::parts::notice`].
    #[must_use]
    pub fn notice(mut self, notice: Markup) -> Self {
        self.notices.push(notice);
        self
    }

    /// As it is answered.
    pub fn response(self, context: &PageContext) -> Response {
        let status = self.status;
        respond(status, self.markup(context))
    }

    pub(super) fn markup(self, context: &PageContext) -> Markup {
        let scripts = [assets::TIMES, assets::TABS]
            .into_iter()
            .chain(self.scripts);
        html! {
            (DOCTYPE)
            html lang="en" {
                (head(&self.title, scripts))
                body {
                    a.skip href="#main" { "Skip to the page" }
                    (global_header(context))
                    (state_line(context))
                    main #main tabindex="-1" {
                        header.page-header {
                            (self.icon.markup())
                            div.page-title {
                                h1 { (self.title) }
                                @if let Some(hint) = &self.hint { p.hint { (hint) } }
                            }
                            @if let Some(actions) = &self.actions { div.actions { (actions) } }
                        }
                        @for notice in &self.notices { (notice) }
                        (self.body)
                    }
                    (footer(context))
                }
            }
        }
    }
}

/// A page, or why there is none.
pub(super) fn answer(context: &PageContext, page: Result<Page, OpsError>) -> Response {
    match page {
        Ok(page) => page.response(context),
        Err(error) => PageFault::within(context, error).into_response(),
    }
}

fn head(title: &str, scripts: impl Iterator<Item = &'static str>) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            title { (title) " | mosync" }
            link rel="icon" type="image/svg+xml" href=(assets::address(assets::ICON));
            @for style in [assets::STYLE, assets::OPERATORS_STYLE] {
                link rel="stylesheet" href=(assets::address(style));
            }
            @for script in scripts {
                script src=(assets::address(script)) defer {}
            }
        }
    }
}

fn global_header(context: &PageContext) -> Markup {
    let viewer = &context.viewer;
    html! {
        header.global {
            div.brand {
                a href="/" { (PreEscaped(include_str!("../../assets/mosync.svg"))) span { "mosync" } }
                div.viewer {
                    span.viewer-name title=(viewer.username) { (viewer.name) }
                    span.viewer-role { (viewer.role.name()) }
                    (form::order(context, "/sign-out", html! {
                        button.link type="submit" { "Sign out" }
                    }))
                }
            }
            nav aria-label="mosync" {
                ul.tabs {
                    @for (name, path, needs) in TABS {
                        @if viewer.may(*needs) {
                            li { (tab(name, path, &context.path)) }
                        }
                    }
                }
            }
        }
    }
}

fn tab(name: &str, path: &str, shown: &str) -> Markup {
    let below = shown
        .strip_prefix(path)
        .is_some_and(|rest| rest.starts_with('/'));
    html! {
        @if shown == path { a href=(path) aria-current="page" { (name) } }
        @else if below { a href=(path) aria-current="true" { (name) } }
        @else { a href=(path) { (name) } }
    }
}

/// The connected org, how the sync is in one sentence, and the most recent sync with its result.
fn state_line(context: &PageContext) -> Markup {
    let status = &context.status;
    html! {
        section.state aria-label="State" {
            div.state-org {
                (org(context))
            }
            div.state-verdict #verdict data-live-part="verdict" { (verdict(status)) }
            div.state-sync data-live-part="recent" { (recent(status)) }
        }
    }
}

/// How the sync is, in one sentence.
pub(super) fn verdict(status: &StatusView) -> Markup {
    html! {
        (badge::verdict(status.verdict))
        " "
        span { (fault::said(&status.reason)) }
    }
}

/// The most recent sync with its result, and before it the one that runs, if one does. Live changes go
/// on all the time, and have none. Why one has failed says the verdict beside it, and the job's page.
pub(super) fn recent(status: &StatusView) -> Markup {
    let is_load = |job: &&JobView| job.kind != JobKind::Live;
    let running = sync_status::main_of(status).filter(is_load);
    let running = running.filter(|job| job.over.is_none());
    html! {
        @if let Some(job) = running {
            "Running: " (job::link(&job.id, words::job(job.kind))) " " (badge::mos(job.mos)) ". "
        }
        "Most recent sync: "
        @match &status.last_ended {
            Some(job) => {
                (job::link(&job.id, words::job(job.kind))) " " (badge::mos(job.mos))
                @if let Some(over) = job.over { ", over " (time::at(over)) }
            }
            None if running.is_some() => "none has ended yet",
            None => "none yet"
        }
    }
}

fn org(context: &PageContext) -> Markup {
    let org = &context.org;
    html! {
        @match (&org.name, &org.id) {
            (Some(name), Some(id)) => {
                strong { (name) } " " (record::org(context, id)) " "
                (badge::org_kind(org.is_sandbox))
            }
            (None, Some(id)) => {
                (record::org(context, id)) " " (badge::org_kind(org.is_sandbox))
                " " span.quiet { "The org does not answer, so its name is not known." }
            }
            (_, None) => { span { "No org is connected yet" } }
        }
    }
}

fn footer(context: &PageContext) -> Markup {
    html! {
        footer {
            "Read " (time::at(context.status.read_at)) " · settings revision "
            (context.status.settings_revision)
            @if context.status.verdict != Verdict::Healthy { " · somebody should look" }
        }
    }
}

/// A page without what the frame shows: before anybody has signed in, or when a store does not answer.
pub(super) fn bare(title: &str, body: &Markup) -> Markup {
    bare_with(title, body, &[])
}

/// The same with scripts of its own.
pub(super) fn bare_with(title: &str, body: &Markup, scripts: &[&'static str]) -> Markup {
    let scripts = [assets::TIMES].into_iter().chain(scripts.iter().copied());
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, scripts))
            body.bare {
                header.global {
                    div.brand {
                        a href="/" { (PreEscaped(include_str!("../../assets/mosync.svg"))) span { "mosync" } }
                    }
                }
                main #main { (body) }
            }
        }
    }
}

/// A page is of one person at one time: nobody keeps it.
pub(super) fn respond(status: StatusCode, markup: Markup) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, markup.into_string()).into_response()
}

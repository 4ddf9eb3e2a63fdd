//! The console's web pages: server-rendered, on the same [`Operations`] as the API, so that both show
//! the same numbers.
//!
//! A page is a function that takes a [`PageContext`](context::PageContext) (who looks at it, the org,
//! how the sync is) and what it asks of the operations, and answers [`layout::Page`]. It has a row
//! in [`ROUTES`], which says what right it needs; a tab of the header appears as soon as its path is
//! there.

mod access;
mod asked;
mod assets;
pub mod context;
mod dead;
mod download;
mod explain;
mod fault;
mod home;
mod job;
mod jobs;
pub mod layout;
mod left;
mod live;
mod logs;
mod mapping;
mod notifications;
mod operators;
mod parked;
pub mod parts;
mod sent;
mod settings;
mod sign_in;
mod stages;
mod sync_status;
mod unsent;
mod users;
mod words;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use http::{HeaderMap, Method, Uri};

pub use context::Viewer;
pub(crate) use fault::{PageFault, refuse};
pub(crate) use live::{Live, PATH as LIVE, Streams};
pub(crate) use settings::ROWS;
pub(crate) use sign_in::ask as ask_to_sign_in;
pub(crate) use unsent::{Unsent, send_again};

use crate::OpsError;
use crate::api;
use crate::entry::{Console, Front, Peer, Watch, guard};
use crate::rights::Right;

/// No form here is longer.
pub(crate) const MAX_FORM: usize = 64 * 1024;

/// What page functions work on; `State<Operations>` is part of it.
pub type Desk = Console;

/// One path.
struct Route {
    /// The path, as the router reads it.
    path: &'static str,
    /// HTTP methods in lower case.
    methods: &'static [&'static str],
    /// What a viewer must be allowed to do.
    needs: Right,
    /// What answers.
    answers: fn() -> MethodRouter<Desk>,
}

/// Every page for somebody who has signed in; those of operators have a table of their own.
const ROUTES: &[Route] = &[
    Route {
        path: "/",
        methods: &["get"],
        needs: Right::Read,
        answers: || get(home::show),
    },
    Route {
        path: settings::PATH,
        methods: &["get", "post"],
        needs: Right::Administer,
        answers: || get(settings::show).post(settings::act),
    },
    Route {
        path: ROWS,
        methods: &["post"],
        needs: Right::Administer,
        answers: || post(settings::rows),
    },
    Route {
        path: settings::SAVE,
        methods: &["post"],
        needs: Right::Administer,
        answers: || post(settings::save),
    },
    Route {
        path: settings::EDIT,
        methods: &["post"],
        needs: Right::Administer,
        answers: || post(settings::edit),
    },
    Route {
        path: settings::LOOK,
        methods: &["post"],
        needs: Right::Administer,
        answers: || post(settings::look),
    },
    Route {
        path: settings::HISTORY,
        methods: &["get"],
        needs: Right::Administer,
        answers: || get(settings::show_history),
    },
    Route {
        path: settings::HISTORY_EXPORT,
        methods: &["get"],
        needs: Right::Administer,
        answers: || get(settings::export_history),
    },
    Route {
        path: settings::PREVIEWED,
        methods: &["get"],
        needs: Right::Administer,
        answers: || get(settings::export_previewed),
    },
    Route {
        path: settings::REVERT,
        methods: &["post"],
        needs: Right::Administer,
        answers: || post(settings::revert),
    },
    Route {
        path: settings::TRANSFER,
        methods: &["get", "post"],
        needs: Right::Administer,
        answers: || get(settings::show_transfer).post(settings::import),
    },
    Route {
        path: settings::EXPORT,
        methods: &["get"],
        needs: Right::Administer,
        answers: || get(settings::export),
    },
    Route {
        path: settings::CHECKLIST,
        methods: &["get"],
        needs: Right::Administer,
        answers: || get(settings::show_checklist),
    },
    Route {
        path: settings::TEST_MAIL,
        methods: &["post"],
        needs: Right::Administer,
        answers: || post(settings::test_mail),
    },
    Route {
        path: settings::CONFIRM_ORG,
        methods: &["get", "post"],
        needs: Right::Administer,
        answers: || get(settings::ask_confirm_org).post(settings::confirm_org),
    },
    Route {
        path: settings::SYNC_ALL,
        methods: &["get", "post"],
        needs: Right::Operate,
        answers: || get(settings::ask_sync_all).post(settings::start_sync_all),
    },
    Route {
        path: mapping::PATH,
        methods: &["get", "post"],
        needs: Right::Administer,
        answers: || get(mapping::show).post(mapping::act),
    },
    Route {
        path: mapping::EXPORT,
        methods: &["get"],
        needs: Right::Administer,
        answers: || get(mapping::export),
    },
    Route {
        path: mapping::TAKE_OVER,
        methods: &["post"],
        needs: Right::Administer,
        answers: || post(mapping::take_over),
    },
    Route {
        path: users::PATH,
        methods: &["get"],
        needs: Right::Administer,
        answers: || get(users::show),
    },
    Route {
        path: users::CSV,
        methods: &["get"],
        needs: Right::Administer,
        answers: || get(users::csv),
    },
    Route {
        path: access::PATH,
        methods: &["get"],
        needs: Right::Administer,
        answers: || get(access::show),
    },
    Route {
        path: access::EXPORT,
        methods: &["get"],
        needs: Right::Administer,
        answers: || get(access::export),
    },
    Route {
        path: "/access/tokens",
        methods: &["post"],
        needs: Right::Administer,
        answers: || post(access::make),
    },
    Route {
        path: "/access/tokens/{token}/revoke",
        methods: &["post"],
        needs: Right::Administer,
        answers: || post(access::revoke),
    },
];

/// Every page with its methods, and the right that it needs.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static [&'static str], Right)> {
    all().map(|route| (route.path, route.methods, route.needs))
}

fn all() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().chain(operators::ROUTES)
}

/// Whether somebody may be sent to this address: it is that of a page which can be looked at.
fn is_page(address: &str) -> bool {
    right_to_see(address).is_some()
}

/// The right that a page needs; `None` when the address is that of no page which can be looked at.
/// The part after `?` is the page's own matter.
fn right_to_see(address: &str) -> Option<Right> {
    if !address.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let (path, _) = address.split_once('?').unwrap_or((address, ""));
    let is_plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    };
    let fits = |pattern: &str| {
        let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (Some(wanted), Some(given)) if wanted == given => {}
                (Some(wanted), Some(given)) if wanted.starts_with('{') && is_plain(given) => {}
                _ => return false,
            }
        }
    };
    let pages = all().filter(|route| route.path != live::PATH);
    // A name stands before what stands for any name: `/settings/history`, `/jobs/export`.
    let mut fitting: Vec<&Route> = pages
        .filter(|route| route.methods.contains(&"get") && fits(route.path))
        .collect();
    fitting.sort_by_key(|route| route.path.contains('{'));
    fitting.first().map(|route| route.needs)
}

/// All pages, guarded, with the way in and out, and their assets.
pub(crate) fn router(console: &Console) -> Router {
    let mut router = Router::new();
    for route in all() {
        let watch = Watch::before(route.path, console, route.needs, Front::Page);
        let guarded = axum::middleware::from_fn_with_state(watch, guard);
        router = router.route(route.path, (route.answers)().layer(guarded));
    }
    router
        .merge(sign_in::router())
        .route("/assets/{name}", get(assets::show))
        .fallback(no_such_page)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .with_state(console.clone())
}

async fn no_such_page(
    State(console): State<Console>,
    headers: HeaderMap,
    peer: Peer,
    uri: Uri,
) -> Response {
    let path = uri.path();
    if path == "/api" || path.starts_with("/api/") {
        return api::no_such_path(path);
    }
    let error = OpsError::NotFound(format!("there is no page at {path}"));
    fault::to_whoever(&console, &headers, &peer, path, error).await
}

async fn wrong_method(
    State(console): State<Console>,
    method: Method,
    headers: HeaderMap,
    peer: Peer,
    uri: Uri,
) -> Response {
    let path = uri.path();
    let error = OpsError::WrongMethod(format!("{path} cannot be asked by {method}"));
    fault::to_whoever(&console, &headers, &peer, path, error).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tab_leads_to_a_page_that_its_viewers_may_see() {
        for (name, path, needs) in layout::TABS {
            let asked = right_to_see(path);
            assert_eq!(asked, Some(*needs), "{name}");
        }
        assert_eq!(right_to_see("/jobs/backfill-1"), Some(Right::Read));
        assert_eq!(
            right_to_see("/settings/history?from=1"),
            Some(Right::Administer)
        );
        assert_eq!(right_to_see("/nowhere"), None);
    }

    #[test]
    fn nobody_is_sent_anywhere_but_to_a_page() {
        for page in [
            "/",
            "/sync-status",
            "/sync-status?x=/y",
            "/access",
            "/jobs/live-2026",
            "/logs?topic=job",
        ] {
            assert!(is_page(page), "{page}");
        }
        for elsewhere in [
            "",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "https://evil.example/",
            "/sync-status/../x",
            "/sync-status\r\nset-cookie: a",
            "/access/tokens",
            "/sign-out",
            "/events",
            "/jobs/../x",
            "sync-status",
            "/assets/console.css",
            "javascript:alert(1)",
        ] {
            assert!(!is_page(elsewhere), "{elsewhere}");
        }
    }
}

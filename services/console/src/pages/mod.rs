//! The console's web pages: server-rendered, on the same [`Operations`] as the API, so that both show
//! the same numbers.
//!
//! A page is a function that takes a [`PageContext`] (who looks at it, the org, how the sync is)
//! and what it asks of the operations, and answers [`layout::Page`]. It has a row in [`ROUTES`],
//! which says what right it needs; a tab of the header appears as soon as its path is there.

mod assets;
mod context;
mod fault;
mod home;
mod layout;
mod parts;
mod sync_status;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, get};

pub(crate) use context::Viewer;
pub(crate) use fault::PageFault;

use crate::Operations;
use crate::rights::Right;

/// No form here is longer.
const MAX_FORM: usize = 64 * 1024;

/// What page functions work on; `State<Operations>` is part of it.
pub(crate) type Desk = Operations;

/// One path.
pub(crate) struct Route {
    /// The path, as the router reads it.
    pub(crate) path: &'static str,
    /// HTTP methods in lower case.
    pub(crate) methods: &'static [&'static str],
    /// What a viewer must be allowed to do.
    pub(crate) needs: Right,
    /// What answers.
    pub(crate) answers: fn() -> MethodRouter<Desk>,
}

/// Every page for somebody who has signed in.
pub(crate) const ROUTES: &[Route] = &[
    Route {
        path: "/",
        methods: &["get"],
        needs: Right::Read,
        answers: || get(home::show),
    },
    Route {
        path: sync_status::PATH,
        methods: &["get"],
        needs: Right::Read,
        answers: || get(sync_status::show),
    },
];

/// Whether there is such a page.
fn exists(path: &str) -> bool {
    ROUTES.iter().any(|route| route.path == path)
}

/// All pages, for callers that have said who looks at them by a [`Viewer`] among the request's
/// extensions.
pub(crate) fn router(operations: Operations) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, (route.answers)());
    }
    router
        .fallback(fault::no_such_page)
        .method_not_allowed_fallback(fault::wrong_method)
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .with_state(operations)
        .route("/assets/{name}", get(assets::show))
}

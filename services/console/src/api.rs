//! The JSON API: `/api/v1/...`, described by the document at `/api/openapi.json`.

mod auth;
mod handlers;
mod server;
mod speech;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, get, post};

pub use auth::Keys;
pub(crate) use auth::USER;
pub use server::{ServeError, Server};

use crate::Operations;

/// What `/api/openapi.json` answers.
pub const DOCUMENT: &str = include_str!("../openapi.json");

/// No request that this API understands is longer.
const MAX_BODY: usize = 64 * 1024;

/// Path, HTTP methods and what answers them: every route there is.
type Route = (
    &'static str,
    &'static [&'static str],
    fn() -> MethodRouter<Operations>,
);

/// The routes that need a token. The document is held to this table by a test.
const ROUTES: &[Route] = &[
    ("/api/v1/status", &["get"], || get(handlers::status)),
    ("/api/v1/users", &["get"], || get(handlers::users)),
    ("/api/v1/left", &["get"], || get(handlers::left)),
    ("/api/v1/explain/{id}", &["get"], || get(handlers::explain)),
    ("/api/v1/sync-all", &["post"], || post(handlers::sync_all)),
    ("/api/v1/jobs", &["get"], || get(handlers::jobs)),
    ("/api/v1/jobs/{job}", &["get"], || get(handlers::job)),
    ("/api/v1/jobs/{job}/pause", &["post"], || {
        post(handlers::pause)
    }),
    ("/api/v1/jobs/{job}/resume", &["post"], || {
        post(handlers::resume)
    }),
    ("/api/v1/jobs/{job}/cancel", &["post"], || {
        post(handlers::cancel)
    }),
    ("/api/v1/parked", &["get"], || get(handlers::parked)),
    ("/api/v1/parked/groups", &["get"], || get(handlers::groups)),
    ("/api/v1/parked/retry", &["post"], || post(handlers::retry)),
    ("/api/v1/parked/dismiss", &["post"], || {
        post(handlers::dismiss)
    }),
    ("/api/v1/dead", &["get"], || get(handlers::dead)),
    ("/api/v1/dead/{message}", &["get"], || {
        get(handlers::dead_message)
    }),
    ("/api/v1/dead/{message}/replay", &["post"], || {
        post(handlers::replay)
    }),
    ("/api/v1/dead/{message}/discard", &["post"], || {
        post(handlers::discard)
    }),
    ("/api/v1/settings", &["get", "post"], || {
        get(handlers::settings).post(handlers::save_settings)
    }),
    ("/api/v1/settings/validate", &["post"], || {
        post(handlers::validate_settings)
    }),
    ("/api/v1/settings/preview", &["post"], || {
        post(handlers::preview_settings)
    }),
    (
        "/api/v1/settings/preview/{preview}/opportunities",
        &["get"],
        || get(handlers::previewed),
    ),
    (
        "/api/v1/settings/preview/{preview}/export",
        &["get"],
        || get(handlers::export_previewed),
    ),
    ("/api/v1/settings/history", &["get"], || {
        get(handlers::settings_history)
    }),
    ("/api/v1/settings/revisions/{revision}", &["get"], || {
        get(handlers::settings_revision)
    }),
    ("/api/v1/settings/diff", &["get"], || {
        get(handlers::settings_diff)
    }),
    ("/api/v1/settings/revert", &["post"], || {
        post(handlers::revert_settings)
    }),
    ("/api/v1/settings/import-mapping", &["post"], || {
        post(handlers::import_mapping)
    }),
    ("/api/v1/settings/confirm-org", &["post"], || {
        post(handlers::confirm_org)
    }),
    ("/api/v1/settings/export", &["get"], || {
        get(handlers::export_settings)
    }),
    ("/api/v1/notifications", &["get"], || {
        get(handlers::notifications)
    }),
    ("/api/v1/notifications/{notification}", &["get"], || {
        get(handlers::notification)
    }),
    ("/api/v1/notifications/test", &["post"], || {
        post(handlers::test_notification)
    }),
    ("/api/v1/logs", &["get"], || get(handlers::logs)),
    ("/api/v1/logs/export", &["get"], || get(handlers::export)),
];

/// Every path with its methods, as the document must have them.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    ROUTES
        .iter()
        .map(|(path, methods, _)| (*path, *methods))
        .chain([("/api/openapi.json", &["get"][..])])
}

/// All routes, for callers within this process: whoever calls has to say who calls, by a
/// [`crate::Caller`] and an [`crate::Author`] among the request's extensions.
pub(crate) fn inside(operations: Operations) -> Router {
    let mut router = Router::new();
    for (path, _, answers) in ROUTES {
        router = router.route(path, answers());
    }
    router
        .route("/api/openapi.json", get(handlers::document))
        .fallback(handlers::no_such_path)
        .method_not_allowed_fallback(handlers::wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(operations)
}

/// All routes, for callers from outside, who have to present a token.
pub(crate) fn guarded(operations: Operations, keys: Keys) -> Router {
    inside(operations).layer(axum::middleware::from_fn_with_state(keys, auth::guard))
}

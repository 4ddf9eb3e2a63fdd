//! The JSON API: `/api/v1/...`, described by the document at `/api/openapi.json`.

mod handlers;
mod server;
mod speech;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use futures::StreamExt as _;
use runtime::calls::Counting;

pub use server::{Bounds, ServeError, Server};
use speech::Refused;

pub use crate::entry::Keys;
use crate::entry::headers::{self, Policy};
use crate::entry::{self, Console, Front, Watch, guard};
use crate::rights::Right;
use crate::{Operations, OpsError, pages};

/// What `/api/openapi.json` answers.
pub const DOCUMENT: &str = include_str!("../openapi.json");

/// No request that this API understands is longer.
const MAX_BODY: usize = 64 * 1024;

/// Path, HTTP methods, what they need and what answers them: every route there is.
type Route = (
    &'static str,
    &'static [&'static str],
    Right,
    fn() -> MethodRouter<Operations>,
);

/// The routes that need a token. The document is held to this table by a test.
const ROUTES: &[Route] = &[
    ("/api/v1/status", &["get"], Right::Read, || {
        get(handlers::status)
    }),
    ("/api/v1/users", &["get"], Right::Administer, || {
        get(handlers::users)
    }),
    ("/api/v1/users/export", &["get"], Right::Administer, || {
        get(handlers::export_users)
    }),
    (
        "/api/v1/fields/{object}",
        &["get"],
        Right::Administer,
        || get(handlers::fields),
    ),
    ("/api/v1/checklist", &["get"], Right::Administer, || {
        get(handlers::checklist)
    }),
    (
        "/api/v1/sync-all/expected",
        &["get"],
        Right::Operate,
        || get(handlers::expected_sync_all),
    ),
    ("/api/v1/explain/{id}", &["get"], Right::Read, || {
        get(handlers::explain)
    }),
    ("/api/v1/sync-all", &["post"], Right::Operate, || {
        post(handlers::sync_all)
    }),
    ("/api/v1/jobs", &["get"], Right::Read, || {
        get(handlers::jobs)
    }),
    ("/api/v1/jobs/export", &["get"], Right::Read, || {
        get(handlers::export_jobs)
    }),
    ("/api/v1/jobs/{job}", &["get"], Right::Read, || {
        get(handlers::job)
    }),
    (
        "/api/v1/jobs/{job}/pause",
        &["post"],
        Right::Operate,
        || post(handlers::pause),
    ),
    (
        "/api/v1/jobs/{job}/resume",
        &["post"],
        Right::Operate,
        || post(handlers::resume),
    ),
    (
        "/api/v1/jobs/{job}/cancel",
        &["post"],
        Right::Operate,
        || post(handlers::cancel),
    ),
    ("/api/v1/parked", &["get"], Right::Read, || {
        get(handlers::parked)
    }),
    ("/api/v1/parked/export", &["get"], Right::Read, || {
        get(handlers::export_parked)
    }),
    ("/api/v1/parked/groups", &["get"], Right::Read, || {
        get(handlers::groups)
    }),
    ("/api/v1/parked/retry", &["post"], Right::Operate, || {
        post(handlers::retry)
    }),
    ("/api/v1/parked/dismiss", &["post"], Right::Operate, || {
        post(handlers::dismiss)
    }),
    ("/api/v1/dead", &["get"], Right::Read, || {
        get(handlers::dead)
    }),
    ("/api/v1/dead/export", &["get"], Right::Read, || {
        get(handlers::export_dead)
    }),
    ("/api/v1/dead/{message}", &["get"], Right::Read, || {
        get(handlers::dead_message)
    }),
    (
        "/api/v1/dead/{message}/replay",
        &["post"],
        Right::Operate,
        || post(handlers::replay),
    ),
    (
        "/api/v1/dead/{message}/discard",
        &["post"],
        Right::Operate,
        || post(handlers::discard),
    ),
    (
        "/api/v1/settings",
        &["get", "post"],
        Right::Administer,
        || get(handlers::settings).post(handlers::save_settings),
    ),
    (
        "/api/v1/settings/validate",
        &["post"],
        Right::Administer,
        || post(handlers::validate_settings),
    ),
    (
        "/api/v1/settings/preview",
        &["post"],
        Right::Administer,
        || post(handlers::preview_settings),
    ),
    (
        "/api/v1/settings/preview/{preview}/opportunities",
        &["get"],
        Right::Administer,
        || get(handlers::previewed),
    ),
    (
        "/api/v1/settings/preview/{preview}/export",
        &["get"],
        Right::Administer,
        || get(handlers::export_previewed),
    ),
    (
        "/api/v1/settings/history",
        &["get"],
        Right::Administer,
        || get(handlers::settings_history),
    ),
    (
        "/api/v1/settings/revisions/{revision}",
        &["get"],
        Right::Administer,
        || get(handlers::settings_revision),
    ),
    ("/api/v1/settings/diff", &["get"], Right::Administer, || {
        get(handlers::settings_diff)
    }),
    (
        "/api/v1/settings/revert",
        &["post"],
        Right::Administer,
        || post(handlers::revert_settings),
    ),
    (
        "/api/v1/settings/confirm-org",
        &["post"],
        Right::Administer,
        || post(handlers::confirm_org),
    ),
    (
        "/api/v1/settings/export",
        &["get"],
        Right::Administer,
        || get(handlers::export_settings),
    ),
    ("/api/v1/org", &["get"], Right::Read, || get(handlers::org)),
    (
        "/api/v1/tokens",
        &["get", "post"],
        Right::Administer,
        || get(handlers::tokens).post(handlers::make_token),
    ),
    (
        "/api/v1/tokens/{token}/revoke",
        &["post"],
        Right::Administer,
        || post(handlers::revoke_token),
    ),
    ("/api/v1/logs", &["get"], Right::Read, || {
        get(handlers::logs)
    }),
    ("/api/v1/logs/export", &["get"], Right::Read, || {
        get(handlers::export)
    }),
    ("/api/v1/left", &["get"], Right::Read, || {
        get(handlers::left)
    }),
    (
        "/api/v1/settings/import-mapping",
        &["post"],
        Right::Administer,
        || post(handlers::import_mapping),
    ),
    ("/api/v1/notifications", &["get"], Right::Operate, || {
        get(handlers::notifications)
    }),
    (
        "/api/v1/notifications/export",
        &["get"],
        Right::Operate,
        || get(handlers::export_notifications),
    ),
    (
        "/api/v1/notifications/{notification}",
        &["get"],
        Right::Operate,
        || get(handlers::notification),
    ),
    (
        "/api/v1/notifications/{notification}/mail",
        &["get"],
        Right::Operate,
        || get(handlers::notification_mail),
    ),
    (
        "/api/v1/notifications/test",
        &["post"],
        Right::Administer,
        || post(handlers::test_notification),
    ),
];

/// Every path with its methods, as the document must have them.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    ROUTES
        .iter()
        .map(|(path, methods, ..)| (*path, *methods))
        .chain([("/api/openapi.json", &["get"][..])])
}

/// Every path that needs a right, with its methods and the right.
pub fn rights() -> impl Iterator<Item = (&'static str, &'static [&'static str], Right)> {
    ROUTES
        .iter()
        .map(|(path, methods, needs, _)| (*path, *methods, *needs))
}

/// All routes, for callers within this process: whoever calls has to say who calls, by a
/// [`crate::Caller`] and an [`crate::Author`] among the request's extensions. Nobody else counts what
/// such a process asks of Salesforce.
pub(crate) fn inside(operations: Operations) -> Router {
    let requests = Arc::new(operations.api_requests());
    with_routes(|_, _, answers| answers)
        .fallback(handlers::no_such_path)
        .method_not_allowed_fallback(handlers::wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(axum::middleware::from_fn_with_state(requests, counted))
        .with_state(operations)
}

/// Counts what an answer has asked of Salesforce when it has been read to its end: a list asks while it
/// is read, and a command is over after it.
async fn counted(State(requests): State<Arc<Counting>>, request: Request, next: Next) -> Response {
    next.run(request).await.map(|body| {
        let end = futures::stream::once(async move {
            requests.count().await;
            Ok::<_, axum::Error>(Bytes::new())
        });
        Body::from_stream(body.into_data_stream().chain(end))
    })
}

/// Everything that is served, for callers from outside, who have to show who they are, and to send
/// their bodies within that time: the API, and the pages where there are any.
pub(crate) fn outside(console: &Console, for_bodies: Duration) -> Router {
    let guarded = |path: &str, needs, answers: MethodRouter<Operations>| {
        let watch = Watch::before(path, console, needs, Front::Api);
        answers.layer(axum::middleware::from_fn_with_state(watch, guard))
    };
    let api = with_routes(guarded).method_not_allowed_fallback(handlers::wrong_method);
    let api = match &console.web {
        None => api.fallback(handlers::no_such_path),
        Some(_) => api.fallback_service(pages::router(console)),
    };
    let policy = Policy::of(console.web.as_deref());
    api.layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(console.operations.clone())
        .layer(axum::middleware::from_fn_with_state(
            for_bodies,
            headers::in_time,
        ))
        .layer(axum::middleware::from_fn_with_state(
            policy,
            headers::policy,
        ))
}

fn with_routes(
    guarded: impl Fn(&str, Right, MethodRouter<Operations>) -> MethodRouter<Operations>,
) -> Router<Operations> {
    let mut router = Router::new();
    for (path, _, needs, answers) in ROUTES {
        router = router.route(path, guarded(path, *needs, answers()));
    }
    // The description of the API is for everybody.
    router.route("/api/openapi.json", get(handlers::document))
}

/// An error as the API says it.
pub(crate) fn refusal(error: OpsError) -> Response {
    let is_unknown = matches!(error, OpsError::NotAllowed(_));
    let mut response = Refused(error).into_response();
    if is_unknown {
        entry::challenge(&mut response);
    }
    response
}

/// What is said to a path below `/api/` that is none.
pub(crate) fn no_such_path(path: &str) -> Response {
    handlers::no_such(path).into_response()
}

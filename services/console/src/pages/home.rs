//! `/`: where one comes in.

use axum::response::Redirect;

use super::sync_status;

pub(super) async fn show() -> Redirect {
    Redirect::to(sync_status::PATH)
}

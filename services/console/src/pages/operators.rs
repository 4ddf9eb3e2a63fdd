//! The paths of operators' pages.

use axum::routing::{get, post};

use super::{
    Route, dead, explain, job, jobs, left, live, logs, notifications, parked, sync_status,
};
use crate::rights::Right;

/// Each with what it needs.
pub(super) const ROUTES: &[Route] = &[
    Route {
        path: sync_status::PATH,
        methods: &["get"],
        needs: Right::Read,
        answers: || get(sync_status::show),
    },
    Route {
        path: live::PATH,
        methods: &["get"],
        needs: Right::Read,
        answers: || get(live::events),
    },
    Route {
        path: jobs::PATH,
        methods: &["get"],
        needs: Right::Read,
        answers: || get(jobs::show),
    },
    Route {
        path: jobs::EXPORT,
        methods: &["get"],
        needs: Right::Read,
        answers: || get(jobs::export),
    },
    Route {
        path: "/jobs/{job}",
        methods: &["get"],
        needs: Right::Read,
        answers: || get(job::show),
    },
    Route {
        path: "/jobs/{job}/pause",
        methods: &["post"],
        needs: Right::Operate,
        answers: || post(job::pause),
    },
    Route {
        path: "/jobs/{job}/resume",
        methods: &["post"],
        needs: Right::Operate,
        answers: || post(job::resume),
    },
    Route {
        path: "/jobs/{job}/cancel",
        methods: &["post"],
        needs: Right::Operate,
        answers: || post(job::cancel),
    },
    Route {
        path: parked::PATH,
        methods: &["get"],
        needs: Right::Read,
        answers: || get(parked::show),
    },
    Route {
        path: parked::EXPORT,
        methods: &["get"],
        needs: Right::Read,
        answers: || get(parked::export),
    },
    Route {
        path: parked::CAUSES_EXPORT,
        methods: &["get"],
        needs: Right::Read,
        answers: || get(parked::export_causes),
    },
    Route {
        path: parked::RETRY,
        methods: &["post"],
        needs: Right::Operate,
        answers: || post(parked::retry),
    },
    Route {
        path: parked::DISMISS,
        methods: &["post"],
        needs: Right::Operate,
        answers: || post(parked::dismiss),
    },
    Route {
        path: dead::PATH,
        methods: &["get"],
        needs: Right::Read,
        answers: || get(dead::show),
    },
    Route {
        path: dead::EXPORT,
        methods: &["get"],
        needs: Right::Read,
        answers: || get(dead::export),
    },
    Route {
        path: "/parked/dead/message/{message}",
        methods: &["get"],
        needs: Right::Read,
        answers: || get(dead::message),
    },
    Route {
        path: "/parked/dead/message/{message}/replay",
        methods: &["post"],
        needs: Right::Operate,
        answers: || post(dead::replay),
    },
    Route {
        path: "/parked/dead/message/{message}/discard",
        methods: &["post"],
        needs: Right::Operate,
        answers: || post(dead::discard),
    },
    Route {
        path: logs::PATH,
        methods: &["get"],
        needs: Right::Read,
        answers: || get(logs::show),
    },
    Route {
        path: logs::EXPORT,
        methods: &["get"],
        needs: Right::Read,
        answers: || get(logs::export),
    },
    Route {
        path: notifications::PATH,
        methods: &["get"],
        needs: Right::Operate,
        answers: || get(notifications::show),
    },
    Route {
        path: notifications::EXPORT,
        methods: &["get"],
        needs: Right::Operate,
        answers: || get(notifications::export),
    },
    Route {
        path: notifications::INCIDENTS,
        methods: &["get"],
        needs: Right::Operate,
        answers: || get(notifications::export_incidents),
    },
    Route {
        path: notifications::TEST,
        methods: &["post"],
        needs: Right::Administer,
        answers: || post(notifications::test),
    },
    Route {
        path: "/notifications/{notification}",
        methods: &["get"],
        needs: Right::Operate,
        answers: || get(notifications::one),
    },
    Route {
        path: "/notifications/{notification}/mail",
        methods: &["get"],
        needs: Right::Operate,
        answers: || get(notifications::mail),
    },
    Route {
        path: explain::PATH,
        methods: &["get"],
        needs: Right::Read,
        answers: || get(explain::show),
    },
    Route {
        path: left::PATH,
        methods: &["get"],
        needs: Right::Read,
        answers: || get(left::show),
    },
    Route {
        path: left::EXPORT,
        methods: &["get"],
        needs: Right::Read,
        answers: || get(left::export),
    },
];

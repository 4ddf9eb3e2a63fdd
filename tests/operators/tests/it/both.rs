//! Whatever somebody sees or does on a page, a program sees and does under `/api/v1`, with the same
//! right.

use std::collections::BTreeMap;

use console::rights::Right;

/// Each page, or order of one, and the operation that does the same.
const BOTH: &[(&str, &str)] = &[
    ("get /settings", "get /api/v1/settings"),
    ("post /settings", "post /api/v1/settings/preview"),
    // The form with other rows, and back to the form: what is in it can be checked without a save.
    ("post /settings/rows", "post /api/v1/settings/validate"),
    ("post /settings/edit", "post /api/v1/settings/validate"),
    ("post /settings/look", "post /api/v1/settings/preview"),
    ("post /settings/save", "post /api/v1/settings"),
    ("get /settings/history", "get /api/v1/settings/history"),
    (
        "get /settings/history/export",
        "get /api/v1/settings/history",
    ),
    (
        "get /settings/preview/{preview}/export",
        "get /api/v1/settings/preview/{preview}/export",
    ),
    ("post /settings/revert", "post /api/v1/settings/revert"),
    ("get /settings/transfer", "get /api/v1/settings/export"),
    ("post /settings/transfer", "post /api/v1/settings/preview"),
    ("get /settings/export", "get /api/v1/settings/export"),
    ("get /settings/checklist", "get /api/v1/checklist"),
    (
        "post /settings/test-mail",
        "post /api/v1/notifications/test",
    ),
    ("get /settings/confirm-org", "get /api/v1/org"),
    (
        "post /settings/confirm-org",
        "post /api/v1/settings/confirm-org",
    ),
    ("get /settings/sync-all", "get /api/v1/sync-all/expected"),
    ("post /settings/sync-all", "post /api/v1/sync-all"),
    ("get /mapping", "get /api/v1/fields/{object}"),
    ("get /mapping/export", "get /api/v1/settings"),
    ("post /mapping", "post /api/v1/settings/preview"),
    (
        "post /mapping/take-over",
        "post /api/v1/settings/import-mapping",
    ),
    ("get /users", "get /api/v1/users"),
    ("get /users/csv", "get /api/v1/users/export"),
    ("get /access", "get /api/v1/tokens"),
    ("get /access/tokens/export", "get /api/v1/tokens"),
    ("post /access/tokens", "post /api/v1/tokens"),
    (
        "post /access/tokens/{token}/revoke",
        "post /api/v1/tokens/{token}/revoke",
    ),
    ("get /", "get /api/v1/status"),
    ("get /sync-status", "get /api/v1/status"),
    ("get /events", "get /api/v1/status"),
    ("get /jobs", "get /api/v1/jobs"),
    ("get /jobs/export", "get /api/v1/jobs/export"),
    ("get /jobs/{job}", "get /api/v1/jobs/{job}"),
    ("post /jobs/{job}/pause", "post /api/v1/jobs/{job}/pause"),
    ("post /jobs/{job}/resume", "post /api/v1/jobs/{job}/resume"),
    ("post /jobs/{job}/cancel", "post /api/v1/jobs/{job}/cancel"),
    ("get /parked", "get /api/v1/parked"),
    ("get /parked/export", "get /api/v1/parked/export"),
    ("get /parked/causes/export", "get /api/v1/parked/groups"),
    ("post /parked/retry", "post /api/v1/parked/retry"),
    ("post /parked/dismiss", "post /api/v1/parked/dismiss"),
    ("get /parked/dead", "get /api/v1/dead"),
    ("get /parked/dead/export", "get /api/v1/dead/export"),
    (
        "get /parked/dead/message/{message}",
        "get /api/v1/dead/{message}",
    ),
    (
        "post /parked/dead/message/{message}/replay",
        "post /api/v1/dead/{message}/replay",
    ),
    (
        "post /parked/dead/message/{message}/discard",
        "post /api/v1/dead/{message}/discard",
    ),
    ("get /logs", "get /api/v1/logs"),
    ("get /logs/export", "get /api/v1/logs/export"),
    ("get /explain", "get /api/v1/explain/{id}"),
    ("get /left", "get /api/v1/left"),
    ("get /left/export", "get /api/v1/left"),
    ("get /notifications", "get /api/v1/notifications"),
    (
        "get /notifications/export",
        "get /api/v1/notifications/export",
    ),
    (
        "get /notifications/incidents/export",
        "get /api/v1/notifications",
    ),
    (
        "post /notifications/test",
        "post /api/v1/notifications/test",
    ),
    (
        "get /notifications/{notification}",
        "get /api/v1/notifications/{notification}",
    ),
    (
        "get /notifications/{notification}/mail",
        "get /api/v1/notifications/{notification}/mail",
    ),
];

fn by_name<'a>(
    routes: impl Iterator<Item = (&'a str, &'a [&'a str], Right)>,
) -> BTreeMap<String, Right> {
    let each = routes.flat_map(|(path, methods, needs)| {
        methods
            .iter()
            .map(move |method| (format!("{method} {path}"), needs))
    });
    each.collect()
}

#[test]
fn every_page_has_its_operation_with_the_same_right() {
    let pages = by_name(console::pages::routes());
    let operations = by_name(console::api::rights());
    let paired: BTreeMap<&str, &str> = BOTH.iter().copied().collect();
    for (page, needs) in &pages {
        let operation = paired.get(page.as_str());
        let operation = operation.unwrap_or_else(|| panic!("{page} has no operation of the API"));
        let asked = operations.get(*operation);
        let asked = asked.unwrap_or_else(|| panic!("{page}: there is no {operation}"));
        // Whoever may see the page may ask the API; an order needs the very same right.
        assert!(
            asked <= needs,
            "{page} needs {needs:?}, {operation} {asked:?}"
        );
        if page.starts_with("post") {
            assert_eq!(asked, needs, "{page} and {operation}");
        }
    }
    for page in paired.keys() {
        assert!(pages.contains_key(*page), "{page} is no page any more");
    }
}

//! One word for everything that was found.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::SalesforceId;
use domain::permission::{Obstacle, Standing};
use serde_json::Value;

use super::Asked;
use crate::views::{ExplainCode, ExplainMos, ExplainView, Found};

/// The verdict, of a record that was looked up.
pub(super) fn of(view: &ExplainView) -> ExplainCode {
    let gate = |code| view.gates.iter().any(|gate| gate.code == Some(code));
    if gate(ExplainCode::OtherOrg) {
        return ExplainCode::OtherOrg;
    }
    match view.found {
        Some(Found::Deleted) => return ExplainCode::Deleted,
        Some(Found::Row) => {}
        Some(Found::Absent) | None => return ExplainCode::NotVisible,
    }
    if let Some(code) = view.obstacles.iter().min() {
        return *code;
    }
    let parked = view.parked.as_ref();
    if parked.is_none() && is_current(view.mos.as_ref()) {
        return ExplainCode::InScopeAndCurrent;
    }
    for code in [ExplainCode::Sandbox, ExplainCode::Disabled] {
        if gate(code) {
            return code;
        }
    }
    match parked {
        Some(parked) if parked.dismissed.is_some() => ExplainCode::Dismissed,
        Some(_) => ExplainCode::Parked,
        None if waits_for_window(view) => ExplainCode::WaitingForWindow,
        None => ExplainCode::InScopeNotYet,
    }
}

/// Whether it has changed since changes were last taken, and they are taken in windows. What has not
/// waits for something else.
fn waits_for_window(view: &ExplainView) -> bool {
    /// Stamps have whole seconds, rounded down.
    const ROUNDED: Duration = Duration::from_secs(1);
    let (Some(seen), Some(_)) = (&view.seen, view.next_window) else {
        return false;
    };
    let heard = seen.stream.as_ref().map(|stream| stream.heard);
    let taken = heard.or_else(|| seen.poll.and_then(|poll| poll.polled));
    let since = seen.modified.zip(taken);
    since.is_some_and(|(modified, taken)| modified.after(ROUNDED) > taken)
}

/// Whether mOS holds the record as it would be sent.
fn is_current(mos: Option<&ExplainMos>) -> bool {
    let differs = mos.and_then(|mos| mos.differs.as_ref());
    differs.is_some_and(Vec::is_empty)
}

/// Of an opportunity that would be in scope were it open.
pub(super) fn closed(mos: Option<&ExplainMos>) -> ExplainCode {
    let told = mos.and_then(|mos| mos.fields.get("is_closed"));
    if told == Some(&Value::Bool(true)) {
        ExplainCode::LastWordSent
    } else {
        ExplainCode::Closed
    }
}

/// Why an owner does not count.
pub(super) fn permission(asked: &Asked, owner: Option<SalesforceId>) -> ExplainCode {
    if asked.snapshot.number == 0 {
        return ExplainCode::PermissionsNotRead;
    }
    let evidence = owner.map(|owner| asked.snapshot.evidence(&owner, asked.at));
    let reasons = match evidence.map(|evidence| evidence.standing) {
        Some(Standing::Not { reasons, .. }) => reasons,
        Some(Standing::Permitted { .. }) | None => Vec::new(),
    };
    let is = |obstacle: &Obstacle| {
        let mut reasons = reasons.iter();
        reasons.any(|miss| miss.because.contains(obstacle))
    };
    let only_expired = BTreeSet::from([Obstacle::Expired]);
    if reasons.is_empty() {
        ExplainCode::OwnerWithoutPermission
    } else if is(&Obstacle::UserInactive) {
        ExplainCode::OwnerInactive
    } else if reasons.iter().any(|miss| miss.because == only_expired) {
        ExplainCode::PermissionExpired
    } else {
        ExplainCode::PermissionDoesNotCount
    }
}

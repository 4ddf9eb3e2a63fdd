//! The verdict and what would change it, in sentences.

use domain::id::IdError;
use domain::{ObjectKind, SalesforceId};

use super::Asked;
use crate::views::{ExplainCode, ExplainCondition, ExplainView};

/// A verdict and its advice.
type Sentences = (String, String);

const BY_ITSELF: &str = "nothing has to be done";

/// Why what was asked for cannot be looked up, and what to do.
pub(super) fn bad_id(fault: &IdError) -> String {
    match fault {
        IdError::Length(0) => {
            "there is no Salesforce id in this; copy the id, or the whole address of the record's page, from Salesforce".to_owned()
        }
        IdError::Length(_) | IdError::Character | IdError::Checksum => fault.to_string(),
    }
}

pub(super) fn not_synced(id: &SalesforceId) -> Sentences {
    let verdict = format!(
        "{id} is not the id of a User, Account, Contact, Opportunity or OpportunityContactRole, and mosync syncs no other object (its first three characters, {}, name the object)",
        id.key_prefix()
    );
    let advice = "ask for the opportunity, account, contact or user that it belongs to";
    (verdict, advice.to_owned())
}

/// Of a record that was looked up.
pub(super) fn of(view: &ExplainView, asked: &Asked) -> Sentences {
    let object = asked.object;
    let (verdict, advice) = match view.code {
        // Told before anything is looked up.
        ExplainCode::NotASyncedObject => not_synced(&asked.id),
        ExplainCode::OtherOrg | ExplainCode::Sandbox | ExplainCode::Disabled => gate(view, object),
        ExplainCode::Deleted => deleted(object),
        ExplainCode::NotVisible => not_visible(object),
        ExplainCode::FilterDoesNotMatch => filter(view),
        ExplainCode::Closed | ExplainCode::LastWordSent => closed(view),
        ExplainCode::PermissionsNotRead
        | ExplainCode::OwnerWithoutPermission
        | ExplainCode::PermissionExpired
        | ExplainCode::OwnerInactive
        | ExplainCode::PermissionDoesNotCount => permission(view, asked),
        ExplainCode::OpportunityNotVisible => (
            "the opportunity of this role is deleted, or hidden from the integration user".to_owned(),
            "give the integration user access to the opportunity, or restore it from the recycle bin"
                .to_owned(),
        ),
        ExplainCode::NoOpportunity
        | ExplainCode::NoOpportunityMatches
        | ExplainCode::NoOwnerWithPermission => nothing_brings(view, object),
        ExplainCode::Dismissed | ExplainCode::Parked => parked(view, object),
        ExplainCode::WaitingForWindow => window(view, asked),
        ExplainCode::InScopeNotYet => not_yet(view, object),
        ExplainCode::InScopeAndCurrent => (
            format!("this {object} is in scope, and mOS holds it as it is in Salesforce"),
            BY_ITSELF.to_owned(),
        ),
    };
    (verdict + &still_in_mos(view), advice)
}

/// Nothing is ever deleted from mOS.
fn still_in_mos(view: &ExplainView) -> String {
    let held = view.mos.as_ref().and_then(|mos| mos.held) == Some(true);
    let is_deal = view.object == Some(ObjectKind::Opportunity);
    let told = is_deal && [ExplainCode::LastWordSent, ExplainCode::Closed].contains(&view.code);
    if held && view.in_scope != Some(true) && !told {
        "; mOS still holds it from before, and it is not updated there any more".to_owned()
    } else {
        String::new()
    }
}

fn gate(view: &ExplainView, object: ObjectKind) -> Sentences {
    let gate = view.gates.iter().find(|gate| gate.code == Some(view.code));
    let words = gate.map_or("", |gate| gate.words.as_str());
    if view.code == ExplainCode::Disabled {
        return (
            format!("this {object} is in scope, but {words}"),
            "switch Disable mOS Sync off in mOS Settings; what changed meanwhile is then caught up"
                .to_owned(),
        );
    }
    if view.code == ExplainCode::Sandbox {
        return (
            format!("this {object} is in scope, but {words}"),
            "switch Run In Sandbox on in mOS Settings, if mOS is to have a sandbox's data"
                .to_owned(),
        );
    }
    (
        words.to_owned(),
        "confirm the connected org, or correct the address and sign-in of Salesforce in the configuration"
            .to_owned(),
    )
}

fn deleted(object: ObjectKind) -> Sentences {
    (
        format!("this {object} is in Salesforce's recycle bin"),
        "restore it from the recycle bin in Salesforce".to_owned(),
    )
}

fn not_visible(object: ObjectKind) -> Sentences {
    (
        format!(
            "Salesforce does not show this {object} to the integration user, nor has it in the recycle bin: it is hidden, was purged, or never existed"
        ),
        format!(
            "check the id; if the record exists, give the integration user access to it (View All on {object}, or sharing)"
        ),
    )
}

/// The one that decides.
fn the_opportunity(view: &ExplainView) -> String {
    match &view.opportunity {
        Some(one) if one.id != view.id => format!("the opportunity {} of this role", one.id),
        Some(_) | None => "the opportunity".to_owned(),
    }
}

fn filter(view: &ExplainView) -> Sentences {
    let advice =
        "change the record so that the filter matches, or the Opportunity Filter in mOS Settings"
            .to_owned();
    let Some(opportunity) = &view.opportunity else {
        return ("the filter does not match".to_owned(), advice);
    };
    if let Some(undefined) = opportunity.undefined.first() {
        return (
            format!("the filter matches nothing at all: {undefined}"),
            "correct the Opportunity Filter in mOS Settings".to_owned(),
        );
    }
    let failed = opportunity.conditions.iter();
    let failed = failed.filter(|one| one.holds != Some(true));
    let failed: Vec<String> = failed.map(failed_condition).collect();
    let logic = opportunity.logic.as_deref();
    let logic = logic.map_or(String::new(), |logic| format!(" (the logic is {logic})"));
    let why = if failed.is_empty() {
        format!("every condition holds, and the logic wants that otherwise{logic}")
    } else {
        format!("{}{logic}", failed.join("; "))
    };
    (
        format!("{} does not match the filter: {why}", the_opportunity(view)),
        advice,
    )
}

fn failed_condition(one: &ExplainCondition) -> String {
    let met = one.met.as_deref();
    let met = met.map_or("a blank field".to_owned(), |met| format!("`{met}`"));
    let unknown = if one.holds.is_none() {
        ", so that it is unknown"
    } else {
        ""
    };
    format!(
        "condition {} ({} {} {}) met {met}{unknown}",
        one.number,
        one.field,
        one.operator.replace('_', " "),
        one.values.join(", "),
    )
}

fn closed(view: &ExplainView) -> Sentences {
    let held = view.mos.as_ref().and_then(|mos| mos.held) == Some(true);
    let told = if view.code == ExplainCode::LastWordSent {
        "; mOS has been told that it closed, as its last word"
    } else if held && view.object == Some(ObjectKind::Opportunity) {
        "; mOS holds it from before, and is told that it closed by one last word if its owner holds mOS permission"
    } else {
        ""
    };
    (
        format!(
            "{} is closed, and closed opportunities are not synced{told}",
            the_opportunity(view)
        ),
        "reopen the opportunity, or switch Sync Closed on in mOS Settings".to_owned(),
    )
}

fn permission(view: &ExplainView, asked: &Asked) -> Sentences {
    if view.code == ExplainCode::PermissionsNotRead {
        return (
            "permissions have not been read from Salesforce yet, so nobody is known to hold any"
                .to_owned(),
            "start `mosync permission` or `mosync all`".to_owned(),
        );
    }
    let owner = view.owner.as_ref();
    let name = owner.map_or_else(
        || "the owner".to_owned(),
        |owner| {
            let user = &owner.user;
            let name = user.name.as_deref().unwrap_or("a user who cannot be read");
            format!("{name} ({})", user.id)
        },
    );
    let who = if asked.object == ObjectKind::User {
        name
    } else {
        format!("the owner of {}, {name},", the_opportunity(view))
    };
    let why = owner.map_or(String::new(), |owner| owner.words.join("; "));
    let advice = if view.code == ExplainCode::PermissionExpired {
        "extend the assignment of the mOS permission set in Salesforce, or give the opportunity another owner"
    } else if view.code == ExplainCode::OwnerInactive {
        "give the opportunity an active owner who holds an mOS permission set"
    } else if view.code == ExplainCode::PermissionDoesNotCount {
        "correct the assignment in Salesforce as said, or give the opportunity another owner"
    } else {
        "assign an mOS permission set to the owner in Salesforce, or give the opportunity another owner"
    };
    (
        format!("{who} does not count as a holder of mOS permission: {why}"),
        advice.to_owned(),
    )
}

fn nothing_brings(view: &ExplainView, object: ObjectKind) -> Sentences {
    let through = view.through.as_ref();
    let (all, matching) = through.map_or((0, 0), |through| (through.all, through.matching));
    let (on, hangs) = match object {
        ObjectKind::User => ("owned by this user", "no opportunity is owned by this user"),
        ObjectKind::Contact => (
            "on which this contact has a role",
            "this contact has no role on any opportunity",
        ),
        ObjectKind::Account | ObjectKind::Opportunity | ObjectKind::OpportunityContactRole => {
            ("of this account", "this account has no opportunity")
        }
    };
    let verdict = if all == 0 {
        format!("{hangs}, so nothing brings it to mOS")
    } else if matching == 0 {
        format!(
            "of the {all} opportunities {on}, none is matched by the filter and open enough, so nothing brings it to mOS"
        )
    } else {
        format!(
            "{matching} of the {all} opportunities {on} would bring it to mOS, but none of their owners counts as a holder of mOS permission"
        )
    };
    let advice = if matching > 0 {
        "assign an mOS permission set to one of those owners in Salesforce"
    } else {
        "it comes by itself with the first opportunity in scope that it belongs to"
    };
    (verdict, advice.to_owned())
}

fn parked(view: &ExplainView, object: ObjectKind) -> Sentences {
    let Some(parked) = &view.parked else {
        return (String::new(), String::new());
    };
    let waits = parked.parent.map_or(String::new(), |parent| {
        format!("; it waits for the {} {}", parent.object, parent.id)
    });
    let why = format!(
        "this {object} is in scope and could not be brought to mOS: {} ({}){waits}",
        parked.message,
        parked.kind.name()
    );
    match &parked.dismissed {
        None => (why, parked.advice.clone()),
        Some(dismissal) => (
            format!(
                "{why}; {} dismissed it on {}: {}",
                dismissal.by, dismissal.at, dismissal.reason
            ),
            format!(
                "`mosync parked retry {}` takes it up again; {}",
                parked.id, parked.advice
            ),
        ),
    }
}

fn window(view: &ExplainView, asked: &Asked) -> Sentences {
    let next = view
        .next_window
        .map_or(String::new(), |next| next.to_string());
    (
        format!(
            "this {} is in scope, and changes are taken in windows ({}); mOS has {}",
            asked.object,
            asked.revision.settings.frequency,
            held(view)
        ),
        format!(
            "wait for the next window, at {next}, or set the frequency to real time in mOS Settings"
        ),
    )
}

fn not_yet(view: &ExplainView, object: ObjectKind) -> Sentences {
    let mos = view.mos.as_ref();
    if let Some(trouble) = mos.and_then(|mos| mos.trouble.as_ref()) {
        return (
            format!(
                "this {object} is in scope; whether mOS holds it as it is in Salesforce is not known: {trouble}"
            ),
            "ask again when that is settled".to_owned(),
        );
    }
    let waits = view.gates.iter().map(|gate| gate.words.as_str());
    let waits: Vec<&str> = waits.collect();
    let advice = match (waits.is_empty(), view.next_window) {
        (false, _) => format!("it comes by itself once this is over: {}", waits.join("; ")),
        (true, None) => "wait a minute and ask again; if nothing has changed then, look at `mosync status`, and bring everything with `mosync sync-all`".to_owned(),
        (true, Some(next)) => format!(
            "it comes by itself, with a job that reads it or, where it belongs to a record that has changed, with the next window, at {next}; if it has not come then, look at `mosync status`, and bring everything with `mosync sync-all`"
        ),
    };
    (
        format!("this {object} is in scope, and mOS has {}", held(view)),
        advice,
    )
}

/// What mOS has of it, in words.
fn held(view: &ExplainView) -> String {
    let Some(mos) = &view.mos else {
        return "not been asked".to_owned();
    };
    match (mos.held, &mos.differs) {
        (Some(false), _) => "not received it yet".to_owned(),
        (Some(true), Some(differs)) if differs.is_empty() => "it as it is in Salesforce".to_owned(),
        (Some(true), Some(differs)) => {
            format!("an older state of it ({} differ)", differs.join(", "))
        }
        (Some(true), None) | (None, _) => "not said what it holds".to_owned(),
    }
}

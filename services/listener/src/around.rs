//! The org around the records, looked at once a day, and soon after a worker could not see a field:
//! its calendars and currencies, which fields with which picklist values and which objects the
//! integration user can see, and what the permission sets are. What differs is told in words; where
//! the rules depend on it they are saved anew, together with the job that reads everything in scope
//! again.

mod access;
mod fields;
mod sets;

use std::collections::BTreeSet;

use domain::ObjectKind;
use domain::filter::{self, FieldType};
use domain::job::JobScope;
use domain::org::OrgProfile;
use domain::rule::{Rules, Visible};
use domain::settings::{MOSYNC, SettingsRevision};
use ports::source::SourceError;
use ports::stores::{LOST_FIELDS, LogLevel, StoreError, UNSEEN_FIELDS};
use runtime::describe::Fields;
use runtime::worker::Outage;

use crate::Active;
use crate::refresh::{self, keep, note};
use crate::switches;

use access::Access;
pub(crate) use fields::Described;
use fields::{How, Lost, Moved, wanted};
use sets::Definitions;
pub use sets::PermissionSets;

const FIELDS: &str = "fields";
const PROFILE: &str = "org";
/// What the integration user may read.
const ACCESS: &str = "access";
/// Whether one of the objects could not be seen.
const UNSEEN: &str = "unseen_objects";
const SETS: &str = "permission_sets";
/// Permission sets that the configuration names and that were lost.
const LOST_SETS: &str = "lost_permission_sets";

/// Looks at everything; answers the fields. `None` where somebody saved settings meanwhile: what was
/// found is not acted upon, and found again under theirs.
pub(crate) async fn look(active: &Active) -> Result<Option<Described>, Outage> {
    let (_, rules) = see(active, active.rules.ticket().await).await?;
    let source = &*active.listener.source;
    let described = fields::describe(source, &rules).await.map_err(Outage::from);
    let described = see(active, described).await?;
    let profile = runtime::profile::read(source).await?;
    switches::move_to(active, &profile.time_zone);
    let fields: Option<Described> = note(active, FIELDS).await?;
    let lost: Lost = note(active, LOST_FIELDS).await?.unwrap_or_default();
    let missed: Lost = note(active, UNSEEN_FIELDS).await?.unwrap_or_default();
    let moved = fields.map_or_else(Vec::new, |fields| {
        fields::moved(&rules, &fields, &described, &lost, &missed)
    });
    let mut said = moved.iter().map(Moved::words).collect::<Vec<_>>();
    let before: Option<OrgProfile> = note(active, PROFILE).await?;
    let rates_moved = before.is_some_and(|before| {
        said.extend(moved_profile(&before, &profile));
        before.currencies != profile.currencies
    });
    if note::<bool>(active, UNSEEN).await? == Some(true) {
        said.push("the integration user can see all objects again".to_owned());
    }
    let access = look_at_access(active, &mut said).await?;
    let sets = look_at_sets(active, &mut said).await?;
    // Where the filter compares amounts, other rates are other rules, and that is seen there.
    let converts = rates_moved && shows_converted(&rules, &described);
    let anything_moved = converts || !said.is_empty();
    if rates_moved {
        said.push("the currencies or their rates are others now".to_owned());
    }
    let (next, misfit) = next_rules(active, &described, &profile, &moved).await?;
    if !act(active, next, anything_moved).await? {
        return Ok(None);
    }
    for line in &said {
        let logged = active.log(LogLevel::Warning, "org", None, line.clone());
        logged.await?;
    }
    if let (Some(misfit), false) = (&misfit, said.is_empty()) {
        let logged = active.log(LogLevel::Error, "settings", None, misfit.clone());
        logged.await?;
    }
    active.listener.alarm("filter", misfit).await;
    alarm(active, &rules, lost, &moved, &described).await?;
    // Last: what was not acted upon is found again.
    keep(active, FIELDS, &described).await?;
    keep(active, PROFILE, &profile).await?;
    if let Some(access) = &access {
        keep(active, ACCESS, access).await?;
    }
    if let Some(sets) = &sets {
        keep(active, SETS, sets).await?;
    }
    keep(active, UNSEEN, &false).await?;
    Ok(Some(described))
}

/// Whether somebody could not see a field that was seen here at the last look.
pub(crate) async fn is_missed(active: &Active, seen: &Described) -> Result<bool, Outage> {
    // Under rules that have just been saved, what they cannot see is noted anew.
    see(active, active.rules.ticket().await).await?;
    let missed: Lost = note(active, UNSEEN_FIELDS).await?.unwrap_or_default();
    Ok(missed.iter().any(|(object, field)| {
        let fields = seen.get(object);
        fields.is_some_and(|fields| fields.contains_key(field))
    }))
}

/// Whether a field that the rules name was lost and is there again, or the integration user may read
/// something else while it does not see every record: a request for each object that has lost one,
/// and a few for that.
pub(crate) async fn is_anything_back(active: &Active) -> Result<bool, Outage> {
    let lost: Lost = note(active, LOST_FIELDS).await?.unwrap_or_default();
    let mut fields = Fields::new(&*active.listener.source);
    for (object, field) in &lost {
        let found = see(
            active,
            fields
                .find(object.api_name(), field)
                .await
                .map_err(Outage::from),
        )
        .await?;
        if found.is_some() {
            return Ok(true);
        }
    }
    let known: Option<Access> = note(active, ACCESS).await?;
    let Some(known) = known.filter(|known| blind_spots(active, known).is_some()) else {
        return Ok(false);
    };
    let now = access::read(&*active.listener.source).await?;
    Ok(now.is_some_and(|now| now != known))
}

/// An answer that describes the objects. That one of them cannot be seen at all stops whoever reads
/// it, and somebody has to know why.
async fn see<T>(active: &Active, answer: Result<T, Outage>) -> Result<T, Outage> {
    let unseen = if let Err(Outage::Source(SourceError::Refused { code, message })) = &answer
        && (code == "NOT_FOUND" || code == "INVALID_TYPE")
    {
        Some(format!(
            "the integration user can no longer see one of the five objects ({code}: {message}); give the user Read of User, Account, Contact and Opportunity"
        ))
    } else {
        None
    };
    if let Some(why) = &unseen
        && note::<bool>(active, UNSEEN).await? != Some(true)
    {
        let logged = active.log(LogLevel::Error, "org", None, why.clone());
        logged.await?;
        keep(active, UNSEEN, &true).await?;
    }
    active.listener.alarm("objects", unseen).await;
    answer
}

/// What the integration user may read; an alarm while that is not everything.
async fn look_at_access(active: &Active, said: &mut Vec<String>) -> Result<Option<Access>, Outage> {
    let before: Option<Access> = note(active, ACCESS).await?;
    let Some(now) = access::read(&*active.listener.source).await? else {
        return Ok(None);
    };
    let blind_spots = blind_spots(active, &now);
    if let Some(before) = &before {
        said.extend(access::moved(before, &now));
    } else if let Some(why) = &blind_spots {
        // It has never been otherwise, so that nothing has to be read again.
        let logged = active.log(LogLevel::Warning, "org", None, why.clone());
        logged.await?;
    }
    active.listener.alarm("access", blind_spots).await;
    Ok(Some(now))
}

fn blind_spots(active: &Active, access: &Access) -> Option<String> {
    let polled = &active.listener.polling.objects;
    access::blind_spots(access, polled.contains(&ObjectKind::User))
}

/// What became of the permission sets; an alarm while one that was there is not.
async fn look_at_sets(
    active: &Active,
    said: &mut Vec<String>,
) -> Result<Option<Definitions>, Outage> {
    let wanted = &active.listener.permission_sets;
    if wanted.names.is_empty() {
        return Ok(None);
    }
    let before: Option<Definitions> = note(active, SETS).await?;
    let now = sets::read(&*active.listener.source, wanted, before.as_ref()).await?;
    let mut lost: BTreeSet<String> = note(active, LOST_SETS).await?.unwrap_or_default();
    let known = lost.clone();
    if let Some(before) = &before {
        said.extend(now.moved(before, wanted));
        lost.extend(now.lost(before, wanted));
    }
    lost.retain(|name| wanted.names.contains(name) && !now.has(name));
    if lost != known {
        keep(active, LOST_SETS, &lost).await?;
    }
    let alarm = (!lost.is_empty()).then(|| {
        let names = lost.iter().cloned().collect::<Vec<_>>().join(", ");
        format!(
            "the org has no permission set {names} any more, which gave mOS permission; deploy or rename it, or change salesforce.permission_sets"
        )
    });
    active.listener.alarm("permission sets", alarm).await;
    Ok(Some(now))
}

/// Whether amounts are read that Salesforce calculates, which it may convert. Others are read in the
/// currency of their record, which no rate changes.
fn shows_converted(rules: &Rules, described: &Described) -> bool {
    ObjectKind::ALL.into_iter().any(|object| {
        let fields = described.get(&object);
        wanted(rules, object).iter().any(|field| {
            let seen = fields.and_then(|fields| fields.get(field));
            seen.is_some_and(|seen| seen.calculated && seen.kind == Some(FieldType::Currency))
        })
    })
}

/// What is different about the org, its currencies apart, in sentences.
fn moved_profile(before: &OrgProfile, now: &OrgProfile) -> Vec<String> {
    let mut said = Vec::new();
    if before.time_zone != now.time_zone {
        let (before, now) = (&before.time_zone, &now.time_zone);
        said.push(format!("the org's time zone is {now} now and was {before}"));
    }
    if before.user_time_zone != now.user_time_zone {
        let (before, now) = (&before.user_time_zone, &now.user_time_zone);
        said.push(format!(
            "the integration user's time zone is {now} now and was {before}"
        ));
    }
    let weeks = |profile: &OrgProfile| (profile.first_weekday, profile.user_first_weekday);
    if weeks(before) != weeks(now) {
        said.push("weeks begin on another day now".to_owned());
    }
    if before.fiscal != now.fiscal {
        said.push("the fiscal years are others now".to_owned());
    }
    said
}

/// The rules that the org's changes make of those in force; `None` where they stay what they are.
/// Rules that cannot be used would stop everything: then those in force stay, and why is an alarm.
async fn next_rules(
    active: &Active,
    described: &Described,
    profile: &OrgProfile,
    moved: &[Moved],
) -> Result<(Option<SettingsRevision>, Option<String>), Outage> {
    let current = active.listener.stores.settings.current().await?;
    let now = active.listener.clock.now();
    let types = types(&current, described);
    let same = current.settings.clone();
    let mut next = current.next(same.clone(), types, profile.clone(), MOSYNC, now);
    let faults = Rules::of(&next, Visible::new()).err();
    if faults.is_some() {
        let (types, org) = (current.field_types.clone(), current.org.clone());
        next = current.next(same, types, org, MOSYNC, now);
    }
    let moves_rules = |moved: &Moved| {
        moved.moves_rules() && (faults.is_none() || moved.how != How::OfAnotherType)
    };
    if moved.iter().any(moves_rules) {
        // The workers look up what they can see when the rules move.
        next.rule_revision = current.rule_revision + 1;
    }
    let misfit = faults.map(|faults| {
        format!(
            "the org has changed, and the filter does not fit it any more ({}); change the filter, which is read as before until then",
            filter::in_words(&faults)
        )
    });
    let next = Some(next).filter(|next| next.rule_revision != current.rule_revision);
    Ok((next, misfit))
}

/// Saves new rules, and asks for a refresh for whatever has moved; `false` where somebody was first
/// to save settings.
async fn act(
    active: &Active,
    next: Option<SettingsRevision>,
    anything_moved: bool,
) -> Result<bool, Outage> {
    let scope = JobScope::Objects {
        objects: ObjectKind::ALL.into_iter().collect(),
    };
    if let Some(next) = next {
        let job = refresh::job(active, scope);
        let settings = &active.listener.stores.settings;
        match settings.save(&next, Some(&job)).await {
            Ok(()) => {}
            Err(StoreError::Conflict { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let message = format!(
            "settings revision {} saved by mosync: the org has changed what the rules mean",
            next.revision
        );
        let logged = active.log(LogLevel::Warning, "settings", Some(&job.id), message);
        logged.await?;
        return Ok(true);
    }
    if anything_moved {
        refresh::ask(
            active,
            scope,
            "the org has changed: everything is read again",
        )
        .await?;
    }
    Ok(true)
}

/// The types of the filtered fields, as far as they are known.
fn types(current: &SettingsRevision, described: &Described) -> filter::FieldTypes {
    let mut types = current.field_types.clone();
    if let Some(fields) = described.get(&ObjectKind::Opportunity) {
        for (field, known) in &mut types {
            if let Some(kind) = fields.get(field).and_then(|seen| seen.kind) {
                *known = kind;
            }
        }
    }
    types
}

/// Fields that were lost are an alarm until they are back, or nobody wants them any more.
async fn alarm(
    active: &Active,
    rules: &Rules,
    mut lost: Lost,
    moved: &[Moved],
    described: &Described,
) -> Result<(), Outage> {
    let known = lost.clone();
    let newly = moved.iter().filter(|moved| moved.how == How::Lost);
    lost.extend(newly.map(|moved| (moved.object, moved.field.clone())));
    lost.retain(|(object, field)| {
        wanted(rules, *object).contains(field)
            && described
                .get(object)
                .is_some_and(|fields| !fields.contains_key(field))
    });
    if lost != known {
        keep(active, LOST_FIELDS, &lost).await?;
    }
    let names = lost
        .iter()
        .map(|(object, field)| format!("{object}.{field}"))
        .collect::<Vec<_>>();
    let alarm = (!names.is_empty()).then(|| {
        format!(
            "the integration user can no longer see {}, which the settings name; restore the access or change the settings",
            names.join(", ")
        )
    });
    active.listener.alarm("fields", alarm).await;
    Ok(())
}

//! The org around the records, looked at once a day: its calendars and currencies, and which fields
//! the integration user can see. What differs is told in words; where the rules depend on it they
//! are saved anew, together with the job that reads everything in scope again.

use std::collections::{BTreeMap, BTreeSet};

use domain::ObjectKind;
use domain::filter::FieldType;
use domain::job::JobScope;
use domain::org::OrgProfile;
use domain::rule::Rules;
use domain::settings::{MOSYNC, SettingsRevision};
use ports::stores::{LOST_FIELDS, LogLevel};
use runtime::worker::Outage;
use serde::{Deserialize, Serialize};

use crate::Active;
use crate::refresh::{self, keep, note};

const FIELDS: &str = "fields";
const PROFILE: &str = "org";

/// The fields of each object that can be seen.
pub(crate) type Described = BTreeMap<ObjectKind, BTreeMap<String, Seen>>;

/// What is to be noticed of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Absent for kinds that cannot be used.
    kind: Option<FieldType>,
    pub(crate) calculated: bool,
}

/// Looks at everything; answers the fields.
pub(crate) async fn look(active: &Active) -> Result<Described, Outage> {
    let described = describe(active).await?;
    let profile = runtime::profile::read(&*active.listener.source).await?;
    let (_, rules) = active.rules.ticket().await?;
    let fields: Option<Described> = note(active, FIELDS).await?;
    let moved = fields.map_or_else(Vec::new, |fields| moved_fields(&rules, &fields, &described));
    let mut said = moved.iter().map(Moved::words).collect::<Vec<_>>();
    if let Some(before) = note::<OrgProfile>(active, PROFILE).await? {
        said.extend(moved_profile(&before, &profile));
    }
    for line in &said {
        let logged = active.log(LogLevel::Warning, "org", None, line.clone());
        logged.await?;
    }
    act(
        active,
        &described,
        &profile,
        !moved.is_empty(),
        !said.is_empty(),
    )
    .await?;
    alarm(active, &rules, &moved, &described).await?;
    // Last: what was not acted upon is found again.
    keep(active, FIELDS, &described).await?;
    keep(active, PROFILE, &profile).await?;
    Ok(described)
}

async fn describe(active: &Active) -> Result<Described, Outage> {
    let mut described = Described::new();
    for object in ObjectKind::ALL {
        let fields = active.listener.source.describe(object.api_name()).await?;
        let fields = fields.into_iter().map(|field| {
            let seen = Seen {
                kind: field.field_type,
                calculated: field.calculated,
            };
            (field.name, seen)
        });
        described.insert(object, fields.collect());
    }
    Ok(described)
}

/// A field that the rules read and that is not what it was.
struct Moved {
    object: ObjectKind,
    field: String,
    how: How,
}

#[derive(PartialEq, Eq)]
enum How {
    Lost,
    Found,
    OfAnotherType,
}

impl Moved {
    fn words(&self) -> String {
        let what = match self.how {
            How::Lost => {
                "can no longer be seen by the integration user: mOS keeps what it has; restore the access or change the mapping or filter"
            }
            How::Found => "can be seen by the integration user now",
            How::OfAnotherType => "is of another type now",
        };
        format!("{}.{} {what}", self.object, self.field)
    }
}

fn moved_fields(rules: &Rules, before: &Described, now: &Described) -> Vec<Moved> {
    let none = BTreeMap::new();
    let mut moved = Vec::new();
    for object in ObjectKind::ALL {
        let old = before.get(&object).unwrap_or(&none);
        let new = now.get(&object).unwrap_or(&none);
        for field in wanted(rules, object) {
            let how = match (old.get(&field), new.get(&field)) {
                (Some(_), None) => How::Lost,
                (None, Some(_)) => How::Found,
                (Some(old), Some(new)) if old.kind != new.kind => How::OfAnotherType,
                (Some(_), Some(_)) | (None, None) => continue,
            };
            moved.push(Moved { object, field, how });
        }
    }
    moved
}

/// The fields that the rules would read, whether they can be seen or not.
fn wanted(rules: &Rules, object: ObjectKind) -> BTreeSet<String> {
    let mut fields = rules.mapping().salesforce_fields(object);
    if object == ObjectKind::Opportunity {
        fields.extend(rules.judged_fields());
    }
    fields
}

/// What is different about the org, in sentences.
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
    if before.currencies != now.currencies {
        said.push("the currencies or their rates are others now".to_owned());
    }
    said
}

/// New rules where the rules depend on what has moved, and a refresh for whatever has.
async fn act(
    active: &Active,
    described: &Described,
    profile: &OrgProfile,
    fields_moved: bool,
    anything_moved: bool,
) -> Result<(), Outage> {
    let settings = &active.listener.stores.settings;
    let current = settings.current().await?;
    let now = active.listener.clock.now();
    let types = types(&current, described);
    let same = current.settings.clone();
    let mut next = current.next(same, types, profile.clone(), MOSYNC, now);
    if fields_moved {
        // The workers look up what they can see when the rules move.
        next.rule_revision = current.rule_revision + 1;
    }
    let scope = JobScope::Objects {
        objects: ObjectKind::ALL.into_iter().collect(),
    };
    if next.rule_revision != current.rule_revision {
        let job = refresh::job(active, scope);
        settings.save(&next, Some(&job)).await?;
        let message = format!(
            "settings revision {} saved by mosync: the org has changed what the rules mean",
            next.revision
        );
        let logged = active.log(LogLevel::Warning, "settings", Some(&job.id), message);
        return Ok(logged.await?);
    }
    if anything_moved {
        refresh::ask(
            active,
            scope,
            "the org has changed: everything is read again",
        )
        .await?;
    }
    Ok(())
}

/// The types of the filtered fields, as far as they are known.
fn types(current: &SettingsRevision, described: &Described) -> domain::filter::FieldTypes {
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
    moved: &[Moved],
    described: &Described,
) -> Result<(), Outage> {
    let mut lost: BTreeSet<(ObjectKind, String)> =
        note(active, LOST_FIELDS).await?.unwrap_or_default();
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

//! What a job reads: its phases and their statements, counted before the reading begins.
//!
//! A full load reads all five objects, parents first, and each phase waits until every unit of the
//! one before is counted. Every other job reads opportunities alone, and the permission worker adds
//! what belongs to them.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::job::{Form, Job, JobKind, JobScope, Plan, Statement, Way};
use domain::load_soql::{self, Narrowed};
use domain::rule::Rules;
use domain::soql;
use domain::unit::Cause;
use domain::{ObjectKind, SalesforceId, Timestamp};
use ports::source::SourceError;
use runtime::worker::Outage;

use super::before::Before;
use crate::Active;

/// The phases of a full load. What is in one phase does not refer to one another.
const FULL_LOAD: &[&[ObjectKind]] = &[
    &[ObjectKind::User, ObjectKind::Account],
    &[ObjectKind::Contact],
    &[ObjectKind::Opportunity],
    &[ObjectKind::OpportunityContactRole],
];

/// A plan whose statements are being counted.
pub(super) struct Draft {
    plan: Plan,
    rules: Arc<Rules>,
    /// When relative dates are counted from.
    at: Timestamp,
    before: Option<Before>,
    counted: usize,
    /// The statement to be counted was refused the last time.
    refused: bool,
}

/// How far the counting is.
pub(super) enum Counting {
    /// Nobody knows yet who holds permission.
    Waits,
    /// There are more statements to count.
    More,
    /// Everything is counted.
    Done(Plan),
}

/// Asks for one more count.
pub(super) async fn count(
    active: &Active,
    job: &Job,
    draft: &mut Option<Draft>,
) -> Result<Counting, Outage> {
    let mut drafted = match draft.take() {
        Some(drafted) => drafted,
        None => match begin(active, job).await? {
            Some(drafted) => drafted,
            None => return Ok(Counting::Waits),
        },
    };
    let place = drafted
        .plan
        .phases
        .iter()
        .enumerate()
        .flat_map(|(phase, statements)| (0..statements.len()).map(move |at| (phase, at)))
        .nth(drafted.counted);
    let Some((phase, at)) = place else {
        return Ok(Counting::Done(drafted.plan));
    };
    let answer = count_one(active, job, &mut drafted, (phase, at)).await;
    // What is counted already is not asked for again, whatever the answer was.
    *draft = Some(drafted);
    answer.map(|()| Counting::More)
}

async fn count_one(
    active: &Active,
    job: &Job,
    drafted: &mut Draft,
    (phase, at): (usize, usize),
) -> Result<(), Outage> {
    let Draft {
        plan,
        rules,
        at: now,
        before,
        counted,
        refused,
    } = drafted;
    let Some(statements) = plan.phases.get_mut(phase) else {
        return Ok(());
    };
    let Some(statement) = statements.get_mut(at) else {
        return Ok(());
    };
    let object = statement.object;
    let query = soql((&**rules, *now), statement, &job.scope, before.as_ref());
    let source = &active.listener.source;
    let answer = source.query(&query.count_soql(), false).await;
    let again = std::mem::take(refused);
    let total = match answer {
        Ok(page) => Some(page.total),
        Err(SourceError::Refused { code, message })
            if joins(statement) && about(&code, &message).is_joins(again) =>
        {
            *counted -= statements
                .iter()
                .take(at)
                .filter(|statement| statement.object == object)
                .count();
            without_joins((&**rules, *now), statements, object, &job.scope);
            plan.notes.push(note(object, &format!("{code}: {message}")));
            return Ok(());
        }
        // Too many to be counted in time, or asked for with too many words: a bulk query takes its
        // time, and is in no URL.
        Err(SourceError::Refused { code, .. })
            if code == "QUERY_TIMEOUT" || code == "URI_TOO_LONG" =>
        {
            None
        }
        Err(error) => {
            *refused = matches!(error, SourceError::Refused { .. });
            return Err(error.into());
        }
    };
    statement.total = total;
    statement.way = Way::of(&query, total, active.listener.bulk_from);
    *counted += 1;
    Ok(())
}

/// The statements under the rules and permissions of this moment. What later rules or permissions
/// let in has a job of its own.
async fn begin(active: &Active, job: &Job) -> Result<Option<Draft>, Outage> {
    let (ticket, rules) = active.rules.ticket().await?;
    if ticket.snapshot == 0 {
        return Ok(None);
    }
    let permissions = &active.listener.stores.permissions;
    let snapshot = match permissions.snapshot(ticket.snapshot).await? {
        Some(snapshot) => snapshot,
        None => permissions.latest().await?,
    };
    let at = ticket.version.time();
    let owners = match &job.scope {
        JobScope::Owners { owners, .. } => owners.clone(),
        JobScope::Everything
        | JobScope::Since { .. }
        | JobScope::Entering { .. }
        | JobScope::Objects { .. }
        | JobScope::Stages { .. }
        | JobScope::Records { .. }
        | JobScope::Stream => snapshot.permitted(at),
    };
    let before = Before::of(active, job).await?;
    let before = before.filter(|before| before.can_judge(&rules));
    let is_read = |object: &ObjectKind| {
        if let JobScope::Objects { objects } = &job.scope {
            return objects.contains(object);
        }
        is_full_load(job) || *object == ObjectKind::Opportunity
    };
    let of = |object: &ObjectKind| {
        let instead = instead((&*rules, at), *object, &job.scope, before.as_ref());
        let form = (Form::SemiJoin, instead.as_deref());
        statements((&*rules, at), *object, &owners, &job.scope, form)
    };
    let plan = Plan {
        rule_revision: ticket.rule_revision,
        permission_snapshot: snapshot.number,
        phases: FULL_LOAD
            .iter()
            .map(|objects| objects.iter().copied().filter(is_read).collect::<Vec<_>>())
            .filter(|objects| !objects.is_empty())
            .map(|objects| objects.iter().flat_map(of).collect())
            .collect(),
        leaves_out: before.is_some(),
        notes: notes(&rules, at, &job.scope, before.as_ref()),
    };
    Ok(Some(Draft {
        plan,
        rules,
        at,
        before,
        counted: 0,
        refused: false,
    }))
}

fn statements(
    (rules, at): (&Rules, Timestamp),
    object: ObjectKind,
    owners: &BTreeSet<SalesforceId>,
    scope: &JobScope,
    (form, instead): (Form, Option<&str>),
) -> Vec<Statement> {
    let owners = owners.iter().copied().collect::<Vec<_>>();
    let narrowed = Narrowed {
        at,
        owners: Some(&owners),
        closed_since: closed_since(scope),
        form: form_of(form),
        instead,
    };
    load_soql::owner_chunks(rules, object, narrowed)
        .into_iter()
        .map(|owners| Statement {
            object,
            owners: owners.map(|owners| owners.iter().copied().collect()),
            form,
            way: Way::Bulk,
            total: None,
        })
        .collect()
}

/// A statement of the plan as a query, with the fields of these rules at that time.
pub(super) fn soql(
    (rules, at): (&Rules, Timestamp),
    statement: &Statement,
    scope: &JobScope,
    before: Option<&Before>,
) -> load_soql::Statement {
    let instead = instead((rules, at), statement.object, scope, before);
    let owners = statement
        .owners
        .as_ref()
        .map(|owners| owners.iter().copied().collect::<Vec<_>>());
    let narrowed = Narrowed {
        at,
        owners: owners.as_deref(),
        closed_since: closed_since(scope),
        form: form_of(statement.form),
        instead: instead.as_deref(),
    };
    let mut query = load_soql::statement(rules, statement.object, narrowed);
    if let Some(before) = before {
        for field in before.fields() {
            if !query.select.contains(&field) {
                query.select.push(field);
            }
        }
    }
    query
}

/// The condition of the opportunities that a job reads, where those are not the ones in scope.
fn instead(
    (rules, at): (&Rules, Timestamp),
    object: ObjectKind,
    scope: &JobScope,
    before: Option<&Before>,
) -> Option<String> {
    if object != ObjectKind::Opportunity {
        return None;
    }
    match scope {
        JobScope::Entering { .. } => {
            let entering = before?.entering(rules, at);
            Some(entering.condition.unwrap_or_default())
        }
        JobScope::Stages { stages } => {
            let stages = soql::in_list(stages.iter().map(String::as_str));
            let stages = format!("StageName IN {stages}");
            Some(match rules.soql_condition("", at).condition {
                Some(filter) => format!("{filter} AND {stages}"),
                None => stages,
            })
        }
        JobScope::Everything
        | JobScope::Owners { .. }
        | JobScope::Since { .. }
        | JobScope::Objects { .. }
        | JobScope::Records { .. }
        | JobScope::Stream => None,
    }
}

/// What people should know of a job that reads what enters.
fn notes(rules: &Rules, at: Timestamp, scope: &JobScope, before: Option<&Before>) -> Vec<String> {
    let JobScope::Entering { .. } = scope else {
        return Vec::new();
    };
    let Some(before) = before else {
        return vec![
            "what was in scope before is not known any more: everything in scope is read"
                .to_owned(),
        ];
    };
    let entering = before.entering(rules, at);
    let mut notes = Vec::new();
    if !entering.exact {
        notes.push(
            "Salesforce is asked for more than what enters, because SOQL cannot say it exactly; what was in scope before is left out here"
                .to_owned(),
        );
    }
    notes
}

const fn form_of(form: Form) -> load_soql::Form {
    match form {
        Form::SemiJoin => load_soql::Form::SemiJoin,
        Form::Plain => load_soql::Form::Plain,
    }
}

/// What has closed meanwhile still gets its last word.
const fn closed_since(scope: &JobScope) -> Option<Timestamp> {
    match scope {
        JobScope::Since { since } | JobScope::Owners { since, .. } => Some(*since),
        JobScope::Everything
        | JobScope::Entering { .. }
        | JobScope::Objects { .. }
        | JobScope::Stages { .. }
        | JobScope::Records { .. }
        | JobScope::Stream => None,
    }
}

/// Whether a job reads all five objects.
pub(super) fn is_full_load(job: &Job) -> bool {
    match &job.scope {
        JobScope::Everything => job.kind == JobKind::SyncAll,
        JobScope::Objects { objects } => objects.len() == ObjectKind::ALL.len(),
        JobScope::Owners { .. }
        | JobScope::Since { .. }
        | JobScope::Entering { .. }
        | JobScope::Stages { .. }
        | JobScope::Records { .. }
        | JobScope::Stream => false,
    }
}

/// Why the job's records of an object are in their units: opportunities bring along what belongs
/// to them, unless that is read as well.
pub(super) fn cause(job: &Job, object: ObjectKind) -> Cause {
    if object == ObjectKind::Opportunity && !is_full_load(job) {
        Cause::Snapshot
    } else {
        Cause::FullLoad
    }
}

/// Whether a statement asks through a semi-join.
pub(super) fn joins(statement: &Statement) -> bool {
    let around = matches!(
        statement.object,
        ObjectKind::User | ObjectKind::Account | ObjectKind::Contact
    );
    around && statement.form == Form::SemiJoin
}

/// What the refusal of a statement may be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum About {
    /// Nothing that another form of the statement mends.
    Other,
    /// What the integration user sees, most likely: without a field that was hidden meanwhile the
    /// statement is taken. An org may also refuse a semi-join so.
    Sight,
    /// The semi-join, which the org refuses or needs too long for.
    Joins,
}

impl About {
    /// Whether the statement should do without its semi-join. `again`: what can be seen was looked
    /// up since it was first refused.
    pub(super) const fn is_joins(self, again: bool) -> bool {
        match self {
            Self::Joins => true,
            Self::Sight => again,
            Self::Other => false,
        }
    }
}

/// What the refusal of a statement is about.
pub(super) fn about(code: &str, message: &str) -> About {
    let message = message.to_ascii_lowercase();
    let mut signs = ["semi join", "semi-join", "timed out"].into_iter();
    match code {
        "MALFORMED_QUERY" | "QUERY_TIMEOUT" | "QUERY_TOO_COMPLICATED" => About::Joins,
        _ if signs.any(|sign| message.contains(sign)) => About::Joins,
        "INVALID_FIELD" | "INVALID_TYPE" => About::Sight,
        _ if code.starts_with("INVALID_") => About::Joins,
        _ => About::Other,
    }
}

/// The same of the words with which Salesforce has given up the bulk query of a statement; the code
/// is one of them.
pub(super) fn about_failure(why: &str) -> About {
    why.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .map(|word| about(word, why))
        .max()
        .unwrap_or(About::Other)
}

/// Replaces the statements of an object by those that do without semi-joins.
pub(super) fn without_joins(
    rules: (&Rules, Timestamp),
    statements_of_phase: &mut Vec<Statement>,
    object: ObjectKind,
    scope: &JobScope,
) {
    let first = statements_of_phase
        .iter()
        .position(|statement| statement.object == object)
        .unwrap_or_default();
    let mut owners = BTreeSet::new();
    statements_of_phase.retain_mut(|statement| {
        let replaced = statement.object == object;
        if replaced {
            owners.append(&mut statement.owners.take().unwrap_or_default());
        }
        !replaced
    });
    let plain = statements(rules, object, &owners, scope, (Form::Plain, None));
    statements_of_phase.splice(first..first, plain);
}

/// The line of the plan that says so.
pub(super) fn note(object: ObjectKind, why: &str) -> String {
    format!(
        "{object} is read without the semi-join that this org refuses ({why}): more records are read, and sorted out by the workers"
    )
}

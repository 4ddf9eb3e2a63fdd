//! Why a record is in mOS, or is not. It is a view of the sync rule: what decides is
//! [`Rules::judge`] and the permission snapshot, here it is only told.

mod facts;
mod ids;
mod verdict;
mod words;

use domain::permission::{PermissionSnapshot, Standing};
use domain::rule::{Match, Rules};
use domain::settings::SettingsRevision;
use domain::{ObjectKind, Row, SalesforceId, Timestamp};
use runtime::readback::{self, Read};
use runtime::through::{self, Through};
use runtime::worker::Outage;

use super::Operations;
use crate::OpsError;
use crate::views::{
    ExplainCode, ExplainCondition, ExplainMos, ExplainOpportunity, ExplainOwner, ExplainSettings,
    ExplainThrough, ExplainView, Found, ThroughOwner, UserView,
};
use facts::Facts;

/// So many owners of matching opportunities are named.
const OWNERS: usize = 20;

/// A record, and the rules it is judged by.
pub(super) struct Asked {
    pub(super) object: ObjectKind,
    pub(super) id: SalesforceId,
    /// When the ticket was taken under which everything is judged.
    pub(super) at: Timestamp,
    pub(super) rules: std::sync::Arc<Rules>,
    pub(super) revision: SettingsRevision,
    pub(super) snapshot: PermissionSnapshot,
}

/// What is known of the opportunity that decides: the record's own, or its role's.
struct Judged {
    view: ExplainOpportunity,
    matched: Match,
    owner: Option<SalesforceId>,
}

/// What was found.
struct Looked {
    facts: Facts,
    read: Read,
    judged: Option<Judged>,
    through: Option<Through>,
}

impl Operations {
    /// Why the record with this id, or at this address of Salesforce's pages, is in mOS or is not.
    /// What holds no id of a synced object is told so in the view.
    ///
    /// # Errors
    /// [`OpsError::OutOfReach`] when a store or Salesforce does not answer. mOS's silence is told in
    /// the view.
    pub async fn explain(&self, asked: &str) -> Result<ExplainView, OpsError> {
        let mut view = blank(asked, self.now());
        let id = match ids::read(asked) {
            Ok(id) => id,
            Err(fault) => {
                (view.verdict, view.advice) = words::bad_id(&fault);
                return Ok(view);
            }
        };
        view.id = Some(id);
        let Some(object) = ObjectKind::of_prefix(id.key_prefix()) else {
            view.code = ExplainCode::NotASyncedObject;
            (view.verdict, view.advice) = words::not_synced(&id);
            return Ok(view);
        };
        view.object = Some(object);
        let asked = self.asked(object, id).await?;
        self.explained(&asked, view).await
    }

    /// The rules, all of one revision.
    async fn asked(&self, object: ObjectKind, id: SalesforceId) -> Result<Asked, OpsError> {
        loop {
            let (revision, ticket, snapshot) = tokio::join!(
                self.stores.settings.current(),
                self.rules.ticket(),
                self.stores.permissions.latest(),
            );
            let (revision, (ticket, rules)) = (revision?, ticket?);
            // Saved in between: asked again.
            if revision.rule_revision == rules.rule_revision {
                return Ok(Asked {
                    object,
                    id,
                    at: ticket.version.time(),
                    rules,
                    revision,
                    snapshot: snapshot?,
                });
            }
        }
    }

    async fn explained(
        &self,
        asked: &Asked,
        mut view: ExplainView,
    ) -> Result<ExplainView, OpsError> {
        let looked = self.rules.seen_anew_if_refused(self.look(asked).await);
        let Looked {
            mut facts,
            read,
            judged,
            through,
        } = looked?;
        let owner = match (asked.object, &judged) {
            (ObjectKind::User, _) => Some(asked.id),
            (_, Some(judged)) => judged.owner,
            (_, None) => None,
        };
        view.owner = match owner {
            Some(owner) if asked.snapshot.number > 0 => Some(self.owner(asked, owner).await?),
            _ => None,
        };
        view.settings = Some(settings(&asked.revision));
        view.found = Some(found(&read));
        view.mos = facts.mos.take().map(|mos| compared(mos, asked, &read));
        if matches!(read, Read::Row(_)) {
            view.through = through.map(|through| through_view(asked, &through));
            view.obstacles = obstacles(asked, judged.as_ref(), &view);
        }
        view.in_scope = Some(view.found == Some(Found::Row) && view.obstacles.is_empty());
        view.opportunity = judged.map(|judged| judged.view);
        tell(&mut view, asked, facts);
        Ok(view)
    }

    /// Everything that is asked of Salesforce, of mOS and of the stores, as far as possible at once.
    async fn look(&self, asked: &Asked) -> Result<Looked, Outage> {
        let (facts, read, through) = tokio::try_join!(
            self.facts(asked),
            self.read(asked.object, asked.id, &asked.rules),
            self.through(asked),
        )?;
        let judged = self.judged(asked, &read).await?;
        Ok(Looked {
            facts,
            read,
            judged,
            through,
        })
    }

    async fn through(&self, asked: &Asked) -> Result<Option<Through>, Outage> {
        if let ObjectKind::Opportunity | ObjectKind::OpportunityContactRole = asked.object {
            return Ok(None);
        }
        let record = (asked.object, asked.id);
        let through = through::read(&*self.source, &asked.rules, asked.at, record).await?;
        Ok(Some(through))
    }

    async fn read(
        &self,
        object: ObjectKind,
        id: SalesforceId,
        rules: &Rules,
    ) -> Result<Read, Outage> {
        let fields = rules.fields_to_read(object);
        let mut read = readback::read(&*self.source, object, &[id].into(), &fields).await?;
        Ok(read.remove(&id).unwrap_or(Read::Absent))
    }

    /// The opportunity that decides, if the record is one or a role on one, and it can be seen.
    async fn judged(&self, asked: &Asked, read: &Read) -> Result<Option<Judged>, Outage> {
        let Read::Row(row) = read else {
            return Ok(None);
        };
        match asked.object {
            ObjectKind::Opportunity => Ok(judge(asked, asked.id, row)),
            ObjectKind::OpportunityContactRole => {
                let of = row.fields().ok().and_then(|role| role.id("OpportunityId"));
                let Some(of) = of else { return Ok(None) };
                let read = self.read(ObjectKind::Opportunity, of, &asked.rules).await?;
                Ok(match read {
                    Read::Row(row) => judge(asked, of, &row),
                    Read::Deleted | Read::Absent => None,
                })
            }
            ObjectKind::User | ObjectKind::Account | ObjectKind::Contact => Ok(None),
        }
    }

    async fn owner(&self, asked: &Asked, owner: SalesforceId) -> Result<ExplainOwner, OpsError> {
        let user = self.named(&[owner].into()).await?.remove(&owner);
        let evidence = asked.snapshot.evidence(&owner, asked.at);
        let mut words = evidence.words();
        let frozen = user.as_ref().and_then(|user| user.is_frozen);
        if frozen == Some(true) && evidence.is_permitted() {
            words.push("is frozen, and counts all the same: only deactivation ends it".to_owned());
        }
        let permitted = evidence.is_permitted();
        let misses = asked.snapshot.near_misses.get(&owner);
        let (grants, until, not_counted) = match evidence.standing {
            Standing::Permitted { grants, until } => (
                grants,
                until,
                misses.into_iter().flatten().cloned().collect(),
            ),
            Standing::Not { reasons, .. } => (Vec::new(), None, reasons),
        };
        Ok(ExplainOwner {
            user: user.unwrap_or(UserView {
                id: owner,
                name: None,
                username: None,
                is_active: None,
                is_frozen: None,
            }),
            permitted,
            grants,
            until,
            not_counted,
            words,
            snapshot: asked.snapshot.number,
        })
    }
}

fn blank(asked: &str, now: Timestamp) -> ExplainView {
    ExplainView {
        asked: asked.to_owned(),
        object: None,
        id: None,
        read_at: now,
        code: ExplainCode::BadId,
        verdict: String::new(),
        advice: String::new(),
        in_scope: None,
        obstacles: Vec::new(),
        found: None,
        settings: None,
        opportunity: None,
        owner: None,
        through: None,
        gates: Vec::new(),
        next_window: None,
        parked: None,
        mos: None,
        log: Vec::new(),
        last_job: None,
    }
}

fn settings(revision: &SettingsRevision) -> ExplainSettings {
    ExplainSettings {
        revision: revision.revision,
        rule_revision: revision.rule_revision,
        saved: revision.saved,
        author: revision.author.clone(),
    }
}

const fn found(read: &Read) -> Found {
    match read {
        Read::Row(_) => Found::Row,
        Read::Deleted => Found::Deleted,
        Read::Absent => Found::Absent,
    }
}

fn judge(asked: &Asked, id: SalesforceId, row: &Row) -> Option<Judged> {
    let fields = row.fields().ok()?;
    let matched = asked.rules.judge(&fields, asked.at);
    let filter = &asked.revision.settings.filter;
    let results = asked.rules.explain(&fields, asked.at);
    let conditions = results.into_iter().zip(&filter.conditions).zip(1..);
    Some(Judged {
        owner: fields.id("OwnerId"),
        view: ExplainOpportunity {
            id,
            conditions: conditions
                .map(|((result, condition), number)| ExplainCondition {
                    number,
                    field: result.field,
                    operator: result.operator.name().to_owned(),
                    values: condition.values.clone(),
                    met: result.met,
                    matched: result.matched,
                })
                .collect(),
            logic: filter.logic.clone(),
            matches: matched != Match::No,
            undefined: asked
                .rules
                .undefined(asked.at)
                .iter()
                .map(ToString::to_string)
                .collect(),
            is_closed: fields.flag("IsClosed"),
            sync_closed: asked.rules.sync_closed(),
        },
        matched,
    })
}

fn through_view(asked: &Asked, through: &Through) -> ExplainThrough {
    let permits = |owner: &SalesforceId| asked.snapshot.permits(owner, asked.at);
    let mut owners: Vec<ThroughOwner> = through
        .by_owner
        .iter()
        .map(|(owner, opportunities)| ThroughOwner {
            owner: *owner,
            opportunities: *opportunities,
            permitted: permits(owner),
            words: Vec::new(),
        })
        .collect();
    let matching = owners.iter().map(|one| one.opportunities).sum();
    let permitted = owners.iter().filter(|one| one.permitted);
    let in_scope = permitted.map(|one| one.opportunities).sum();
    owners.sort_by_key(|one| {
        (
            !one.permitted,
            std::cmp::Reverse(one.opportunities),
            one.owner,
        )
    });
    let left_off = owners.len().saturating_sub(OWNERS);
    owners.truncate(OWNERS);
    for one in &mut owners {
        one.words = asked.snapshot.evidence(&one.owner, asked.at).words();
    }
    let examples = through.examples.iter();
    ExplainThrough {
        all: through.all,
        matching,
        in_scope,
        owners,
        owners_left_off: u64::try_from(left_off).unwrap_or(u64::MAX),
        examples: examples
            .filter(|(_, owner)| permits(owner))
            .map(|(id, _)| *id)
            .collect(),
        cut_short: through.cut_short,
    }
}

/// Every reason for which the record is not in scope; none: it is.
fn obstacles(asked: &Asked, judged: Option<&Judged>, view: &ExplainView) -> Vec<ExplainCode> {
    let mut obstacles = Vec::new();
    match (judged, &view.through) {
        (Some(judged), _) => {
            match judged.matched {
                Match::Qualifies => {}
                Match::No => obstacles.push(ExplainCode::FilterDoesNotMatch),
                Match::ClosedOnly if asked.object == ObjectKind::Opportunity => {
                    obstacles.push(verdict::closed(view.mos.as_ref()));
                }
                Match::ClosedOnly => obstacles.push(ExplainCode::Closed),
            }
            let permitted = judged
                .owner
                .is_some_and(|owner| asked.snapshot.permits(&owner, asked.at));
            if !permitted {
                obstacles.push(verdict::permission(asked, judged.owner));
            }
            if asked.object == ObjectKind::OpportunityContactRole && !obstacles.is_empty() {
                obstacles.push(ExplainCode::NoOpportunityInScope);
            }
        }
        (None, Some(through)) if through.in_scope > 0 => {}
        (None, Some(through)) => {
            if through.matching > 0 && asked.object == ObjectKind::User {
                obstacles.push(verdict::permission(asked, Some(asked.id)));
            }
            obstacles.push(ExplainCode::NoOpportunityInScope);
        }
        // A role whose opportunity is gone or hidden.
        (None, None) => obstacles.push(ExplainCode::NoOpportunityInScope),
    }
    obstacles
}

/// What mOS holds, against what would be sent.
fn compared(mut mos: ExplainMos, asked: &Asked, read: &Read) -> ExplainMos {
    let Read::Row(row) = read else { return mos };
    if mos.held != Some(true) {
        return mos;
    }
    let sent = row.fields().map_err(|error| error.to_string());
    let sent = sent.and_then(|fields| {
        let mapped = asked.rules.mapping().map(asked.object, &fields);
        mapped.map_err(|fault| fault.to_string())
    });
    match sent {
        Ok(sent) => mos.differs = domain::mapping::differing(&sent, &mos.fields),
        Err(trouble) => mos.trouble = Some(trouble),
    }
    mos
}

/// Puts the verdict and what it does not rest on into the view.
fn tell(view: &mut ExplainView, asked: &Asked, facts: Facts) {
    view.gates = facts.gates;
    view.next_window = facts.next_window;
    view.last_job = facts.last_job;
    view.log = facts.log;
    view.parked = facts.parked;
    view.code = verdict::of(view);
    (view.verdict, view.advice) = words::of(view, asked);
}

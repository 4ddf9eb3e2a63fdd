//! Whether a record is in scope and through what, as the sync rule says it.

use domain::rule::Match;
use domain::{ObjectKind, Row, SalesforceId};
use runtime::through::Through;

use super::{Asked, verdict};
use crate::views::{
    ExplainCode, ExplainCondition, ExplainOpportunity, ExplainThrough, ExplainView, ThroughOwner,
};

/// So many owners of matching opportunities are named.
const OWNERS: usize = 20;

/// What is known of the opportunity that decides: the record itself, or that of the role.
pub(super) struct Judged {
    pub(super) view: ExplainOpportunity,
    pub(super) owner: Option<SalesforceId>,
    matched: Match,
}

pub(super) fn judge(asked: &Asked, id: SalesforceId, row: &Row) -> Option<Judged> {
    let fields = row.fields().ok()?;
    let matched = asked.rules.judge(&fields, asked.at);
    let filter = &asked.revision.settings.filter;
    let results = asked.rules.explain(&fields, asked.at);
    let conditions = results.into_iter().zip(&filter.conditions).zip(1..);
    let undefined = asked.rules.undefined(asked.at);
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
                    holds: result.holds,
                })
                .collect(),
            logic: filter.logic.clone(),
            matches: matched != Match::No,
            undefined: undefined.iter().map(ToString::to_string).collect(),
            is_closed: fields.flag("IsClosed"),
            sync_closed: asked.rules.sync_closed(),
        },
        matched,
    })
}

pub(super) fn through(asked: &Asked, through: &Through) -> ExplainThrough {
    let mut owners: Vec<ThroughOwner> = through
        .by_owner
        .iter()
        .map(|(owner, opportunities)| ThroughOwner {
            owner: *owner,
            opportunities: *opportunities,
            permitted: asked.snapshot.permits(owner, asked.at),
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
    ExplainThrough {
        all: through.all,
        matching,
        in_scope,
        owners,
        owners_left_off: u64::try_from(left_off).unwrap_or(u64::MAX),
        examples: through.examples.clone(),
        cut_short: through.cut_short,
    }
}

/// Every reason for which a record that is there is not in scope; none: it is.
pub(super) fn obstacles(
    asked: &Asked,
    judged: Option<&Judged>,
    view: &ExplainView,
) -> Vec<ExplainCode> {
    match (judged, &view.through) {
        (Some(judged), _) => of_opportunity(asked, judged, view),
        (None, Some(through)) => of_companion(asked, through),
        // A role whose opportunity is gone or hidden.
        (None, None) => vec![ExplainCode::OpportunityNotVisible],
    }
}

fn of_opportunity(asked: &Asked, judged: &Judged, view: &ExplainView) -> Vec<ExplainCode> {
    let mut obstacles = Vec::new();
    match judged.matched {
        Match::Qualifies => {}
        Match::No => obstacles.push(ExplainCode::FilterDoesNotMatch),
        // Roles have no last word.
        Match::ClosedOnly if asked.object == ObjectKind::Opportunity => {
            obstacles.push(verdict::closed(view.mos.as_ref()));
        }
        Match::ClosedOnly => obstacles.push(ExplainCode::Closed),
    }
    let owner = judged.owner;
    if !owner.is_some_and(|owner| asked.snapshot.permits(&owner, asked.at)) {
        obstacles.push(verdict::permission(asked, owner));
    }
    obstacles
}

fn of_companion(asked: &Asked, through: &ExplainThrough) -> Vec<ExplainCode> {
    let one = if through.in_scope > 0 {
        return Vec::new();
    } else if through.all == 0 {
        ExplainCode::NoOpportunity
    } else if through.matching == 0 {
        ExplainCode::NoOpportunityMatches
    } else if asked.object == ObjectKind::User {
        verdict::permission(asked, Some(asked.id))
    } else if asked.snapshot.number == 0 {
        ExplainCode::PermissionsNotRead
    } else {
        ExplainCode::NoOwnerWithPermission
    };
    vec![one]
}

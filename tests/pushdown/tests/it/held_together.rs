//! What both make of the same filter and the same rows.

use std::collections::{BTreeMap, BTreeSet};

use domain::filter::{FieldType, Filter, Operator};
use domain::load_soql::{Form, Narrowed, Statement, statements};
use domain::rule::{Match, Rules};
use domain::settings::{Settings, SettingsRevision};
use domain::{ObjectKind, SalesforceId, Timestamp};
use fake_salesforce::schema;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::filters;
use crate::org::{Filled, OWNERS, id, types};

const FILTERS: u64 = 250;
const OPPORTUNITIES: usize = 60;

type Ids = BTreeSet<SalesforceId>;

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the test chooses how much and which"
)]
fn asked(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is not a number")),
    )
}

/// What came up over all filters, so that a test which asks nothing does not pass.
#[derive(Default)]
struct Seen {
    pairs: BTreeSet<(FieldType, Operator)>,
    exact: usize,
    weaker: usize,
    some_but_not_all: usize,
    let_through_more: usize,
}

struct Case {
    seed: u64,
    filled: Filled,
    filter: Filter,
    rules: Rules,
    random: StdRng,
}

impl Case {
    fn of(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let filled = Filled::by_chance(&mut random, OPPORTUNITIES);
        let filter = filters::by_chance(&mut random, &types(), &filled.rows);
        let sync_closed = random.random_bool(0.3);
        let rules = rules(filter.clone(), sync_closed);
        Self {
            seed,
            filled,
            filter,
            rules,
            random,
        }
    }

    /// Opportunities by what the local evaluator makes of them.
    fn judged(&self, wanted: impl Fn(Match, SalesforceId) -> bool) -> Ids {
        let mut ids = Ids::new();
        for row in &self.filled.rows {
            let fields = row.fields().unwrap();
            if wanted(self.rules.judge(&fields), fields.id("OwnerId").unwrap()) {
                ids.insert(fields.id("Id").unwrap());
            }
        }
        ids
    }

    /// `exact`: the same; otherwise no less.
    fn compare(&self, what: &str, soql: &str, found: &Ids, expected: &Ids, exact: bool) {
        let lost: Vec<_> = expected.difference(found).collect();
        let extra: Vec<_> = found.difference(expected).collect();
        assert!(
            lost.is_empty() && (!exact || extra.is_empty()),
            "{what}: SOQL loses {lost:?}{}\n{soql}\n{}\nask again: MOSYNC_PUSHDOWN_SEED={} cargo test -p pushdown",
            if exact {
                format!(" and lets through {extra:?}")
            } else {
                String::new()
            },
            serde_json::to_string_pretty(&self.filter).unwrap(),
            self.seed
        );
    }
}

fn rules(filter: Filter, sync_closed: bool) -> Rules {
    let mut revision = SettingsRevision::initial();
    revision.settings = Settings {
        sync_closed,
        filter,
        ..Settings::default()
    };
    revision.field_types = types();
    let visible = ObjectKind::ALL.map(|object| {
        let fields = &schema::entity(object.api_name()).unwrap().fields;
        let names = fields.iter().map(|field| field.name.to_owned()).collect();
        (object, names)
    });
    Rules::of(&revision, visible.into()).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn clause(condition: Option<&str>) -> String {
    condition.map_or_else(String::new, |condition| format!(" WHERE {condition}"))
}

/// The condition alone, on opportunities and from their roles.
fn ask_condition(case: &Case, seen: &mut Seen) {
    let matched = case.judged(|verdict, _| verdict != Match::No);
    let own = case.rules.soql_condition("");
    assert_eq!(own.exact, own.why_not.is_empty());
    let soql = format!(
        "SELECT Id FROM Opportunity{}",
        clause(own.condition.as_deref())
    );
    let found: Ids = case.filled.found(&soql, "Id").into_iter().collect();
    case.compare("the condition", &soql, &found, &matched, own.exact);

    let of_role = case.rules.soql_condition("Opportunity.");
    let soql = format!(
        "SELECT OpportunityId FROM OpportunityContactRole{}",
        clause(of_role.condition.as_deref())
    );
    let found: Ids = case
        .filled
        .found(&soql, "OpportunityId")
        .into_iter()
        .collect();
    let all = "SELECT OpportunityId FROM OpportunityContactRole";
    let with_role: Ids = case
        .filled
        .found(all, "OpportunityId")
        .into_iter()
        .collect();
    let expected = matched.intersection(&with_role).copied().collect();
    case.compare("from roles", &soql, &found, &expected, of_role.exact);

    let conditions = case.filter.conditions.iter();
    seen.pairs
        .extend(conditions.map(|condition| (types()[&condition.field], condition.operator)));
    seen.exact += usize::from(own.exact);
    seen.weaker += usize::from(!own.exact);
    seen.some_but_not_all += usize::from(!matched.is_empty() && matched.len() < OPPORTUNITIES);
    seen.let_through_more += usize::from(found.len() > expected.len());
}

/// Every row that a statement finds, page by page and at once, and as many as it counts.
fn rows_of(case: &Case, statement: &Statement) -> Ids {
    let whole = case.filled.found(&statement.to_soql(), "Id");
    let counted = case
        .filled
        .org
        .query(&statement.count_soql(), false)
        .unwrap();
    assert_eq!(
        counted[0]["expr0"],
        whole.len(),
        "{}",
        statement.count_soql()
    );
    let mut paged = Vec::new();
    loop {
        let soql = statement.page_soql(paged.last().copied(), 7);
        let page = case.filled.found(&soql, "Id");
        let full = page.len() == 7;
        paged.extend(page);
        if !full {
            break;
        }
    }
    assert_eq!(paged, whole, "{}", statement.to_soql());
    whole.into_iter().collect()
}

/// The statements of a full load against what hangs on the opportunities that were judged here.
fn ask_statements(case: &mut Case) {
    let owners: Vec<SalesforceId> = (0..OWNERS)
        .filter(|_| case.random.random_bool(0.5))
        .map(|number| id("005", 100 + number))
        .collect();
    // More than one statement can name: these own nothing.
    let strangers = (1_000..1_900).map(|number| id("005", number));
    let many: Vec<_> = owners.iter().copied().chain(strangers).collect();
    let choices = [None, Some(owners.as_slice()), Some(many.as_slice())];
    let owned = choices[case.random.random_range(0..3)];
    let since = Timestamp::parse("2026-01-31T00:00:00Z").unwrap();
    let closed_since = case.random.random_bool(0.3).then_some(since);
    let narrowed = |form| Narrowed {
        owners: owned,
        closed_since,
        form,
    };

    let is_owned = |owner: &SalesforceId| owned.is_none_or(|owners| owners.contains(owner));
    let stamps = case.filled.found(
        &format!(
            "SELECT Id FROM Opportunity WHERE SystemModstamp >= {}",
            since.to_soql()
        ),
        "Id",
    );
    let late: Ids = stamps.into_iter().collect();
    let may_be_late = closed_since.is_some();
    let open = case.judged(|verdict, owner| verdict == Match::Qualifies && is_owned(&owner));
    let closed = case.judged(|verdict, owner| verdict == Match::ClosedOnly && is_owned(&owner));
    let mut scope = open;
    scope.extend(
        closed
            .into_iter()
            .filter(|id| may_be_late && late.contains(id)),
    );

    let related = |object: &str, key: &str, field: &str| -> Ids {
        let rows = case
            .filled
            .org
            .query(&format!("SELECT {key}, {field} FROM {object}"), false)
            .unwrap();
        rows.iter()
            .filter(|row| {
                let key = SalesforceId::parse(row[key].as_str().unwrap()).unwrap();
                scope.contains(&key)
            })
            .filter_map(|row| SalesforceId::parse(row[field].as_str()?).ok())
            .collect()
    };
    let role = "OpportunityContactRole";
    let expected = BTreeMap::from([
        (ObjectKind::User, related("Opportunity", "Id", "OwnerId")),
        (
            ObjectKind::Account,
            related("Opportunity", "Id", "AccountId"),
        ),
        (
            ObjectKind::Contact,
            related(role, "OpportunityId", "ContactId"),
        ),
        (
            ObjectKind::OpportunityContactRole,
            related(role, "OpportunityId", "Id"),
        ),
        (ObjectKind::Opportunity, scope.clone()),
    ]);
    let condition_is_exact = case.rules.soql_condition("Opportunity.").exact;
    for form in [Form::SemiJoin, Form::Plain] {
        for object in ObjectKind::ALL {
            let asked = statements(&case.rules, object, narrowed(form));
            assert_eq!(asked.is_empty(), owned == Some(&[]), "{object}");
            let found: Ids = asked
                .iter()
                .flat_map(|statement| rows_of(case, statement))
                .collect();
            let of_opportunities = matches!(
                object,
                ObjectKind::Opportunity | ObjectKind::OpportunityContactRole
            );
            let exact = condition_is_exact && (form == Form::SemiJoin || of_opportunities);
            let soql = asked.first().map_or_else(String::new, Statement::to_soql);
            case.compare(
                &format!("{object}, {form:?}"),
                &soql,
                &found,
                &expected[&object],
                exact,
            );
        }
    }
}

#[test]
fn soql_lets_through_what_the_filter_matches() {
    let replayed = asked("MOSYNC_PUSHDOWN_SEED");
    let filters = asked("MOSYNC_PUSHDOWN_FILTERS").unwrap_or(FILTERS);
    let seeds = replayed.map_or(0..filters, |seed| seed..seed + 1);
    let mut seen = Seen::default();
    for seed in seeds {
        let mut case = Case::of(seed);
        ask_condition(&case, &mut seen);
        ask_statements(&mut case);
    }
    if replayed.is_some() {
        return;
    }
    println!(
        "{filters} filters: {} exact, {} weaker, of which {} let through more; {} matched some but not all",
        seen.exact, seen.weaker, seen.let_through_more, seen.some_but_not_all
    );
    let every_type: BTreeSet<FieldType> = types().into_values().collect();
    for field_type in every_type {
        for operator in field_type.operators() {
            let pair = (field_type, *operator);
            assert!(seen.pairs.contains(&pair), "{pair:?} never came up");
        }
    }
    let few = usize::try_from(filters).unwrap() / 5;
    assert!(seen.exact > few && seen.weaker > few && seen.some_but_not_all > few);
    assert!(
        seen.let_through_more > 0,
        "weaker conditions were never weaker"
    );
}

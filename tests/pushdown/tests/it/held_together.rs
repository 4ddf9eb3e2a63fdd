//! What both make of the same filter and the same rows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::filter::{BlankRule, FieldType, Filter, Operator, ZoneOf};
use domain::load_soql::{Form, Narrowed, Statement, statements};
use domain::rule::{Effect, Effects, Match, Rules};
use domain::settings::{Settings, SettingsRevision};
use domain::{ObjectKind, SalesforceId, Timestamp};
use fake_salesforce::schema;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::filters;
use crate::org::{Filled, OWNERS, id};

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
    types: BTreeSet<FieldType>,
    undefined: usize,
    relative: usize,
    entering: usize,
    entering_exactly: usize,
    effects: BTreeSet<Effect>,
}

struct Case {
    seed: u64,
    filled: Filled,
    filter: Filter,
    rules: Rules,
    /// Other rules of the same org, at another time.
    before: Rules,
    then: Timestamp,
    random: StdRng,
}

impl Case {
    fn of(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let filled = Filled::by_chance(&mut random, OPPORTUNITIES);
        let settings = settings(&mut random, &filled);
        let mut earlier = Settings {
            sync_closed: random.random_bool(0.3),
            ..settings.clone()
        };
        match random.random_range(0..3) {
            0 => {}
            1 => earlier = self::settings(&mut random, &filled),
            _ => {
                earlier.filter.conditions.pop();
                earlier.filter.logic = None;
            }
        }
        let hours = *[0, 1, 24, 24 * 7, 24 * 90].choose(&mut random).unwrap();
        let then = filled.now.before(Duration::from_hours(hours));
        Self {
            seed,
            filter: settings.filter.clone(),
            rules: rules(settings, &filled),
            before: rules(earlier, &filled),
            then,
            filled,
            random,
        }
    }

    /// Opportunities by what the local evaluator makes of them.
    fn judged(&self, wanted: impl Fn(Match, SalesforceId) -> bool) -> Ids {
        let mut ids = Ids::new();
        for row in &self.filled.rows {
            let fields = row.fields().unwrap();
            if wanted(
                self.rules.judge(&fields, self.filled.now),
                fields.id("OwnerId").unwrap(),
            ) {
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

fn settings(random: &mut StdRng, filled: &Filled) -> Settings {
    Settings {
        filter: filters::by_chance(random, &filled.types, &filled.rows),
        sync_closed: random.random_bool(0.3),
        blanks: *[BlankRule::Keep, BlankRule::Drop].choose(random).unwrap(),
        zone: *[ZoneOf::Org, ZoneOf::User].choose(random).unwrap(),
        ..Settings::default()
    }
}

fn rules(settings: Settings, filled: &Filled) -> Rules {
    let mut revision = SettingsRevision::initial();
    revision.settings = settings;
    revision.field_types = filled.types.clone();
    revision.org = filled.profile.clone();
    let visible = ObjectKind::ALL.map(|object| {
        let fields = &schema::entity(object.api_name()).unwrap().fields;
        let names = fields.iter().map(|field| field.name.to_owned()).collect();
        (object, names)
    });
    Rules::of(&revision, visible.into()).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// What the rules let in that others did not at another time.
fn ask_entering(case: &Case, seen: &mut Seen) {
    let (now, then) = (case.filled.now, case.then);
    let mut expected = Ids::new();
    for row in &case.filled.rows {
        let fields = row.fields().unwrap();
        if case.rules.enters(&case.before, &fields, now, then) {
            expected.insert(fields.id("Id").unwrap());
        }
    }
    let pushed = case.rules.entering(&case.before, "", now, then);
    assert_eq!(pushed.exact, pushed.why_not.is_empty());
    let soql = format!(
        "SELECT Id FROM Opportunity{}",
        clause(pushed.condition.as_deref())
    );
    let found: Ids = case.filled.found(&soql, "Id").into_iter().collect();
    case.compare("what enters", &soql, &found, &expected, pushed.exact);
    seen.entering += usize::from(!expected.is_empty());
    seen.entering_exactly += usize::from(!expected.is_empty() && pushed.exact);
}

/// What a change of the rules does at one moment: each effect as it is judged and as it is asked for.
fn ask_effects(case: &Case, seen: &mut Seen) {
    let effects = Effects {
        before: &case.before,
        after: &case.rules,
        at: case.filled.now,
    };
    for effect in Effect::ALL {
        let rows = case.filled.rows.iter().map(|row| row.fields().unwrap());
        let rows = rows.filter(|fields| effects.has(effect, fields));
        let expected: Ids = rows.map(|fields| fields.id("Id").unwrap()).collect();
        let pushed = effects.condition(effect);
        let soql = format!(
            "SELECT Id FROM Opportunity{}",
            clause(pushed.condition.as_deref())
        );
        let found: Ids = case.filled.found(&soql, "Id").into_iter().collect();
        case.compare(effect.name(), &soql, &found, &expected, pushed.exact);
        if !expected.is_empty() && pushed.exact {
            seen.effects.insert(effect);
        }
    }
}

fn clause(condition: Option<&str>) -> String {
    condition.map_or_else(String::new, |condition| format!(" WHERE {condition}"))
}

/// The condition alone, on opportunities and from their roles.
fn ask_condition(case: &Case, seen: &mut Seen) {
    let matched = case.judged(|verdict, _| verdict != Match::No);
    let own = case.rules.soql_condition("", case.filled.now);
    assert_eq!(own.exact, own.why_not.is_empty());
    let soql = format!(
        "SELECT Id FROM Opportunity{}",
        clause(own.condition.as_deref())
    );
    let found: Ids = case.filled.found(&soql, "Id").into_iter().collect();
    case.compare("the condition", &soql, &found, &matched, own.exact);

    let of_role = case.rules.soql_condition("Opportunity.", case.filled.now);
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
    seen.pairs.extend(
        conditions.map(|condition| (case.filled.types[&condition.field], condition.operator)),
    );
    seen.types.extend(case.filled.types.values());
    seen.undefined += usize::from(!case.rules.undefined(case.filled.now).is_empty());
    seen.relative += usize::from(case.rules.is_relative());
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
    let now = case.filled.now;
    let narrowed = |form| Narrowed {
        at: now,
        owners: owned,
        closed_since,
        form,
        instead: None,
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
    let condition_is_exact = case
        .rules
        .soql_condition("Opportunity.", case.filled.now)
        .exact;
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
        ask_entering(&case, &mut seen);
        ask_effects(&case, &mut seen);
    }
    if replayed.is_some() {
        return;
    }
    println!(
        "{filters} filters: {} exact, {} weaker, of which {} let through more; {} matched some but not all; {} relative, {} without fiscal years; of {} changes something entered, {} of them exact",
        seen.exact,
        seen.weaker,
        seen.let_through_more,
        seen.some_but_not_all,
        seen.relative,
        seen.undefined,
        seen.entering,
        seen.entering_exactly
    );
    assert_eq!(seen.effects, Effect::ALL.into());
    assert!(seen.undefined > 0 && seen.relative > 0 && seen.entering_exactly > 0);
    for field_type in seen.types {
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

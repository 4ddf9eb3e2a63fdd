//! What a change of the rules, or of the day, lets in.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::filter::{BlankRule, Condition, FieldType, Filter, Operator};
use crate::row::Row;
use crate::settings::Settings;

fn rules(conditions: &[(&str, Operator, &[&str])], change: impl FnOnce(&mut Settings)) -> Rules {
    let mut revision = SettingsRevision::initial();
    let conditions = conditions
        .iter()
        .map(|(field, operator, values)| Condition {
            field: (*field).to_owned(),
            operator: *operator,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        })
        .collect();
    revision.settings.filter = Filter {
        conditions,
        logic: None,
    };
    revision.field_types = BTreeMap::from([
        ("Name".to_owned(), FieldType::Text),
        ("Amount".to_owned(), FieldType::Currency),
        ("CloseDate".to_owned(), FieldType::Date),
    ]);
    change(&mut revision.settings);
    Rules::of(&revision, BTreeMap::new()).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn entering(new: &Rules, old: &Rules) -> Pushdown {
    let now = at("2026-08-12T12:00:00Z");
    new.entering(old, "", now, now)
}

#[test]
fn what_enters_matches_now_and_did_not_before() {
    use Operator::*;
    let same = |_: &mut Settings| {};
    let more = rules(&[("Amount", GreaterOrEqual, &["500"])], same);
    let less = rules(&[("Amount", GreaterOrEqual, &["1000"])], same);
    let found = entering(&more, &less);
    assert_eq!(
        found.condition.as_deref(),
        Some("Amount >= 500 AND (Amount < 1000 OR Amount = null) AND IsClosed = false")
    );
    assert!(found.exact && found.why_not.is_empty());
    // Everything was let in before, so nothing enters.
    let all = rules(&[], same);
    let found = entering(&less, &all);
    assert_eq!(
        found.condition.as_deref(),
        Some("Id = null AND IsClosed = false")
    );
    let found = entering(&all, &less);
    assert_eq!(
        found.condition.as_deref(),
        Some("(Amount < 1000 OR Amount = null) AND IsClosed = false")
    );
}

#[test]
fn what_soql_cannot_say_of_the_rules_before_takes_nothing_away() {
    use Operator::*;
    let same = |_: &mut Settings| {};
    let new = rules(&[("Amount", GreaterOrEqual, &["500"])], same);
    let old = rules(
        &[("Name", LessThan, &["m"]), ("Amount", LessThan, &["700"])],
        same,
    );
    let found = entering(&new, &old);
    assert_eq!(
        found.condition.as_deref(),
        Some("Amount >= 500 AND IsClosed = false"),
        "any of them may have had a name from m on"
    );
    assert!(!found.exact);
    assert_eq!(
        found.why_not,
        [
            "condition 1 (`Name` less_than) of the rules before: SOQL orders texts by the locale of the running user"
        ]
    );
    // The other way round it may be asked for.
    let found = entering(&old, &new);
    assert_eq!(
        found.condition.as_deref(),
        Some(
            "Name != null AND Amount < 700 AND (Amount < 500 OR Amount = null) AND IsClosed = false"
        )
    );
    assert!(!found.exact);
}

#[test]
fn closed_deals_enter_when_they_begin_to_count() {
    let open = rules(&[], |_| {});
    let closed = rules(&[], |settings| settings.sync_closed = true);
    assert_eq!(
        entering(&closed, &open).condition.as_deref(),
        Some("IsClosed = true")
    );
    assert_eq!(
        entering(&open, &closed).condition.as_deref(),
        Some("Id = null AND IsClosed = false")
    );
    let now = at("2026-08-12T12:00:00Z");
    let row = Row::of(&json!({ "IsClosed": true })).unwrap();
    let row = row.fields().unwrap();
    assert!(closed.enters(&open, &row, now, now) && !open.enters(&closed, &row, now, now));
}

#[test]
fn what_is_sent_again_is_open_unless_closed_deals_count_by_both_rules() {
    let open = rules(&[], |_| {});
    let closed = rules(&[], |settings| settings.sync_closed = true);
    let row = Row::of(&json!({ "IsClosed": true })).unwrap();
    for (before, after, asked) in [
        (&open, &open, Some("IsClosed = false")),
        (&open, &closed, Some("IsClosed = false")),
        (&closed, &open, Some("IsClosed = false")),
        (&closed, &closed, None),
    ] {
        let at = at("2026-08-12T12:00:00Z");
        let effects = Effects { before, after, at };
        let found = effects.condition(Effect::SentAgain);
        assert_eq!(found.condition.as_deref(), asked);
        let again = effects.has(Effect::SentAgain, &row.fields().unwrap());
        assert_eq!(again, asked.is_none(), "a closed one");
    }
}

#[test]
fn what_was_stamped_since_is_not_left_out_whatever_the_rules_before_make_of_it() {
    use Operator::*;
    let same = |_: &mut Settings| {};
    let now = at("2026-08-12T12:00:00Z");
    let since = at("2026-08-12T11:00:00.400Z");
    let asked = |new: &Rules, old: &Rules| {
        let found = new.entering_or_stamped(old, "", (now, now), Some(since));
        assert!(found.exact, "{found:?}");
        found.condition.unwrap()
    };
    let more = rules(&[("Amount", GreaterOrEqual, &["500"])], same);
    let less = rules(&[("Amount", GreaterOrEqual, &["1000"])], same);
    let stamped = "SystemModstamp >= 2026-08-12T11:00:00Z";
    assert_eq!(
        asked(&more, &less),
        format!(
            "Amount >= 500 AND (Amount < 1000 OR Amount = null OR {stamped}) AND IsClosed = false"
        )
    );
    let all = rules(&[], same);
    assert_eq!(
        asked(&less, &all),
        format!("Amount >= 1000 AND {stamped} AND IsClosed = false")
    );
    let closed = rules(&[("Amount", GreaterOrEqual, &["500"])], |settings| {
        settings.sync_closed = true;
    });
    assert_eq!(
        asked(&closed, &all),
        format!("Amount >= 500 AND (IsClosed = true OR {stamped})")
    );

    let had = |stamp: &str, since| {
        let row = json!({ "Amount": 1500, "IsClosed": false, "SystemModstamp": stamp });
        let row = Row::of(&row).unwrap();
        less.had(&row.fields().unwrap(), now, since)
    };
    assert!(had("2026-08-12T10:59:59.000+0000", Some(since)));
    assert!(!had("2026-08-12T11:00:00.000+0000", Some(since)));
    assert!(!had("", Some(since)), "nobody knows");
    assert!(had("2026-08-12T11:00:00.000+0000", None));
}

fn update(field: &str, committed: &str) -> Cause {
    Cause::Event {
        change_type: ChangeType::Update,
        changed: BTreeSet::from([field.to_owned()]),
        committed: at(committed),
    }
}

#[test]
fn a_change_that_may_be_older_than_the_rules_may_let_a_deal_in_by_any_field() {
    let mut rules = rules(&[("Amount", Operator::GreaterThan, &["100"])], |_| {});
    rules.saved = at("2026-08-12T11:00:00Z");
    let answers = |object, cause: &Cause| {
        let touched = rules.is_touched_by(object, cause);
        (touched, rules.may_enter(object, cause))
    };
    let deal = ObjectKind::Opportunity;
    let before = update("Colour__c", "2026-08-12T09:00:00Z");
    assert_eq!(answers(deal, &before), (true, true));
    let during = update("Colour__c", "2026-08-12T11:10:00Z");
    assert_eq!(answers(deal, &during), (true, true), "stamped before");
    let after = update("Colour__c", "2026-08-12T11:10:01Z");
    assert_eq!(answers(deal, &after), (false, false));
    let both = before.clone().and_then(after);
    assert_eq!(answers(deal, &both), (true, true), "as old as the first");
    assert_eq!(answers(ObjectKind::Account, &before), (false, false));
}

/// Which fields it is computed from nobody says, and no event names it.
#[test]
fn any_change_may_alter_a_formula() {
    let rules = rules(&[("Amount", Operator::GreaterThan, &["100"])], |_| {});
    let of = |object: ObjectKind, field: &str| {
        let fields = BTreeSet::from([field.to_owned()]);
        rules.clone().with_calculated([(object, fields)].into())
    };
    let change = update("Colour__c", "2026-08-12T09:00:00Z");
    let answers = |rules: &Rules, object| {
        let touched = rules.is_touched_by(object, &change);
        (touched, rules.may_enter(object, &change))
    };
    let (deal, account) = (ObjectKind::Opportunity, ObjectKind::Account);
    assert_eq!(answers(&of(deal, "Amount"), deal), (true, true), "judged");
    assert_eq!(answers(&of(deal, "Name"), deal), (true, false), "mapped");
    assert_eq!(answers(&of(deal, "Score__c"), deal), (false, false));
    assert_eq!(answers(&of(deal, "Name"), account), (false, false));
    assert_eq!(answers(&of(account, "Name"), account), (true, false));
}

#[test]
fn blanks_that_were_dropped_enter_with_those_that_failed() {
    use Operator::*;
    let drop = |settings: &mut Settings| settings.blanks = BlankRule::Drop;
    let new = rules(&[], drop);
    let old = rules(&[("Name", NotEqual, &["a"])], drop);
    assert_eq!(
        entering(&new, &old).condition.as_deref(),
        Some("(Name = 'a' OR Name = null) AND IsClosed = false")
    );
    let keep = rules(&[("Name", NotEqual, &["a"])], |_| {});
    let found = entering(&keep, &old);
    assert_eq!(
        found.condition.as_deref(),
        Some("(Name != 'a' OR Name = null) AND (Name = 'a' OR Name = null) AND IsClosed = false"),
        "the blank ones alone"
    );
}

#[test]
fn the_day_lets_in_what_it_reaches() {
    let rules = rules(
        &[("CloseDate", Operator::Equals, &["NEXT_N_DAYS:7"])],
        |_| {},
    );
    let then = at("2026-08-12T23:59:59Z");
    let now = rules.next_turn(then).unwrap();
    assert_eq!(now, at("2026-08-13T00:00:00Z"));
    let found = rules.entering(&rules, "Opportunity.", now, then);
    assert_eq!(
        found.condition.as_deref(),
        Some(
            "Opportunity.CloseDate >= 2026-08-14 AND Opportunity.CloseDate < 2026-08-21 AND (Opportunity.CloseDate < 2026-08-13 OR Opportunity.CloseDate >= 2026-08-20 OR Opportunity.CloseDate = null) AND Opportunity.IsClosed = false"
        )
    );
    for (day, expected) in [
        ("2026-08-13", false),
        ("2026-08-19", false),
        ("2026-08-20", true),
    ] {
        let row = Row::of(&json!({ "CloseDate": day, "IsClosed": false })).unwrap();
        assert_eq!(
            rules.enters(&rules, &row.fields().unwrap(), now, then),
            expected,
            "{day}"
        );
    }
}

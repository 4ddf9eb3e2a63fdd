//! Why a record is in mOS, or is not: the verdict, what it rests on, and what would change it.

mod case;
mod permission;
mod seen;
mod waiting;

use console::views::{ExplainCode, Found};
use domain::ObjectKind;
use domain::filter::{BlankRule, Condition, Filter, Operator};
use serde_json::json;

use crate::salesforce::{delete, id, insert, update, user};
use case::{Case, grant};

/// Deals over 100 alone.
pub(crate) fn large_ones() -> Filter {
    Filter {
        conditions: vec![Condition {
            field: "Amount".to_owned(),
            operator: Operator::GreaterThan,
            values: vec!["100".to_owned()],
        }],
        logic: None,
    }
}

#[tokio::test]
async fn a_deal_that_mos_holds_as_it_is_is_current_until_it_changes() {
    let case = Case::open().await;
    case.save(|settings| settings.filter = large_ones()).await;
    let deal = case.deal(&json!({}));
    let view = case.told(&deal).await;
    assert_eq!(view.code, ExplainCode::InScopeNotYet);
    assert_eq!(view.in_scope, Some(true));
    case.bring(ObjectKind::User, &case.owner).await;
    case.bring(ObjectKind::Opportunity, &deal).await;
    let page = format!("https://acme.lightning.force.com/lightning/r/Opportunity/{deal}/view");
    let short = deal.chars().take(15).collect::<String>();
    for asked in [&deal, &short, &page] {
        let view = case.told(asked).await;
        assert_eq!(view.code, ExplainCode::InScopeAndCurrent, "{view:#?}");
        assert_eq!(view.id, id(&deal));
        let owner = view.owner.unwrap();
        assert_eq!(owner.grants, [grant(None)]);
        assert_eq!(owner.words, ["holds mOS_User through the group Sales"]);
        let settings = view.settings.unwrap();
        assert_eq!(settings.author, "Ada");
        assert_eq!((settings.revision, settings.rule_revision), (1, 1));
        let judged = view.opportunity.unwrap();
        assert_eq!(judged.conditions[0].met.as_deref(), Some("500.0"));
        assert!(judged.matches && judged.conditions[0].holds == Some(true));
    }
    update(
        &case.desk.salesforce,
        "Opportunity",
        &deal,
        &json!({"Amount": 600}),
    );
    let view = case.told(&deal).await;
    assert_eq!(view.code, ExplainCode::InScopeNotYet);
    assert_eq!(view.mos.unwrap().differs.unwrap(), ["amount"]);
    assert!(
        view.verdict
            .contains("an older state of it (amount differ)"),
        "{}",
        view.verdict
    );
}

#[tokio::test]
async fn a_filter_that_does_not_match_is_told_with_the_value_it_met() {
    let case = Case::open().await;
    case.save(|settings| settings.filter = large_ones()).await;
    let deal = case.deal(&json!({"Amount": 7}));
    let view = case.told(&deal).await;
    assert_eq!(view.code, ExplainCode::FilterDoesNotMatch);
    assert_eq!(
        view.verdict,
        "the opportunity does not match the filter: condition 1 (Amount greater than 100) met `7.0`"
    );
    assert_eq!(view.in_scope, Some(false));
    assert_eq!(
        case.code(&case.deal(&json!({"Amount": null}))).await,
        ExplainCode::FilterDoesNotMatch
    );
}

#[tokio::test]
async fn a_closed_deal_has_had_its_last_word_or_not() {
    let case = Case::open().await;
    let deal = case.deal(&json!({}));
    case.bring(ObjectKind::User, &case.owner).await;
    update(
        &case.desk.salesforce,
        "Opportunity",
        &deal,
        &json!({"StageName": "Closed Won"}),
    );
    assert_eq!(case.code(&deal).await, ExplainCode::Closed);
    case.bring(ObjectKind::Opportunity, &deal).await;
    assert_eq!(case.code(&deal).await, ExplainCode::LastWordSent);
    case.save(|settings| settings.sync_closed = true).await;
    assert_eq!(case.code(&deal).await, ExplainCode::InScopeAndCurrent);
}

#[tokio::test]
async fn what_hangs_on_deals_is_told_through_which() {
    let case = Case::open().await;
    case.save(|settings| settings.filter = large_ones()).await;
    let org = &case.desk.salesforce;
    let other = user(org, "Bea");
    let contact = insert(org, "Contact", &json!({"LastName": "Cid"}));
    for (object, id) in [
        ("account", &case.account),
        ("contact", &contact),
        ("user", &case.owner),
    ] {
        let view = case.told(id).await;
        assert_eq!(view.code, ExplainCode::NoOpportunity, "{object}");
        assert_eq!(view.through.unwrap().all, 0);
    }
    let small = case.deal(&json!({"Amount": 1}));
    assert_eq!(
        case.code(&case.account).await,
        ExplainCode::NoOpportunityMatches
    );
    let foreign = case.deal(&json!({"OwnerId": other}));
    let view = case.told(&case.account).await;
    assert_eq!(view.code, ExplainCode::NoOwnerWithPermission);
    assert!(
        view.verdict
            .contains("1 of the 2 opportunities of this account"),
        "{}",
        view.verdict
    );
    let deal = case.deal(&json!({}));
    let role = |deal: &str| {
        let fields = json!({"OpportunityId": deal, "ContactId": contact});
        insert(org, "OpportunityContactRole", &fields)
    };
    let (of_small, of_foreign) = (role(&small), role(&foreign));
    let out = case.told(&contact).await;
    assert_eq!(
        out.code,
        ExplainCode::NoOwnerWithPermission,
        "{}",
        out.verdict
    );
    let of_deal = role(&deal);
    for asked in [&case.account, &contact, &case.owner] {
        let view = case.told(asked).await;
        assert_eq!(view.in_scope, Some(true), "{}", view.verdict);
        let through = view.through.unwrap();
        assert_eq!(through.examples, [id(&deal)]);
        assert_eq!(through.in_scope, 1);
        assert!(through.owners[0].permitted);
    }
    let through = case.told(&case.account).await.through.unwrap();
    assert_eq!(
        (through.all, through.matching, through.owners.len()),
        (3, 2, 2)
    );
    assert_eq!(case.told(&of_deal).await.in_scope, Some(true));
    for (role, obstacle) in [
        (of_small, ExplainCode::FilterDoesNotMatch),
        (of_foreign, ExplainCode::OwnerWithoutPermission),
    ] {
        let view = case.told(&role).await;
        assert_eq!(view.code, obstacle, "{view:?}");
        assert!(view.opportunity.is_some() && view.owner.is_some());
    }
}

#[tokio::test]
async fn what_is_gone_hidden_or_was_never_there_is_told_apart() {
    let case = Case::open().await;
    let (deleted, hidden) = (case.deal(&json!({})), case.deal(&json!({})));
    case.bring(ObjectKind::User, &case.owner).await;
    case.bring(ObjectKind::Opportunity, &deleted).await;
    delete(&case.desk.salesforce, "Opportunity", &deleted);
    case.desk.salesforce.hide_record(&hidden, true).unwrap();
    let view = case.told(&deleted).await;
    assert_eq!(
        (view.code, view.found),
        (ExplainCode::Deleted, Some(Found::Deleted))
    );
    assert!(
        view.verdict.contains("mOS still holds it"),
        "{}",
        view.verdict
    );
    for asked in [hidden.as_str(), "006zzzzzzzzzz01"] {
        let view = case.told(asked).await;
        assert_eq!(
            (view.code, view.found),
            (ExplainCode::NotVisible, Some(Found::Absent))
        );
        assert_eq!(view.in_scope, None, "nobody knows");
    }
}

#[tokio::test]
async fn a_role_whose_deal_is_hidden_is_judged_by_nothing() {
    let case = Case::open().await;
    let org = &case.desk.salesforce;
    let contact = insert(org, "Contact", &json!({"LastName": "Cid"}));
    let deal = case.deal(&json!({}));
    let role = json!({"OpportunityId": deal, "ContactId": contact});
    let role = insert(org, "OpportunityContactRole", &role);
    assert_eq!(case.told(&role).await.in_scope, Some(true));
    case.desk.org.hides_record(id(&deal));
    let view = case.told(&role).await;
    assert_eq!(
        (view.code, view.found, view.in_scope),
        (
            ExplainCode::OpportunityNotVisible,
            Some(Found::Row),
            Some(false)
        )
    );
    assert_eq!(view.obstacles, [ExplainCode::OpportunityNotVisible]);
    assert!(view.opportunity.is_none() && view.owner.is_none());
    assert!(
        view.verdict.contains("the opportunity of this role"),
        "{}",
        view.verdict
    );
}

#[tokio::test]
async fn what_is_no_id_is_refused_and_an_id_of_another_object_is_told() {
    let case = Case::open().await;
    for (asked, words) in [
        ("Acme", "15 or 18 characters"),
        ("006dp00000h8yvwia3", "capital letters"),
        ("00600000000-001", "letters and digits"),
        ("https://acme.my.salesforce.com/", "no Salesforce id"),
    ] {
        let refused = case.ops.explain(asked).await.unwrap_err();
        assert_eq!(refused.code(), "invalid", "{asked}");
        let words_said = refused.to_string();
        assert!(words_said.contains(words), "{words_said}");
    }
    let view = case.told("500000000000001").await;
    assert_eq!(view.code, ExplainCode::NotASyncedObject);
    assert_eq!((view.in_scope, view.object), (None, None));
    assert!(view.verdict.contains("500"), "{}", view.verdict);
}

#[tokio::test]
async fn a_blank_that_is_dropped_leaves_a_condition_unknown() {
    let case = Case::open().await;
    let other_than = Filter {
        conditions: vec![Condition {
            field: "Amount".to_owned(),
            operator: Operator::NotEqual,
            values: vec!["7".to_owned()],
        }],
        logic: None,
    };
    case.save(|settings| settings.filter = other_than).await;
    let (blank, seven) = (
        case.deal(&json!({"Amount": null})),
        case.deal(&json!({"Amount": 7})),
    );
    let holds = async |deal: &str| {
        let view = case.told(deal).await;
        let condition = view.opportunity.unwrap().conditions.remove(0);
        (condition.holds, view.verdict)
    };
    assert_eq!(holds(&blank).await.0, Some(true));
    case.save(|settings| settings.blanks = BlankRule::Drop)
        .await;
    let (unknown, verdict) = holds(&blank).await;
    assert_eq!(unknown, None);
    assert!(verdict.contains("unknown"), "{verdict}");
    assert_eq!(holds(&seven).await.0, Some(false));
}

#[tokio::test]
async fn a_field_that_vanishes_meanwhile_is_left_out() {
    let case = Case::open().await;
    let deal = case.deal(&json!({"NextStep": "Call"}));
    let contact = json!({"LastName": "Cid"});
    let contact = insert(&case.desk.salesforce, "Contact", &contact);
    assert_eq!(case.told(&contact).await.found, Some(Found::Row));
    let org = &case.desk.salesforce;
    org.hide_field("Contact", "Phone", true).unwrap();
    assert_eq!(case.told(&contact).await.found, Some(Found::Row));
    assert_eq!(case.told(&deal).await.found, Some(Found::Row));
}

//! What a preview says is what then happens: to which opportunities the save does something, and what
//! its job reads. Held against what mOS received, and against the oracle's own view of the rule.

use std::collections::BTreeSet;

use console::views::{PreviewView, PreviewedSearch, SaveSettings};
use console::{Author, Caller, OpsError};
use domain::job::{JobId, Way};
use domain::rule::Effect;
use oracle::{History, Kind, Timeline};
use ports::Clock as _;
use serde_json::{Value, json};

use crate::judge::{self, Epoch};
use crate::moves::{people, touch_deals, until, world};
use crate::rest;
use crate::salesforce::{insert, insert_all, updating};
use crate::turn::{Document, Turn};
use crate::world::World;

type Ids = BTreeSet<String>;

/// Saves that are played.
const SAVES: usize = 50;
/// Opportunities in the org, whether in scope or not.
const DEALS: usize = 60;

const TURNS: [Turn; 10] = [
    Turn::Wider,
    Turn::Wider,
    Turn::Narrower,
    Turn::Narrower,
    Turn::Other,
    Turn::Relative,
    Turn::SyncClosed,
    Turn::Blanks,
    Turn::Zone,
    Turn::Mapping,
];

/// An org that nobody but the test changes, with deals of people with and without permission.
fn furnished(seed: u64) -> World {
    let mut world = world(seed);
    world.refreshed_every = std::time::Duration::from_secs(400 * 86_400);
    for field in [
        json!({ "entity": "Opportunity", "name": "Tags__c", "type": "multipicklist", "values": ["Red", "Green", "Blue"] }),
        json!({ "entity": "Opportunity", "name": "Score__c", "type": "double", "precision": 5, "calculated": true }),
    ] {
        let field = serde_json::from_value(field).unwrap();
        world.org.add_field(&field).unwrap();
    }
    people(&world).set_up();
    while world.org.records("Opportunity").len() < DEALS {
        people(&world).step_with_tags("2026-06-15");
        people(&world).turn(Turn::Formula);
    }
    // Nobody's permission comes or goes while the saves are played.
    let assignments = world.org.records("PermissionSetAssignment");
    let lasting = json!({ "ExpirationDate": null });
    let lasting = assignments
        .iter()
        .map(|assignment| updating("PermissionSetAssignment", assignment.id(), &lasting));
    people(&world).transact(lasting.collect());
    world
}

struct Play {
    world: World,
    document: Value,
}

impl Play {
    async fn quiet(&self) {
        rest::wait(&self.world, self.world.clock.now())
            .await
            .unwrap();
        // What is parked would come again by itself, together with its deal.
        let all = json!({ "all": true, "reason": "the test counts what a save sends" });
        let all = serde_json::from_value(all).unwrap();
        let dismissed = self.world.operations();
        match dismissed.dismiss_parked(&all, Caller::CommandLine).await {
            Ok(_) | Err(OpsError::NotFound(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }

    /// The document as it would be saved now.
    async fn asked(&self) -> SaveSettings {
        let current = self.world.stores.settings.current().await.unwrap();
        let asked = json!({ "base": current.revision, "settings": self.document });
        serde_json::from_value(asked).unwrap()
    }

    /// What a save would do, and each of its lists, read page by page.
    async fn preview(&self) -> (PreviewView, [Ids; 3]) {
        let operations = self.world.operations();
        let view = operations.preview_settings(&self.asked().await).await;
        let view = view.unwrap();
        let mut lists = Vec::new();
        for effect in Effect::ALL {
            let told = view.effect(effect);
            let mut ids = Vec::new();
            let mut after = None;
            loop {
                let search = PreviewedSearch {
                    effect: Some(effect.name().to_owned()),
                    after,
                    limit: Some(7),
                    format: None,
                };
                let page = operations.previewed(&view.id, &search).await.unwrap();
                assert!(page.opportunities.len() == 7 || page.next.is_none());
                ids.extend(page.opportunities);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert!(ids.is_sorted_by(|one, next| one.id < next.id), "{ids:?}");
            assert!(told.exact, "{told:?}");
            assert_eq!(told.count, Some(ids.len() as u64), "{effect:?}");
            assert_eq!(told.sample, ids[..ids.len().min(10)], "{effect:?}");
            lists.push(ids.iter().map(|one| one.id.to_string()).collect());
        }
        (view, lists.try_into().unwrap())
    }

    async fn save(&self) -> Option<JobId> {
        let author = Author::of(&Caller::CommandLine, Some("preview"));
        let operations = self.world.operations();
        let saved = operations
            .save_settings(&self.asked().await, &author)
            .await
            .unwrap();
        saved.job.as_deref().map(JobId::of)
    }

    /// The opportunities that mOS has received since then, last words apart.
    fn received(&self, since: u64) -> Ids {
        let entries = self.world.mos.ledger_since(since);
        let records = entries.iter().flat_map(|entry| &entry.records);
        records
            .filter(|record| record.kind == "opportunity" && !record.if_exists)
            .map(|record| record.external_id.clone())
            .collect()
    }

    fn so_far(&self) -> u64 {
        let len = self.world.mos.ledger_len();
        u64::try_from(len).unwrap()
    }

    /// Every opportunity is changed; those that are then sent.
    async fn sent_when_touched(&self, word: &str) -> Ids {
        let since = self.so_far();
        touch_deals(&self.world, &json!({ "Description": word }));
        self.quiet().await;
        self.received(since)
    }

    /// What is in scope by the oracle's own rule.
    async fn by_the_oracle(&self) -> Ids {
        let world = &self.world;
        let commits = world.org.commits_since(0);
        let commits: Vec<_> = commits.iter().map(|commit| &**commit).collect();
        let history = History::from_json(&serde_json::to_string(&commits).unwrap()).unwrap();
        let mut revisions = world.stores.settings.history(None, 10_000).await.unwrap();
        revisions.reverse();
        let epochs: Vec<_> = revisions
            .into_iter()
            .map(|revision| Epoch {
                from: revision.saved.as_micros(),
                revision,
            })
            .collect();
        let settings: Vec<_> = epochs
            .iter()
            .map(|epoch| judge::settings_of(world, &history, epoch))
            .collect();
        let rules: Vec<_> = epochs
            .iter()
            .zip(&settings)
            .map(|(epoch, settings)| oracle::Epoch {
                from_micros: epoch.from,
                settings,
            })
            .collect();
        let now = world.clock.micros();
        let timeline = Timeline::of_epochs(&history, &rules, now).unwrap();
        let deals = world.org.records("Opportunity");
        let ids = deals.iter().map(|deal| deal.id().to_owned());
        ids.filter(|id| timeline.in_scope(Kind::Opportunity, id))
            .collect()
    }
}

/// Something that SOQL cannot say, now and then.
fn with_an_id_prefix(play: &Play, document: &mut Value) {
    let accounts = play.world.org.records("Account");
    let some = play.world.chance.pick(&accounts).unwrap().id();
    let condition = json!({ "field": "AccountId", "operator": "starts_with", "values": [some] });
    document["filter"] = if play.world.chance.happens(0.5) {
        json!({ "conditions": [condition] })
    } else {
        json!({ "conditions": [condition], "logic": "NOT 1" })
    };
}

#[tokio::test(start_paused = true)]
async fn fifty_saves_do_what_their_previews_said() {
    let mut play = Play {
        world: furnished(41),
        document: json!({}),
    };
    play.world.start_all();
    play.quiet().await;
    let mut in_scope = play.sent_when_touched("to begin with").await;
    let (mut entered, mut left, mut again, mut judged) = (0, 0, 0, 0);
    let mut played = 0;
    while played < SAVES {
        let turn = *play.world.chance.pick(&TURNS).unwrap();
        let documents = Document {
            chance: &play.world.chance,
            relative: true,
            currencies: false,
            record_types: false,
        };
        let mut document = documents.turned(turn, play.document.clone()).unwrap();
        if play.world.chance.happens(0.15) {
            with_an_id_prefix(&play, &mut document);
        }
        if played % 5 == 4 {
            // Another field than at the last time, so that it is sent again.
            let field = if played % 2 == 0 {
                "LeadSource"
            } else {
                "Description"
            };
            document["mapping"] = json!([{ "object": "Opportunity", "mos_field": "next_step",
                "salesforce_field": field, "active": true }]);
        }
        play.document = document;
        let (view, [enters, leaves, sent_again]) = play.preview().await;
        if view.changes.is_empty() {
            continue;
        }
        played += 1;
        let place = format!("save {played}, {turn:?}: {}", play.document);
        let before = play.by_the_oracle().await;
        assert_eq!(before, in_scope, "{place}");

        let since = play.so_far();
        let job = play.save().await;
        play.quiet().await;
        let received = play.received(since);
        let said: Ids = enters.union(&sent_again).cloned().collect();
        assert_eq!(received, said, "sent because of {place}");
        assert_eq!(job.is_some(), view.job.is_some(), "{place}");
        if let (Some(job), Some(cost)) = (&job, &view.job) {
            let plan = play.world.stores.jobs.plan(job).await.unwrap().unwrap();
            let statements: Vec<_> = plan.phases.iter().flatten().collect();
            let by_rest = statements.iter().filter(|one| one.way == Way::Rest);
            let records = statements.iter().map(|one| one.total).sum::<Option<u64>>();
            assert_eq!(cost.records, records, "{place}");
            let by_rest = by_rest.count() as u64;
            assert_eq!(cost.rest_statements, by_rest, "{place}");
            let others = statements.len() as u64 - by_rest;
            assert_eq!(cost.bulk_statements, others, "{place}");
        }

        let after = play.by_the_oracle().await;
        let sent = play
            .sent_when_touched(&format!("after save {played}"))
            .await;
        assert_eq!(sent, after, "{place}");
        let difference = |one: &Ids, other: &Ids| one.difference(other).cloned().collect::<Ids>();
        assert_eq!(enters, difference(&sent, &in_scope), "enter: {place}");
        assert_eq!(leaves, difference(&in_scope, &sent), "leave: {place}");
        if !sent_again.is_empty() {
            let both: Ids = sent.intersection(&in_scope).cloned().collect();
            assert_eq!(sent_again, both, "again: {place}");
        }
        in_scope = sent;
        entered += enters.len();
        left += leaves.len();
        again += sent_again.len();
        judged += usize::from(view.enters.judged.or(view.leaves.judged).is_some());
    }
    // It was not all about nothing.
    assert!(
        entered > 25 && left > 25 && again > 20 && judged > 2,
        "{entered} entered, {left} left, {again} were sent again, {judged} were judged here"
    );
}

/// What enters is sent for that, and not told twice.
#[tokio::test(start_paused = true)]
async fn closed_deals_that_enter_with_another_mapping_are_not_among_those_sent_again() {
    let mut play = Play {
        world: furnished(41),
        document: json!({}),
    };
    play.world.start_all();
    play.quiet().await;
    let in_scope = play.by_the_oracle().await;
    play.document = json!({ "sync_closed": true, "mapping": [{ "object": "Opportunity",
        "mos_field": "next_step", "salesforce_field": "LeadSource", "active": true }] });
    let (_, [enters, leaves, sent_again]) = play.preview().await;
    assert!(!in_scope.is_empty() && !enters.is_empty());
    assert_eq!(sent_again, in_scope);
    assert_eq!(leaves, Ids::new());
}

/// More owners than one statement can name are dealt out to several, and nobody is counted twice or
/// not at all; deals of those without permission are in none.
#[tokio::test(start_paused = true)]
async fn owners_of_several_statements_are_counted_once() {
    const HOLDERS: usize = 900;
    let mut world = world(42);
    let org = std::sync::Arc::clone(&world.org);
    let set = insert(&org, "PermissionSet", &json!({ "Name": "mOS_User" }));
    let users = (0..HOLDERS + 100).map(|number| {
        let name = format!("user{number}@example.com");
        json!({ "LastName": name, "Username": name, "Email": name })
    });
    let users = insert_all(&org, "User", users);
    let grants = users[..HOLDERS]
        .iter()
        .map(|user| json!({ "AssigneeId": user, "PermissionSetId": set }));
    insert_all(&org, "PermissionSetAssignment", grants);
    let deals = users.iter().enumerate().map(|(number, user)| {
        json!({ "Name": format!("Deal {number}"), "StageName": "Prospecting",
            "CloseDate": "2027-01-01", "OwnerId": user, "Amount": number })
    });
    let deals = insert_all(&org, "Opportunity", deals);
    world.start(crate::world::Service::Permission);
    until("permissions are read", async || {
        world.stores.permissions.latest().await.unwrap().number > 0
    })
    .await;
    let mut play = Play {
        world,
        document: json!({ "filter": { "conditions": [
            { "field": "Amount", "operator": "less_than", "values": ["100"] },
        ] } }),
    };
    let (view, _) = play.preview().await;
    let cost = view.job.as_ref().unwrap();
    assert!(cost.rest_statements + cost.bulk_statements >= 3, "{cost:?}");
    let leaves = deals[100..HOLDERS].len() as u64;
    assert_eq!(view.leaves.count, Some(leaves));
    play.save().await;
    play.document = json!({});
    let (view, _) = play.preview().await;
    assert_eq!(view.enters.count, Some(leaves));
    assert_eq!(view.enters.sample[0].id.as_str(), deals[100]);
    assert_eq!(view.enters.sample[0].name.as_deref(), Some("Deal 100"));
}

//! What left the scope and is still in mOS: asked of a real mOS server, judged by the rules in force.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use console::OpsError;
use console::views::{LeftView, LeftWhy};
use domain::filter::{FieldType, FieldTypes};
use domain::{ObjectKind, SalesforceId, Timestamp, Version};
use fake_mos::{Fault, RecordType};
use ports::target::{Target, Upsert};
use serde_json::json;
use serde_json::value::RawValue;

use crate::desk::{NOW, record};
use crate::explain::large_ones;
use crate::salesforce::{delete, update};
use crate::users::Office;
use crate::web::{Browser, INSTANCE, VIEWER, next_page};

/// An org with holders and deals, and an mOS that has been told of the deals.
struct Town {
    office: Office,
    mos: fake_mos::Running,
    target: Arc<dyn Target>,
    ada: String,
}

impl Town {
    async fn open() -> Self {
        let mut office = Office::open();
        let (mos, target) = open_mos().await;
        office.desk.ops = office.desk.ops.asking(Arc::clone(&target));
        let ada = office.user("Ada");
        office.grant(&ada, &json!({}));
        Self {
            office,
            mos,
            target,
            ada,
        }
    }

    /// A deal that mOS holds.
    async fn deal(&self, owner: &str, amount: u32) -> String {
        let fields = json!({
            "Name": format!("Deal of {amount}"), "StageName": "Prospecting",
            "CloseDate": "2027-01-01", "OwnerId": owner, "Amount": amount,
        });
        let id = self.office.insert("Opportunity", &fields);
        self.hold(ObjectKind::User, owner, r#"{"name": "Somebody"}"#)
            .await;
        let fields = json!({"name": "A deal", "owner_id": owner}).to_string();
        self.hold(ObjectKind::Opportunity, &id, &fields).await;
        id
    }

    async fn hold(&self, object: ObjectKind, id: &str, fields: &str) {
        hold(&*self.target, object, id, fields).await;
    }

    /// Deals of Ada's that mOS holds, whether Salesforce has them or not.
    async fn hold_all(&self, ids: &[SalesforceId]) {
        self.hold(ObjectKind::User, &self.ada, r#"{"name": "Ada"}"#)
            .await;
        let fields = json!({"name": "A deal", "owner_id": self.ada}).to_string();
        for (number, some) in ids.chunks(500).enumerate() {
            let held = some.iter().map(|id| Upsert {
                object: ObjectKind::Opportunity,
                id: *id,
                version: Version::at(Timestamp::from_micros(NOW * 1_000_000)),
                fields: RawValue::from_string(fields.clone()).unwrap(),
                if_exists: false,
            });
            let key = format!("stretch {number}");
            let held = held.collect::<Vec<_>>();
            self.target.upsert(&key, &held).await.unwrap();
        }
    }

    fn change(&self, deal: &str, fields: &serde_json::Value) {
        update(&self.office.desk.salesforce, "Opportunity", deal, fields);
    }

    /// Deals over 100 alone.
    async fn filter(&self) {
        let types = FieldTypes::from([("Amount".to_owned(), FieldType::Currency)]);
        let saved = self.office.desk.save_as("a test", types, |settings| {
            settings.filter = large_ones();
        });
        saved.await;
    }

    async fn left(&self) -> LeftView {
        self.office.poll.once().await.unwrap();
        self.office.desk.ops.left(None, None).await.unwrap()
    }
}

/// An mOS on a port of its own, and the way to it.
pub(crate) async fn open_mos() -> (fake_mos::Running, Arc<dyn Target>) {
    let options = fake_mos::Options {
        http: ([127, 0, 0, 1], 0).into(),
        api_key: fake_mos::DEFAULT_API_KEY.to_owned(),
        ..fake_mos::Options::default()
    };
    let mos = fake_mos::start(options, fake_mos::system_clock());
    let mos = mos.await.unwrap();
    let url = url::Url::parse(&format!("http://{}", mos.http)).unwrap();
    let config = mos::Config::new(url, fake_mos::DEFAULT_API_KEY.to_owned().into());
    let target = mos::Mos::connect(config).unwrap();
    (mos, Arc::new(target))
}

/// Has mOS hold a record.
pub(crate) async fn hold(target: &dyn Target, object: ObjectKind, id: &str, fields: &str) {
    let record = Upsert {
        object,
        id: SalesforceId::parse(id).unwrap(),
        version: Version::at(Timestamp::from_micros(NOW * 1_000_000)),
        fields: RawValue::from_string(fields.to_owned()).unwrap(),
        if_exists: false,
    };
    let key = format!("{id} {}", fields.len());
    target.upsert(&key, &[record]).await.unwrap();
}

fn reasons(view: &LeftView) -> BTreeMap<String, LeftWhy> {
    let left = view.left.iter();
    left.map(|record| (record.id.clone(), record.why)).collect()
}

#[tokio::test]
async fn what_does_not_qualify_is_named_with_its_reason_and_what_does_is_not() {
    let town = Town::open().await;
    let bea = town.office.user("Bea");
    let mut deals = Vec::new();
    for amount in [500, 500, 500, 50, 500, 500] {
        deals.push(town.deal(&town.ada, amount).await);
    }
    let [qualifies, closed, deleted, small, hidden, handed_over] = &deals[..] else {
        panic!("six deals")
    };
    town.office.poll.once().await.unwrap();
    assert_eq!(town.left().await.left, [], "before anything leaves");

    town.filter().await;
    town.change(closed, &json!({"StageName": "Closed Won"}));
    town.change(handed_over, &json!({"OwnerId": bea}));
    let org = &town.office.desk.salesforce;
    delete(org, "Opportunity", deleted);
    org.hide_record(hidden, true).unwrap();
    // Never was in mOS, so it is not among what is still there.
    let never = json!({"Name": "Small", "StageName": "Prospecting", "CloseDate": "2027-01-01",
        "OwnerId": town.ada, "Amount": 1});
    town.office.insert("Opportunity", &never);

    let view = town.left().await;
    assert_eq!(view.held, 6);
    assert_eq!((view.settings_revision, view.next.as_deref()), (1, None));
    assert_eq!(view.read_at, town.office.desk.now());
    let wanted = [
        (closed, LeftWhy::Closed),
        (deleted, LeftWhy::Deleted),
        (small, LeftWhy::Filter),
        (hidden, LeftWhy::NotVisible),
        (handed_over, LeftWhy::OwnerWithoutPermission),
    ];
    let wanted = wanted.map(|(id, why)| (id.clone(), why));
    assert_eq!(reasons(&view), BTreeMap::from(wanted));
    assert!(!reasons(&view).contains_key(qualifies));
    let named = view.left.iter().find(|record| record.id == *handed_over);
    let named = named.unwrap();
    assert_eq!(named.name.as_deref(), Some("Deal of 500"));
    assert_eq!(named.owner.map(|owner| owner.to_string()), Some(bea));
    town.mos.stop().await;
}

/// A permission that ran out takes the deals out of the scope at that moment, without a poll.
#[tokio::test]
async fn a_permission_that_ran_out_counts_by_the_clock() {
    let town = Town::open().await;
    let cyd = town.office.user("Cyd");
    let end = town.office.desk.now().after(Duration::from_secs(60));
    let expires = json!({"ExpirationDate": end.to_string().replace('Z', "+0000")});
    town.office.grant(&cyd, &expires);
    let deal = town.deal(&cyd, 500).await;
    assert_eq!(town.left().await.left, []);
    town.office.desk.pass(60);
    let view = town.office.desk.ops.left(None, None).await.unwrap();
    let why = LeftWhy::OwnerWithoutPermission;
    assert_eq!(reasons(&view), BTreeMap::from([(deal, why)]));
    town.mos.stop().await;
}

/// Every record that mOS holds is looked at once, in stretches, each as long as was asked for.
#[tokio::test]
async fn stretches_follow_each_other_to_the_end() {
    let town = Town::open().await;
    let bea = town.office.user("Bea");
    let mut gone = BTreeMap::new();
    for number in 0..7 {
        let owner = if number % 2 == 0 { &bea } else { &town.ada };
        let deal = town.deal(owner, 500).await;
        if number % 2 == 0 {
            gone.insert(deal, LeftWhy::OwnerWithoutPermission);
        }
    }
    town.office.poll.once().await.unwrap();
    let (mut after, mut held, mut found) = (None, Vec::new(), BTreeMap::new());
    loop {
        let ops = &town.office.desk.ops;
        let view = ops.left(after.as_deref(), Some(3)).await.unwrap();
        held.push(view.held);
        found.extend(reasons(&view));
        after = view.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(held, [3, 3, 1]);
    assert_eq!(found, gone);
    town.mos.stop().await;
}

#[tokio::test]
async fn what_cannot_be_told_is_said() {
    let town = Town::open().await;
    let ops = &town.office.desk.ops;
    let refused = ops.left(None, None).await.unwrap_err();
    assert!(matches!(&refused, OpsError::Conflict(_)), "{refused:?}");
    town.office.poll.once().await.unwrap();
    for limit in [0, 2_001] {
        let refused = ops.left(None, Some(limit)).await.unwrap_err();
        assert!(matches!(&refused, OpsError::Invalid(_)), "{refused:?}");
    }
    town.deal(&town.ada, 500).await;
    town.mos.mos.fault(Fault::Down { refuse: false }).unwrap();
    let refused = ops.left(None, None).await.unwrap_err();
    assert!(matches!(&refused, OpsError::OutOfReach(_)), "{refused:?}");
    assert!(
        refused.to_string().contains("mOS did not answer"),
        "{refused}"
    );
    town.mos.mos.fault(Fault::Clear).unwrap();
    town.office.desk.org.answers(false);
    let refused = ops.left(None, None).await.unwrap_err();
    assert!(matches!(&refused, OpsError::OutOfReach(_)), "{refused:?}");
    assert_eq!(town.mos.mos.records(RecordType::Opportunity).len(), 1);
    town.mos.stop().await;
}

#[tokio::test]
async fn the_page_counts_what_left_and_names_each_with_its_reason() {
    let town = Town::open().await;
    town.office.poll.once().await.unwrap();
    let browser = Browser::of(&town.office.desk, VIEWER).await;
    let page = browser.page("/left").await;
    assert!(page.contains("mOS holds no opportunity."), "{page}");

    let closed = town.deal(&town.ada, 500).await;
    let stays = town.deal(&town.ada, 600).await;
    let page = browser.page("/left").await;
    assert!(
        page.contains("Of the 2 opportunities that mOS holds, none left the scope."),
        "{page}"
    );
    town.change(
        &closed,
        &json!({"StageName": "Closed Won", "Name": "<b>Deal</b>"}),
    );
    let page = browser.page("/left").await;
    let ada = &town.ada;
    for told in [
        "Of the 2 opportunities that mOS holds, <strong>1</strong> left the scope.",
        "<td role=\"cell\" data-column=\"Why\">Closed</td><td role=\"cell\" data-column=\"Opportunities\">1</td>",
        "<strong>&lt;b&gt;Deal&lt;/b&gt;</strong>",
        &format!("href=\"{INSTANCE}/lightning/r/{closed}/view\""),
        &format!("href=\"{INSTANCE}/lightning/r/{ada}/view\""),
        &format!("href=\"/explain?record={closed}\""),
    ] {
        assert!(page.contains(told), "{told} is not in {page}");
    }
    assert!(!page.contains(&stays), "{page}");
    assert_eq!(next_page(&page), None);
    let file = browser.page("/left/export").await;
    assert_eq!(
        file,
        format!("id,why,owner,name\r\n{closed},closed,{ada},<b>Deal</b>\r\n")
    );
    town.mos.stop().await;
}

#[tokio::test]
async fn the_page_leads_to_the_next_stretch_and_the_file_has_them_all() {
    let town = Town::open().await;
    town.office.poll.once().await.unwrap();
    // Salesforce has none of them.
    let ids = (0..2_001).map(|number| record(ObjectKind::Opportunity, number));
    town.hold_all(&ids.collect::<Vec<_>>()).await;
    let browser = Browser::of(&town.office.desk, VIEWER).await;
    let first = browser.page("/left").await;
    assert!(
        first.contains(
            "Of the first 2,000 opportunities that mOS holds, <strong>2,000</strong> left"
        ),
        "{first}"
    );
    assert_eq!(first.matches(">Explain</a></td>").count(), 2_000);
    let next = next_page(&first).unwrap();
    let last = browser.page(&next).await;
    assert!(
        last.contains("Of the last 1 opportunity that mOS holds, <strong>1</strong> left"),
        "{last}"
    );
    assert!(last.contains(&record(ObjectKind::Opportunity, 2_000).to_string()));
    assert!(last.contains("<a class=\"button\" href=\"/left\">First page</a>"));
    assert_eq!(next_page(&last), None);
    let file = browser.page("/left/export").await;
    assert_eq!(file.matches(",not_visible,,").count(), 2_001);
    town.mos.stop().await;
}

#[tokio::test]
async fn the_file_goes_on_after_a_stretch_in_which_none_left() {
    let town = Town::open().await;
    town.office.poll.once().await.unwrap();
    let deal = json!({
        "Name": "Deal", "StageName": "Prospecting", "CloseDate": "2027-01-01", "OwnerId": town.ada,
    });
    let mut ids: Vec<_> = (0..2_000)
        .map(|_| SalesforceId::parse(&town.office.insert("Opportunity", &deal)).unwrap())
        .collect();
    // Salesforce has not got the last one.
    let gone = SalesforceId::parse("006zzzzzzzzzzzzAAA").unwrap();
    assert!(ids.iter().all(|id| *id < gone));
    ids.push(gone);
    town.hold_all(&ids).await;
    let browser = Browser::of(&town.office.desk, VIEWER).await;
    let first = browser.page("/left").await;
    assert!(first.contains("mOS holds, none left the scope"), "{first}");
    let file = browser.page("/left/export").await;
    assert!(file.contains(gone.as_str()), "{file}");
    assert_eq!(file.trim_end().lines().count(), 2, "{file}");
    town.mos.stop().await;
}

#[tokio::test]
async fn what_the_page_cannot_tell_it_says_in_the_words_of_pages() {
    let town = Town::open().await;
    let browser = Browser::of(&town.office.desk, VIEWER).await;
    let unread = browser.page("/left").await;
    for told in [
        "Nobody knows yet what left the scope.",
        "ask whoever runs mosync to start its permission service",
    ] {
        assert!(unread.contains(told), "{unread}");
    }
    assert_eq!(browser.get("/left/export").await.status, 409);
    town.office.poll.once().await.unwrap();
    town.deal(&town.ada, 500).await;
    town.mos.mos.fault(Fault::Down { refuse: false }).unwrap();
    for path in ["/left", "/left/export"] {
        let refused = browser.get(path).await;
        assert_eq!(refused.status, 503, "{path}");
        assert!(refused.text().contains("mOS did not answer"), "{path}");
    }
    town.mos.mos.fault(Fault::Clear).unwrap();
    town.office.desk.org.answers(false);
    let refused = browser.get("/left").await;
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("Something is out of reach"));
    town.mos.stop().await;
}

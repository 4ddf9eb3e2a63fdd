//! A console with its stores, a stand-in org, and people of every kind.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use console::api::{Bounds, Keys, Server};
use console::people::People;
use console::{Console, Operations, Web, token};
use domain::filter::FieldTypes;
use domain::permission::{Grant, PermissionSnapshot};
use domain::{SalesforceId, Timestamp};
use embedded::{Embedded, Location};
use fake_salesforce::dml::Dml;
use fake_salesforce::server::{DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, Options, Running, start};
use ports::Clock;
use ports::source::Source;
use ports::stores::{LogQuery, Stores};
use ports::target::Target;
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use url::Url;

pub(crate) const CONFIGURED: &str = "the token of the configuration";
pub(crate) const ANNA: &str = "anna@fake.example.com";
pub(crate) const OTTO: &str = "otto@fake.example.com";
pub(crate) const VERA: &str = "vera@fake.example.com";
pub(crate) const NILS: &str = "nils@fake.example.com";
const ADMIN_SET: &str = "mOS_Admin";

/// A Monday in 2026.
const NOW: i64 = 1_781_524_800_250_000;

#[derive(Debug)]
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Anna holds mOS admin, Otto is an operator, Vera a viewer, and Nils nobody.
pub(crate) struct House {
    pub(crate) salesforce: Running,
    _mos: fake_mos::Running,
    pub(crate) stores: Stores,
    pub(crate) address: SocketAddr,
    pub(crate) anna: SalesforceId,
    hands: Arc<Hands>,
    _tasks: TaskTracker,
    _stop: DropGuard,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::framed_by(&[]).await
    }

    pub(crate) async fn framed_by(frame_ancestors: &[&str]) -> Self {
        Self::built(frame_ancestors, &[], Bounds::default()).await
    }

    /// Behind these proxies.
    pub(crate) async fn behind(proxies: &[&str]) -> Self {
        Self::built(&[], proxies, Bounds::default()).await
    }

    /// Whose server gives so much.
    pub(crate) async fn within(bounds: Bounds) -> Self {
        Self::built(&[], &[], bounds).await
    }

    async fn built(frame_ancestors: &[&str], proxies: &[&str], bounds: Bounds) -> Self {
        // Only the first of many tests installs it.
        let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let hands = Arc::new(Hands(AtomicI64::new(NOW)));
        let of_org = Arc::clone(&hands);
        let salesforce = start(
            Options::default(),
            Arc::new(move || of_org.now().as_micros()),
        )
        .await
        .unwrap();
        let shared: Arc<dyn Clock> = Arc::<Hands>::clone(&hands);
        let embedded = Embedded::open(Location::Memory, Arc::clone(&shared)).unwrap();
        let stores = embedded.stores();
        let anna = user(&salesforce, "Anna", ANNA);
        for (name, username) in [("Otto", OTTO), ("Vera", VERA), ("Nils", NILS)] {
            user(&salesforce, name, username);
        }
        let (mos, target) = open_mos().await;
        let login_url = Url::parse(salesforce.instance_url()).unwrap();
        let operations = Operations::new(
            stores.clone(),
            embedded.queue(),
            Arc::clone(&shared),
            source(&salesforce, &login_url, shared),
            "/data/ChangeEvents",
        )
        .asking(target);
        let server = Server::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let server = server.within(bounds);
        let address = server.address();
        let web = Web {
            sign_in: sign_in(login_url),
            url: Url::parse(&format!("http://{address}")).unwrap(),
            people: People {
                admin_permission_set: ADMIN_SET.to_owned(),
                operators: [OTTO.to_owned()].into(),
                viewers: [VERA.to_owned()].into(),
            },
            frame_ancestors: frame_ancestors.iter().map(|it| (*it).to_owned()).collect(),
        };
        let keys = Keys {
            configured: Some(token::hash(CONFIGURED)),
            folder: None,
        };
        let proxies: Vec<_> = proxies.iter().map(|it| it.parse().unwrap()).collect();
        let console = Console::new(operations, keys)
            .behind(proxies)
            .with_pages(web);
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(server.run(console, stop.clone()));
        let house = Self {
            salesforce,
            _mos: mos,
            stores,
            address,
            anna,
            hands,
            _tasks: tasks,
            _stop: stop.drop_guard(),
        };
        house.pin(house.salesforce.org.org_id()).await;
        house.assign(anna);
        house.administrators(&[anna]).await;
        house
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// As the browser writes it.
    pub(crate) fn origin(&self) -> String {
        self.url("")
    }

    /// Time goes on.
    pub(crate) fn pass(&self, seconds: i64) {
        self.hands
            .0
            .fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    /// The settings are for this org.
    pub(crate) async fn pin(&self, org: &str) {
        let current = self.stores.settings.current().await.unwrap();
        let mut settings = current.settings.clone();
        settings.org = Some(SalesforceId::parse(org).unwrap());
        let next = current.next(
            settings,
            FieldTypes::new(),
            current.org.clone(),
            "a test",
            self.hands.now(),
        );
        self.stores.settings.save(&next, None).await.unwrap();
    }

    /// What a poll of permissions finds.
    pub(crate) async fn administrators(&self, users: &[SalesforceId]) {
        let before = self.stores.permissions.latest().await.unwrap();
        let grant = |set: &str| Grant {
            permission_set: set.to_owned(),
            group: None,
            expires: None,
        };
        let snapshot = PermissionSnapshot {
            number: before.number + 1,
            taken: self.hands.now(),
            holders: users
                .iter()
                .map(|user| (*user, [grant(ADMIN_SET)].into()))
                .collect(),
            ..PermissionSnapshot::default()
        };
        self.stores
            .permissions
            .store(&snapshot, None)
            .await
            .unwrap();
    }

    /// An administrator of the org assigns the permission set mOS admin.
    fn assign(&self, user: SalesforceId) {
        let set = insert(
            &self.salesforce,
            "PermissionSet",
            json!({"Name": ADMIN_SET}),
        );
        let fields = json!({"AssigneeId": user.as_str(), "PermissionSetId": set});
        insert(&self.salesforce, "PermissionSetAssignment", fields);
    }

    /// The same through a group of permission sets that has it, in place of the set itself.
    pub(crate) fn assign_by_group(&self, user: SalesforceId) {
        let org = &self.salesforce.org;
        let sets = org.records("PermissionSet");
        let set = sets.iter().find(|set| set.text("Name") == Some(ADMIN_SET));
        let set = set.unwrap().id().to_owned();
        self.takes_away(user);
        let group = json!({"DeveloperName": "Admins"});
        let group = insert(&self.salesforce, "PermissionSetGroup", group);
        let fields = json!({"PermissionSetGroupId": group, "PermissionSetId": set});
        insert(&self.salesforce, "PermissionSetGroupComponent", fields);
        let fields = json!({"AssigneeId": user.as_str(), "PermissionSetGroupId": group});
        insert(&self.salesforce, "PermissionSetAssignment", fields);
    }

    /// An administrator of the org takes every permission set away from somebody.
    pub(crate) fn takes_away(&self, user: SalesforceId) {
        let org = &self.salesforce.org;
        let assignments = org.records("PermissionSetAssignment");
        let of_user = assignments.iter().filter(|assignment| {
            let assignee = assignment.text("AssigneeId");
            assignee.and_then(|id| SalesforceId::parse(id).ok()) == Some(user)
        });
        let deletes = of_user.map(|assignment| Dml::Delete {
            entity: "PermissionSetAssignment".to_owned(),
            id: assignment.id().to_owned(),
        });
        let deletes = deletes.collect();
        org.transact(org.admin_id(), "test", deletes).unwrap();
    }

    /// An administrator of the org activates or deactivates somebody, or freezes them or no more.
    pub(crate) fn lets_in(&self, username: &str, field: &str, does: bool) {
        let org = &self.salesforce.org;
        let users = org.records("User");
        let user = users
            .iter()
            .find(|user| user.text("Username") == Some(username));
        let user = user.unwrap().id();
        let (entity, id, value) = if field == "IsFrozen" {
            let logins = org.records("UserLogin");
            let login = logins
                .iter()
                .find(|login| login.text("UserId") == Some(user));
            ("UserLogin", login.unwrap().id().to_owned(), !does)
        } else {
            ("User", user.to_owned(), does)
        };
        let update = Dml::Update {
            entity: entity.to_owned(),
            id,
            fields: json!({ field: value }).as_object().unwrap().clone(),
        };
        org.transact(org.admin_id(), "test", vec![update]).unwrap();
    }

    /// Messages of the integration log about access, newest first.
    pub(crate) async fn trail(&self) -> Vec<String> {
        let query = LogQuery {
            topic: Some("access".to_owned()),
            ..LogQuery::default()
        };
        let page = self.stores.log.search(&query, None, 1_000).await.unwrap();
        let entries = page.entries.into_iter();
        entries.map(|(_, entry)| entry.message).collect()
    }
}

fn user(salesforce: &Running, name: &str, username: &str) -> SalesforceId {
    let fields = json!({
        "FirstName": name,
        "LastName": "O'Person <b>",
        "Username": username,
        "CommunityNickname": name,
        "Email": username,
        "IsActive": true,
        "TimeZoneSidKey": "GMT",
    });
    SalesforceId::parse(&insert(salesforce, "User", fields)).unwrap()
}

/// A new record's id.
fn insert(salesforce: &Running, entity: &str, fields: serde_json::Value) -> String {
    let org = &salesforce.org;
    let insert = Dml::Insert {
        entity: entity.to_owned(),
        fields: fields.as_object().unwrap().clone(),
    };
    let results = org.transact(org.admin_id(), "test", vec![insert]).unwrap();
    results[0]
        .id
        .clone()
        .unwrap_or_else(|| panic!("{results:?}"))
}

/// An mOS that has nothing yet, and the way to it.
async fn open_mos() -> (fake_mos::Running, Arc<dyn Target>) {
    let options = fake_mos::Options {
        http: ([127, 0, 0, 1], 0).into(),
        api_key: fake_mos::DEFAULT_API_KEY.to_owned(),
        ..fake_mos::Options::default()
    };
    let mos = fake_mos::start(options, fake_mos::system_clock());
    let mos = mos.await.unwrap();
    let url = Url::parse(&format!("http://{}", mos.http)).unwrap();
    let config = mos::Config::new(url, fake_mos::DEFAULT_API_KEY.to_owned().into());
    (mos, Arc::new(mos::Mos::connect(config).unwrap()))
}

fn source(salesforce: &Running, login_url: &Url, clock: Arc<dyn Clock>) -> Arc<dyn Source> {
    let config = salesforce::Config {
        login_url: login_url.clone(),
        api_version: salesforce::config::API_VERSION.to_owned(),
        grant: salesforce::Grant::ClientCredentials {
            client_id: DEFAULT_CLIENT_ID.to_owned(),
            client_secret: DEFAULT_CLIENT_SECRET.to_owned().into(),
        },
        pubsub_endpoint: Url::parse(&format!("http://{}", salesforce.grpc)).unwrap(),
        watchdog: salesforce::config::WATCHDOG,
        request_timeout: salesforce::config::REQUEST_TIMEOUT,
        plaintext_allowed: false,
    };
    Arc::new(salesforce::connect(config, clock).unwrap())
}

fn sign_in(login_url: Url) -> Arc<dyn ports::sign_in::SignIn> {
    salesforce::sign_in(salesforce::App {
        login_url,
        client_id: DEFAULT_CLIENT_ID.to_owned(),
        client_secret: Some(DEFAULT_CLIENT_SECRET.to_owned().into()),
        request_timeout: salesforce::config::REQUEST_TIMEOUT,
        plaintext_allowed: false,
    })
    .unwrap()
}

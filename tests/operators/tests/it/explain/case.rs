//! A record in an org with an owner who holds permission, and an mOS that may hold it.

use std::sync::Arc;

use async_trait::async_trait;
use console::Operations;
use console::views::{ExplainCode, ExplainView};
use domain::filter::{FieldType, FieldTypes};
use domain::mapping::Mapping;
use domain::permission::{Grant, PermissionSnapshot};
use domain::settings::Settings;
use domain::{ObjectKind, SalesforceId, Timestamp, Version};
use fake_mos::Mos;
use ports::source::ReplayId;
use ports::stores::StreamState;
use ports::target::{Held, Listed, Outcome, Target, TargetError, Upsert};
use serde_json::{Value, json};

use crate::desk::{Desk, TOPIC};
use crate::salesforce::{id, insert, user};

/// mOS as the port, to be read.
pub(super) struct DeskMos(pub(super) Option<Arc<Mos>>);

#[async_trait]
impl Target for DeskMos {
    async fn upsert(&self, _: &str, _: &[Upsert]) -> Result<Vec<Outcome>, TargetError> {
        Err(TargetError::Unreachable("nobody writes here".to_owned()))
    }
    async fn has_answered(&self, _: &str) -> Result<bool, TargetError> {
        Ok(false)
    }
    async fn probe(&self) -> Result<(), TargetError> {
        Ok(())
    }
    async fn record(
        &self,
        object: ObjectKind,
        id: &SalesforceId,
    ) -> Result<Option<Held>, TargetError> {
        let mos = self.0.as_ref();
        let mos = mos.ok_or_else(|| TargetError::Unreachable("connection refused".to_owned()))?;
        let record = mos.record(object.mos_type().parse().unwrap(), id.as_str());
        Ok(record.map(|record| Held {
            version: Version::at(Timestamp::from_micros(record.version.parse().unwrap())),
            fields: record.fields,
        }))
    }
    async fn list(&self, _: ObjectKind, _: &str, _: usize) -> Result<Vec<Listed>, TargetError> {
        Err(TargetError::Unreachable("nobody lists here".to_owned()))
    }
}

pub(super) struct Case {
    pub(super) desk: Desk,
    pub(super) mos: Arc<Mos>,
    pub(super) ops: Operations,
    pub(super) owner: String,
    pub(super) account: String,
    snapshot: PermissionSnapshot,
}

pub(super) fn grant(expires: Option<Timestamp>) -> Grant {
    Grant {
        permission_set: "mOS_User".to_owned(),
        group: Some("Sales".to_owned()),
        expires,
    }
}

impl Case {
    /// An owner with permission, and an account.
    pub(super) async fn open() -> Self {
        let desk = Desk::open();
        let clock = desk.clock();
        let mos = Mos::new(Arc::new(move || clock.now().as_micros()), "key");
        let ops = operations(&desk, DeskMos(Some(Arc::clone(&mos))));
        let owner = user(&desk.salesforce, "Ada");
        let account = insert(&desk.salesforce, "Account", &json!({"Name": "Acme"}));
        let mut case = Self {
            desk,
            mos,
            ops,
            snapshot: PermissionSnapshot::default(),
            account,
            owner,
        };
        let holder = id(&case.owner);
        case.permissions(|snapshot| {
            snapshot.holders.insert(holder, [grant(None)].into());
        })
        .await;
        case
    }

    pub(super) async fn permissions(&mut self, change: impl FnOnce(&mut PermissionSnapshot)) {
        self.snapshot.number += 1;
        self.snapshot.taken = self.desk.now();
        change(&mut self.snapshot);
        let permissions = &self.desk.stores.permissions;
        permissions.store(&self.snapshot, None).await.unwrap();
    }

    pub(super) fn deal(&self, more: &Value) -> String {
        let mut fields = json!({
            "Name": "Deal", "StageName": "Prospecting", "CloseDate": "2027-01-01",
            "OwnerId": self.owner, "AccountId": self.account, "Amount": 500,
        });
        for (name, value) in more.as_object().unwrap() {
            fields[name] = value.clone();
        }
        insert(&self.desk.salesforce, "Opportunity", &fields)
    }

    pub(super) async fn save(&self, change: impl FnOnce(&mut Settings)) {
        let types = FieldTypes::from([("Amount".to_owned(), FieldType::Currency)]);
        self.desk.save_as("Ada", types, change).await;
    }

    /// The stream was taken to its end at that time.
    pub(super) async fn heard(&self, at: Timestamp) {
        let state = StreamState {
            position: ReplayId(vec![1]),
            at_end: true,
            window_over: false,
            heard: at,
            last_event: None,
        };
        let position = &self.desk.stores.position;
        position.store_stream(TOPIC, &state).await.unwrap();
    }

    /// Brings a record to mOS as it is now, as far as the integration user sees it.
    pub(super) async fn bring(&self, object: ObjectKind, record: &str) {
        let source = self.desk.source();
        let mapping = Mapping::default();
        let seen = source.describe(object.api_name()).await.unwrap();
        let mut fields = mapping.salesforce_fields(object);
        fields.retain(|field| seen.iter().any(|known| known.name == *field));
        fields.extend(["Id".to_owned()]);
        if object == ObjectKind::Opportunity {
            fields.extend(["OwnerId", "AccountId", "IsClosed"].map(str::to_owned));
        }
        let fields: Vec<String> = fields.into_iter().collect();
        let rows = source.retrieve(object, &[id(record)], &fields).await;
        let row = rows.unwrap().remove(0).unwrap();
        let fields = mapping.map(object, &row.fields().unwrap()).unwrap();
        let version = Version::at(self.desk.now()).to_string();
        let body = json!({"records": [{
            "type": object.mos_type(), "external_id": record, "version": version,
            "fields": serde_json::from_str::<Value>(fields.get()).unwrap(), "if_exists": false,
        }]});
        let key = format!("{record} {version}");
        let (status, answer) = self
            .mos
            .handle_upsert(Some(&key), body.to_string().as_bytes());
        assert_eq!(status, 200);
        assert_eq!(answer["results"][0]["status"], "created", "{answer}");
    }

    pub(super) async fn told(&self, asked: &str) -> ExplainView {
        self.ops.explain(asked).await.unwrap()
    }

    pub(super) async fn code(&self, asked: &str) -> ExplainCode {
        self.told(asked).await.code
    }
}

pub(super) fn operations(desk: &Desk, mos: DeskMos) -> Operations {
    Operations::new(
        desk.stores.clone(),
        Arc::clone(&desk.queue),
        desk.clock(),
        desk.source(),
        TOPIC,
    )
    .asking(Arc::new(mos))
}

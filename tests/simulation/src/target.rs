//! mOS as the port, in process: the real ingest rules behind delays, lost answers and refusals.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::{ObjectKind, SalesforceId, Timestamp, Version};
use fake_mos::{Fault, Mos, RejectCode as MosCode};
use ports::target::{Held, Listed, Outcome, RejectCode, Target, TargetError, Upsert};
use serde_json::{Value, json};

use crate::chance::Chance;

pub(crate) struct SimTarget {
    pub(crate) mos: Arc<Mos>,
    pub(crate) chance: Arc<Chance>,
    /// A planted fault: versions as they arrive, so that the last to come wins.
    pub(crate) unguarded: Option<AtomicI64>,
}

impl SimTarget {
    fn body(&self, records: &[Upsert]) -> Vec<u8> {
        let records = records
            .iter()
            .map(|record| {
                let version = match &self.unguarded {
                    None => record.version.to_string(),
                    Some(count) => format!("{:019}", count.fetch_add(1, Ordering::SeqCst)),
                };
                json!({
                    "type": record.object.mos_type(),
                    "external_id": record.id.as_str(),
                    "version": version,
                    "fields": record.fields,
                    "if_exists": record.if_exists,
                })
            })
            .collect::<Vec<_>>();
        serde_json::to_vec(&json!({ "records": records })).unwrap()
    }
}

#[async_trait]
impl Target for SimTarget {
    async fn upsert(
        &self,
        idempotency_key: &str,
        records: &[Upsert],
    ) -> Result<Vec<Outcome>, TargetError> {
        assert!(!records.is_empty(), "a request that says nothing");
        let chance = &self.chance;
        chance.delay(50).await;
        if chance.fault(|rates| rates.mos_slow) {
            chance.delay(4_000).await;
        }
        if chance.fault(|rates| rates.mos_unreachable) {
            chance.note("mOS out of reach");
            return Err(TargetError::Unreachable("simulated".to_owned()));
        }
        if chance.fault(|rates| rates.mos_throttles) {
            let pause = chance.between(1, 5);
            chance.note(format!("mOS asks for {pause} s"));
            return Err(TargetError::Throttled(Duration::from_secs(pause)));
        }
        if chance.fault(|rates| rates.mos_busy)
            && let Some(record) = chance.pick(records)
        {
            chance.note(format!("mOS is busy with {}", record.id));
            self.mos
                .fault(Fault::Reject {
                    code: MosCode::Busy,
                    field: None,
                    probability: None,
                    ids: vec![record.id.as_str().to_owned()],
                    count: Some(1),
                })
                .unwrap();
        }
        let (status, body) = self
            .mos
            .handle_upsert(Some(idempotency_key), &self.body(records));
        chance.note(format!(
            "mOS {status} {}",
            records
                .iter()
                .zip(body["results"].as_array().into_iter().flatten())
                .map(|(record, result)| format!(
                    "{}@{}={}",
                    record.id,
                    record.version,
                    result["status"].as_str().unwrap_or("?")
                ))
                .collect::<Vec<_>>()
                .join(" ")
        ));
        chance.delay(50).await;
        if chance.fault(|rates| rates.mos_answer_lost) {
            chance.note("mOS's answer is lost");
            return Err(TargetError::Unreachable("simulated".to_owned()));
        }
        match status {
            200 => Ok(outcomes(&body, records)),
            413 => Err(TargetError::TooLarge),
            422 => Err(TargetError::Unprocessable(body.to_string())),
            429 => Err(TargetError::Throttled(Duration::from_secs(1))),
            other => Err(TargetError::Unreachable(format!("status {other}"))),
        }
    }

    async fn has_answered(&self, idempotency_key: &str) -> Result<bool, TargetError> {
        self.chance.delay(50).await;
        if self.chance.fault(|rates| rates.mos_unreachable) {
            return Err(TargetError::Unreachable("simulated".to_owned()));
        }
        let nothing = self.body(&[]);
        let (_, answer) = self.mos.handle_upsert(Some(idempotency_key), &nothing);
        Ok(answer["error"]["code"] == "key_reused")
    }

    async fn probe(&self) -> Result<(), TargetError> {
        self.chance.delay(50).await;
        if self.chance.fault(|rates| rates.mos_unreachable) {
            return Err(TargetError::Unreachable("simulated".to_owned()));
        }
        Ok(())
    }

    async fn list(
        &self,
        object: ObjectKind,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Listed>, TargetError> {
        self.chance.delay(50).await;
        let records = self.mos.records(object.mos_type().parse().unwrap());
        let records = records.into_iter().map(|record| Listed {
            external_id: record.external_id,
        });
        Ok(records
            .filter(|record| record.external_id.as_str() > after)
            .take(limit)
            .collect())
    }

    async fn record(
        &self,
        object: ObjectKind,
        id: &SalesforceId,
    ) -> Result<Option<Held>, TargetError> {
        let kind = object.mos_type().parse().unwrap();
        let record = self.mos.record(kind, id.as_str());
        Ok(record.map(|record| Held {
            version: Version::at(Timestamp::from_micros(record.version.parse().unwrap())),
            fields: record.fields,
        }))
    }
}

fn outcomes(body: &Value, records: &[Upsert]) -> Vec<Outcome> {
    let by_record = body["results"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|result| {
            let key = (
                result["type"].as_str().unwrap().to_owned(),
                result["external_id"].as_str().unwrap().to_owned(),
            );
            (key, outcome(result))
        })
        .collect::<BTreeMap<_, _>>();
    records
        .iter()
        .map(|record| {
            let key = (
                record.object.mos_type().to_owned(),
                record.id.as_str().to_owned(),
            );
            by_record.get(&key).cloned().unwrap_or(Outcome::Missing)
        })
        .collect()
}

fn outcome(result: &Value) -> Outcome {
    match result["status"].as_str().unwrap() {
        "created" => Outcome::Created,
        "updated" => Outcome::Updated,
        "unchanged" => Outcome::Unchanged,
        "stale" => Outcome::Stale,
        "skipped" => Outcome::Skipped,
        "rejected" => Outcome::Rejected {
            code: match result["error"]["code"].as_str().unwrap() {
                "parent_missing" => RejectCode::ParentMissing,
                "busy" => RejectCode::Busy,
                "invalid_field" => RejectCode::InvalidField,
                "value_too_long" => RejectCode::ValueTooLong,
                "unknown_type" => RejectCode::UnknownType,
                "deleted_in_mos" => RejectCode::DeletedInMos,
                other => RejectCode::Other(other.to_owned()),
            },
            message: result["error"]["message"].as_str().unwrap_or("").to_owned(),
            field: result["error"]["field"].as_str().map(str::to_owned),
        },
        other => panic!("a status beyond the contract: {other}"),
    }
}

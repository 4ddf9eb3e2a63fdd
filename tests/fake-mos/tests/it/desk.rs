//! What the tests write with: a fake in process, a clock that is set by hand, short records.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use fake_mos::{Clock, Mos};
use serde_json::{Value, json};

pub(crate) const OWNER: &str = "005000000000001AAA";
pub(crate) const COMPANY: &str = "001000000000001AAA";
pub(crate) const CONTACT: &str = "003000000000001AAA";
pub(crate) const DEAL: &str = "006000000000001AAA";
pub(crate) const ROLE: &str = "00K000000000001EAA";

/// A clock for tests: stands still until it is moved.
#[derive(Clone, Default)]
pub(crate) struct Hands(Arc<AtomicI64>);

impl Hands {
    pub(crate) fn forward(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }

    pub(crate) fn clock(&self) -> Clock {
        let now = Arc::clone(&self.0);
        Arc::new(move || now.load(Ordering::SeqCst))
    }
}

pub(crate) struct Desk {
    pub(crate) mos: Arc<Mos>,
    pub(crate) hands: Hands,
    keys: std::cell::Cell<u64>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let hands = Hands::default();
        Self {
            mos: Mos::new(hands.clock(), "key"),
            hands,
            keys: std::cell::Cell::default(),
        }
    }

    /// Sends records under a fresh key.
    pub(crate) fn send(&self, records: &[Value]) -> (u16, Value) {
        self.send_raw(&json!({ "records": records }).to_string())
    }

    pub(crate) fn send_raw(&self, body: &str) -> (u16, Value) {
        self.keys.set(self.keys.get() + 1);
        let key = format!("key-{}", self.keys.get());
        self.mos.handle_upsert(Some(&key), body.as_bytes())
    }

    /// Sends one record; its status, with the code behind a colon when it was rejected.
    pub(crate) fn one(&self, record: &Value) -> String {
        let (status, answer) = self.send(std::slice::from_ref(record));
        assert_eq!(status, 200, "{answer}");
        verdicts(&answer).remove(0)
    }

    /// The code of a refused request, with its status.
    pub(crate) fn refused(&self, body: &str) -> (u16, String) {
        let (status, answer) = self.send_raw(body);
        (status, code(&answer))
    }
}

pub(crate) fn code(answer: &Value) -> String {
    answer["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Each result's status, with the code behind a colon when it was rejected.
pub(crate) fn verdicts(answer: &Value) -> Vec<String> {
    answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| {
            let status = result["status"].as_str().unwrap();
            match result["error"]["code"].as_str() {
                Some(code) => format!("{status}:{code}"),
                None => status.to_owned(),
            }
        })
        .collect()
}

pub(crate) fn version(number: u64) -> String {
    format!("{number:019}")
}

pub(crate) fn record(kind: &str, id: &str, number: u64, fields: Value) -> Value {
    json!({ "type": kind, "external_id": id, "version": version(number), "fields": fields })
}

pub(crate) fn with(mut record: Value, key: &str, value: Value) -> Value {
    record[key] = value;
    record
}

pub(crate) fn owner(number: u64) -> Value {
    record(
        "user",
        OWNER,
        number,
        json!({ "name": "Ada Lovelace", "is_active": true }),
    )
}

pub(crate) fn company(number: u64) -> Value {
    record(
        "company",
        COMPANY,
        number,
        json!({ "name": "Acme", "owner_id": OWNER }),
    )
}

pub(crate) fn contact(number: u64) -> Value {
    record(
        "contact",
        CONTACT,
        number,
        json!({ "last_name": "Bell", "company_id": COMPANY }),
    )
}

pub(crate) fn deal(number: u64) -> Value {
    record(
        "opportunity",
        DEAL,
        number,
        json!({ "name": "Big deal", "amount": 1200.50, "owner_id": OWNER, "company_id": COMPANY }),
    )
}

pub(crate) fn role(number: u64) -> Value {
    record(
        "contact_role",
        ROLE,
        number,
        json!({ "opportunity_id": DEAL, "contact_id": CONTACT, "is_primary": true }),
    )
}

pub(crate) fn family(number: u64) -> Vec<Value> {
    vec![
        owner(number),
        company(number),
        contact(number),
        deal(number),
        role(number),
    ]
}

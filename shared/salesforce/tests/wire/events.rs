//! Events captured from a real org, golden vectors, and what is no event.

use std::collections::BTreeSet;

use domain::change::{ChangeType, EventRecords};
use domain::{SalesforceId, Timestamp};
use proptest::prelude::*;
use salesforce::{DecodeError, EventSchema, decode_event};

const ACCOUNT_85: &str = include_str!("../data/AccountChangeEvent.85.avsc");
const ACCOUNT_87: &str = include_str!("../data/AccountChangeEvent.87.avsc");
const ACCOUNT_UPDATE: &[u8] = include_bytes!("../data/account-update.bin");

const VECTOR_A: &str = "2c4f70706f7274756e697479436f6e74616374526f6c65022430304b303030303030303030303031454141000238636f6d2f73616c6573666f7263652f6170692f726573742f36372e304830303030303030302d303030302d303030302d303030302d3030303030303030303030310280a0d5edee66c2e48190de0c2430303530303030303030303030303141414102083078303800000208307834380000000000000280a0d5edee6600";
const VECTOR_B: &str = "164f70706f7274756e697479042430303630303030303030303030303141414124303036303030303030303030303032414141000238636f6d2f73616c6573666f7263652f6170692f726573742f36372e304830303030303030302d303030302d303030302d303030302d3030303030303030303030310280a0d5edee66c2e48190de0c24303035303030303030303030303031414141020c307831303030000002143078303530333531413000000000000216436c6f736564204c6f7374000200000000000000000200000000000000000000000000020100020e4f6d6974746564020e4f6d69747465640000000000000280a0d5edee66000280a0d5edee6600000000";

pub(crate) fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The contact role's event, and that event's schema.
pub(crate) fn contact_role_event() -> (Vec<u8>, String) {
    let text = "string";
    let schema = schema(
        "OpportunityContactRoleChangeEvent",
        &[
            ("OpportunityId", text),
            ("ContactId", text),
            ("Role", text),
            ("CreatedDate", "long"),
            ("CreatedById", text),
            ("LastModifiedDate", "long"),
            ("LastModifiedById", text),
        ],
    );
    (hex(VECTOR_A), schema)
}

fn opportunity_schema() -> String {
    let (text, long, double, boolean) = ("string", "long", "double", "boolean");
    schema(
        "OpportunityChangeEvent",
        &[
            ("AccountId", text),
            ("IsPrivate", boolean),
            ("Name", text),
            ("Description", text),
            ("StageName", text),
            ("Amount", double),
            ("Probability", double),
            ("ExpectedRevenue", double),
            ("TotalOpportunityQuantity", double),
            ("CloseDate", long),
            ("Type", text),
            ("NextStep", text),
            ("LeadSource", text),
            ("IsClosed", boolean),
            ("IsWon", boolean),
            ("ForecastCategory", text),
            ("ForecastCategoryName", text),
            ("CampaignId", text),
            ("HasOpportunityLineItem", boolean),
            ("Pricebook2Id", text),
            ("OwnerId", text),
            ("CreatedDate", long),
            ("CreatedById", text),
            ("LastModifiedDate", long),
            ("LastModifiedById", text),
            ("LastStageChangeDate", long),
            ("ContactId", text),
            ("ContractId", text),
            ("LastAmountChangedHistoryId", text),
            ("LastCloseDateChangedHistoryId", text),
        ],
    )
}

/// A change event's schema with optional fields of the given Avro types.
fn schema(name: &str, fields: &[(&str, &str)]) -> String {
    let string = serde_json::json!("string");
    let strings = serde_json::json!({"type": "array", "items": "string"});
    let change_type = serde_json::json!({"type": "enum", "name": "ChangeType", "symbols": ["CREATE", "UPDATE", "DELETE", "UNDELETE", "GAP_CREATE", "GAP_UPDATE", "GAP_DELETE", "GAP_UNDELETE", "GAP_OVERFLOW", "SNAPSHOT", "RENAME"]});
    let header: Vec<serde_json::Value> = [
        ("entityName", &string),
        ("recordIds", &strings),
        ("changeType", &change_type),
        ("changeOrigin", &string),
        ("transactionKey", &string),
        ("sequenceNumber", &serde_json::json!("int")),
        ("commitTimestamp", &serde_json::json!("long")),
        ("commitNumber", &serde_json::json!("long")),
        ("commitUser", &string),
        ("nulledFields", &strings),
        ("diffFields", &strings),
        ("changedFields", &strings),
    ]
    .into_iter()
    .map(|(name, kind)| serde_json::json!({"name": name, "type": kind}))
    .collect();
    let mut all = vec![
        serde_json::json!({"name": "ChangeEventHeader", "type": {"type": "record", "name": "ChangeEventHeader", "fields": header}, "doc": "Data:ComplexValueType"}),
    ];
    all.extend(fields.iter().map(|(name, kind)| {
        let kind: serde_json::Value =
            serde_json::from_str(kind).unwrap_or_else(|_| serde_json::json!(kind));
        let branches = if kind.is_array() {
            kind
        } else {
            serde_json::json!(["null", kind])
        };
        serde_json::json!({"name": name, "type": branches, "default": null})
    }));
    serde_json::json!({"type": "record", "name": name, "namespace": "com.sforce.eventbus", "fields": all}).to_string()
}

/// Two compounds and a plain field, to try headers on: 1 Name (text or record), 2 `BillingAddress`,
/// 3 `ShippingAddress` (by reference), 4 Description.
fn small_schema() -> EventSchema {
    let part =
        |name: &str| format!(r#"{{"name":"{name}","type":["null","string"],"default":null}}"#);
    let record = |name: &str, parts: &[&str]| {
        format!(
            r#"{{"type":"record","name":"{name}","fields":[{}]}}"#,
            parts
                .iter()
                .map(|name| part(name))
                .collect::<Vec<_>>()
                .join(",")
        )
    };
    let name = format!(
        r#"["null","string",{}]"#,
        record(
            "Switchable_PersonName",
            &["Salutation", "FirstName", "LastName"]
        )
    );
    let address = record(
        "Address",
        &["Street", "City", "State", "PostalCode", "Country"],
    );
    EventSchema::parse(&schema(
        "AccountChangeEvent",
        &[
            ("Name", &name),
            ("BillingAddress", &address),
            ("ShippingAddress", r#"["null","Address"]"#),
            ("Description", "string"),
        ],
    ))
    .unwrap()
}

/// A header in Avro's bytes, written without the library.
#[derive(Clone)]
struct Event<'event> {
    entity: &'event str,
    ids: &'event [&'event str],
    change_type: u8,
    nulled: &'event [&'event str],
    diff: &'event [&'event str],
    changed: &'event [&'event str],
}

const ACME: &str = "001Dp00000H8YVWIA3";

impl Event<'_> {
    const UPDATE: Self = Self {
        entity: "Account",
        ids: &[ACME],
        change_type: 1,
        nulled: &[],
        diff: &[],
        changed: &["0x10"],
    };

    /// With every field of the record empty.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        text(&mut bytes, self.entity);
        texts(&mut bytes, self.ids);
        bytes.push(self.change_type * 2);
        text(&mut bytes, "");
        text(&mut bytes, "00000000-0000-0000-0000-000000000001");
        bytes.extend([2, 0x80, 0x20, 14]);
        text(&mut bytes, "005Dp000000PpjsIAC");
        texts(&mut bytes, self.nulled);
        texts(&mut bytes, self.diff);
        texts(&mut bytes, self.changed);
        bytes.extend([0; 4]);
        bytes
    }

    fn decode(&self) -> Result<domain::change::ChangeEvent, DecodeError> {
        small_schema().decode(&self.bytes())
    }
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    assert!(text.len() < 64);
    bytes.push(u8::try_from(text.len() * 2).unwrap());
    bytes.extend(text.as_bytes());
}

fn texts(bytes: &mut Vec<u8>, all: &[&str]) {
    if !all.is_empty() {
        bytes.push(u8::try_from(all.len() * 2).unwrap());
        for one in all {
            text(bytes, one);
        }
    }
    bytes.push(0);
}

fn names(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_captured_event_says_what_is_known_of_it() {
    let event = EventSchema::parse(ACCOUNT_85)
        .unwrap()
        .decode(ACCOUNT_UPDATE)
        .unwrap();
    assert_eq!(event.entity, "Account");
    assert_eq!(event.change_type, ChangeType::Update);
    assert_eq!(
        event.records,
        EventRecords::Ids(vec![SalesforceId::parse(ACME).unwrap()])
    );
    assert_eq!(event.changed, names(&["LastModifiedDate", "Name"]));
    assert!(event.nulled.is_empty());
    assert_eq!(event.committed, Timestamp::from_millis(1_685_217_197_000));
    assert_eq!(event.commit_number, 218_791_688_481);
    assert_eq!(
        event.transaction_key,
        "00033c92-748b-4bdc-87ca-a4904c5f0e7e"
    );

    let json = decode_event(ACCOUNT_85, Some(ACCOUNT_UPDATE)).unwrap();
    assert_eq!(json["event"], "AccountChangeEvent");
    assert_eq!(
        json["header"]["changedFields"],
        serde_json::json!(["0x800002"])
    );
    assert_eq!(
        json["header"]["changeOrigin"],
        "com/salesforce/api/soap/57.0;client=SfdcInternalAPI/"
    );
    assert_eq!(
        json["changed"],
        serde_json::json!(["LastModifiedDate", "Name"])
    );
    let values = json["values"].as_object().unwrap();
    assert_eq!(values.len(), 2);
    assert_eq!(values["LastModifiedDate"], 1_685_217_197_000_i64);
}

#[test]
fn the_same_orgs_later_schema_is_refused() {
    assert_eq!(
        EventSchema::parse(ACCOUNT_87)
            .unwrap()
            .decode(ACCOUNT_UPDATE),
        Err(DecodeError::Truncated)
    );
}

#[test]
fn every_strict_prefix_and_every_longer_datum_is_refused() {
    let schema = EventSchema::parse(ACCOUNT_85).unwrap();
    assert_eq!(ACCOUNT_UPDATE.len(), 292);
    for length in 0..ACCOUNT_UPDATE.len() {
        assert_eq!(
            schema.decode(&ACCOUNT_UPDATE[..length]),
            Err(DecodeError::Truncated),
            "{length}"
        );
    }
    let mut longer = ACCOUNT_UPDATE.to_vec();
    longer.push(0);
    assert_eq!(schema.decode(&longer), Err(DecodeError::TrailingBytes(1)));
}

#[test]
fn golden_vector_of_a_cleared_role() {
    let (payload, schema) = contact_role_event();
    assert_eq!(payload.len(), 171);
    let event = EventSchema::parse(&schema)
        .unwrap()
        .decode(&payload)
        .unwrap();
    assert_eq!(event.entity, "OpportunityContactRole");
    assert_eq!(
        event.records,
        EventRecords::Ids(vec![SalesforceId::parse("00K000000000001EAA").unwrap()])
    );
    assert_eq!(event.changed, names(&["LastModifiedDate", "Role"]));
    assert_eq!(event.nulled, names(&["Role"]));
    assert_eq!(event.committed, Timestamp::from_millis(1_767_225_600_000));
}

#[test]
fn golden_vector_of_a_merged_event() {
    let payload = hex(VECTOR_B);
    assert_eq!(payload.len(), 261);
    let event = EventSchema::parse(&opportunity_schema())
        .unwrap()
        .decode(&payload)
        .unwrap();
    let ids =
        ["006000000000001AAA", "006000000000002AAA"].map(|id| SalesforceId::parse(id).unwrap());
    assert_eq!(event.records, EventRecords::Ids(ids.to_vec()));
    assert_eq!(event.nulled, names(&["NextStep"]));
    assert_eq!(
        event.changed,
        names(&[
            "StageName",
            "Probability",
            "ExpectedRevenue",
            "NextStep",
            "IsClosed",
            "ForecastCategory",
            "ForecastCategoryName",
            "LastModifiedDate",
            "LastStageChangeDate"
        ])
    );
    let json = decode_event(&opportunity_schema(), Some(&payload)).unwrap();
    assert_eq!(json["values"]["StageName"], "Closed Lost");
    assert_eq!(json["values"]["Probability"], 0.0);
    assert_eq!(json["values"]["IsClosed"], true);
    assert_eq!(json["nulled"], serde_json::json!(["NextStep"]));
}

#[test]
fn without_a_payload_the_schema_is_listed() {
    let json = decode_event(ACCOUNT_85, None).unwrap();
    let fields = json["fields"].as_array().unwrap();
    assert_eq!(fields.len(), 85);
    assert_eq!(
        (&fields[1]["bit"], &fields[1]["name"]),
        (&serde_json::json!(1), &serde_json::json!("Name"))
    );
    assert_eq!(fields[23]["name"], "LastModifiedDate");
    assert_eq!(fields[5]["name"], "BillingAddress");
    assert_eq!(fields[6]["parts"], fields[5]["parts"]);
    assert_eq!(fields[5]["parts"][0], "Street");
}

#[test]
fn nested_bitmaps_name_parts_of_compound_fields() {
    let event = Event {
        changed: &["0x10", "2-0x03", "1-0x04"],
        nulled: &["3-0x10"],
        diff: &["0x10"],
        ..Event::UPDATE
    }
    .decode()
    .unwrap();
    assert_eq!(event.nulled, names(&["ShippingAddress.Country"]));
    assert_eq!(
        event.changed,
        names(&[
            "Description",
            "BillingAddress.Street",
            "BillingAddress.City",
            "Name.LastName",
            "ShippingAddress.Country"
        ])
    );
    let wholesale = Event {
        changed: &["0x2"],
        ..Event::UPDATE
    }
    .decode()
    .unwrap();
    assert_eq!(wholesale.changed, names(&["Name"]));
    let only_nested = Event {
        changed: &[],
        nulled: &["2-0x01"],
        ..Event::UPDATE
    }
    .decode()
    .unwrap();
    assert_eq!(only_nested.changed, names(&["BillingAddress.Street"]));
    let only_diff = Event {
        changed: &[],
        diff: &["0x10"],
        ..Event::UPDATE
    }
    .decode()
    .unwrap();
    assert_eq!(
        (only_diff.changed, only_diff.nulled),
        (names(&["Description"]), BTreeSet::new())
    );
}

#[test]
fn bitmaps_that_do_not_fit_are_refused() {
    for wrong in [
        "0x20",
        "0x01",
        "2-0x20",
        "4-0x01",
        "9-0x01",
        "0-0x01",
        "x-0x01",
        "-0x01",
        "",
        "0x",
        "10",
        "0xZZ",
        "2-",
        "0x1é",
        "0x8000000000000000000000000000000000",
        "99999999999999999999999-0x1",
    ] {
        let error = Event {
            changed: &[wrong],
            ..Event::UPDATE
        }
        .decode()
        .unwrap_err();
        assert!(
            matches!(
                error,
                DecodeError::Bitmap {
                    list: "changedFields",
                    ..
                }
            ),
            "{wrong}: {error}"
        );
    }
    assert!(matches!(
        Event {
            nulled: &["0x20"],
            ..Event::UPDATE
        }
        .decode(),
        Err(DecodeError::Bitmap {
            list: "nulledFields",
            ..
        })
    ));
    assert!(matches!(
        Event {
            diff: &["0x20"],
            ..Event::UPDATE
        }
        .decode(),
        Err(DecodeError::Bitmap {
            list: "diffFields",
            ..
        })
    ));
}

#[test]
fn wildcards_and_overflows_stand_for_all_records() {
    for (ids, change_type) in [
        (&["001*"][..], 1),
        (&["000000000000000AAA"][..], 8),
        (&[ACME, "001*"][..], 1),
        (&[ACME][..], 8),
    ] {
        let event = Event {
            ids,
            change_type,
            changed: &[],
            ..Event::UPDATE
        }
        .decode()
        .unwrap();
        assert_eq!(event.records, EventRecords::All, "{ids:?}");
    }
    let gap = Event {
        change_type: 6,
        changed: &[],
        ..Event::UPDATE
    }
    .decode()
    .unwrap();
    assert_eq!(
        (gap.change_type, gap.records),
        (
            ChangeType::GapDelete,
            EventRecords::Ids(vec![SalesforceId::parse(ACME).unwrap()])
        )
    );
}

#[test]
fn impossible_headers_are_refused_without_quoting_them() {
    for ids in [
        &["001Dp00000H8YVWIA4"][..],
        &["*"],
        &["001é"],
        &[],
        &["00100000000*"],
    ] {
        let error = Event {
            ids,
            ..Event::UPDATE
        }
        .decode()
        .unwrap_err();
        assert!(matches!(error, DecodeError::Header(_)), "{ids:?}");
        assert!(
            ids.iter()
                .all(|id| id.len() < 3 || !error.to_string().contains(id))
        );
    }
    assert!(
        matches!(Event { change_type: 10, ..Event::UPDATE }.decode(), Err(DecodeError::Header(text)) if text.contains("RENAME"))
    );
    assert!(matches!(
        Event {
            change_type: 11,
            ..Event::UPDATE
        }
        .decode(),
        Err(DecodeError::Malformed(_))
    ));
    assert!(matches!(
        Event {
            entity: "Contact",
            ..Event::UPDATE
        }
        .decode(),
        Err(DecodeError::Header(_))
    ));
    let mut not_utf8 = Event::UPDATE.bytes();
    not_utf8[3] = 0xff;
    assert_eq!(
        small_schema().decode(&not_utf8),
        Err(DecodeError::Malformed("a text is not UTF-8"))
    );
}

#[test]
fn custom_objects_have_their_own_event_names() {
    let schema = EventSchema::parse(&schema(
        "Invoice__ChangeEvent",
        &[
            ("A", "string"),
            ("B", "string"),
            ("C", "string"),
            ("D__c", "string"),
        ],
    ))
    .unwrap();
    let event = schema
        .decode(
            &Event {
                entity: "Invoice__c",
                ..Event::UPDATE
            }
            .bytes(),
        )
        .unwrap();
    assert_eq!(event.changed, names(&["D__c"]));
}

#[test]
fn what_is_no_change_events_schema_is_refused() {
    let itself = schema(
        "AccountChangeEvent",
        &[("Next", r#"["null","AccountChangeEvent"]"#)],
    );
    for wrong in [
        "",
        "{}",
        r#""string""#,
        r#"{"type":"record","name":"A","fields":[]}"#,
        r#"{"type":"record","name":"A","fields":[{"name":"B","type":"string"}]}"#,
        &itself,
    ] {
        assert!(
            matches!(EventSchema::parse(wrong), Err(DecodeError::Schema(_))),
            "{wrong}"
        );
    }
    let bare =
        r#"{"type":"record","name":"A","fields":[{"name":"ChangeEventHeader","type":"string"}]}"#;
    assert!(matches!(
        EventSchema::parse(bare).unwrap().decode(&[0]),
        Err(DecodeError::Schema(_))
    ));
}

#[test]
fn a_length_that_no_event_can_have_is_refused_before_it_is_allocated() {
    // 1 GiB announced as the entity's name.
    let error = small_schema()
        .decode(&[0x80, 0x80, 0x80, 0x80, 0x08])
        .unwrap_err();
    assert!(matches!(error, DecodeError::Malformed(_)), "{error}");
}

proptest! {
    #[test]
    fn mutated_events_are_decoded_or_refused(changes in proptest::collection::vec((0_usize..292, any::<u8>()), 1..8), cut in 0_usize..=292) {
        let mut bytes = ACCOUNT_UPDATE.to_vec();
        for (place, byte) in changes {
            bytes[place] = byte;
        }
        bytes.truncate(cut);
        for schema in [ACCOUNT_85, ACCOUNT_87] {
            let schema_answer = decode_event(schema, Some(&bytes));
            prop_assert_eq!(schema_answer.is_ok(), EventSchema::parse(schema).unwrap().decode(&bytes).is_ok());
        }
    }

    #[test]
    fn random_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if small_schema().decode(&bytes).is_ok() {
            prop_assert!(bytes.len() > 60);
        }
    }

    #[test]
    fn bits_come_back_as_the_names_they_stand_for(bits in proptest::collection::btree_set(1_usize..85, 0..20)) {
        let listed = decode_event(ACCOUNT_85, None).unwrap();
        let expected: BTreeSet<String> = bits.iter().map(|bit| listed["fields"][*bit]["name"].as_str().unwrap().to_owned()).collect();
        let number = bits.iter().fold(0_u128, |number, bit| number | (1 << bit));
        let digits = format!("{number:X}");
        let bitmap = format!("0x{}{digits}", if digits.len() % 2 == 1 { "0" } else { "" });
        let one = [bitmap.as_str()];
        let mut payload = Event { changed: if bits.is_empty() { &[] } else { &one }, ..Event::UPDATE }.bytes();
        payload.resize(payload.len() - 4 + 84, 0);
        let event = EventSchema::parse(ACCOUNT_85).unwrap().decode(&payload).unwrap();
        prop_assert_eq!(event.changed, expected);
    }
}

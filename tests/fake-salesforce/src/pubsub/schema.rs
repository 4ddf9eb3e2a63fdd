//! The Avro schemas of the change events: which fields, in which order, under which id.
//!
//! Order matters: a bit of `changedFields` is the position of the field in this very schema. The
//! orders are those of an org without record types, person accounts, currencies and state
//! picklists; compound fields (`BillingAddress`, `Name`) are one field with named parts.
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The Avro namespace of every change event.
const NAMESPACE: &str = "com.sforce.eventbus";

/// The kinds of change, in the order of the enum's symbols.
pub(crate) const CHANGE_TYPES: [&str; 10] = [
    "CREATE",
    "UPDATE",
    "DELETE",
    "UNDELETE",
    "GAP_CREATE",
    "GAP_UPDATE",
    "GAP_DELETE",
    "GAP_UNDELETE",
    "GAP_OVERFLOW",
    "SNAPSHOT",
];

/// How one value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// Avro string.
    Text,
    /// Avro boolean.
    Boolean,
    /// Avro int.
    Integer,
    /// Avro double.
    Double,
    /// Avro long: milliseconds since the epoch, no logical type.
    DateTime,
    /// Avro long: milliseconds since the epoch at 00:00 UTC of the date.
    DateOnly,
    /// Avro array of strings: the names of the preferences that are on.
    Names,
}

/// A part of a compound field.
#[derive(Clone, Debug)]
pub struct Part {
    /// Name inside the record, for example `Street`.
    pub name: &'static str,
    /// API name of the leaf field that holds it, for example `BillingStreet`.
    pub leaf: String,
    /// How it is written.
    pub scalar: Scalar,
}

/// What a field is.
#[derive(Clone, Debug)]
pub enum Shape {
    /// One value.
    Scalar(Scalar),
    /// `Account.Name`: a string for a business account, a record for a person account. This org
    /// has business accounts only.
    SwitchableName,
    /// A record of the named type.
    Compound(&'static str, Vec<Part>),
}

/// A field after the header.
#[derive(Clone, Debug)]
pub struct Field {
    /// API name, for example `StageName`.
    pub name: String,
    /// Role and data type, for example `Data:DynamicEnum`; custom fields carry their id too.
    pub doc: String,
    /// What it is.
    pub shape: Shape,
}

impl Field {
    /// A field as its `doc` describes it; `None` where the data type is unknown.
    fn new(name: &str, doc: &str) -> Option<Self> {
        let data_type = doc.split(':').nth(1)?;
        let shape = match data_type {
            "Text" | "Phone" | "Email" | "Url" | "StringPlusClob" | "HtmlStringPlusClob"
            | "DynamicEnum" | "StaticEnum" | "MultiEnum" | "EntityId" | "ExternalId" => {
                Shape::Scalar(Scalar::Text)
            }
            "Boolean" => Shape::Scalar(Scalar::Boolean),
            "Integer" => Shape::Scalar(Scalar::Integer),
            "Currency" | "Percent" | "Double" => Shape::Scalar(Scalar::Double),
            "DateTime" => Shape::Scalar(Scalar::DateTime),
            "DateOnly" => Shape::Scalar(Scalar::DateOnly),
            "BitVector" => Shape::Scalar(Scalar::Names),
            "Switchable_PersonName" => Shape::SwitchableName,
            "PersonName" => Shape::Compound("PersonName", person_name()),
            "Address" => {
                let prefix = name.strip_suffix("Address").unwrap_or(name);
                Shape::Compound("Address", address(prefix))
            }
            _ => return None,
        };
        Some(Field {
            name: name.to_owned(),
            doc: doc.to_owned(),
            shape,
        })
    }

    /// The Avro type: a union that may be null; a record is spelled out where it occurs first.
    fn avro(&self, defined: &mut BTreeSet<&'static str>) -> Value {
        match &self.shape {
            Shape::Scalar(scalar) => json!(["null", avro_scalar(*scalar)]),
            Shape::SwitchableName => {
                let parts = person_name();
                let record = avro_record("Switchable_PersonName", &parts, defined);
                json!(["null", "string", record])
            }
            Shape::Compound(name, parts) => json!(["null", avro_record(name, parts, defined)]),
        }
    }
}

fn part(name: &'static str, prefix: &str, scalar: Scalar) -> Part {
    Part {
        name,
        leaf: format!("{prefix}{name}"),
        scalar,
    }
}

fn person_name() -> Vec<Part> {
    ["Salutation", "FirstName", "LastName"]
        .map(|name| part(name, "", Scalar::Text))
        .into()
}

fn address(prefix: &str) -> Vec<Part> {
    let text = ["Street", "City", "State", "PostalCode", "Country"];
    let mut parts: Vec<Part> = text
        .map(|name| part(name, prefix, Scalar::Text))
        .into_iter()
        .collect();
    parts.push(part("Latitude", prefix, Scalar::Double));
    parts.push(part("Longitude", prefix, Scalar::Double));
    parts.push(part("GeocodeAccuracy", prefix, Scalar::Text));
    parts
}

fn avro_scalar(scalar: Scalar) -> Value {
    match scalar {
        Scalar::Text => json!("string"),
        Scalar::Boolean => json!("boolean"),
        Scalar::Integer => json!("int"),
        Scalar::Double => json!("double"),
        Scalar::DateTime | Scalar::DateOnly => json!("long"),
        Scalar::Names => json!({"type": "array", "items": "string"}),
    }
}

fn avro_record(name: &'static str, parts: &[Part], defined: &mut BTreeSet<&'static str>) -> Value {
    if !defined.insert(name) {
        return json!(name);
    }
    let fields: Vec<Value> = parts
        .iter()
        .map(|part| {
            json!({
                "name": part.name,
                "type": ["null", avro_scalar(part.scalar)],
                "default": null,
            })
        })
        .collect();
    json!({"name": name, "type": "record", "fields": fields})
}

fn avro_header() -> Value {
    let texts = json!({"type": "array", "items": "string"});
    json!({
        "doc": "Data:ComplexValueType",
        "name": "ChangeEventHeader",
        "type": {
            "name": "ChangeEventHeader",
            "type": "record",
            "fields": [
                {"name": "entityName", "type": "string"},
                {"name": "recordIds", "type": texts},
                {"name": "changeType", "type": {
                    "name": "ChangeType",
                    "type": "enum",
                    "symbols": CHANGE_TYPES,
                }},
                {"name": "changeOrigin", "type": "string"},
                {"name": "transactionKey", "type": "string"},
                {"name": "sequenceNumber", "type": "int"},
                {"name": "commitTimestamp", "type": "long"},
                {"name": "commitNumber", "type": "long"},
                {"name": "commitUser", "type": "string"},
                {"name": "nulledFields", "type": texts},
                {"name": "diffFields", "type": texts},
                {"name": "changedFields", "type": texts},
            ],
        },
    })
}

/// Where a leaf field is in an event. The header is field 0, so fields begin at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Position of the field in the schema.
    pub field: usize,
    /// Position of the part inside its record, where the field is a compound one.
    pub part: Option<usize>,
}

/// One version of one object's event schema.
#[derive(Clone, Debug)]
pub struct EventSchema {
    /// API name of the object, for example `Account`.
    pub entity: String,
    /// The three characters its ids begin with.
    pub prefix: String,
    /// The 22 characters that name this version.
    pub id: String,
    /// The schema as `GetSchema` answers it.
    pub json: String,
    /// The fields after the header.
    pub fields: Vec<Field>,
    places: BTreeMap<String, Place>,
}

impl EventSchema {
    fn new(entity: &str, prefix: &str, fields: Vec<Field>) -> Self {
        let mut defined = BTreeSet::new();
        let mut avro = vec![avro_header()];
        avro.extend(fields.iter().map(|field| {
            json!({
                "doc": field.doc,
                "name": field.name,
                "type": field.avro(&mut defined),
                "default": null,
            })
        }));
        let json = json!({
            "name": format!("{entity}ChangeEvent"),
            "type": "record",
            "fields": avro,
            "namespace": NAMESPACE,
        })
        .to_string();
        let digest: Vec<u8> = Sha256::digest(json.as_bytes())
            .iter()
            .copied()
            .take(16)
            .collect();
        EventSchema {
            entity: entity.to_owned(),
            prefix: prefix.to_owned(),
            id: URL_SAFE_NO_PAD.encode(digest),
            places: places(&fields),
            json,
            fields,
        }
    }

    /// The same schema with a custom field at its end, as after the field was created in Setup.
    ///
    /// `data_type` is the event's name for it (`Text`, `Double`, `DynamicEnum` ...); `None` where
    /// there is no such type or the field exists.
    pub fn with_custom_field(&self, name: &str, data_type: &str) -> Option<Self> {
        if self.places.contains_key(name) {
            return None;
        }
        let doc = format!("Data:{data_type}:00N5g00000{:05}", self.fields.len());
        let mut fields = self.fields.clone();
        fields.push(Field::new(name, &doc)?);
        Some(EventSchema::new(&self.entity, &self.prefix, fields))
    }

    /// The same schema without a custom field, as after the field was deleted in Setup; `None`
    /// where there is no such field.
    pub fn without_custom_field(&self, name: &str) -> Option<Self> {
        if !name.ends_with("__c") || !self.places.contains_key(name) {
            return None;
        }
        let fields = self.fields.iter().filter(|field| field.name != name);
        let fields = fields.cloned().collect();
        Some(EventSchema::new(&self.entity, &self.prefix, fields))
    }

    /// Whether events carry the field as a string of its own.
    pub fn is_text(&self, field: &str) -> bool {
        let is_text = |known: &&Field| known.name == field;
        let shape = self.fields.iter().find(is_text).map(|known| &known.shape);
        matches!(shape, Some(Shape::Scalar(Scalar::Text)))
    }

    /// Where a leaf field is; `None` where events do not carry it.
    pub fn place(&self, leaf: &str) -> Option<Place> {
        if let Some(place) = self.places.get(leaf) {
            return Some(*place);
        }
        let is_list = |field: &Field| {
            matches!(field.shape, Shape::Scalar(Scalar::Names)) && leaf.starts_with(&field.name)
        };
        let index = self.fields.iter().position(is_list)?;
        Some(Place {
            field: index + 1,
            part: None,
        })
    }
}

fn places(fields: &[Field]) -> BTreeMap<String, Place> {
    let mut places = BTreeMap::new();
    for (index, field) in fields.iter().enumerate() {
        let field_index = index + 1;
        match &field.shape {
            Shape::Scalar(_) | Shape::SwitchableName => {
                let place = Place {
                    field: field_index,
                    part: None,
                };
                places.insert(field.name.clone(), place);
            }
            Shape::Compound(_, parts) => {
                for (part_index, part) in parts.iter().enumerate() {
                    let place = Place {
                        field: field_index,
                        part: Some(part_index),
                    };
                    places.insert(part.leaf.clone(), place);
                }
            }
        }
    }
    places
}

/// The fields of an object: API name, role and data type.
type Table = &'static [(&'static str, &'static str)];

/// The five captured objects' schemas as the org starts with.
pub fn initial() -> Vec<EventSchema> {
    let tables: [(&str, &str, Table); 5] = [
        ("Account", "001", ACCOUNT),
        ("Contact", "003", CONTACT),
        ("Opportunity", "006", OPPORTUNITY),
        ("OpportunityContactRole", "00K", OPPORTUNITY_CONTACT_ROLE),
        ("User", "005", USER),
    ];
    tables
        .into_iter()
        .map(|(entity, prefix, table)| {
            let fields = table
                .iter()
                .filter_map(|(name, doc)| Field::new(name, doc))
                .collect();
            EventSchema::new(entity, prefix, fields)
        })
        .collect()
}

const TEXT: &str = "Data:Text";
const PHONE: &str = "Data:Phone";
const EMAIL: &str = "Data:Email";
const LONG_TEXT: &str = "Data:StringPlusClob";
const PICKLIST: &str = "Data:DynamicEnum";
const SYSTEM_PICKLIST: &str = "Data:StaticEnum";
const REFERENCE: &str = "ForeignKey:EntityId";
const EXTERNAL: &str = "ExternalForeignKey:ExternalId";
const CHECKBOX: &str = "Data:Boolean";
const CURRENCY: &str = "Data:Currency";
const INTEGER: &str = "Data:Integer";
const DATE: &str = "Data:DateOnly";
const DATETIME: &str = "Data:DateTime";
const CREATED: &str = "CreatedDate:DateTime";
const ADDRESS: &str = "Data:Address";
const PREFERENCES: &str = "Data:BitVector";

const ACCOUNT: Table = &[
    ("Name", "Data:Switchable_PersonName"),
    ("Type", PICKLIST),
    ("ParentId", REFERENCE),
    ("BillingAddress", ADDRESS),
    ("ShippingAddress", ADDRESS),
    ("Phone", PHONE),
    ("Fax", PHONE),
    ("AccountNumber", TEXT),
    ("Website", "Data:Url"),
    ("Sic", TEXT),
    ("Industry", PICKLIST),
    ("AnnualRevenue", CURRENCY),
    ("NumberOfEmployees", INTEGER),
    ("Ownership", PICKLIST),
    ("TickerSymbol", TEXT),
    ("Description", LONG_TEXT),
    ("Rating", PICKLIST),
    ("Site", TEXT),
    ("OwnerId", REFERENCE),
    ("CreatedDate", CREATED),
    ("CreatedById", REFERENCE),
    ("LastModifiedDate", DATETIME),
    ("LastModifiedById", REFERENCE),
    ("Jigsaw", TEXT),
    ("JigsawCompanyId", EXTERNAL),
    ("CleanStatus", SYSTEM_PICKLIST),
    ("AccountSource", PICKLIST),
    ("OperatingHoursId", REFERENCE),
];

const CONTACT: Table = &[
    ("AccountId", REFERENCE),
    ("Name", "Data:PersonName"),
    ("OtherAddress", ADDRESS),
    ("MailingAddress", ADDRESS),
    ("Phone", PHONE),
    ("Fax", PHONE),
    ("MobilePhone", PHONE),
    ("HomePhone", PHONE),
    ("OtherPhone", PHONE),
    ("AssistantPhone", PHONE),
    ("ReportsToId", REFERENCE),
    ("Email", EMAIL),
    ("Title", TEXT),
    ("Department", TEXT),
    ("AssistantName", TEXT),
    ("LeadSource", PICKLIST),
    ("Birthdate", DATE),
    ("Description", LONG_TEXT),
    ("OwnerId", REFERENCE),
    ("HasOptedOutOfEmail", CHECKBOX),
    ("HasOptedOutOfFax", CHECKBOX),
    ("DoNotCall", CHECKBOX),
    ("CreatedDate", CREATED),
    ("CreatedById", REFERENCE),
    ("LastModifiedDate", DATETIME),
    ("LastModifiedById", REFERENCE),
    ("LastCURequestDate", DATETIME),
    ("LastCUUpdateDate", DATETIME),
    ("EmailBouncedReason", TEXT),
    ("EmailBouncedDate", DATETIME),
    ("Jigsaw", TEXT),
    ("JigsawContactId", EXTERNAL),
    ("CleanStatus", SYSTEM_PICKLIST),
    ("IndividualId", REFERENCE),
    ("Pronouns", PICKLIST),
    ("GenderIdentity", PICKLIST),
];

const OPPORTUNITY: Table = &[
    ("AccountId", REFERENCE),
    ("IsPrivate", CHECKBOX),
    ("Name", TEXT),
    ("Description", LONG_TEXT),
    ("StageName", PICKLIST),
    ("Amount", CURRENCY),
    ("Probability", "Data:Percent"),
    ("ExpectedRevenue", CURRENCY),
    ("TotalOpportunityQuantity", "Data:Double"),
    ("CloseDate", DATE),
    ("Type", PICKLIST),
    ("NextStep", TEXT),
    ("LeadSource", PICKLIST),
    ("IsClosed", CHECKBOX),
    ("IsWon", CHECKBOX),
    ("ForecastCategory", SYSTEM_PICKLIST),
    ("ForecastCategoryName", PICKLIST),
    ("CampaignId", REFERENCE),
    ("HasOpportunityLineItem", CHECKBOX),
    ("Pricebook2Id", REFERENCE),
    ("OwnerId", REFERENCE),
    ("CreatedDate", CREATED),
    ("CreatedById", REFERENCE),
    ("LastModifiedDate", DATETIME),
    ("LastModifiedById", REFERENCE),
    ("LastStageChangeDate", DATETIME),
    ("ContactId", REFERENCE),
    ("ContractId", REFERENCE),
    ("LastAmountChangedHistoryId", REFERENCE),
    ("LastCloseDateChangedHistoryId", REFERENCE),
];

/// `IsPrimary` is a field of the object but not of its events.
const OPPORTUNITY_CONTACT_ROLE: Table = &[
    ("OpportunityId", REFERENCE),
    ("ContactId", REFERENCE),
    ("Role", PICKLIST),
    ("CreatedDate", CREATED),
    ("CreatedById", REFERENCE),
    ("LastModifiedDate", DATETIME),
    ("LastModifiedById", REFERENCE),
];

const USER: Table = &[
    ("Username", TEXT),
    ("Name", "Data:PersonName"),
    ("CompanyName", TEXT),
    ("Division", TEXT),
    ("Department", TEXT),
    ("Title", TEXT),
    ("Address", ADDRESS),
    ("Email", EMAIL),
    ("EmailPreferences", PREFERENCES),
    ("SenderEmail", EMAIL),
    ("SenderName", TEXT),
    ("Signature", TEXT),
    ("StayInTouchSubject", TEXT),
    ("StayInTouchSignature", TEXT),
    ("StayInTouchNote", TEXT),
    ("Phone", PHONE),
    ("Fax", PHONE),
    ("MobilePhone", PHONE),
    ("Alias", TEXT),
    ("CommunityNickname", TEXT),
    ("IsActive", CHECKBOX),
    ("IsSystemControlled", CHECKBOX),
    ("TimeZoneSidKey", SYSTEM_PICKLIST),
    ("UserRoleId", REFERENCE),
    ("LocaleSidKey", SYSTEM_PICKLIST),
    ("ReceivesInfoEmails", CHECKBOX),
    ("ReceivesAdminInfoEmails", CHECKBOX),
    ("EmailEncodingKey", SYSTEM_PICKLIST),
    ("ProfileId", REFERENCE),
    ("UserType", SYSTEM_PICKLIST),
    ("UserSubtype", SYSTEM_PICKLIST),
    ("LanguageLocaleKey", SYSTEM_PICKLIST),
    ("EmployeeNumber", TEXT),
    ("DelegatedApproverId", REFERENCE),
    ("ManagerId", REFERENCE),
    ("LastLoginDate", DATETIME),
    ("LastPasswordChangeDate", DATETIME),
    ("CreatedDate", CREATED),
    ("CreatedById", REFERENCE),
    ("LastModifiedDate", DATETIME),
    ("LastModifiedById", REFERENCE),
    ("NumberOfFailedLogins", INTEGER),
    ("OfflineTrialExpirationDate", DATETIME),
    ("OfflinePdaTrialExpirationDate", DATETIME),
    ("UserPermissions", PREFERENCES),
    ("ForecastEnabled", CHECKBOX),
    ("UserPreferences", PREFERENCES),
    ("ContactId", REFERENCE),
    ("AccountId", REFERENCE),
    ("CallCenterId", REFERENCE),
    ("Extension", PHONE),
    ("FederationIdentifier", TEXT),
    ("AboutMe", LONG_TEXT),
    ("DigestFrequency", SYSTEM_PICKLIST),
    ("DefaultGroupNotificationFrequency", SYSTEM_PICKLIST),
    ("JigsawImportLimitOverride", INTEGER),
    ("WorkspaceId", REFERENCE),
    ("IsProfilePhotoActive", CHECKBOX),
    ("IndividualId", REFERENCE),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(entity: &str) -> EventSchema {
        initial()
            .into_iter()
            .find(|schema| schema.entity == entity)
            .expect("a captured object")
    }

    #[test]
    fn no_field_of_the_tables_is_lost() {
        let tables = [
            ACCOUNT,
            CONTACT,
            OPPORTUNITY,
            OPPORTUNITY_CONTACT_ROLE,
            USER,
        ];
        for (schema, table) in initial().iter().zip(tables) {
            assert_eq!(schema.fields.len(), table.len(), "{}", schema.entity);
        }
        assert_eq!(schema("Opportunity").fields.len() + 1, 31);
        assert_eq!(schema("OpportunityContactRole").fields.len() + 1, 8);
        assert_eq!(schema("User").fields.len() + 1, 60);
    }

    #[test]
    fn every_schema_is_avro_and_keeps_the_order() {
        for schema in initial() {
            let parsed = apache_avro::Schema::parse_str(&schema.json).expect("valid Avro");
            let apache_avro::Schema::Record(record) = parsed else {
                panic!("{} is no record", schema.entity)
            };
            assert_eq!(record.name.namespace(), Some(NAMESPACE));
            let names: Vec<&str> = record.fields.iter().map(|f| f.name.as_str()).collect();
            assert_eq!(names[0], "ChangeEventHeader");
            let ours: Vec<&str> = schema.fields.iter().map(|f| f.name.as_str()).collect();
            assert_eq!(names[1..], ours);
        }
    }

    #[test]
    fn positions_are_those_the_guide_shows_for_accounts() {
        let account = schema("Account");
        let top = |leaf: &str| account.place(leaf).map(|place| place.field);
        assert_eq!(top("Industry"), Some(11));
        assert_eq!(top("Fax"), Some(7));
        assert_eq!(top("Description"), Some(16));
        assert_eq!(top("LastModifiedDate"), Some(22));
        let street = Place {
            field: 4,
            part: Some(0),
        };
        assert_eq!(account.place("BillingStreet"), Some(street));
        assert_eq!(account.place("SystemModstamp"), None);
        assert_eq!(schema("OpportunityContactRole").place("IsPrimary"), None);
        assert_eq!(
            schema("User")
                .place("UserPreferencesLightning")
                .map(|p| p.field),
            schema("User").place("UserPreferences").map(|p| p.field),
        );
    }

    #[test]
    fn an_id_names_one_version() {
        let before = schema("Opportunity");
        assert_eq!(before.id.len(), 22);
        assert_eq!(before.id, schema("Opportunity").id);
        let after = before
            .with_custom_field("Region__c", "DynamicEnum")
            .unwrap();
        assert_ne!(before.id, after.id);
        assert_eq!(after.place("Region__c").map(|place| place.field), Some(31));
        assert!(after.with_custom_field("Region__c", "Text").is_none());
        assert!(before.with_custom_field("Other__c", "Nonsense").is_none());
    }
}

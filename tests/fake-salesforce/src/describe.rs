//! Describe: what a client may know of objects and fields.
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::org::Org;
use crate::org::State;
use crate::schema::{self, Entity, Field, FieldType};
use crate::soql::known_entity;

impl Org {
    /// An object's description, as `GET /sobjects/<S>/describe` answers it.
    ///
    /// # Errors
    /// An unknown object.
    pub fn describe(&self, entity: &str) -> Result<Value, ApiError> {
        self.describe_as(entity, "67.0")
    }

    pub(crate) fn describe_as(&self, entity: &str, version: &str) -> Result<Value, ApiError> {
        let state = self.state();
        let entity = known_entity(&state, entity)?;
        let mut described = summary(entity, version);
        let leaves = entity.fields.iter();
        let leaves = leaves.filter(|field| !field.hidden && !field.removed);
        let leaves = leaves.map(|field| self.field(entity, field));
        let addresses = entity.addresses.iter().map(|(name, _)| address(name));
        let fields: Vec<Value> = leaves.chain(addresses).collect();
        if let Value::Object(described) = &mut described {
            described.insert("fields".to_owned(), Value::Array(fields));
            described.insert("childRelationships".to_owned(), children(&state, entity));
            described.insert(
                "recordTypeInfos".to_owned(),
                record_types(&state, entity, version),
            );
            for empty in ["actionOverrides", "namedLayoutInfos"] {
                described.insert(empty.to_owned(), json!([]));
            }
            described.insert(
                "supportedScopes".to_owned(),
                json!([{"label": "Everything", "name": "everything"}]),
            );
        }
        Ok(described)
    }

    fn field(&self, entity: &Entity, field: &Field) -> Value {
        let (relationship, targets) = match field.reference {
            Some((target, relationship)) => {
                let also = field.also_leads_to(entity);
                (
                    Some(relationship),
                    also.into_iter().chain([target]).collect(),
                )
            }
            None => (None, Vec::new()),
        };
        let name_field = field.name == name_field(entity);
        let picklist = matches!(field.kind, FieldType::Picklist | FieldType::MultiPicklist);
        json!({
            "aggregatable": !matches!(field.kind, FieldType::TextArea | FieldType::Boolean | FieldType::MultiPicklist),
            "aiPredictionField": false,
            "autoNumber": false,
            "byteLength": field.length * 3,
            "calculated": field.is_calculated(),
            "calculatedFormula": null,
            "cascadeDelete": false,
            "caseSensitive": false,
            "compoundFieldName": field.compound,
            "controllerName": null,
            "createable": field.createable && entity.can.create,
            "custom": field.name.ends_with("__c"),
            "defaultValue": if field.kind == FieldType::Boolean { json!(field.default == Some("true")) } else { Value::Null },
            "defaultValueFormula": null,
            "defaultedOnCreate": field.default.is_some() || field.name == "OwnerId" || !field.createable,
            "dependentPicklist": false,
            "deprecatedAndHidden": false,
            "digits": if field.kind == FieldType::Int { field.precision } else { 0 },
            "displayLocationInDecimal": false,
            "encrypted": false,
            "externalId": field.external_id,
            "extraTypeInfo": if field.kind == FieldType::TextArea { json!("plaintextarea") } else { Value::Null },
            "filterable": field.filterable,
            "filteredLookupInfo": null,
            "formulaTreatNullNumberAsZero": false,
            "groupable": !matches!(field.kind, FieldType::TextArea | FieldType::MultiPicklist | FieldType::DateTime | FieldType::Currency | FieldType::Double | FieldType::Percent),
            "highScaleNumber": false,
            "htmlFormatted": false,
            "idLookup": field.kind == FieldType::Id || field.name == "Username" || field.external_id,
            "inlineHelpText": null,
            "label": label(field.name.strip_suffix("__c").unwrap_or(field.name)),
            "length": field.length,
            "mask": null,
            "maskType": null,
            "name": field.name,
            "nameField": name_field,
            "namePointing": false,
            "nillable": !field.required && field.kind != FieldType::Boolean && field.kind != FieldType::Id && !is_audit(field.name),
            "permissionable": field.createable && !field.required,
            "picklistValues": if picklist { self.picklist(entity, field) } else { json!([]) },
            "polymorphicForeignKey": false,
            "precision": if field.kind == FieldType::Int { 0 } else { field.precision },
            "queryByDistance": false,
            "referenceTargetField": null,
            "referenceTo": targets,
            "relationshipName": relationship,
            "relationshipOrder": null,
            "restrictedDelete": false,
            "restrictedPicklist": field.name == "ForecastCategory" || field.name.ends_with("SidKey"),
            "scale": field.scale,
            "searchPrefilterable": false,
            "soapType": soap_type(field.kind),
            "sortable": !matches!(field.kind, FieldType::TextArea | FieldType::MultiPicklist),
            "type": field.kind.name(),
            "unique": field.unique,
            "updateable": field.updateable && entity.can.update,
            "writeRequiresMasterRead": false,
        })
    }

    fn picklist(&self, entity: &Entity, field: &Field) -> Value {
        let entry = |value: &str, active: bool| json!({"active": active, "defaultValue": false, "label": value, "validFor": null, "value": value});
        if (entity.name, field.name) == ("Opportunity", "StageName") {
            let stages = self.records("OpportunityStage");
            let entries = stages.iter().map(|stage| {
                entry(
                    stage.text("ApiName").unwrap_or_default(),
                    stage.flag("IsActive"),
                )
            });
            return entries.collect();
        }
        let known = schema::picklist(entity.name, field.name).iter();
        let values = known.chain(field.values);
        values.map(|value| entry(value, true)).collect()
    }
}

/// Every object in short, as `GET /sobjects` answers it.
pub(crate) fn global(state: &State, version: &str) -> Value {
    let objects = schema::entities()
        .iter()
        .filter(|entity| state.entities.contains_key(entity.name));
    json!({
        "encoding": "UTF-8",
        "maxBatchSize": 200,
        "sobjects": objects.map(|entity| summary(entity, version)).collect::<Vec<_>>(),
    })
}

fn summary(entity: &Entity, version: &str) -> Value {
    let path = format!("/services/data/v{version}/sobjects/{}", entity.name);
    let can = entity.can;
    json!({
        "activateable": false,
        "associateEntityType": null,
        "associateParentEntity": null,
        "createable": can.create,
        "custom": entity.name.ends_with("__c") || entity.name.ends_with("__mdt"),
        "customSetting": false,
        "deepCloneable": false,
        "deletable": can.delete,
        "deprecatedAndHidden": false,
        "feedEnabled": false,
        "hasSubtypes": false,
        "isInterface": false,
        "isSubtype": false,
        "keyPrefix": entity.prefix,
        "label": entity.label,
        "labelPlural": entity.label_plural,
        "layoutable": can.recycle_bin,
        "mergeable": can.merge,
        "mruEnabled": can.recycle_bin,
        "name": entity.name,
        "queryable": true,
        "replicateable": entity.is_replicated(),
        "retrieveable": true,
        "searchable": can.recycle_bin,
        "triggerable": can.recycle_bin,
        "undeletable": can.undelete,
        "updateable": can.update,
        "compactLayoutable": can.recycle_bin,
        "idEnabled": true,
        "listviewable": null,
        "lookupLayoutable": null,
        "searchLayoutable": can.recycle_bin,
        "networkScopeFieldName": null,
        "urls": {
            "sobject": path,
            "describe": format!("{path}/describe"),
            "rowTemplate": format!("{path}/{{ID}}"),
        },
    })
}

fn children(state: &State, entity: &Entity) -> Value {
    let all = state.entities.values();
    let children = all.flat_map(|child| {
        let fields = child.fields.iter();
        let fields = fields.filter(|field| !field.hidden && !field.removed);
        fields.filter_map(move |field| {
            let (target, _) = field.reference?;
            (target == entity.name).then(|| {
                let relationship = child.child_relationship(field, entity.name);
                json!({
                    "cascadeDelete": field.name.starts_with(entity.name) && child.can.recycle_bin,
                    "childSObject": child.name,
                    "deprecatedAndHidden": false,
                    "field": field.name,
                    "junctionIdListNames": [],
                    "junctionReferenceTo": [],
                    "relationshipName": relationship,
                    "restrictedDelete": false,
                })
            })
        })
    });
    children.collect()
}

/// The object's record types, and the master that every object has.
fn record_types(state: &State, entity: &Entity, version: &str) -> Value {
    let path = format!(
        "/services/data/v{version}/sobjects/{}/describe/layouts",
        entity.name
    );
    let entry = |id: &str, name: &str, developer_name: &str, active: bool| {
        let master = developer_name == "Master";
        json!({
            "active": active, "available": active, "defaultRecordTypeMapping": master,
            "developerName": developer_name, "master": master, "name": name, "recordTypeId": id,
            "urls": {"layout": format!("{path}/{id}")},
        })
    };
    let own = state.table("RecordType").into_iter();
    let own = own.flat_map(|table| table.all());
    let own = own.filter(|record| record.text("SobjectType") == Some(entity.name));
    let own = own.map(|record| {
        let text = |field: &str| record.text(field).unwrap_or_default();
        let (name, developer_name) = (text("Name"), text("DeveloperName"));
        entry(record.id(), name, developer_name, record.flag("IsActive"))
    });
    let master = entry("012000000000000AAA", "Master", "Master", true);
    own.chain([master]).collect()
}

/// A compound address field: selectable, never writable.
fn address(name: &str) -> Value {
    json!({
        "aggregatable": false, "aiPredictionField": false, "autoNumber": false, "byteLength": 0,
        "calculated": false, "calculatedFormula": null, "cascadeDelete": false,
        "caseSensitive": false, "compoundFieldName": null, "controllerName": null,
        "createable": false, "custom": false, "defaultValue": null, "defaultValueFormula": null,
        "defaultedOnCreate": false, "dependentPicklist": false, "deprecatedAndHidden": false,
        "digits": 0, "displayLocationInDecimal": false, "encrypted": false, "externalId": false,
        "extraTypeInfo": null, "filterable": true, "filteredLookupInfo": null,
        "formulaTreatNullNumberAsZero": false, "groupable": false, "highScaleNumber": false,
        "htmlFormatted": false, "idLookup": false, "inlineHelpText": null, "label": label(name),
        "length": 0, "mask": null, "maskType": null, "name": name, "nameField": false,
        "namePointing": false, "nillable": true, "permissionable": false, "picklistValues": [],
        "polymorphicForeignKey": false, "precision": 0, "queryByDistance": true,
        "referenceTargetField": null, "referenceTo": [], "relationshipName": null,
        "relationshipOrder": null, "restrictedDelete": false, "restrictedPicklist": false,
        "scale": 0, "searchPrefilterable": false, "soapType": "urn:address", "sortable": false,
        "type": "address", "unique": false, "updateable": false, "writeRequiresMasterRead": false,
    })
}

fn name_field(entity: &Entity) -> &'static str {
    match entity.name {
        "PermissionSet" | "PermissionSetAssignment" | "OpportunityContactRole" => "",
        "PermissionSetGroup" | "PermissionSetLicense" => "DeveloperName",
        "OpportunityStage" => "MasterLabel",
        name if name.ends_with("__mdt") => "MasterLabel",
        _ => "Name",
    }
}

fn is_audit(name: &str) -> bool {
    matches!(
        name,
        "CreatedDate"
            | "CreatedById"
            | "LastModifiedDate"
            | "LastModifiedById"
            | "SystemModstamp"
            | "OwnerId"
    )
}

fn soap_type(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Id | FieldType::Reference => "tns:ID",
        FieldType::Boolean => "xsd:boolean",
        FieldType::Int => "xsd:int",
        FieldType::Double | FieldType::Currency | FieldType::Percent => "xsd:double",
        FieldType::Date => "xsd:date",
        FieldType::DateTime => "xsd:dateTime",
        FieldType::Time => "xsd:time",
        FieldType::Text
        | FieldType::TextArea
        | FieldType::Picklist
        | FieldType::MultiPicklist
        | FieldType::Email
        | FieldType::Phone
        | FieldType::Url => "xsd:string",
    }
}

/// `BillingPostalCode` to `Billing Postal Code`.
fn label(name: &str) -> String {
    let mut label = String::new();
    let mut before_lower = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && before_lower {
            label.push(' ');
        }
        before_lower = c.is_ascii_lowercase();
        label.push(c);
    }
    label
}

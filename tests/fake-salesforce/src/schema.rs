//! Which objects and fields the org has: the one table that queries, writes and describe follow.
use std::collections::BTreeMap;
use std::sync::{LazyLock, PoisonError, RwLock};

/// What can be done with an object.
#[derive(Clone, Copy, Debug, Default)]
pub struct Abilities {
    /// Records can be created.
    pub create: bool,
    /// Records can be changed.
    pub update: bool,
    /// Records can be deleted.
    pub delete: bool,
    /// Deleted records can be restored by a call of their own.
    pub undelete: bool,
    /// Records can be merged.
    pub merge: bool,
    /// Deleted records stay visible to queryAll.
    pub recycle_bin: bool,
}

/// A field's type, by describe's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// `id`
    Id,
    /// `reference`
    Reference,
    /// `string`
    Text,
    /// `textarea`
    TextArea,
    /// `picklist`
    Picklist,
    /// `boolean`
    Boolean,
    /// `int`
    Int,
    /// `double`
    Double,
    /// `currency`
    Currency,
    /// `percent`
    Percent,
    /// `date`
    Date,
    /// `datetime`
    DateTime,
    /// `time`
    Time,
    /// `email`
    Email,
    /// `phone`
    Phone,
    /// `url`
    Url,
    /// `multipicklist`
    MultiPicklist,
}

impl FieldType {
    /// Describe's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            FieldType::Id => "id",
            FieldType::Reference => "reference",
            FieldType::Text => "string",
            FieldType::TextArea => "textarea",
            FieldType::Picklist => "picklist",
            FieldType::Boolean => "boolean",
            FieldType::Int => "int",
            FieldType::Double => "double",
            FieldType::Currency => "currency",
            FieldType::Percent => "percent",
            FieldType::Date => "date",
            FieldType::DateTime => "datetime",
            FieldType::Time => "time",
            FieldType::Email => "email",
            FieldType::Phone => "phone",
            FieldType::Url => "url",
            FieldType::MultiPicklist => "multipicklist",
        }
    }

    /// Whether values are numbers.
    pub fn is_number(self) -> bool {
        matches!(
            self,
            FieldType::Int | FieldType::Double | FieldType::Currency | FieldType::Percent
        )
    }

    /// Whether values are ids.
    pub fn is_id(self) -> bool {
        matches!(self, FieldType::Id | FieldType::Reference)
    }

    fn parse(name: &str) -> FieldType {
        match name {
            "id" => FieldType::Id,
            "ref" => FieldType::Reference,
            "textarea" => FieldType::TextArea,
            "picklist" => FieldType::Picklist,
            "boolean" => FieldType::Boolean,
            "int" => FieldType::Int,
            "double" => FieldType::Double,
            "currency" => FieldType::Currency,
            "percent" => FieldType::Percent,
            "date" => FieldType::Date,
            "datetime" => FieldType::DateTime,
            "time" => FieldType::Time,
            "email" => FieldType::Email,
            "phone" => FieldType::Phone,
            "url" => FieldType::Url,
            "multipicklist" => FieldType::MultiPicklist,
            _ => FieldType::Text,
        }
    }
}

/// One field.
#[derive(Clone, Debug)]
pub struct Field {
    /// API name.
    pub name: &'static str,
    /// Type.
    pub kind: FieldType,
    /// Characters at most; 0 where the type has no length.
    pub length: u32,
    /// Digits in all, of a number.
    pub precision: u32,
    /// Digits after the point, of a number.
    pub scale: u32,
    /// A value must be given on insert and can not be emptied.
    pub required: bool,
    /// May be given on insert.
    pub createable: bool,
    /// May be given on update.
    pub updateable: bool,
    /// May stand in a WHERE clause.
    pub filterable: bool,
    /// The compound field that this one is a part of.
    pub compound: Option<&'static str>,
    /// The object and relationship name that a reference leads to.
    pub reference: Option<(&'static str, &'static str)>,
    /// The value on insert where none is given, as text.
    pub default: Option<&'static str>,
    /// Records can be addressed by it in an upsert.
    pub external_id: bool,
    /// No two records have the same value.
    pub unique: bool,
    /// The values of a custom picklist.
    pub values: &'static [&'static str],
    /// Field-level security hides it from whoever signs in.
    pub hidden: bool,
    /// It was deleted in Setup; its place stays, so that older records can be read.
    pub removed: bool,
}

impl Field {
    /// The other object that a reference may lead to: a component of a permission set group is a
    /// permission set or a muting one. The relationship reaches the former alone.
    pub fn also_leads_to(&self, entity: &Entity) -> Option<&'static str> {
        let is_component = entity.name == "PermissionSetGroupComponent";
        (is_component && self.name == "PermissionSetId").then_some("MutingPermissionSet")
    }

    /// A formula or roll-up: a custom field that nobody can write.
    pub fn is_calculated(&self) -> bool {
        self.name.ends_with("__c") && !self.createable && !self.updateable
    }
}

/// One object, as it is described at one time: a field added, hidden or removed makes a new one.
#[derive(Clone, Debug)]
pub struct Entity {
    /// API name.
    pub name: &'static str,
    /// The first three characters of its ids.
    pub prefix: &'static str,
    /// Label.
    pub label: String,
    /// Plural label.
    pub label_plural: String,
    /// What can be done with it.
    pub can: Abilities,
    /// The org does not have it until a feature is turned on.
    pub optional: bool,
    /// The leaf fields, in describe's order.
    pub fields: Vec<Field>,
    /// The names of the compound address fields, and of what their parts' names begin with.
    pub addresses: Vec<(&'static str, &'static str)>,
    positions: BTreeMap<&'static str, usize>,
    /// The number of this description.
    version: usize,
}

impl PartialEq for Entity {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Entity {
    /// Where a field stands in `fields`; its name in any case.
    pub fn position(&self, field: &str) -> Option<usize> {
        self.positions.get(field).copied().or_else(|| {
            self.fields
                .iter()
                .position(|known| !known.removed && known.name.eq_ignore_ascii_case(field))
        })
    }

    /// The same, of the fields that whoever signs in may see.
    pub fn visible(&self, field: &str) -> Option<(usize, &Field)> {
        let position = self.position(field)?;
        let field = self.fields.get(position)?;
        (!field.hidden).then_some((position, field))
    }

    /// Whether it can be asked which records changed or went in a span of time.
    pub(crate) fn is_replicated(&self) -> bool {
        self.can.recycle_bin || self.name == "User"
    }

    /// The number of this description, for [`by_version`].
    pub(crate) fn version(&self) -> usize {
        self.version
    }

    /// A description with other fields, kept for the rest of the process: records point to it.
    pub(crate) fn with_fields(&self, fields: Vec<Field>) -> &'static Entity {
        let mut later = LATER.write().unwrap_or_else(PoisonError::into_inner);
        let entity = Box::leak(Box::new(Entity {
            fields,
            version: SCHEMA.len() + later.len(),
            ..self.clone()
        }));
        entity.index();
        later.push(entity);
        entity
    }

    fn index(&mut self) {
        let fields = self.fields.iter().enumerate();
        self.positions = fields
            .filter(|(_, field)| !field.removed)
            .map(|(position, field)| (field.name, position))
            .collect();
    }

    /// A field by its name in any case.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.get(self.position(name)?)
    }

    /// The reference field behind a relationship name, in any case, and the object it leads to.
    pub fn relationship(&self, name: &str) -> Option<(usize, &'static str)> {
        self.fields
            .iter()
            .enumerate()
            .filter(|(_, field)| !field.hidden && !field.removed)
            .find_map(|(position, field)| {
                let (target, relationship) = field.reference?;
                relationship
                    .eq_ignore_ascii_case(name)
                    .then_some((position, target))
            })
    }

    /// The name under which a parent's records of this object can be selected, where `field` is
    /// what refers to `parent`.
    pub fn child_relationship(&self, field: &Field, parent: &str) -> Option<String> {
        let (target, _) = field.reference?;
        if target != parent {
            return None;
        }
        match (parent, self.name, field.name) {
            ("Account", "Account", "ParentId") => Some("ChildAccounts".to_owned()),
            ("User", _, "ManagerId") => Some("ManagedUsers".to_owned()),
            ("PermissionSet" | "PermissionSetGroup", "PermissionSetAssignment", _) => {
                Some("Assignments".to_owned())
            }
            _ => field
                .name
                .starts_with(parent)
                .then(|| self.label_plural.replace(' ', "")),
        }
    }
}

/// Every object, in the order of the table.
pub fn entities() -> &'static [Entity] {
    &SCHEMA
}

/// An object by its API name, in any case.
pub fn entity(name: &str) -> Option<&'static Entity> {
    SCHEMA
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(name))
}

/// A description by its number.
pub(crate) fn by_version(version: usize) -> Option<&'static Entity> {
    SCHEMA.get(version).or_else(|| {
        let later = LATER.read().unwrap_or_else(PoisonError::into_inner);
        later.get(version.checked_sub(SCHEMA.len())?).copied()
    })
}

/// The values that describe lists for a picklist field. `StageName` is not among them: its values
/// are the rows of `OpportunityStage`.
pub fn picklist(entity: &str, field: &str) -> &'static [&'static str] {
    match (entity, field) {
        ("Opportunity", "Type") => &[
            "Existing Customer - Upgrade",
            "Existing Customer - Replacement",
            "Existing Customer - Downgrade",
            "New Customer",
        ],
        (_, "LeadSource" | "AccountSource") => &[
            "Web",
            "Phone Inquiry",
            "Partner Referral",
            "Purchased List",
            "Other",
        ],
        (_, "ForecastCategory") => &[
            "Omitted",
            "Pipeline",
            "BestCase",
            "MostLikely",
            "Forecast",
            "Closed",
        ],
        (_, "ForecastCategoryName") => &[
            "Omitted",
            "Pipeline",
            "Best Case",
            "Most Likely",
            "Commit",
            "Closed",
        ],
        ("OpportunityContactRole", "Role") => &[
            "Business User",
            "Decision Maker",
            "Economic Buyer",
            "Economic Decision Maker",
            "Evaluator",
            "Executive Sponsor",
            "Influencer",
            "Technical Buyer",
            "Other",
        ],
        ("Account", "Type") => &[
            "Prospect",
            "Customer - Direct",
            "Customer - Channel",
            "Other",
        ],
        ("Account", "Industry") => &[
            "Agriculture",
            "Banking",
            "Biotechnology",
            "Construction",
            "Education",
            "Electronics",
            "Energy",
            "Finance",
            "Healthcare",
            "Insurance",
            "Manufacturing",
            "Media",
            "Retail",
            "Technology",
            "Telecommunications",
            "Transportation",
            "Utilities",
            "Other",
        ],
        ("Account", "Rating") => &["Hot", "Warm", "Cold"],
        ("Account", "Ownership") => &["Public", "Private", "Subsidiary", "Other"],
        ("Contact", "Salutation") => &["Mr.", "Ms.", "Mrs.", "Dr.", "Prof."],
        _ => &[],
    }
}

static SCHEMA: LazyLock<Vec<Entity>> = LazyLock::new(|| parse(include_str!("schema_table.txt")));

/// Descriptions that came after the table's, of all orgs of this process.
static LATER: RwLock<Vec<&'static Entity>> = RwLock::new(Vec::new());

const ADDRESS_PARTS: [(&str, &str); 8] = [
    ("Street", "textarea(255)"),
    ("City", "string(40)"),
    ("State", "string(80)"),
    ("PostalCode", "string(20)"),
    ("Country", "string(80)"),
    ("Latitude", "double(18,15)"),
    ("Longitude", "double(18,15)"),
    ("GeocodeAccuracy", "picklist(40)"),
];

const AUDIT: [&str; 5] = [
    "CreatedDate datetime ro",
    "CreatedById ref(User,CreatedBy) ro",
    "LastModifiedDate datetime ro",
    "LastModifiedById ref(User,LastModifiedBy) ro",
    "SystemModstamp datetime ro",
];

fn parse(table: &'static str) -> Vec<Entity> {
    let mut entities: Vec<Entity> = Vec::new();
    for line in table.lines() {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        if first == "#" {
            continue;
        }
        if first == "object" {
            entities.push(entity_line(words));
            continue;
        }
        let Some(entity) = entities.last_mut() else {
            continue;
        };
        match first {
            "audit" => entity
                .fields
                .extend(AUDIT.iter().map(|line| field_line(line))),
            "address" => add_address(entity, words.next().unwrap_or_default()),
            "useraddress" => add_address(entity, ""),
            _ => entity.fields.push(field_line(line)),
        }
    }
    for (version, entity) in entities.iter_mut().enumerate() {
        entity.version = version;
        entity.index();
    }
    entities
}

fn entity_line(mut words: std::str::SplitWhitespace<'static>) -> Entity {
    let mut word = || words.next().unwrap_or_default();
    let (name, prefix) = (word(), word());
    let label = word().replace('_', " ");
    let label_plural = word().replace('_', " ");
    let can = word();
    Entity {
        name,
        prefix,
        label,
        label_plural,
        can: Abilities {
            create: can.contains('c'),
            update: can.contains('u'),
            delete: can.contains('d'),
            undelete: can.contains('n'),
            merge: can.contains('m'),
            recycle_bin: can.contains('b'),
        },
        optional: can.contains('x'),
        fields: Vec::new(),
        addresses: Vec::new(),
        positions: BTreeMap::new(),
        version: 0,
    }
}

fn add_address(entity: &mut Entity, prefix: &'static str) {
    let compound: &'static str = String::leak(format!("{prefix}Address"));
    entity.addresses.push((compound, prefix));
    for (part, kind) in ADDRESS_PARTS {
        entity.fields.push(field_line(String::leak(format!(
            "{prefix}{part} {kind} @{compound}"
        ))));
    }
}

pub(crate) fn field_line(line: &'static str) -> Field {
    let mut words = line.split_whitespace();
    let name = words.next().unwrap_or_default();
    let kind_word = words.next().unwrap_or_default();
    let (kind_name, argument) = kind_word
        .strip_suffix(')')
        .and_then(|word| word.split_once('('))
        .unwrap_or((kind_word, ""));
    let kind = FieldType::parse(kind_name);
    let (left, right) = argument.split_once(',').unwrap_or((argument, ""));
    let size: u32 = left.parse().unwrap_or_default();
    let mut field = Field {
        name,
        kind,
        length: if kind.is_id() {
            18
        } else if kind.is_number() {
            0
        } else {
            size
        },
        precision: if kind.is_number() { size } else { 0 },
        scale: right.parse().unwrap_or_default(),
        required: false,
        createable: true,
        updateable: true,
        filterable: true,
        compound: None,
        reference: (kind == FieldType::Reference).then_some((left, right)),
        default: None,
        external_id: false,
        unique: name == "Username",
        values: &[],
        hidden: false,
        removed: false,
    };
    for mark in words {
        match mark {
            "!" => field.required = true,
            "ro" => (field.createable, field.updateable) = (false, false),
            "co" => field.updateable = false,
            "nf" => field.filterable = false,
            _ => {
                if let Some(compound) = mark.strip_prefix('@') {
                    field.compound = Some(compound);
                } else if let Some(default) = mark.strip_prefix('=') {
                    field.default = Some(default);
                }
            }
        }
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_to_an_object_of_the_table() {
        for entity in entities() {
            for field in &entity.fields {
                if let Some((target, _)) = field.reference {
                    assert!(
                        super::entity(target).is_some(),
                        "{}.{}",
                        entity.name,
                        field.name
                    );
                }
            }
        }
    }

    #[test]
    fn fields_are_found_in_any_case_and_compounds_have_their_parts() {
        let account = entity("account").unwrap();
        assert_eq!(
            account.field("billingstreet").unwrap().compound,
            Some("BillingAddress")
        );
        assert_eq!(account.relationship("owner").unwrap().1, "User");
        assert_eq!(
            entity("User").unwrap().field("Street").unwrap().compound,
            Some("Address")
        );
        assert!(!account.field("Description").unwrap().filterable);
    }
}

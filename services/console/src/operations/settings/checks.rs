//! A document against the org: what only Salesforce can tell.

use std::collections::BTreeMap;

use domain::ObjectKind;
use domain::filter::{Condition, FieldType, FieldTypes, FilterFault};
use domain::mapping::{self, Mapping, MappingFit};
use domain::org::OrgProfile;
use domain::settings::{Settings, SettingsRevision};
use ports::source::{FieldDescription, SourceError};

use crate::OpsError;
use crate::document::{Parsed, UNREADABLE};
use crate::operations::Operations;
use crate::views::FaultView;

/// Settings that can be saved, with all that the filter means.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) settings: Settings,
    /// The types of the filtered fields.
    pub(super) types: FieldTypes,
    /// The org's calendars and currencies.
    pub(super) profile: OrgProfile,
    /// What whoever saves them has to know of what is new in them.
    pub(super) warnings: Vec<String>,
}

/// The fields of Opportunity, by their names.
type Described = BTreeMap<String, FieldDescription>;

impl Operations {
    /// The settings with what the filter means. Salesforce is asked for what differs from `base`
    /// alone, so that mosync can be disabled while Salesforce does not answer.
    ///
    /// # Errors
    /// [`OpsError::Refused`] with every fault, [`OpsError::OutOfReach`] when Salesforce does not
    /// answer and nothing else is wrong.
    pub(super) async fn checked(
        &self,
        parsed: Parsed,
        base: &SettingsRevision,
    ) -> Result<Checked, OpsError> {
        let Parsed {
            settings,
            mut faults,
        } = parsed;
        let mut checked = Checked {
            types: base.field_types.clone(),
            profile: base.org.clone(),
            warnings: Vec::new(),
            settings,
        };
        let mut answer = self.check_filter(&mut checked, base, &mut faults).await;
        if answer.is_ok() {
            answer = self
                .check_mapping(&checked.settings, base, &mut faults)
                .await;
        }
        if answer.is_ok() {
            answer = self.check_org(&checked.settings, base, &mut faults).await;
        }
        if answer.is_ok() && faults.is_empty() {
            answer = self.warn(&mut checked, base).await;
        }
        match answer {
            Ok(()) if faults.is_empty() => Ok(checked),
            Ok(()) => Err(OpsError::Refused(faults)),
            Err(error) if faults.is_empty() => Err(out_of_reach(&error)),
            Err(error) => {
                faults.push(FaultView {
                    at: String::new(),
                    message: out_of_reach(&error).to_string(),
                });
                Err(OpsError::Refused(faults))
            }
        }
    }

    /// Compares a filter that means something else than `base`'s with the org.
    async fn check_filter(
        &self,
        checked: &mut Checked,
        base: &SettingsRevision,
        faults: &mut Vec<FaultView>,
    ) -> Result<(), SourceError> {
        let Checked {
            settings,
            types,
            profile,
            ..
        } = checked;
        let before = &base.settings;
        let filter = &settings.filter;
        let same = (filter, settings.blanks, settings.zone)
            == (&before.filter, before.blanks, before.zone);
        if same {
            return Ok(());
        }
        if filter.conditions.is_empty() {
            *types = FieldTypes::new();
        } else {
            *profile = runtime::profile::read(&*self.source).await?;
            *types = runtime::fields::types(&*self.source, filter).await?;
        }
        types.insert(UNREADABLE.to_owned(), FieldType::Text);
        self.name_unusable(settings, types, faults).await?;
        if let Err(found) = settings.check_filter(types, profile, self.now()) {
            // Unknown fields are named above, and better.
            let found = found
                .into_iter()
                .filter(|fault| !matches!(fault, FilterFault::UnknownField { .. }));
            faults.extend(found.map(|fault| FaultView {
                at: "filter".to_owned(),
                message: fault.to_string(),
            }));
        }
        let named = filter.fields();
        types.retain(|field, _| named.contains(field));
        Ok(())
    }

    /// Says of each field that cannot be used why.
    async fn name_unusable(
        &self,
        settings: &Settings,
        types: &FieldTypes,
        faults: &mut Vec<FaultView>,
    ) -> Result<(), SourceError> {
        let conditions = (1_usize..).zip(&settings.filter.conditions);
        let unusable = conditions
            .filter(|(_, condition)| !types.contains_key(&condition.field))
            .collect::<Vec<_>>();
        if unusable.is_empty() {
            return Ok(());
        }
        let fields = self.source.describe("Opportunity").await?;
        let described = fields.into_iter().map(|field| (field.name.clone(), field));
        let described = described.collect::<Described>();
        faults.extend(unusable.into_iter().map(|(number, condition)| FaultView {
            at: format!("filter.conditions[{number}].field"),
            message: format!("condition {number}: {}", why(condition, &described)),
        }));
        Ok(())
    }

    /// Compares a mapping that differs from `base`'s with the org.
    async fn check_mapping(
        &self,
        settings: &Settings,
        base: &SettingsRevision,
        faults: &mut Vec<FaultView>,
    ) -> Result<(), SourceError> {
        let mapping = &settings.mapping;
        if *mapping == base.settings.mapping {
            return Ok(());
        }
        let misfits = self.misfits(mapping).await?;
        faults.extend(misfits.into_iter().map(|fault| FaultView {
            at: "mapping".to_owned(),
            message: fault.to_string(),
        }));
        Ok(())
    }

    /// What keeps a mapping from being used in the org.
    pub(super) async fn misfits(&self, mapping: &Mapping) -> Result<Vec<MappingFit>, SourceError> {
        let mut described = runtime::describe::Fields::new(&*self.source);
        let mut answers = BTreeMap::new();
        for row in mapping.deviations().iter().filter(|row| row.active) {
            let object = row.object.api_name();
            if let Some(field) = described.find(object, &row.salesforce_field).await? {
                let field = mapping::Described {
                    field_type: field.field_type,
                    reference_to: field.reference_to,
                };
                answers.insert((row.object, row.salesforce_field.clone()), field);
            }
        }
        Ok(mapping.fit(|object, field| answers.get(&(object, field.to_owned())).cloned()))
    }

    /// Says which fields that the filter or the mapping newly names change without an event.
    async fn warn(
        &self,
        checked: &mut Checked,
        base: &SettingsRevision,
    ) -> Result<(), SourceError> {
        let (now, before) = (&checked.settings, &base.settings);
        let mut described = runtime::describe::Fields::new(&*self.source);
        let known = before.filter.fields();
        let filtered = now.filter.fields();
        for field in filtered.difference(&known) {
            let opportunity = ObjectKind::Opportunity.api_name();
            let found = described.find(opportunity, field).await?;
            if found.is_some_and(|found| found.calculated) {
                checked.warnings.push(format!(
                    "the filter names {field}, a formula or roll-up, which changes without being heard of: deals that enter or leave by it are noticed when they themselves are saved, and else {NOTICED}"
                ));
            }
        }
        let known = before.mapping.deviations();
        for row in now.mapping.deviations() {
            if !row.active || known.contains(&row) {
                continue;
            }
            let (object, field) = (row.object, &row.salesforce_field);
            let found = described.find(object.api_name(), field).await?;
            let what = if field.contains('.') {
                "a field of another record"
            } else if found.is_some_and(|found| found.calculated) {
                "a formula or roll-up"
            } else {
                continue;
            };
            checked.warnings.push(format!(
                "the field mapping names {field} of {object}, {what}, which changes without being heard of: mOS gets its new value when the record itself is saved, and else {NOTICED}"
            ));
        }
        Ok(())
    }

    /// Only the org that is connected can be confirmed.
    async fn check_org(
        &self,
        settings: &Settings,
        base: &SettingsRevision,
        faults: &mut Vec<FaultView>,
    ) -> Result<(), SourceError> {
        if settings.org == base.settings.org {
            return Ok(());
        }
        let org = self.source.organization().await?;
        if settings.org != Some(org.id) {
            faults.push(FaultView {
                at: "org".to_owned(),
                message: format!(
                    "mosync is connected to the org {} ({}), and only that one can be confirmed; write its id, or leave `org` out",
                    org.id, org.name
                ),
            });
        }
        Ok(())
    }
}

/// When what is not heard of is noticed.
const NOTICED: &str =
    "once a day, or as often as salesforce.refreshed_every_s in the configuration says";

/// Nothing is saved that was not compared with the org.
fn out_of_reach(error: &SourceError) -> OpsError {
    let todo = match error {
        SourceError::SignIn(_) => "correct the sign-in in the configuration, then save again",
        SourceError::Refused { .. } => {
            "let the integration user read Opportunity and its fields, then save again"
        }
        SourceError::Unreachable(_)
        | SourceError::Quota(_)
        | SourceError::PositionRejected(_)
        | SourceError::Expired(_)
        | SourceError::Garbled(_) => "save again when Salesforce answers",
    };
    OpsError::OutOfReach(format!(
        "the settings cannot be compared with the org, because {error}; nothing was changed: {todo}"
    ))
}

/// Why a condition's field cannot be used.
fn why(condition: &Condition, described: &Described) -> String {
    let field = &condition.field;
    match described.get(field) {
        Some(known) if known.field_type.is_none() => format!(
            "`{field}` ({}) is of a kind that no filter can use, such as an address; name one of its parts",
            known.label
        ),
        Some(known) => format!(
            "Salesforce cannot filter by `{field}` ({}), such as long texts and encrypted fields; choose another field",
            known.label
        ),
        None if field.contains('.') => format!(
            "no filter can name `{field}`; it may name fields of Opportunity and of its record type, such as RecordType.DeveloperName, as far as the integration user can see them"
        ),
        None => {
            let near = described
                .keys()
                .find(|known| known.eq_ignore_ascii_case(field));
            match near {
                Some(near) => {
                    format!("Opportunity has no field `{field}`; write `{near}`, capitals count")
                }
                None => format!(
                    "Opportunity has no field `{field}` that the integration user can see; check the spelling of its API name, and the field-level security of the integration user, who is told of no field without read access"
                ),
            }
        }
    }
}

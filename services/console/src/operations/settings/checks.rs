//! A document against the org: what only Salesforce can tell.

use std::collections::BTreeMap;

use domain::filter::{Condition, FieldType, FieldTypes, Filter, FilterFault};
use domain::settings::{Settings, SettingsRevision};
use ports::source::{FieldDescription, SourceError};

use crate::OpsError;
use crate::document::{Parsed, UNREADABLE};
use crate::operations::Operations;
use crate::views::FaultView;

/// The fields that a filter may name, by their names.
type Described = BTreeMap<String, FieldDescription>;

impl Operations {
    /// The settings with the types of the filtered fields. Salesforce is asked for what differs
    /// from `base` alone, so that mosync can be disabled while Salesforce does not answer.
    ///
    /// # Errors
    /// [`OpsError::Refused`] with every fault, [`OpsError::OutOfReach`] when Salesforce does not
    /// answer and nothing else is wrong.
    pub(super) async fn checked(
        &self,
        parsed: Parsed,
        base: &SettingsRevision,
    ) -> Result<(Settings, FieldTypes), OpsError> {
        let Parsed {
            settings,
            mut faults,
        } = parsed;
        let mut unreachable = None;
        let mut types = base.field_types.clone();
        if settings.filter != base.settings.filter {
            match self.described(&settings.filter).await {
                Ok(described) => types = check_filter(&settings.filter, &described, &mut faults),
                Err(error) => unreachable = Some(error),
            }
        }
        if settings.org != base.settings.org && unreachable.is_none() {
            match self.source.organization().await {
                Ok(org) if Some(org.id) == settings.org => {}
                Ok(org) => faults.push(FaultView {
                    at: "org".to_owned(),
                    message: format!(
                        "mosync is connected to the org {} ({}), and only that one can be confirmed; write its id, or leave `org` out",
                        org.id, org.name
                    ),
                }),
                Err(error) => unreachable = Some(error),
            }
        }
        match unreachable {
            Some(error) if faults.is_empty() => Err(out_of_reach(&error)),
            Some(error) => {
                faults.push(FaultView {
                    at: "filter".to_owned(),
                    message: out_of_reach(&error).to_string(),
                });
                Err(OpsError::Refused(faults))
            }
            None if faults.is_empty() => Ok((settings, types)),
            None => Err(OpsError::Refused(faults)),
        }
    }

    /// The fields of Opportunity; none are asked for when no condition names one.
    async fn described(&self, filter: &Filter) -> Result<Described, SourceError> {
        if filter.conditions.is_empty() {
            return Ok(Described::new());
        }
        let fields = self.source.describe("Opportunity").await?;
        let named = fields.into_iter().map(|field| (field.name.clone(), field));
        Ok(named.collect())
    }
}

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

/// Adds what is wrong with the filter; answers the types of its fields.
fn check_filter(filter: &Filter, described: &Described, faults: &mut Vec<FaultView>) -> FieldTypes {
    let mut types = described
        .values()
        .filter(|field| field.filterable)
        .filter_map(|field| Some((field.name.clone(), field.field_type?)))
        .collect::<FieldTypes>();
    types.insert(UNREADABLE.to_owned(), FieldType::Text);
    for (number, condition) in (1..).zip(&filter.conditions) {
        if !types.contains_key(&condition.field) {
            faults.push(FaultView {
                at: format!("filter.conditions[{number}].field"),
                message: format!("condition {number}: {}", unusable(condition, described)),
            });
        }
    }
    if let Err(found) = filter.compile(&types) {
        for fault in found {
            // Said above, and better.
            if !matches!(fault, FilterFault::UnknownField { .. }) {
                faults.push(FaultView {
                    at: "filter".to_owned(),
                    message: fault.to_string(),
                });
            }
        }
    }
    let named = filter.fields();
    types.retain(|field, _| named.contains(field));
    types
}

/// Why a condition's field cannot be used.
fn unusable(condition: &Condition, described: &Described) -> String {
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

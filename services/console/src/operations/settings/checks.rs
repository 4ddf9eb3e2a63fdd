//! A document against the org: what only Salesforce can tell.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::filter::{Condition, FieldType, FieldTypes, Filter, FilterFault};
use domain::mapping::Described;
use domain::org::OrgProfile;
use domain::settings::{Settings, SettingsRevision};
use ports::source::{FieldDescription, SourceError};
use runtime::{describe, fields, profile};

use crate::OpsError;
use crate::document::{Parsed, UNREADABLE};
use crate::operations::Operations;
use crate::views::FaultView;

impl Operations {
    /// The settings with what they mean in the org. Salesforce is asked for what differs from
    /// `base` alone, so that mosync can be disabled while Salesforce does not answer.
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
        let mut described = describe::Fields::new(&*self.source);
        let mut meant = (base.field_types.clone(), base.org.clone());
        let asked = self
            .compare(&settings, base, &mut described, &mut meant, &mut faults)
            .await;
        match asked {
            Err(error) if faults.is_empty() => Err(out_of_reach(&error)),
            Err(error) => {
                faults.push(FaultView {
                    at: String::new(),
                    message: out_of_reach(&error).to_string(),
                });
                Err(OpsError::Refused(faults))
            }
            Ok(()) if faults.is_empty() => Ok(Checked {
                settings,
                types: meant.0,
                org: meant.1,
            }),
            Ok(()) => Err(OpsError::Refused(faults)),
        }
    }

    async fn compare(
        &self,
        settings: &Settings,
        base: &SettingsRevision,
        described: &mut describe::Fields<'_>,
        (types, org): &mut (FieldTypes, OrgProfile),
        faults: &mut Vec<FaultView>,
    ) -> Result<(), SourceError> {
        let before = &base.settings;
        if (&settings.filter, settings.blanks, settings.zone)
            != (&before.filter, before.blanks, before.zone)
        {
            if !settings.filter.conditions.is_empty() {
                *org = profile::read(&*self.source).await?;
                *types = fields::types(&*self.source, &settings.filter).await?;
                let own = described.of("Opportunity").await?;
                name_unknown(&settings.filter, types, own, faults);
            }
            check_filter(settings, types, org, self.now(), faults);
        }
        if settings.mapping != before.mapping {
            let mut answers = BTreeMap::new();
            for row in settings.mapping.rows().iter().filter(|row| row.active) {
                let object = row.object.api_name();
                if let Some(field) = described.find(object, &row.salesforce_field).await? {
                    let described = Described {
                        field_type: field.field_type,
                        reference_to: field.reference_to,
                    };
                    answers.insert((row.object, row.salesforce_field.clone()), described);
                }
            }
            let fit = settings
                .mapping
                .fit(|object, field| answers.get(&(object, field.to_owned())).cloned());
            faults.extend(fit.into_iter().map(|fault| FaultView {
                at: "mapping".to_owned(),
                message: fault.to_string(),
            }));
        }
        if settings.org != before.org {
            let connected = self.source.organization().await?;
            if Some(connected.id) != settings.org {
                faults.push(FaultView {
                    at: "org".to_owned(),
                    message: format!(
                        "mosync is connected to the org {} ({}), and only that one can be confirmed; write its id, or leave `org` out",
                        connected.id, connected.name
                    ),
                });
            }
        }
        Ok(())
    }
}

/// Settings that can be saved, and what they mean in the org.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) settings: Settings,
    /// The types of the filtered fields.
    pub(super) types: FieldTypes,
    /// The org's calendars and currencies.
    pub(super) org: OrgProfile,
}

/// Nothing is saved that was not compared with the org.
fn out_of_reach(error: &SourceError) -> OpsError {
    let todo = match error {
        SourceError::SignIn(_) => "correct the sign-in in the configuration, then save again",
        SourceError::Refused { .. } => {
            "let the integration user read what is named, then save again"
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

/// Says of each condition whose field has no type why it cannot be used.
fn name_unknown(
    filter: &Filter,
    types: &FieldTypes,
    described: &[FieldDescription],
    faults: &mut Vec<FaultView>,
) {
    for (number, condition) in (1..).zip(&filter.conditions) {
        if condition.field != UNREADABLE && !types.contains_key(&condition.field) {
            faults.push(FaultView {
                at: format!("filter.conditions[{number}].field"),
                message: format!("condition {number}: {}", unusable(condition, described)),
            });
        }
    }
}

/// Adds what else is wrong with the filter; leaves the types of its fields alone.
fn check_filter(
    settings: &Settings,
    types: &mut FieldTypes,
    org: &OrgProfile,
    at: Timestamp,
    faults: &mut Vec<FaultView>,
) {
    types.insert(UNREADABLE.to_owned(), FieldType::Text);
    if let Err(found) = settings.check_filter(types, org, at) {
        for fault in found {
            // Said before, and better.
            if !matches!(fault, FilterFault::UnknownField { .. }) {
                faults.push(FaultView {
                    at: "filter".to_owned(),
                    message: fault.to_string(),
                });
            }
        }
    }
    let named = settings.filter.fields();
    types.retain(|field, _| named.contains(field));
}

/// Why a condition's field cannot be used.
fn unusable(condition: &Condition, described: &[FieldDescription]) -> String {
    let field = &condition.field;
    match described.iter().find(|known| known.name == *field) {
        Some(known) if known.field_type.is_none() => format!(
            "`{field}` ({}) is of a kind that no filter can use, such as an address; name one of its parts",
            known.label
        ),
        Some(known) => format!(
            "Salesforce cannot filter by `{field}` ({}), such as long texts and encrypted fields; choose another field",
            known.label
        ),
        None => {
            let mut names = described.iter().map(|known| &known.name);
            let near = names.find(|known| known.eq_ignore_ascii_case(field));
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

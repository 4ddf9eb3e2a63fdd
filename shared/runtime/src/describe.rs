//! Fields of the org by name or by path, from describe. Describe answers for the integration user:
//! what that user may not see is not there.

use std::collections::BTreeMap;

use ports::source::{FieldDescription, Source, SourceError};

/// Salesforce follows a path over at most five references (SOQL and SOSL Reference, relationship
/// query limitations).
const MAX_STEPS: usize = 5;

/// Describe results, each asked for once.
pub struct Fields<'a> {
    source: &'a dyn Source,
    objects: BTreeMap<String, Vec<FieldDescription>>,
}

impl std::fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.objects.keys()).finish()
    }
}

impl<'a> Fields<'a> {
    /// Nothing is asked yet.
    #[must_use]
    pub const fn new(source: &'a dyn Source) -> Self {
        Self {
            source,
            objects: BTreeMap::new(),
        }
    }

    /// All fields of an object.
    ///
    /// # Errors
    /// Salesforce's; an object that does not exist or cannot be seen is refused.
    pub async fn of(&mut self, object: &str) -> Result<&[FieldDescription], SourceError> {
        if !self.objects.contains_key(object) {
            let fields = self.source.describe(object).await?;
            self.objects.insert(object.to_owned(), fields);
        }
        Ok(self.objects.get(object).map_or(&[], Vec::as_slice))
    }

    /// A field by its API name or by a path to a parent's field, such as `Account.Industry`.
    /// A reference to several objects leads to whichever has the field.
    ///
    /// # Errors
    /// Salesforce's.
    pub async fn find(
        &mut self,
        object: &str,
        path: &str,
    ) -> Result<Option<FieldDescription>, SourceError> {
        let mut objects = vec![object.to_owned()];
        let mut steps = path.split('.').collect::<Vec<_>>();
        let last = steps.pop().unwrap_or_default();
        if steps.len() > MAX_STEPS {
            return Ok(None);
        }
        for step in steps {
            let mut parents = Vec::new();
            for object in &objects {
                let fields = self.of_visible(object).await?;
                parents.extend(
                    fields
                        .iter()
                        .filter(|field| field.relationship.as_deref() == Some(step))
                        .flat_map(|field| field.reference_to.iter().cloned()),
                );
            }
            objects = parents;
        }
        for object in &objects {
            let fields = self.of_visible(object).await?;
            if let Some(field) = fields.iter().find(|field| field.name == last) {
                return Ok(Some(field.clone()));
            }
        }
        Ok(None)
    }

    /// As [`Self::of`]; what may not be seen has no fields.
    async fn of_visible(&mut self, object: &str) -> Result<&[FieldDescription], SourceError> {
        if let Err(SourceError::Refused { code, .. }) = self.of(object).await
            && code == "NOT_FOUND"
        {
            self.objects.insert(object.to_owned(), Vec::new());
        }
        self.of(object).await
    }
}

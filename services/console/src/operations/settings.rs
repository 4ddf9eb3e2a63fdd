//! Settings: looked at, saved, compared, taken back.

mod checks;
mod import;
pub(super) mod preview;
mod save;

use domain::settings::{SettingsRevision, diff};
use futures::Stream;

pub(crate) use save::NOT_KNOWN;

use super::{MAX_PAGE, Operations, page_size, pages};
use crate::OpsError;
use crate::views::{
    PastSave, SaveSettings, SettingsDiff, SettingsHistory, SettingsView, ValidationView,
};

impl Operations {
    /// The settings in force.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn settings(&self) -> Result<SettingsView, OpsError> {
        Ok(self.stores.settings.current().await?.into())
    }

    /// A revision by its number.
    ///
    /// # Errors
    /// [`OpsError::NotFound`].
    pub async fn settings_revision(&self, number: u64) -> Result<SettingsView, OpsError> {
        Ok(self.known_revision(number).await?.into())
    }

    /// The saves, newest first, with what each changed.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] for a number that is none.
    pub async fn settings_history(
        &self,
        before: Option<u64>,
        limit: Option<usize>,
    ) -> Result<SettingsHistory, OpsError> {
        let max = page_size(limit)?;
        // One more, to compare the last with.
        let found = self.stores.settings.history(before, max + 1).await?;
        let initial = SettingsRevision::initial();
        let older = found.iter().skip(1).chain([&initial]);
        let mut revisions = found.iter().zip(older).map(|(revision, older)| PastSave {
            revision: revision.revision,
            rule_revision: revision.rule_revision,
            saved: revision.saved,
            author: revision.author.clone(),
            changes: diff(&older.settings, &revision.settings),
        });
        let revisions = revisions.by_ref().take(max).collect::<Vec<_>>();
        let next = revisions.last().filter(|_| found.len() > max);
        let next = next.map(|last| last.revision);
        Ok(SettingsHistory { revisions, next })
    }

    /// All saves, newest first, read page by page as they are taken.
    pub fn all_saves(&self) -> impl Stream<Item = Result<Vec<PastSave>, OpsError>> + Send + use<> {
        let operations = self.clone();
        pages(None, move |before: Option<u64>| {
            let operations = operations.clone();
            async move {
                let page = operations.settings_history(before, Some(MAX_PAGE)).await?;
                Ok((page.revisions, page.next.map(Some)))
            }
        })
    }

    /// What two revisions differ in; without numbers, the newest save: the revision in force and
    /// the one before. 0 is what holds before the first save.
    ///
    /// # Errors
    /// [`OpsError::NotFound`].
    pub async fn settings_diff(
        &self,
        from: Option<u64>,
        to: Option<u64>,
    ) -> Result<SettingsDiff, OpsError> {
        let to = self.revision_or_current(to).await?;
        let from = match from {
            Some(from) => self.known_revision(from).await?,
            None => {
                let before = self.stores.settings.history(Some(to.revision), 1).await?;
                let before = before.into_iter().next();
                before.unwrap_or_else(SettingsRevision::initial)
            }
        };
        Ok(SettingsDiff {
            from: from.revision,
            to: to.revision,
            changes: diff(&from.settings, &to.settings),
        })
    }

    /// What is wrong with a document, and what it would change; nothing is saved.
    ///
    /// # Errors
    /// [`OpsError::NotFound`] for a base that is not kept, [`OpsError::OutOfReach`] when the filter
    /// cannot be compared with the org.
    pub async fn validate_settings(
        &self,
        asked: &SaveSettings,
    ) -> Result<ValidationView, OpsError> {
        let document = save::document_of(asked)?;
        let base = self.revision_or_current(asked.base).await?;
        let parsed = document.read(&base.settings);
        let mut view = ValidationView {
            base: base.revision,
            changes: diff(&base.settings, &parsed.settings),
            faults: Vec::new(),
            warnings: Vec::new(),
        };
        match self.checked(parsed, &base).await {
            Ok(checked) => view.warnings = checked.warnings,
            Err(OpsError::Refused(faults)) => view.faults = faults,
            Err(error) => return Err(error),
        }
        Ok(view)
    }

    /// The document as a file that `import` takes: without the org's id, so that it can be taken
    /// to another org.
    ///
    /// # Errors
    /// [`OpsError::NotFound`].
    pub async fn export_settings(
        &self,
        revision: Option<u64>,
    ) -> Result<domain::settings::Settings, OpsError> {
        let mut settings = self.revision_or_current(revision).await?.settings;
        settings.org = None;
        Ok(settings)
    }

    /// The revision that a change is made from, as the caller has seen it; where it is only asked what
    /// would change, without a number the one in force.
    async fn base_of(
        &self,
        base: Option<u64>,
        dry_run: bool,
    ) -> Result<SettingsRevision, OpsError> {
        if base.is_none() && !dry_run {
            return Err(OpsError::Invalid(
                "`base` is missing; give the number of the revision in force, or ask with `dry_run` what would change"
                    .to_owned(),
            ));
        }
        self.revision_or_current(base).await
    }

    async fn revision_or_current(&self, number: Option<u64>) -> Result<SettingsRevision, OpsError> {
        match number {
            Some(number) => self.known_revision(number).await,
            None => Ok(self.stores.settings.current().await?),
        }
    }

    async fn known_revision(&self, number: u64) -> Result<SettingsRevision, OpsError> {
        let found = self.stores.settings.revision(number).await?;
        found.ok_or_else(|| {
            OpsError::NotFound(format!(
                "there is no settings revision {number}; `mosync settings history` lists those that are kept"
            ))
        })
    }
}

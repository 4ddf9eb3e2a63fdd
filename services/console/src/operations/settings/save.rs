//! Saving: one step in the store, written down before.

use domain::job::{Job, JobId, JobKind, JobScope};
use domain::settings::{Change, MOSYNC, Settings, SettingsRevision, diff, merge};
use ports::stores::{LogEntry, LogLevel, StoreError};

use super::checks::Checked;
use crate::OpsError;
use crate::document::{Document, Parsed};
use crate::journal::Turn;
use crate::operations::{Author, Operations};
use crate::views::{ConfirmOrg, RevertSettings, SaveSettings, SavedView, SettingsConflict};

/// A document that can be saved.
pub(super) struct Ready {
    /// What is in force.
    pub(super) current: SettingsRevision,
    /// What would take its place.
    pub(super) checked: Checked,
    /// What they differ in.
    pub(super) changes: Vec<Change>,
}

/// Of a store that took an order and never answered.
pub(crate) const NOT_KNOWN: &str = "whether the settings were saved is not known";

impl Operations {
    /// Saves a document that was made from the revision in force. What it newly lets in is brought
    /// to mOS by the job that is answered.
    ///
    /// # Errors
    /// [`OpsError::Refused`] with every fault; [`OpsError::SettingsConflict`] when somebody else has
    /// saved since; [`OpsError::OutOfReach`] when Salesforce, the store or the journal cannot be
    /// reached. Nothing is changed then; where that is not known, the sentence says so.
    pub async fn save_settings(
        &self,
        asked: &SaveSettings,
        author: &Author,
    ) -> Result<SavedView, OpsError> {
        let document = document_of(asked)?;
        let Some(base) = asked.base else {
            return Err(OpsError::Invalid(
                "`base` is missing; give the number of the revision that the document was made from, so that nobody's change is overwritten"
                    .to_owned(),
            ));
        };
        let base = self.known_revision(base).await?;
        let parsed = document.read(&base.settings);
        self.save_parsed(parsed, &base, author).await
    }

    /// Saves an older document as a new revision; or only says what that would change.
    ///
    /// # Errors
    /// [`OpsError::NotFound`], and those of [`Self::save_settings`]: the org may have changed since.
    pub async fn revert_settings(
        &self,
        asked: &RevertSettings,
        author: &Author,
    ) -> Result<SavedView, OpsError> {
        let Some(to) = asked.to else {
            return Err(OpsError::Invalid(
                "`to` is missing; give the number of the revision to go back to".to_owned(),
            ));
        };
        let older = self.known_revision(to).await?;
        let base = self.base_of(asked.base, asked.dry_run).await?;
        let mut settings = older.settings;
        // Which org is served is confirmed, not reverted.
        settings.org = base.settings.org;
        if asked.dry_run {
            let changes = diff(&base.settings, &settings);
            return Ok(SavedView::unsaved(base.revision, changes));
        }
        let current = self.stores.settings.current().await?;
        if current.revision != base.revision && !self.only_by_mosync(&base, &current).await? {
            // What it would change is not what the caller has seen.
            let conflict = conflict(&base, &current, &settings);
            return Err(OpsError::SettingsConflict(Box::new(conflict)));
        }
        let parsed = Parsed {
            settings,
            faults: Vec::new(),
        };
        self.save_parsed(parsed, &base, author).await
    }

    /// Serves the connected org from now on, whatever org the settings were for.
    ///
    /// # Errors
    /// Those of [`Self::save_settings`]; an org that is not the connected one is refused.
    pub async fn confirm_org(
        &self,
        asked: &ConfirmOrg,
        author: &Author,
    ) -> Result<SavedView, OpsError> {
        let text = asked.org.as_deref().unwrap_or_default();
        let org = domain::SalesforceId::parse(text.trim())
            .map_err(|error| OpsError::Invalid(format!("`{text}` is no org id: {error}")))?;
        let base = self.stores.settings.current().await?;
        let mut settings = base.settings.clone();
        settings.org = Some(org);
        let parsed = Parsed {
            settings,
            faults: Vec::new(),
        };
        self.save_parsed(parsed, &base, author).await
    }

    pub(super) async fn save_parsed(
        &self,
        parsed: Parsed,
        base: &SettingsRevision,
        author: &Author,
    ) -> Result<SavedView, OpsError> {
        let Ready {
            current,
            checked,
            changes,
        } = self.ready(parsed, base).await?;
        if changes.is_empty() {
            return Ok(SavedView::unsaved(current.revision, changes));
        }
        self.commit(&current, checked, changes, author).await
    }

    /// What can be saved, against what is in force.
    ///
    /// # Errors
    /// Those of [`Self::save_settings`].
    pub(super) async fn ready(
        &self,
        mut parsed: Parsed,
        base: &SettingsRevision,
    ) -> Result<Ready, OpsError> {
        let current = self.stores.settings.current().await?;
        if current.revision != base.revision {
            if !parsed.faults.is_empty() {
                return Err(OpsError::Refused(parsed.faults));
            }
            let conflict = conflict(base, &current, &parsed.settings);
            match conflict.merged.clone() {
                // Somebody has saved the very same.
                Some(merged) if merged == current.settings => parsed.settings = merged,
                Some(merged) if self.only_by_mosync(base, &current).await? => {
                    parsed.settings = merged;
                }
                _ => return Err(OpsError::SettingsConflict(Box::new(conflict))),
            }
        }
        let checked = self.checked(parsed, &current).await?;
        let changes = diff(&current.settings, &checked.settings);
        Ok(Ready {
            current,
            checked,
            changes,
        })
    }

    /// Whether nobody but mosync itself has saved since.
    async fn only_by_mosync(
        &self,
        base: &SettingsRevision,
        current: &SettingsRevision,
    ) -> Result<bool, OpsError> {
        let since = current.revision.saturating_sub(base.revision);
        let since = usize::try_from(since).unwrap_or(usize::MAX);
        let saved = self.stores.settings.history(None, since).await?;
        Ok(saved.iter().all(|revision| revision.author == MOSYNC))
    }

    async fn commit(
        &self,
        current: &SettingsRevision,
        checked: Checked,
        changes: Vec<Change>,
        author: &Author,
    ) -> Result<SavedView, OpsError> {
        let Checked {
            settings,
            types,
            profile,
            warnings,
        } = checked;
        let next = current.next(settings, types, profile, author.name(), self.now());
        let job = caused(current, &next);
        let mut turn = match &self.journal {
            Some(journal) => Some(journal.take_turn().await.map_err(OpsError::from)?),
            None => None,
        };
        if let Some(turn) = &mut turn {
            turn.reconcile(&*self.stores.settings).await?;
            // Whoever was first has written this very number down: its line stays theirs.
            let now = self.stores.settings.current().await?;
            if now != *current {
                let conflict = conflict(current, &now, &next.settings);
                return Err(OpsError::SettingsConflict(Box::new(conflict)));
            }
            turn.write_down(&next)?;
        }
        match self.stores.settings.save(&next, job.as_ref()).await {
            Ok(()) => drop(turn),
            Err(error) => return Err(self.not_saved(error, turn, current, &next).await),
        }
        self.tell(&next, &changes).await;
        Ok(SavedView {
            saved: true,
            revision: next.revision,
            changes,
            warnings,
            job: job.map(|job| job.id.to_string()),
        })
    }

    /// Why a save was not done. One that nobody knows of stays written down: when the store answers
    /// again, it tells.
    async fn not_saved(
        &self,
        error: StoreError,
        turn: Option<Turn>,
        base: &SettingsRevision,
        mine: &SettingsRevision,
    ) -> OpsError {
        let StoreError::Conflict { .. } = error else {
            return OpsError::OutOfReach(format!(
                "{error}; {NOT_KNOWN}: look at `mosync settings get` when it answers"
            ));
        };
        if let Some(mut turn) = turn
            && let Err(error) = turn.take_back(mine.revision)
        {
            return error.into();
        }
        match self.stores.settings.current().await {
            Ok(current) => {
                let conflict = conflict(base, &current, &mine.settings);
                OpsError::SettingsConflict(Box::new(conflict))
            }
            Err(error) => error.into(),
        }
    }

    /// Tells the integration log. The save is done, whether or not the log answers.
    async fn tell(&self, saved: &SettingsRevision, changes: &[Change]) {
        let changes = changes.iter().map(Change::discreet).collect::<Vec<_>>();
        let message = format!(
            "settings revision {} saved by {}: {}",
            saved.revision,
            discreet(&saved.author),
            changes.join("; ")
        );
        // The log of the process names nobody.
        tracing::info!(
            topic = "settings",
            "settings revision {} saved: {}",
            saved.revision,
            changes.join("; ")
        );
        let entry = LogEntry {
            at: saved.saved,
            level: LogLevel::Info,
            topic: "settings".to_owned(),
            job: None,
            record: None,
            message,
        };
        if let Err(error) = self.stores.log.append(&entry).await {
            tracing::warn!("the integration log was not told of the save: {error}");
        }
    }
}

/// The document of a request.
///
/// # Errors
/// [`OpsError::Invalid`] when there is none.
pub(super) fn document_of(asked: &SaveSettings) -> Result<&Document, OpsError> {
    asked.settings.as_ref().ok_or_else(|| {
        OpsError::Invalid("`settings` is missing; give the whole settings document".to_owned())
    })
}

/// What both changed, each against the base.
fn conflict(
    base: &SettingsRevision,
    current: &SettingsRevision,
    mine: &Settings,
) -> SettingsConflict {
    let merged = merge(&base.settings, &current.settings, mine);
    let (merged, both) = match merged {
        Ok(merged) => (Some(merged), Vec::new()),
        Err(both) => (None, both),
    };
    SettingsConflict {
        base: base.revision,
        theirs: diff(&base.settings, &current.settings),
        yours: diff(&base.settings, mine),
        current: current.clone().into(),
        merged,
        both,
    }
}

/// The job that a save causes: another org is read as a whole, other rules for what they let in.
pub(super) fn caused(current: &SettingsRevision, next: &SettingsRevision) -> Option<Job> {
    let other_org = current.settings.org.is_some() && current.settings.org != next.settings.org;
    if !other_org {
        return Job::of_save(current, next);
    }
    let name = format!("org confirmed by revision {}", next.revision);
    let id = JobId::new(JobKind::Backfill, domain::job::uuid_of(&name));
    let everything = JobScope::Everything;
    Some(Job::queued(id, JobKind::Backfill, everything, next.saved))
}

/// A name without what makes it an address.
fn discreet(author: &str) -> String {
    let words = author.split(' ');
    let words = words.map(|word| word.split('@').next().unwrap_or_default());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_no_name_for_a_log() {
        assert_eq!(
            discreet("ada@example.com (command line)"),
            "ada (command line)"
        );
        assert_eq!(discreet("the API token"), "the API token");
    }
}

//! Small documents that the listener keeps from one day to the next.

use async_trait::async_trait;

use super::StoreError;

/// The note of fields that the settings name and the integration user can no longer see: a list of
/// objects, each with a field.
pub const LOST_FIELDS: &str = "lost_fields";

/// The note of fields that the rules name and that somebody who read rows could not see: the same
/// form. Whoever finds that Salesforce refuses a field writes it, and the listener looks what has
/// become of the org.
pub const UNSEEN_FIELDS: &str = "unseen_fields";

/// Documents by name: up to when was swept, how the org looked.
#[async_trait]
pub trait NoteStore: Send + Sync {
    /// The document of that name.
    async fn note(&self, name: &str) -> Result<Option<String>, StoreError>;
    /// Replaces it.
    async fn keep(&self, name: &str, document: &str) -> Result<(), StoreError>;
}

//! How notifications leave.

use async_trait::async_trait;
use domain::notification::{Notice, Notification, Settled, Way};

/// A mail that lies in the folder, as a mail program shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptMail {
    /// The name of its file.
    pub file: String,
    /// Who sent it.
    pub from: String,
    /// The addresses that it names.
    pub to: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// Its plain text.
    pub text: String,
}

/// Takes notifications to whoever is to read them.
#[async_trait]
pub trait Courier: Send + Sync {
    /// Which ways there are for a notification to these addresses.
    fn ways(&self, addresses: &[String]) -> Vec<Way>;
    /// Takes a notification one of its ways, within a minute. The same notification is the same
    /// message with the same id, however often it is sent.
    async fn deliver(&self, notification: &Notification, way: &Way) -> Settled;
    /// The mail of a notice, where it lies in the folder; `None`: it does not.
    ///
    /// # Errors
    /// A sentence, when it lies there and cannot be read.
    async fn kept(&self, notice: &Notice) -> Result<Option<KeptMail>, String>;
}

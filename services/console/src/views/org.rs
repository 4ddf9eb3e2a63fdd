//! The connected org.

use domain::SalesforceId;
use serde::{Deserialize, Serialize};

/// The connected org.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrgView {
    /// `00D...`; absent before the first contact.
    pub id: Option<SalesforceId>,
    /// The company's name; absent while Salesforce does not answer.
    pub name: Option<String>,
    /// A sandbox or scratch org.
    pub is_sandbox: bool,
    /// Its default time zone, such as `Europe/Berlin`; absent before the first contact.
    #[serde(default)]
    pub time_zone: Option<String>,
}

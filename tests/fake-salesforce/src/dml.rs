//! Writes: what one transaction may ask for and what it answers.
use crate::commit::Row;
use crate::error::ApiError;

/// One step of a transaction.
#[derive(Clone, Debug)]
pub enum Dml {
    /// A new record.
    Insert {
        /// API name of the object.
        entity: String,
        /// Its fields.
        fields: Row,
    },
    /// New values for some fields.
    Update {
        /// API name of the object.
        entity: String,
        /// The record, 15 or 18 characters.
        id: String,
        /// The fields to set; null empties one.
        fields: Row,
    },
    /// To the recycle bin, with what hangs on it.
    Delete {
        /// API name of the object.
        entity: String,
        /// The record.
        id: String,
    },
    /// Back from the recycle bin, with what went there with it.
    Undelete {
        /// API name of the object.
        entity: String,
        /// The record.
        id: String,
    },
    /// Makes one record of several: the losers are deleted and what hung on them hangs on the
    /// winner.
    Merge {
        /// `Account` or `Contact`.
        entity: String,
        /// The record that stays.
        winner: String,
        /// One or two records that go.
        losers: Vec<String>,
    },
}

/// What became of one step.
#[derive(Clone, Debug)]
pub struct DmlResult {
    /// The record, 18 characters; `None` where an insert failed.
    pub id: Option<String>,
    /// Why it failed.
    pub error: Option<ApiError>,
}

impl DmlResult {
    /// Whether the step was done.
    pub fn success(&self) -> bool {
        self.error.is_none()
    }
}

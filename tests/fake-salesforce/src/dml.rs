//! Writes: what one transaction may ask for and what it answers.
use crate::commit::Row;
use crate::error::ApiError;
use crate::org::Org;
use crate::transaction::Transaction;

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

impl Org {
    /// Writes in one transaction, all or none.
    ///
    /// # Errors
    /// The first step's error that could not be done; nothing was written then.
    pub fn transact(
        &self,
        user: &str,
        origin: &str,
        ops: Vec<Dml>,
    ) -> Result<Vec<DmlResult>, ApiError> {
        let results = self.write(user, origin, ops, true);
        let rolled_back = "ALL_OR_NONE_OPERATION_ROLLED_BACK";
        let failed = results
            .iter()
            .filter_map(|result| result.error.as_ref())
            .find(|error| error.code != rolled_back);
        match failed {
            Some(error) => Err(error.clone()),
            None => Ok(results),
        }
    }

    /// Writes in one transaction and answers step by step. With `all_or_none`, one failed step
    /// undoes the others; without it, the others stay.
    pub fn write(
        &self,
        user: &str,
        origin: &str,
        ops: Vec<Dml>,
        all_or_none: bool,
    ) -> Vec<DmlResult> {
        let mut writer = self.writer();
        let at = self.now_micros();
        let (mut results, written) = {
            let state = self.state();
            let mut transaction = Transaction::new(&state, &mut writer, user, at);
            let results: Vec<DmlResult> = ops.into_iter().map(|op| transaction.step(op)).collect();
            (results, transaction.finish())
        };
        if all_or_none && results.iter().any(|result| !result.success()) {
            for result in &mut results {
                result.id = None;
                result.error.get_or_insert_with(|| {
                    ApiError::new(
                        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
                        "Record rolled back because not all records were valid and the request was using AllOrNone header",
                    )
                });
            }
            return results;
        }
        if !written.records.is_empty() {
            self.commit(&mut writer, at, user, origin, written);
        }
        results
    }
}

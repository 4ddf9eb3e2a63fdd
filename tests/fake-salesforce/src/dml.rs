//! Writes: what one transaction may ask for and what it answers.
use serde_json::Value;

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
    /// New values for the record with this external id, or a new record.
    Upsert {
        /// API name of the object.
        entity: String,
        /// The external id field.
        field: String,
        /// Its value.
        value: Value,
        /// The other fields.
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
    /// Whether the record is new.
    pub created: bool,
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
                (result.id, result.created) = (None, false);
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

    /// Writes in one transaction, all or none, each step made from the results of those before.
    /// The first failure ends it: the results end with that step's, and the flag says so.
    pub(crate) fn write_in_turn<S>(
        &self,
        user: &str,
        origin: &str,
        steps: impl IntoIterator<Item = S>,
    ) -> (Vec<DmlResult>, bool)
    where
        S: FnOnce(&[DmlResult]) -> Result<Dml, ApiError>,
    {
        let mut writer = self.writer();
        let at = self.now_micros();
        let mut results: Vec<DmlResult> = Vec::new();
        let written = {
            let state = self.state();
            let mut transaction = Transaction::new(&state, &mut writer, user, at);
            for step in steps {
                let result = match step(&results) {
                    Ok(op) => transaction.step(op),
                    Err(error) => DmlResult {
                        id: None,
                        created: false,
                        error: Some(error),
                    },
                };
                let failed = !result.success();
                results.push(result);
                if failed {
                    return (results, true);
                }
            }
            transaction.finish()
        };
        if !written.records.is_empty() {
            self.commit(&mut writer, at, user, origin, written);
        }
        (results, false)
    }
}

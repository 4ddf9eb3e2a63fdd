//! Bulk API 2.0 query jobs.

mod job;

use ports::source::{BulkPage, BulkQueryId, SourceError};

use crate::Core;

impl Core {
    #[expect(
        clippy::unused_async,
        reason = "the reader of results comes with the next commit"
    )]
    pub(crate) async fn bulk_results(
        &self,
        _id: &BulkQueryId,
        _columns: &[String],
        _locator: Option<&str>,
        _max_rows: u32,
    ) -> Result<Box<dyn BulkPage>, SourceError> {
        Err(SourceError::Unreachable(
            "no reader of results yet".to_owned(),
        ))
    }

    fn forget_columns(&self, _id: &BulkQueryId) {}
}

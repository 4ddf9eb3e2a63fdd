//! Query jobs allowed in 24 hours, by the hour that rolls.
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::error::ApiError;

/// Query jobs in 24 hours.
pub(crate) const MAX_QUERY_JOBS: usize = 10_000;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// When the query jobs of the last 24 hours were created.
#[derive(Default)]
pub(crate) struct Quota(Mutex<VecDeque<i64>>);

impl Quota {
    /// Counts one more job.
    pub(crate) fn take(&self, now_ms: i64) -> Result<(), ApiError> {
        let mut created = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        expire(&mut created, now_ms);
        if created.len() >= MAX_QUERY_JOBS {
            return Err(ApiError::new(
                "LIMIT_EXCEEDED",
                format!("Max bulk v2 query jobs ({MAX_QUERY_JOBS}) per 24 hrs has been reached"),
            ));
        }
        created.push_back(now_ms);
        Ok(())
    }

    /// Jobs that may still be created.
    pub(crate) fn left(&self, now_ms: i64) -> usize {
        let mut created = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        expire(&mut created, now_ms);
        MAX_QUERY_JOBS.saturating_sub(created.len())
    }

    /// Lets just so many more jobs be created until a day from now.
    pub(crate) fn leave(&self, left: usize, now_ms: i64) {
        let mut created = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        created.clear();
        created.extend(std::iter::repeat_n(
            now_ms,
            MAX_QUERY_JOBS.saturating_sub(left),
        ));
    }
}

fn expire(created: &mut VecDeque<i64>, now_ms: i64) {
    while created.front().is_some_and(|at| *at <= now_ms - DAY_MS) {
        created.pop_front();
    }
}

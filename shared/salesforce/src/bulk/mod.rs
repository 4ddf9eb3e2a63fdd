//! Bulk API 2.0 query jobs and their results.

mod columns;
mod csv;
mod job;
mod number;
mod page;
mod row;

pub(crate) use columns::Remembered;

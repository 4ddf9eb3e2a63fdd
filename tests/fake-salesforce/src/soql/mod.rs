//! SOQL: text to answer.
mod bulk;
mod dates;
mod filter;
mod lexer;
mod parser;
mod path;
mod run;

pub(crate) use bulk::{BulkQuery, RowStyle};
pub(crate) use run::{Answer, known_entity};

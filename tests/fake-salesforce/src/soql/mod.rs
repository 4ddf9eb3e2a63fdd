//! SOQL: text to answer.
mod bulk;
mod dates;
mod filter;
mod functions;
mod group;
mod join;
mod lexer;
mod parser;
mod path;
mod plan;
mod run;
mod shape;

pub(crate) use bulk::{BulkQuery, RowStyle};
pub(crate) use run::{Answer, known_entity};

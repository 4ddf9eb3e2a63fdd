//! SOQL: text to answer.
mod dates;
mod filter;
mod lexer;
mod parser;
mod path;
mod run;

pub(crate) use run::{Answer, known_entity};

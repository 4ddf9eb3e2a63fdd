//! What operators ask and order. [`Operations`] works on ports alone and answers in views; the JSON
//! API serves them, the pages show them, and [`Client`] is the other end of that API, over a socket or within the same
//! process. The commands of mosync use nothing but the client, so that they show what the API shows.

pub mod access;
pub mod api;
mod client;
mod document;
mod entry;
mod error;
mod export;
pub mod journal;
mod limits;
mod operations;
pub mod pages;
pub mod people;
pub mod rights;
pub mod token;
pub mod views;
mod wording;

pub use client::{Client, Export};
pub use document::Document;
pub use entry::{Console, Web};
pub use error::OpsError;
pub use export::Line;
pub use operations::{Author, Caller, Notifier, Operations};

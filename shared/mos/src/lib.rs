//! The client of mOS's ingest contract (`deploy/mos-openapi.yaml`). Everything that mosync assumes
//! about mOS's API is in this crate, so that a different API is one adapter away. There is no
//! delete here.

mod answer;
mod client;
mod http;
mod pause;
mod wire;

pub use client::{Config, Mos};
pub use http::ConfigError;

//! Operations on embedded stores in memory, and the API over real HTTP on a port of its own.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "harness and tests panic where a test would"
)]

mod administrators;
mod blind;
mod both;
mod broker;
mod desk;
mod document;
mod doors;
mod explain;
mod exports;
mod furnished;
mod half_way;
mod import_mapping;
mod jobs;
mod journal;
mod left;
mod live;
mod messages;
mod notifications;
mod org;
mod parked;
mod pinned;
mod preview;
mod properties;
mod salesforce;
mod settings;
mod status;
mod told;
mod users;
mod visitor;
mod watch;
mod web;

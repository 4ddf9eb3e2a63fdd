//! The fake mOS against its contract: rules in process, doors over real sockets, and
//! `deploy/mos-openapi.yaml` against both.

mod desk;
mod doors;
mod openapi;
mod rules;
mod schema;

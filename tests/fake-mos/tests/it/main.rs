//! The fake mOS against its contract: rules in process, doors over real sockets, and
//! `deploy/mos-openapi.yaml` against both.
//! (`cfg(test)` tells clippy that helpers here are tests too, where unwrap is allowed.)

#[cfg(test)]
mod desk;
#[cfg(test)]
mod doors;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod schema;

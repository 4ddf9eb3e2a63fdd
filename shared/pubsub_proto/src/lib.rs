//! Salesforce's Pub/Sub API (`eventbus.v1`): messages, client and server, generated at build time.
#![allow(clippy::all, missing_docs)]
tonic::include_proto!("eventbus.v1");

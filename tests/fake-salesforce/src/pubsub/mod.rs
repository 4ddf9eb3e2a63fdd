//! The Pub/Sub API's server: change events of the org's commits over gRPC.

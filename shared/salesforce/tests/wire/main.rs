//! The client against small servers of its own, and against events captured from a real org.

mod events;
mod http_server;
mod pubsub;
mod rest;
mod sign_in;

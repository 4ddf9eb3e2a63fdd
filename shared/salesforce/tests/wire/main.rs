//! The client against small servers of its own, and against events captured from a real org.

#[cfg(test)]
mod bulk;
#[cfg(test)]
mod bulk_results;
#[cfg(test)]
mod events;
#[cfg(test)]
mod http_server;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod pubsub;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod sign_in;

//! What mosync needs from the outside world, as traits written from its own need. Adapters
//! implement them; services know nothing else. [`conformance`] holds the suites every adapter
//! must pass.

pub mod clock;
pub mod conformance;
pub mod courier;
pub mod queue;
pub mod sign_in;
pub mod source;
pub mod stores;
pub mod target;

pub use clock::Clock;

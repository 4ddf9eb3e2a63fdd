//! What every mosync process runs on: configuration, telemetry, lifecycle, health and time; the
//! worker loop, its gates, outages and what it has in hand, what is told of interruptions, reading
//! records back and counting them, counting API requests, whether the connected org may be worked
//! on, and who holds the permission sets.

pub mod by_owner;
pub mod calls;
pub mod condition;
pub mod config;
pub mod describe;
pub mod expiring;
pub mod fields;
pub mod figures;
pub mod gate;
pub mod health;
pub mod holders;
pub mod in_hand;
pub mod interruptions;
pub mod lifecycle;
pub mod org;
pub mod outages;
pub mod profile;
pub mod readback;
pub mod reasons;
pub mod telemetry;
pub mod through;
pub mod time;
pub mod worker;

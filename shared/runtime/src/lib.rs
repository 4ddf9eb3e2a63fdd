//! What every mosync process runs on: configuration, telemetry, lifecycle, health and time; the
//! worker loop, its gates and what it has in hand, reading records back and counting them.

pub mod by_owner;
pub mod config;
pub mod expiring;
pub mod gate;
pub mod health;
pub mod in_hand;
pub mod lifecycle;
pub mod readback;
pub mod telemetry;
pub mod time;
pub mod worker;

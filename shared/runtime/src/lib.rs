//! What every mosync process runs on: configuration, telemetry, lifecycle, health and time; the
//! worker loop, its gates and what it has in hand, and reading records back.

pub mod config;
pub mod describe;
pub mod gate;
pub mod health;
pub mod in_hand;
pub mod lifecycle;
pub mod readback;
pub mod telemetry;
pub mod time;
pub mod worker;

//! What every mosync process runs on: configuration, telemetry, lifecycle, health and time.

pub mod config;
pub mod health;
pub mod lifecycle;
pub mod telemetry;
pub mod time;

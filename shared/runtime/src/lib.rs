//! What every worker and every process runs on: the worker loop, gates, reading records back.

pub mod gate;
pub mod readback;
pub mod worker;

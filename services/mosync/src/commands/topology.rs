//! `mosync topology`.

use std::process::ExitCode;

use runtime::config::Config;

use crate::exit::{Failure, print};

/// Declares what the broker must have.
pub(crate) async fn apply(config: &Config) -> Result<ExitCode, Failure> {
    for line in boot::apply_topology(&config.transport).await? {
        print(&line);
    }
    Ok(ExitCode::SUCCESS)
}

//! Running services until told to stop.

use std::process::ExitCode;
use std::sync::Arc;

use boot::Service;
use runtime::config::Config;
use runtime::health::{HealthServer, Readiness};
use runtime::lifecycle::Lifecycle;
use runtime::time::SystemClock;

use crate::exit::Failure;

/// Runs the services named, with health answers where the configuration asks for them.
pub(crate) async fn run(config: &Config, services: &[Service]) -> Result<ExitCode, Failure> {
    let _telemetry = runtime::telemetry::install(&config.log)
        .map_err(|error| Failure::failed(error.to_string()))?;
    let adapters = super::connect(config).await?;
    let source = boot::salesforce(config, Arc::new(SystemClock))?;
    let target = boot::target(config)?;
    let lifecycle =
        Lifecycle::with_signals().map_err(|error| Failure::failed(error.to_string()))?;
    let readiness = Readiness::expecting(services.iter().map(|service| service.name()));
    if let Some(address) = config.http.listen {
        let server = HealthServer::bind(address, readiness.clone())
            .await
            .map_err(|error| Failure::usage(error.to_string()))?;
        tracing::info!(address = %server.address(), "health answers at /healthz and /readyz");
        lifecycle.spawn("health", server.run(lifecycle.soft().clone()));
    }
    for service in services {
        boot::start(
            *service, config, &adapters, &source, &target, &lifecycle, &readiness,
        );
    }
    tracing::info!(adapters = adapters.name, services = ?services.iter().map(|service| service.name()).collect::<Vec<_>>(), "mosync runs");
    lifecycle
        .wait()
        .await
        .map_err(|error| Failure::failed(error.to_string()))?;
    Ok(ExitCode::SUCCESS)
}

//! Running services until told to stop.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use boot::Service;
use runtime::config::Config;
use runtime::health::{HealthServer, Readiness};
use runtime::lifecycle::Lifecycle;
use runtime::time::SystemClock;

use crate::exit::Failure;

/// Any free port of this machine's loopback, for the API of a process that runs everything: two of
/// them are not in each other's way, and an embedded folder tells the commands where it is.
pub(crate) const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Runs the services named, with health answers where the configuration asks for them, and with the
/// API for operators, if an address is given for it that holds unless the configuration has one.
pub(crate) async fn run(
    config: &Config,
    services: &[Service],
    console: Option<SocketAddr>,
) -> Result<ExitCode, Failure> {
    let _telemetry = runtime::telemetry::install(&config.log)
        .map_err(|error| Failure::failed(error.to_string()))?;
    let adapters = if services.is_empty() {
        super::connect_for_operators(config).await?
    } else {
        super::connect(config).await?
    };
    let lifecycle =
        Lifecycle::with_signals().map_err(|error| Failure::failed(error.to_string()))?;
    let names = services.iter().map(|service| service.name());
    let readiness = Readiness::expecting(names.chain(console.map(|_| "console")));
    if let Some(address) = config.http.listen {
        let server = HealthServer::bind(address, readiness.clone())
            .await
            .map_err(|error| Failure::usage(error.to_string()))?;
        tracing::info!(address = %server.address(), "health answers at /healthz and /readyz");
        lifecycle.spawn("health", server.run(lifecycle.soft().clone()));
    }
    if let Some(listen) = console {
        let address =
            boot::start_console(config, &adapters, listen, &lifecycle, &readiness).await?;
        tracing::info!(%address, "the API for operators answers at /api/v1");
    }
    if !services.is_empty() {
        let source = boot::salesforce(config, Arc::new(SystemClock))?;
        let target = boot::target(config)?;
        boot::count_calls(&adapters, &source, &lifecycle);
        for service in services {
            boot::start(
                *service, config, &adapters, &source, &target, &lifecycle, &readiness,
            );
        }
    }
    tracing::info!(adapters = adapters.name, services = ?services.iter().map(|service| service.name()).collect::<Vec<_>>(), "mosync runs");
    lifecycle
        .wait()
        .await
        .map_err(|error| Failure::failed(error.to_string()))?;
    Ok(ExitCode::SUCCESS)
}

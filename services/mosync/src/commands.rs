//! What each subcommand does.

mod console;
mod dead;
mod decode_event;
mod explain;
mod health;
mod jobs;
mod left;
mod logs;
mod notify;
mod parked;
pub(crate) mod serve;
mod settings;
mod status;
mod sync_all;
mod topology;
mod user;
mod users;
pub(crate) mod words;

use std::process::ExitCode;
use std::sync::Arc;

use boot::{Adapters, Reach};
use runtime::config::Config;
use runtime::time::SystemClock;

use crate::cli::{Cli, Command, Configured, TopologyCommand};
use crate::exit::Failure;

/// Runs a subcommand.
pub(crate) async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    use boot::Service;
    match cli.command {
        #[cfg(feature = "demo")]
        Command::Demo(options) => crate::demo::run(options).await,
        Command::All(configured) => {
            serve::run(&load(&configured)?, &Service::ALL, Some(serve::ANY_PORT)).await
        }
        Command::Listener(configured) => {
            serve::run(&load(&configured)?, &[Service::Listener], None).await
        }
        Command::Filter(configured) => {
            serve::run(&load(&configured)?, &[Service::Filter], None).await
        }
        Command::Permission(configured) => {
            serve::run(&load(&configured)?, &[Service::Permission], None).await
        }
        Command::Loader(configured) => {
            serve::run(&load(&configured)?, &[Service::Loader], None).await
        }
        Command::Console(configured) => console::serve(&load(&configured)?).await,
        Command::ConsoleToken => console::token(),
        Command::Status {
            configured,
            job,
            watch,
            json,
        } => status::run(reach(&configured)?, job.as_deref(), watch, json).await,
        Command::SyncAll { configured, wait } => sync_all::run(reach(&configured)?, wait).await,
        Command::Users { configured, json } => users::run(&configured, json).await,
        Command::Left {
            configured,
            format,
            limit,
        } => left::run(&configured, format, limit.into()).await,
        Command::Explain {
            configured,
            asked,
            json,
        } => explain::run(&configured, &asked, json).await,
        Command::Jobs(arguments) => jobs::run(arguments).await,
        Command::Logs(arguments) => logs::run(&arguments).await,
        Command::Health(configured) => health::run(&load(&configured)?).await,
        Command::Notify(command) => notify::run(command).await,
        Command::Settings(command) => settings::run(*command).await,
        Command::Parked(command) => parked::run(command).await,
        Command::Dead(command) => dead::run(command).await,
        Command::Topology(TopologyCommand::Apply { configured }) => {
            topology::apply(&load(&configured)?).await
        }
        Command::DecodeEvent { schema, payload } => decode_event::run(&schema, payload.as_deref()),
        #[cfg(feature = "demo")]
        Command::Fake(fake) => run_fake(fake).await,
    }
}

#[cfg(feature = "demo")]
async fn run_fake(fake: crate::cli::FakeCommand) -> Result<ExitCode, Failure> {
    use runtime::config::{Log, LogFormat};
    let log = Log {
        format: LogFormat::Text,
        filter: "info".to_owned(),
    };
    let _telemetry =
        runtime::telemetry::install(&log).map_err(|error| Failure::failed(error.to_string()))?;
    match fake {
        crate::cli::FakeCommand::Salesforce(options) => fake_salesforce::server::run(*options)
            .await
            .map_err(|error| chain(&*error))?,
        crate::cli::FakeCommand::Mos(options) => fake_mos::run(options)
            .await
            .map_err(|error| chain(&error))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// An error with all its causes, in one line.
#[cfg(feature = "demo")]
fn chain(error: &(dyn std::error::Error + 'static)) -> Failure {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    Failure::failed(message)
}

/// Reads the configuration; the environment is read here and nowhere else.
fn load(configured: &Configured) -> Result<Config, Failure> {
    let environment = std::env::vars().filter(|(name, _)| name != runtime::config::FILE_VARIABLE);
    Config::load(configured.config.as_deref(), environment)
        .map_err(|error| Failure::usage(error.to_string()))
}

/// The way to the operations, on the stores or through the process that holds them.
fn reach(configured: &Configured) -> Result<Reach, Failure> {
    let user = user::name();
    Ok(Reach::new(load(configured)?, Arc::new(SystemClock), user))
}

async fn connect(config: &Config) -> Result<Adapters, Failure> {
    Ok(Adapters::connect(&config.transport, Arc::new(SystemClock)).await?)
}

/// For a process without workers, which is of use while the broker is away.
async fn connect_for_operators(config: &Config) -> Result<Adapters, Failure> {
    let clock = Arc::new(SystemClock);
    Ok(Adapters::connect_for_operators(&config.transport, clock).await?)
}

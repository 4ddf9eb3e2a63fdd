//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Keeps mOS in step with a Salesforce org.
///
/// Exit codes: 0 done, 1 failed or audit not clean, 2 configuration or usage, 3 a dependency out of
/// reach.
#[derive(Debug, Parser)]
#[command(name = "mosync", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show mosync at work: stand-ins for Salesforce and mOS, all services, live changes, an audit
    #[cfg(feature = "demo")]
    Demo(crate::demo::Options),
    /// Run all services in this process
    All(Configured),
    /// Run the listener: Salesforce's events and snapshots in, units out
    Listener(Configured),
    /// Run the filter worker
    Filter(Configured),
    /// Run the permission worker
    Permission(Configured),
    /// Run the loader worker
    Loader(Configured),
    /// Say how the sync is; exit code 0 healthy, 1 degraded, 3 a dependency out of reach
    Status {
        #[command(flatten)]
        configured: Configured,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Ask the service that runs with this configuration whether it is ready; exit code 0 when it is
    Health(Configured),
    /// Settings: what is synced
    #[command(subcommand)]
    Settings(SettingsCommand),
    /// Parked records: what could not be brought to mOS, and why
    #[command(subcommand)]
    Parked(ParkedCommand),
    /// The queues in the message broker
    #[command(subcommand)]
    Topology(TopologyCommand),
    /// Turn a raw Avro change event into JSON, changed and cleared fields by name
    DecodeEvent {
        /// The Avro schema that the event names (JSON)
        #[arg(long, value_name = "FILE")]
        schema: PathBuf,
        /// The raw datum; without it, the schema's fields and their bits are listed
        #[arg(long, value_name = "FILE")]
        payload: Option<PathBuf>,
    },
    /// Run a stand-in server
    #[cfg(feature = "demo")]
    #[command(subcommand)]
    Fake(FakeCommand),
}

#[derive(Debug, Args)]
pub(crate) struct Configured {
    /// The configuration file; every key can be overridden by `MOSYNC_SECTION_KEY`
    #[arg(long, value_name = "FILE", env = "MOSYNC_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SettingsCommand {
    /// Save a settings document (JSON); what it newly lets in is brought to mOS
    Import {
        #[command(flatten)]
        configured: Configured,
        /// The document
        file: PathBuf,
        /// Whom to name as its author
        #[arg(long, default_value = "command line")]
        author: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ParkedCommand {
    /// List parked records with their reason and what to do
    List {
        #[command(flatten)]
        configured: Configured,
        /// As JSON lines
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopologyCommand {
    /// Declare exchanges and queues, and compare what is there already
    Apply {
        #[command(flatten)]
        configured: Configured,
    },
}

#[cfg(feature = "demo")]
#[derive(Debug, Subcommand)]
pub(crate) enum FakeCommand {
    /// A Salesforce org
    Salesforce(Box<fake_salesforce::server::Options>),
    /// mOS
    Mos(fake_mos::Options),
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        super::Cli::command().debug_assert();
    }
}

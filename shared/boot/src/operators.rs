//! What operators use: the API served, and the way to it for a command.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use console::access::{self, Access, AccessFile};
use console::api::{Keys, Server};
use console::{Client, Operations, token};
use ports::Clock;
use runtime::config::{Config, Transport};
use runtime::health::Readiness;
use runtime::lifecycle::Lifecycle;

use crate::{Adapters, BootError};

impl Adapters {
    /// What operators can ask and order.
    ///
    /// # Errors
    /// [`BootError::Configuration`] when the way to Salesforce cannot be used.
    pub fn operations(&self, config: &Config) -> Result<Operations, BootError> {
        let operations = Operations::new(
            self.stores.clone(),
            Arc::clone(&self.queue),
            Arc::clone(&self.clock),
            crate::salesforce(config, Arc::clone(&self.clock))?,
            config.salesforce.topic.clone(),
        );
        Ok(operations.polling(config.salesforce.polled_objects.clone()))
    }
}

/// Serves the API within the process's lifecycle, at the configured address or else at `listen`:
/// where. With an embedded folder, the way in for commands is left there.
///
/// # Errors
/// [`BootError::Configuration`] when the address is taken, or the folder cannot be written.
pub async fn start_console(
    config: &Config,
    adapters: &Adapters,
    listen: SocketAddr,
    lifecycle: &Lifecycle,
    readiness: &Readiness,
) -> Result<SocketAddr, BootError> {
    let server = Server::bind(config.console.listen.unwrap_or(listen))
        .await
        .map_err(|error| BootError::Configuration(error.to_string()))?;
    let address = server.address();
    let mut keys = Keys {
        configured: config.console.token_sha256,
        folder: None,
    };
    let mut left = None;
    if let Transport::Embedded { folder } = &config.transport {
        let (file, hash) = leave_access(folder, address)?;
        keys.folder = Some(hash);
        left = Some(file);
    }
    let operations = adapters.operations(config)?;
    let stop = lifecycle.soft().clone();
    lifecycle.spawn("console", async move {
        let served = server.run(operations, keys, stop).await;
        drop(left);
        served
    });
    readiness.set("console", Ok(()));
    Ok(address)
}

fn leave_access(
    folder: &Path,
    address: SocketAddr,
) -> Result<(AccessFile, runtime::config::TokenHash), BootError> {
    let token = token::new_token().map_err(|error| {
        BootError::Configuration(format!("the system has no random numbers: {error}"))
    })?;
    let hash = token::hash(&token);
    let access = Access {
        address: own(address),
        token,
    };
    let file = AccessFile::write(folder, &access).map_err(|error| {
        BootError::Configuration(format!(
            "{} cannot be written in {}: {error}",
            access::FILE,
            folder.display()
        ))
    })?;
    Ok((file, hash))
}

/// Who listens on every address is asked on this machine's own.
fn own(address: SocketAddr) -> SocketAddr {
    let ip: std::net::IpAddr = match address {
        _ if !address.ip().is_unspecified() => return address,
        SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

/// The way of a command to the operations: on the stores, where they can be opened, and through the
/// API of the process that holds them, where they cannot.
#[derive(Debug)]
pub struct Reach {
    config: Config,
    clock: Arc<dyn Clock>,
    /// Kept for servers; an embedded folder is opened anew for every question, so that a command
    /// that waits never keeps mosync from starting.
    servers: Option<Client>,
}

impl Reach {
    /// Opens nothing yet.
    #[must_use]
    pub const fn new(config: Config, clock: Arc<dyn Clock>) -> Self {
        Self {
            config,
            clock,
            servers: None,
        }
    }

    /// A client for one question.
    ///
    /// # Errors
    /// [`BootError`]; a folder in use whose process does not say where it answers is out of reach.
    pub async fn client(&mut self) -> Result<Client, BootError> {
        if let Some(client) = &self.servers {
            return Ok(client.clone());
        }
        let opened = Adapters::connect(&self.config.transport, Arc::clone(&self.clock)).await;
        match (opened, &self.config.transport) {
            (Ok(adapters), transport) => {
                let client = Client::inside(adapters.operations(&self.config)?);
                if let Transport::Servers { .. } = transport {
                    self.servers = Some(client.clone());
                }
                Ok(client)
            }
            (Err(BootError::InUse(_)), Transport::Embedded { folder }) => {
                let access = access::read(folder).ok_or_else(|| {
                    BootError::OutOfReach(format!(
                        "another mosync process holds the folder {} and has not said where it answers; if it has just started, try again",
                        folder.display()
                    ))
                })?;
                Ok(Client::of_process(access))
            }
            (Err(error), _) => Err(error),
        }
    }
}

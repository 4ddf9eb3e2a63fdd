//! What operators use: the API served, and the way to it for a command.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use console::access::{self, Access, AccessFile};
use console::api::{Keys, Server};
use console::journal::{self, Journal, JournalError};
use console::people::People;
use console::{Client, Console, Operations, Web, token};
use ports::Clock;
use ports::source::Source;
use runtime::config::{Config, SignIn, Transport};
use runtime::health::Readiness;
use runtime::lifecycle::Lifecycle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{Adapters, BootError};

/// How often the settings journal is compared with the store.
const JOURNAL_EVERY: Duration = Duration::from_secs(1);

impl Adapters {
    /// What operators can ask and order. Salesforce is not called before something is compared
    /// with it. A test of notifications links to the console at `url`.
    ///
    /// # Errors
    /// [`BootError::Configuration`].
    pub fn operations(&self, config: &Config, url: Option<Url>) -> Result<Operations, BootError> {
        let source = crate::salesforce(config, Arc::clone(&self.clock))?;
        self.operations_on(source, config, url)
    }

    fn operations_on(
        &self,
        source: Arc<dyn Source>,
        config: &Config,
        url: Option<Url>,
    ) -> Result<Operations, BootError> {
        let operations = Operations::new(
            self.stores.clone(),
            Arc::clone(&self.queue),
            Arc::clone(&self.clock),
            source,
            config.salesforce.topic.clone(),
        );
        let org = &config.salesforce;
        let qualified = |name: &String| match org.namespace.as_str() {
            "" => name.clone(),
            namespace => format!("{namespace}__{name}"),
        };
        Ok(operations
            .asking(crate::target(config)?)
            .counting(org.permission_sets.iter().map(qualified).collect())
            .polling(config.salesforce.polled_objects.clone())
            .with_bulk_from(config.salesforce.bulk_from)
            .journaling(journal(config))
            .telling(crate::notifications::courier(
                config,
                url,
                Arc::clone(&self.clock),
            )?))
    }
}

/// Where revisions of the settings are written down: as configured, else in the embedded folder.
fn journal(config: &Config) -> Option<Journal> {
    let path = match (&config.console.journal, &config.transport) {
        (Some(path), _) => path.clone(),
        (None, Transport::Embedded { folder }) => folder.join(journal::FILE),
        (None, Transport::Servers { .. }) => return None,
    };
    Some(Journal::new(path))
}

/// Writes down what is saved elsewhere, and puts back what the store loses, until `stop`.
async fn keep_journal(operations: Operations, stop: CancellationToken) {
    let mut said = None;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(JOURNAL_EVERY) => {}
        }
        let trouble = operations.reconcile_settings().await.err();
        let trouble = trouble.map(|error| error.to_string());
        if let Some(trouble) = trouble.as_ref().filter(|_| trouble != said) {
            tracing::warn!("{trouble}");
        }
        said = trouble;
    }
}

fn of_journal(error: JournalError) -> BootError {
    match error {
        JournalError::Store(error) => error.into(),
        error @ (JournalError::File { .. } | JournalError::Line { .. } | JournalError::Held(_)) => {
            BootError::Configuration(error.to_string())
        }
    }
}

/// Serves the console, pages and API, within the process's lifecycle, at the configured address or
/// else at `listen`: where. With an embedded folder, the way in for commands is left there. Settings that the store has
/// lost are put back from the journal first, before anybody works without them.
///
/// # Errors
/// [`BootError::Configuration`] when the address is taken, or the folder or the settings journal
/// cannot be used; [`BootError::OutOfReach`] when the store does not answer.
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
    let url = own_url(config, address);
    let source = crate::salesforce(config, Arc::clone(&adapters.clock))?;
    let operations = adapters.operations_on(Arc::clone(&source), config, url.clone())?;
    // What people and programs ask is of the same allowance as what the services read.
    crate::count_calls(adapters, &source, lifecycle);
    operations.reconcile_settings().await.map_err(of_journal)?;
    if journal(config).is_none() {
        tracing::warn!(
            "console.journal is not configured, so the settings are kept by the status store alone and are lost with it"
        );
    }
    let (keeping, stop) = (operations.clone(), lifecycle.soft().clone());
    lifecycle.spawn("settings journal", async move {
        keep_journal(keeping, stop).await;
        Ok::<_, Infallible>(())
    });
    crate::notifications::start(config, adapters, &operations, url.clone(), lifecycle)?;
    let proxies = config.console.trusted_proxies.clone();
    let mut console = Console::new(operations, keys).behind(proxies);
    match url {
        Some(url) => console = console.with_pages(web(config, url)?),
        None => tracing::warn!(
            "console.public_url is not configured, so there are no pages for people, only the API"
        ),
    }
    let stop = lifecycle.soft().clone();
    lifecycle.spawn("console", async move {
        server.run(console, stop).await;
        drop(left);
        Ok::<_, Infallible>(())
    });
    readiness.set("console", Ok(()));
    Ok(address)
}

/// The address that people open the console at: as configured, else where it listens, on this machine.
fn own_url(config: &Config, address: SocketAddr) -> Option<Url> {
    let own = || Url::parse(&format!("http://{address}")).ok();
    let configured = config.console.public_url.clone();
    configured.or_else(|| own().filter(|_| address.ip().is_loopback()))
}

/// What the pages need: the way to Salesforce through the console's own connected app or mosync's, and
/// who is who.
fn web(config: &Config, url: Url) -> Result<Web, BootError> {
    let (console, org) = (&config.console, &config.salesforce);
    let (client_id, client_secret) = match (&console.client_id, &org.sign_in) {
        (Some(id), _) => (id.clone(), console.client_secret.clone()),
        (None, SignIn::ClientCredentials { client_secret }) => {
            (org.client_id.clone(), Some(client_secret.clone()))
        }
        (None, SignIn::JwtBearer { .. }) => (org.client_id.clone(), None),
    };
    let app = salesforce::App {
        login_url: org.login_url.clone(),
        client_id,
        client_secret,
        request_timeout: org.request_timeout,
        plaintext_allowed: config.allow_plaintext,
    };
    let sign_in =
        salesforce::sign_in(app).map_err(|error| BootError::Configuration(error.to_string()))?;
    let admin = &console.admin_permission_set;
    let admin_permission_set = match org.namespace.as_str() {
        "" => admin.clone(),
        namespace => format!("{namespace}__{admin}"),
    };
    Ok(Web {
        sign_in,
        url,
        people: People {
            admin_permission_set,
            operators: console.operators.clone(),
            viewers: console.viewers.clone(),
        },
        frame_ancestors: console.frame_ancestors.clone(),
    })
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
    /// Who runs the command.
    user: Option<String>,
    /// Kept for servers; an embedded folder is opened anew for every question, so that a command
    /// that waits never keeps mosync from starting.
    servers: Option<Client>,
}

impl Reach {
    /// Opens nothing yet. `user` is who runs the command: saved settings name them.
    #[must_use]
    pub const fn new(config: Config, clock: Arc<dyn Clock>, user: Option<String>) -> Self {
        Self {
            config,
            clock,
            user,
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
        let (transport, clock) = (&self.config.transport, Arc::clone(&self.clock));
        let opened = Adapters::connect_for_operators(transport, clock).await;
        match (opened, &self.config.transport) {
            (Ok(adapters), transport) => {
                let url = self.config.console.public_url.clone();
                let operations = adapters.operations(&self.config, url)?;
                if let Transport::Embedded { .. } = transport
                    && let Err(error) = operations.reconcile_settings().await
                {
                    // A save says so again; nothing else depends on it.
                    tracing::warn!("{error}");
                }
                let client = Client::inside(operations).on_behalf_of(self.user.clone());
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
                Ok(Client::of_process(access).on_behalf_of(self.user.clone()))
            }
            (Err(error), _) => Err(error),
        }
    }
}

//! Notifications: the way out for them, and who takes it.

use std::convert::Infallible;
use std::sync::Arc;

use console::{Notifier, Operations};
use ports::Clock;
use ports::courier::Courier;
use runtime::config::{Config, SmtpTls};
use runtime::lifecycle::Lifecycle;
use url::Url;

use crate::{Adapters, BootError};

/// What takes notifications out. They link to the console at `url`.
pub(crate) fn courier(
    config: &Config,
    url: Option<Url>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Courier>, BootError> {
    let from = config.notify.clone();
    let smtp = from.smtp.map(|smtp| notify::Smtp {
        host: smtp.host,
        port: smtp.port,
        tls: match smtp.tls {
            SmtpTls::StartTls => notify::Tls::StartTls,
            SmtpTls::Implicit => notify::Tls::Implicit,
            SmtpTls::Off => notify::Tls::Off,
        },
        ca: smtp.ca,
        login: smtp.login,
    });
    let webhook = from.webhook.map(|webhook| notify::Webhook {
        url: webhook.url,
        secret: webhook.secret,
    });
    let config = notify::Config {
        from: from.from,
        public_url: url,
        smtp,
        folder: from.folder,
        webhook,
        timeout: from.timeout,
    };
    let courier = notify::Notify::new(config, clock)
        .map_err(|error| BootError::Configuration(error.to_string()))?;
    Ok(Arc::new(courier))
}

/// Watches and tells within the process's lifecycle, while no other process does.
pub(crate) fn start(
    config: &Config,
    adapters: &Adapters,
    operations: &Operations,
    url: Option<Url>,
    lifecycle: &Lifecycle,
) -> Result<(), BootError> {
    let clock = Arc::clone(&adapters.clock);
    let courier = courier(config, url, Arc::clone(&clock))?;
    // Unlike any other: two processes of one machine never have the same id at the same time.
    let holder = format!(
        "notifier-{}-{}",
        std::process::id(),
        clock.now().as_micros()
    );
    let notifier = Notifier::new(operations.clone(), courier, holder, config.retention.log);
    let stop = lifecycle.soft().clone();
    lifecycle.spawn("notifications", async move {
        notifier.run(stop).await;
        Ok::<_, Infallible>(())
    });
    Ok(())
}

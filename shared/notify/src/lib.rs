//! How notifications leave: mails through an SMTP server, or as `.eml` files into a folder where
//! no server is configured, and a signed webhook. An adapter of [`Courier`]; what is told, to whom
//! and when is decided by others.
//!
//! Every form is written from the notice alone and is the same to the letter at each attempt, with
//! an id that is the event's own: the `Message-ID` of a mail, the name of a file, the `id` of a
//! webhook. A receiver that gets one twice, because mosync was killed before it could note that it
//! was taken, knows it by that.

mod folder;
mod letter;
mod read;
mod smtp;
mod webhook;
mod words;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::notification::{Notice, Notification, Settled, Way};
use ports::Clock;
use ports::courier::{Courier, KeptMail};
use secrecy::SecretString;
use url::Url;

pub use letter::Letter;
pub use webhook::SIGNATURE;

use folder::Folder;
use smtp::Post;
use webhook::Hook;

/// What a courier must know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where mails come from: a bare address.
    pub from: String,
    /// The console's address, for links; without it there are none.
    pub public_url: Option<Url>,
    /// The mail server; without it, mails go into the folder.
    pub smtp: Option<Smtp>,
    /// Where mails go that have no server; without it, nowhere.
    pub folder: Option<PathBuf>,
    /// The webhook.
    pub webhook: Option<Webhook>,
    /// For one mail, or one request.
    pub timeout: Duration,
}

/// A mail server.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// Its name, which its certificate must have.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is encrypted.
    pub tls: Tls,
    /// PEM certificates that are trusted beside the system's.
    pub ca: Option<Vec<u8>>,
    /// User and password, where it wants them.
    pub login: Option<(String, SecretString)>,
}

/// How a mail server's connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte (usually port 465).
    Implicit,
    /// By STARTTLS, which the server must offer (usually port 587).
    StartTls,
    /// Not at all.
    Off,
}

/// A webhook.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Where it goes.
    pub url: Url,
    /// What it is signed with.
    pub secret: SecretString,
}

/// Why a courier cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The sender is no address.
    #[error("notify.from is no mail address; write it as mosync@example.com")]
    From(#[source] lettre::address::AddressError),
    /// The certificates cannot be read, or the system's cannot be loaded.
    #[error("the certificates for the mail server cannot be used; check notify.smtp_ca_file")]
    Tls(#[source] lettre::transport::smtp::Error),
    /// The webhook's address must not be asked.
    #[error("notify.webhook_url {0}")]
    Webhook(&'static str),
    /// The HTTP client cannot be built.
    #[error("the client for the webhook cannot be made")]
    Client(#[source] reqwest::Error),
}

/// Takes notifications to whoever is to read them.
pub struct Notify {
    writer: letter::Writer,
    post: Option<Post>,
    folder: Option<Folder>,
    hook: Option<Hook>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Notify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notify")
    }
}

impl Notify {
    /// Touches nothing yet.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn new(config: Config, clock: Arc<dyn Clock>) -> Result<Self, ConfigError> {
        let Config {
            from,
            public_url,
            smtp,
            folder,
            webhook,
            timeout,
        } = config;
        let writer = letter::Writer::new(&from, public_url)?;
        let post = smtp.map(|smtp| Post::new(smtp, timeout, writer.domain()));
        let hook = webhook.map(|webhook| Hook::new(webhook, timeout));
        Ok(Self {
            post: post.transpose()?,
            folder: folder.map(Folder::new),
            hook: hook.transpose()?,
            writer,
            clock,
        })
    }

    async fn mail(&self, notification: &Notification, to: &str) -> Settled {
        let Some(post) = &self.post else {
            return Settled::Never(
                "no mail server is configured any more (notify.smtp_host)".to_owned(),
            );
        };
        let all = notification
            .deliveries
            .iter()
            .filter_map(|one| match &one.way {
                Way::Mail { to } => Some(to.clone()),
                Way::Folder { .. } | Way::Webhook => None,
            });
        let all = all.collect::<Vec<_>>();
        match self.writer.letter(&notification.notice, &all) {
            Ok(letter) => post.send(to, &letter).await,
            Err(why) => Settled::Never(why),
        }
    }

    fn file(&self, notification: &Notification, addresses: &[String]) -> Settled {
        let Some(folder) = &self.folder else {
            return Settled::Never("no folder for mails is configured any more".to_owned());
        };
        match self.writer.letter(&notification.notice, addresses) {
            Ok(letter) => folder.put(&notification.notice, &letter),
            Err(why) => Settled::Never(why),
        }
    }
}

#[async_trait]
impl Courier for Notify {
    fn ways(&self, addresses: &[String]) -> Vec<Way> {
        let mut ways = Vec::new();
        if self.post.is_some() {
            ways.extend(addresses.iter().map(|to| Way::Mail { to: to.clone() }));
        } else if self.folder.is_some() {
            ways.push(Way::Folder {
                to: addresses.to_vec(),
            });
        }
        if self.hook.is_some() {
            ways.push(Way::Webhook);
        }
        ways
    }

    async fn deliver(&self, notification: &Notification, way: &Way) -> Settled {
        match (way, &self.hook) {
            (Way::Mail { to }, _) => self.mail(notification, to).await,
            (Way::Folder { to }, _) => self.file(notification, to),
            (Way::Webhook, Some(hook)) => {
                let link = self.writer.link(&notification.notice);
                hook.send(&notification.notice, link, self.clock.now())
                    .await
            }
            (Way::Webhook, None) => {
                Settled::Never("no webhook is configured any more (notify.webhook_url)".to_owned())
            }
        }
    }

    async fn kept(&self, notice: &Notice) -> Result<Option<KeptMail>, String> {
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        let Some((file, bytes)) = folder.get(notice)? else {
            return Ok(None);
        };
        read::mail(file, &bytes).map(Some)
    }
}

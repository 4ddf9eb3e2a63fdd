//! A notice as a mail.

use std::time::{Duration, SystemTime};

use domain::notification::Notice;
use lettre::address::{Address, Envelope};
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, MultiPartKind, SinglePart};
use url::Url;

use crate::{ConfigError, words};

/// A mail as it is sent: its bytes do not depend on when or how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The sender.
    pub from: Address,
    /// The whole message, lines ended by CR and LF.
    pub bytes: Vec<u8>,
}

/// Writes mails.
pub(crate) struct Writer {
    from: Address,
    public_url: Option<Url>,
}

impl Writer {
    pub(crate) fn new(from: &str, public_url: Option<Url>) -> Result<Self, ConfigError> {
        let from = from.parse().map_err(ConfigError::From)?;
        Ok(Self { from, public_url })
    }

    /// The sender's domain.
    pub(crate) fn domain(&self) -> &str {
        self.from.domain()
    }

    /// The page of the console where more can be seen.
    pub(crate) fn link(&self, notice: &Notice) -> Option<String> {
        let base = self.public_url.as_ref()?.as_str().trim_end_matches('/');
        Some(format!("{base}{}", notice.page))
    }

    /// The mail to these addresses; to the sender where there are none.
    pub(crate) fn letter(&self, notice: &Notice, addresses: &[String]) -> Result<Letter, String> {
        let link = self.link(notice);
        let link = link.as_deref();
        let id = |name: &str| format!("<{name}@{}>", self.domain());
        let at = u64::try_from(notice.at.as_micros()).unwrap_or(0);
        let sender = Mailbox::new(Some("mosync".to_owned()), self.from.clone());
        let mut builder = Message::builder()
            .message_id(Some(id(&notice.id)))
            .references(id(&notice.incident))
            .date(SystemTime::UNIX_EPOCH + Duration::from_micros(at))
            .from(sender.clone())
            .subject(words::subject(notice));
        let mut someone = false;
        for address in addresses.iter().filter_map(|to| to.parse::<Address>().ok()) {
            builder = builder.to(Mailbox::new(None, address));
            someone = true;
        }
        if !someone {
            builder = builder.to(sender);
        }
        // Who receives it is said in the envelope of each conversation.
        let envelope = Envelope::new(Some(self.from.clone()), vec![self.from.clone()]);
        let envelope = envelope.map_err(|error| format!("the mail cannot be written: {error}"))?;
        let parts = MultiPart::builder()
            .kind(MultiPartKind::Alternative)
            .boundary(format!("mosync-{}", notice.id))
            .singlepart(SinglePart::plain(words::text(notice, link)))
            .singlepart(SinglePart::html(words::html(notice, link)));
        let mut message = builder
            .envelope(envelope)
            .multipart(parts)
            .map_err(|error| format!("the mail cannot be written: {error}"))?;
        // RFC 3834: nobody answers that they are on holiday.
        message.headers_mut().insert_raw(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
        Ok(Letter {
            from: self.from.clone(),
            bytes: message.formatted(),
        })
    }
}

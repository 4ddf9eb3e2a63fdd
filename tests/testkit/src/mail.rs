//! A mail server (RFC 5321, AUTH PLAIN and LOGIN, STARTTLS) that keeps what it takes and can be told to
//! misbehave.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use crate::tls::CERTIFICATE;
use crate::tls::acceptor;

/// A mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's receivers.
    pub to: Vec<String>,
    /// The message, as it was sent, without the dots of transparency.
    pub data: String,
}

impl Mail {
    /// A header, unfolded.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self.data.split("\r\n\r\n").next().unwrap_or_default();
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut lines = head.lines();
        lines.find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    }
}

/// How the server misbehaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Every login is refused (535).
    RefuseLogin,
    /// Every receiver is put off (451).
    Greylist,
    /// This receiver is refused for good (550).
    RefuseReceiver(String),
    /// The connection is closed in the middle of the message, which is not taken.
    CloseInData,
    /// The message is taken, and the connection closed before that is said.
    TakeAndClose,
    /// Nothing is ever said.
    Hang,
}

/// How a server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Not at all.
    Off,
    /// It offers STARTTLS, and takes no mail without.
    StartTls,
    /// From the first byte.
    Implicit,
}

#[derive(Debug, Default)]
struct Office {
    mails: Vec<Mail>,
    fault: Option<Fault>,
    conversations: u64,
    login: Option<(String, String)>,
}

/// A running server; it ends when dropped.
#[derive(Debug)]
pub struct MailServer {
    address: SocketAddr,
    office: Arc<Shared>,
    _stop: DropGuard,
}

#[derive(Debug, Default)]
struct Shared {
    office: Mutex<Office>,
    changed: Notify,
}

impl Shared {
    fn with<T>(&self, look: impl FnOnce(&mut Office) -> T) -> T {
        let mut office = self.office.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = look(&mut office);
        self.changed.notify_waiters();
        seen
    }
}

impl MailServer {
    /// Starts one on loopback that wants this login, if any.
    ///
    /// # Panics
    /// When loopback cannot be listened on.
    pub async fn start(encryption: Encryption, login: Option<(&str, &str)>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let office = Arc::new(Shared::default());
        let login = login.map(|(user, password)| (user.to_owned(), password.to_owned()));
        office.with(|office| office.login = login);
        let stop = CancellationToken::new();
        let (shared, stopped) = (Arc::clone(&office), stop.clone());
        TaskTracker::new().spawn(stopped.run_until_cancelled_owned(async move {
            let tasks = TaskTracker::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tasks.spawn(async move {
                    // A client that goes away is no fault of the server's.
                    let _gone = talk(stream, encryption, &shared).await.is_err();
                });
            }
        }));
        Self {
            address,
            office,
            _stop: stop.drop_guard(),
        }
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on.
    pub fn misbehave(&self, fault: Option<Fault>) {
        self.office.with(|office| office.fault = fault);
    }

    /// What it has taken, oldest first.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.office.with(|office| office.mails.clone())
    }

    /// How many have connected.
    #[must_use]
    pub fn conversations(&self) -> u64 {
        self.office.with(|office| office.conversations)
    }
}

trait Line: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Line for T {}

async fn talk(
    stream: TcpStream,
    encryption: Encryption,
    shared: &Arc<Shared>,
) -> std::io::Result<()> {
    shared.with(|office| office.conversations += 1);
    let mut stream: Box<dyn Line> = match encryption {
        Encryption::Implicit => Box::new(acceptor().accept(stream).await?),
        Encryption::Off | Encryption::StartTls => Box::new(stream),
    };
    let mut starttls = encryption == Encryption::StartTls;
    let mut greeted = false;
    loop {
        let conversation = Conversation {
            line: BufReader::new(stream),
            shared,
            starttls,
            greeted,
        };
        match conversation.run().await? {
            None => return Ok(()),
            Some(plain) => {
                stream = Box::new(acceptor().accept(plain).await?);
                (starttls, greeted) = (false, true);
            }
        }
    }
}

struct Conversation<'a> {
    line: BufReader<Box<dyn Line>>,
    shared: &'a Arc<Shared>,
    /// Nothing is taken before.
    starttls: bool,
    greeted: bool,
}

impl Conversation<'_> {
    fn fault(&self) -> Option<Fault> {
        self.shared.with(|office| office.fault.clone())
    }

    async fn say(&mut self, words: &str) -> std::io::Result<()> {
        self.line.write_all(words.as_bytes()).await?;
        self.line.write_all(b"\r\n").await?;
        self.line.flush().await
    }

    async fn hear(&mut self) -> std::io::Result<String> {
        let mut said = String::new();
        if self.line.read_line(&mut said).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(said.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Until it is over, or is to be encrypted.
    async fn run(mut self) -> std::io::Result<Option<Box<dyn Line>>> {
        if self.fault() == Some(Fault::Hang) {
            std::future::pending::<()>().await;
        }
        if !self.greeted {
            self.say("220 mail.test ESMTP").await?;
        }
        let login = self.shared.with(|office| office.login.clone());
        let mut signed_in = login.is_none();
        let (mut from, mut to) = (String::new(), Vec::new());
        loop {
            let said = self.hear().await?;
            let verb = said.split(' ').next().unwrap_or_default().to_uppercase();
            match verb.as_str() {
                "EHLO" if self.starttls => self.say("250-mail.test\r\n250 STARTTLS").await?,
                "EHLO" => self.say("250-mail.test\r\n250 AUTH PLAIN LOGIN").await?,
                "QUIT" => {
                    self.say("221 bye").await?;
                    return Ok(None);
                }
                "STARTTLS" if self.starttls => {
                    self.say("220 go on").await?;
                    return Ok(Some(self.line.into_inner()));
                }
                _ if self.starttls => self.say("530 STARTTLS first").await?,
                "AUTH" => {
                    let refused = self.fault() == Some(Fault::RefuseLogin);
                    signed_in = !refused && self.is_login(&said, login.as_ref());
                    self.say(if signed_in {
                        "235 welcome"
                    } else {
                        "535 5.7.8 user or password is wrong"
                    })
                    .await?;
                }
                _ if !signed_in => self.say("530 5.7.0 sign in first").await?,
                "MAIL" => {
                    from = address(&said);
                    to.clear();
                    self.say("250 ok").await?;
                }
                "RCPT" => match self.fault() {
                    Some(Fault::Greylist) => {
                        self.say("451 4.7.1 greylisted, come again").await?;
                    }
                    Some(Fault::RefuseReceiver(refused)) if refused == address(&said) => {
                        self.say("550 5.1.1 no such user here").await?;
                    }
                    _ => {
                        to.push(address(&said));
                        self.say("250 ok").await?;
                    }
                },
                "DATA" if to.is_empty() => self.say("554 no valid receivers").await?,
                "DATA" => {
                    self.say("354 go on").await?;
                    if self.fault() == Some(Fault::CloseInData) {
                        self.hear().await?;
                        return Ok(None);
                    }
                    let data = self.message().await?;
                    let mail = Mail {
                        from: from.clone(),
                        to: to.clone(),
                        data,
                    };
                    self.shared.with(|office| office.mails.push(mail));
                    if self.fault() == Some(Fault::TakeAndClose) {
                        return Ok(None);
                    }
                    self.say("250 2.0.0 queued as 4711").await?;
                }
                _ => self.say("502 what?").await?,
            }
        }
    }

    async fn message(&mut self) -> std::io::Result<String> {
        let mut data = String::new();
        loop {
            let line = self.hear().await?;
            if line == "." {
                return Ok(data);
            }
            data.push_str(line.strip_prefix('.').unwrap_or(&line));
            data.push_str("\r\n");
        }
    }

    /// `AUTH PLAIN BASE64`, of `NUL user NUL password`.
    fn is_login(&self, said: &str, login: Option<&(String, String)>) -> bool {
        let Some((user, password)) = login else {
            return false;
        };
        let told = said.split(' ').nth(2).unwrap_or_default();
        let told = STANDARD.decode(told).unwrap_or_default();
        told == format!("\0{user}\0{password}").into_bytes()
    }
}

fn address(said: &str) -> String {
    let inner = said
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or_else(String::new, |(address, _)| address.to_owned())
}

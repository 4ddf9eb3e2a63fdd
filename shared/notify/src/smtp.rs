//! A conversation with a mail server, one for each receiver: that one is refused does not keep
//! the mail from the others.

use std::time::Duration;

use domain::notification::Settled;
use lettre::address::{Address, Envelope};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use secrecy::ExposeSecret as _;

use crate::{ConfigError, Letter, Smtp, Tls};

/// XOAUTH2 needs a token, not a password.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];
/// How long a server may take to say goodbye, after it has taken the mail.
const GOODBYE: Duration = Duration::from_secs(2);

/// A mail server.
pub(crate) struct Post {
    server: Smtp,
    tls: Option<TlsParameters>,
    hello: ClientId,
    timeout: Duration,
}

/// Where in the conversation something went wrong.
struct Refusal {
    doing: &'static str,
    error: Error,
    /// That the server refuses for good is about this mail, not about how mosync calls.
    of_mail: bool,
}

impl Post {
    pub(crate) fn new(server: Smtp, timeout: Duration, domain: &str) -> Result<Self, ConfigError> {
        let tls = match server.tls {
            Tls::Off => None,
            Tls::Implicit | Tls::StartTls => Some(tls(&server).map_err(ConfigError::Tls)?),
        };
        Ok(Self {
            server,
            tls,
            hello: ClientId::Domain(domain.to_owned()),
            timeout,
        })
    }

    /// Has the server take the mail for one receiver.
    pub(crate) async fn send(&self, to: &str, letter: &Letter) -> Settled {
        let Ok(to) = to.parse::<Address>() else {
            return Settled::Never(
                "the address is none that a mail can be sent to; correct it in the settings"
                    .to_owned(),
            );
        };
        let Ok(envelope) = Envelope::new(Some(letter.from.clone()), vec![to]) else {
            return Settled::Never("a mail without a receiver; please report this".to_owned());
        };
        let server = format!("{}:{}", self.server.host, self.server.port);
        match tokio::time::timeout(self.timeout, self.talk(&envelope, letter)).await {
            Ok(Ok(answer)) => Settled::Sent(format!("{server} has taken it: {answer}")),
            Ok(Err(refusal)) => refusal.settled(&server),
            Err(_elapsed) => Settled::Later(format!(
                "{server} did not answer within {} s",
                self.timeout.as_secs()
            )),
        }
    }

    async fn talk(&self, envelope: &Envelope, letter: &Letter) -> Result<String, Refusal> {
        let Smtp {
            host, port, tls, ..
        } = &self.server;
        let at_first = self.tls.clone().filter(|_| *tls == Tls::Implicit);
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            (host.as_str(), *port),
            Some(self.timeout),
            &self.hello,
            at_first,
            None,
        )
        .await
        .map_err(|error| Refusal::of_call("cannot be reached", error))?;
        if let (Tls::StartTls, Some(parameters)) = (tls, &self.tls) {
            connection
                .starttls(parameters.clone(), &self.hello)
                .await
                .map_err(|error| Refusal::of_call("cannot be spoken to by STARTTLS", error))?;
        }
        if let Some((user, password)) = &self.server.login {
            let password = password.expose_secret().to_owned();
            let credentials = Credentials::new(user.clone(), password);
            connection
                .auth(&MECHANISMS, &credentials)
                .await
                .map_err(|error| Refusal::of_call("refuses the login", error))?;
        }
        let response = connection.send(envelope, &letter.bytes).await;
        let response = response.map_err(|error| Refusal {
            doing: "did not take the mail",
            error,
            of_mail: true,
        })?;
        // It has taken it: whatever becomes of the goodbye changes nothing.
        let _said = tokio::time::timeout(GOODBYE, connection.quit())
            .await
            .is_ok();
        let line = response.first_line().unwrap_or_default();
        Ok(format!("{} {line}", response.code()))
    }
}

impl Refusal {
    const fn of_call(doing: &'static str, error: Error) -> Self {
        Self {
            doing,
            error,
            of_mail: false,
        }
    }

    fn settled(self, server: &str) -> Settled {
        let said = format!("{server} {}: {}", self.doing, self.error);
        if self.of_mail && self.error.is_permanent() {
            Settled::Never(said)
        } else {
            Settled::Later(said)
        }
    }
}

fn tls(server: &Smtp) -> Result<TlsParameters, Error> {
    let mut builder = TlsParameters::builder(server.host.clone());
    if let Some(ca) = &server.ca {
        builder = builder.add_root_certificate(Certificate::from_pem(ca)?);
    }
    builder.build()
}

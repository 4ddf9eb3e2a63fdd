//! The section of notifications.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::{Host, Url};

use super::reader::Reader;
use super::values::{is_loopback, is_origin, url_fault};
use super::{Notify, Smtp, SmtpTls, Transport, Webhook};

/// An attempt must be over long before somebody else may take it for abandoned.
const MAX_TIMEOUT: u64 = 60;
/// The folder within an embedded one.
const FOLDER: &str = "mail";
/// Whom mails in a folder come from, which nobody receives by a server.
const SENDER: &str = "mosync@localhost";

pub(super) fn notify(
    reader: &mut Reader,
    allow_plaintext: bool,
    transport: Option<&Transport>,
) -> Option<Notify> {
    let from = some(reader, "notify.from");
    let smtp = smtp(reader, allow_plaintext);
    let webhook = webhook(reader);
    let folder = some(reader, "notify.folder").map(PathBuf::from);
    let timeout = reader.number_up_to("notify.timeout_s", MAX_TIMEOUT);
    let (smtp, webhook) = (smtp?, webhook?);
    if smtp.is_some() && from.is_none() {
        reader.fault(
            "notify.from",
            "is missing, though notify.smtp_host is given",
            "write the address that mails come from, such as mosync@acme.example",
        );
    }
    if let Some(from) = from.as_ref().filter(|from| !is_address(from)) {
        reader.fault(
            "notify.from",
            format!("`{from}` is not a bare mail address"),
            "write it as mosync@acme.example",
        );
        return None;
    }
    let beside = match transport {
        Some(Transport::Embedded { folder }) => Some(folder.join(FOLDER)),
        Some(Transport::Servers { .. }) | None => None,
    };
    Some(Notify {
        from: from.unwrap_or_else(|| SENDER.to_owned()),
        smtp,
        folder: folder.or(beside),
        webhook,
        timeout: timeout.map(Duration::from_secs)?,
    })
}

/// The console's own address, for links; `Some(None)`: not given.
pub(super) fn public_url(reader: &mut Reader, allow_plaintext: bool) -> Option<Option<Url>> {
    let name = "console.public_url";
    let Some(text) = some(reader, name) else {
        return Some(None);
    };
    let what =
        "write the address at which people open the console, such as https://mosync.acme.example";
    let fault = match Url::parse(&text) {
        Err(fault) => (format!("is not an address ({fault})"), what.to_owned()),
        Ok(url) => match url_fault(&url, ["https", "http"], allow_plaintext) {
            Some(fault) => fault,
            // Pages, links and the way back from the sign-in are at the root.
            None if !is_origin(&url) => (
                "holds more than a scheme, a host and a port".to_owned(),
                "take out what follows the host, and user name and password; the console answers at the root of its address".to_owned(),
            ),
            None => return Some(Some(url)),
        },
    };
    reader.fault(name, fault.0, fault.1);
    None
}

/// A text that is given and not empty.
fn some(reader: &mut Reader, name: &'static str) -> Option<String> {
    reader.text(name).filter(|text| !text.is_empty())
}

/// `None`: a fault; `Some(None)`: not given.
fn smtp(reader: &mut Reader, allow_plaintext: bool) -> Option<Option<Smtp>> {
    let host = some(reader, "notify.smtp_host");
    let port = reader.number_up_to("notify.smtp_port", u64::from(u16::MAX));
    let tls = reader.choice(
        "notify.smtp_tls",
        &[
            ("starttls", SmtpTls::StartTls),
            ("implicit", SmtpTls::Implicit),
            ("none", SmtpTls::Off),
        ],
    );
    let user = some(reader, "notify.smtp_user");
    let password_given = reader.is_given("notify.smtp_password");
    let password = reader.secret("notify.smtp_password");
    let ca = ca(reader);
    let Some(host) = host else {
        let rest = [
            "notify.smtp_port",
            "notify.smtp_tls",
            "notify.smtp_user",
            "notify.smtp_password",
            "notify.smtp_ca_file",
        ];
        let stray = rest.into_iter().filter(|name| reader.is_given(name));
        let stray = stray.collect::<Vec<_>>();
        for name in &stray {
            reader.fault(
                name,
                "is given without notify.smtp_host",
                "write the mail server's name too, or take this out",
            );
        }
        return stray.is_empty().then_some(None);
    };
    if let Some((fault, fix)) = host_fault(&host, tls?, allow_plaintext) {
        reader.fault("notify.smtp_host", fault, fix);
        return None;
    }
    let login = match (user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) if !password_given => None,
        (Some(_), None) if !password_given => {
            reader.fault(
                "notify.smtp_password",
                "is missing, though notify.smtp_user is given",
                "write the file that holds the password as notify.smtp_password_file",
            );
            return None;
        }
        (None, _) => {
            reader.fault(
                "notify.smtp_user",
                "is missing, though notify.smtp_password is given",
                "write the user's name",
            );
            return None;
        }
        (Some(_), None) => return None,
    };
    Some(Some(Smtp {
        host,
        port: u16::try_from(port?).ok()?,
        tls: tls?,
        ca: ca?,
        login,
    }))
}

/// The certificates that are trusted beside the system's.
fn ca(reader: &mut Reader) -> Option<Option<Vec<u8>>> {
    let name = "notify.smtp_ca_file";
    let Some(path) = some(reader, name) else {
        return Some(None);
    };
    match std::fs::read(&path) {
        Ok(pem) => Some(Some(pem)),
        Err(fault) => {
            reader.fault(
                name,
                format!("the file `{path}` cannot be read ({fault})"),
                "correct the path or the file's permissions",
            );
            None
        }
    }
}

fn host_fault(host: &str, tls: SmtpTls, allow_plaintext: bool) -> Option<(String, &'static str)> {
    // As the host of an address, so that numbers are read as numbers.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let in_url = if bare.contains(':') {
        format!("https://[{bare}]/")
    } else {
        format!("https://{bare}/")
    };
    let url = Url::parse(&in_url)
        .ok()
        .filter(|url| url.path() == "/" && url.port().is_none() && url.username().is_empty());
    let Some(url) = url else {
        return Some((
            format!("`{host}` is not a host's name"),
            "write the name alone, such as smtp.acme.example; the port is notify.smtp_port",
        ));
    };
    if url_fault(&url, ["https", "http"], true).is_some() {
        return Some((
            "is a link-local address, which only reaches services of the hosting machine"
                .to_owned(),
            "write the mail server's own name",
        ));
    }
    if tls == SmtpTls::Off && !allow_plaintext && !is_loopback(&url) {
        return Some((
            "is on another machine and not encrypted (notify.smtp_tls = \"none\")".to_owned(),
            "write notify.smtp_tls = \"starttls\" or \"implicit\", or allow_plaintext = true for a network you trust",
        ));
    }
    None
}

/// `None`: a fault; `Some(None)`: not given. The address may hold a secret: faults never show it.
fn webhook(reader: &mut Reader) -> Option<Option<Webhook>> {
    let name = "notify.webhook_url";
    let url = some(reader, name);
    let secret_given = reader.is_given("notify.webhook_secret");
    let secret = reader.secret("notify.webhook_secret");
    let Some(url) = url else {
        if secret_given {
            reader.fault(
                name,
                "is missing, though notify.webhook_secret is given",
                "write the address that is called, or take the secret out",
            );
        }
        return (!secret_given).then_some(None);
    };
    if !secret_given {
        reader.fault(
            "notify.webhook_secret",
            "is missing, though notify.webhook_url is given",
            "write the file that holds it as notify.webhook_secret_file; the receiver checks the signature with it",
        );
    }
    match Url::parse(&url).map(|url| (webhook_fault(&url), url)) {
        Ok((None, url)) => Some(Some(Webhook {
            url,
            secret: secret?,
        })),
        Ok((Some((fault, fix)), _)) => {
            reader.fault(name, fault, fix);
            None
        }
        Err(fault) => {
            let fix = "write it as https://hooks.acme.example/mosync";
            reader.fault(name, format!("is not an address ({fault})"), fix);
            None
        }
    }
}

fn webhook_fault(url: &Url) -> Option<(String, String)> {
    if !url.username().is_empty() || url.password().is_some() {
        return Some((
            "holds a user name or a password".to_owned(),
            "take them out; the receiver knows mosync by the signature".to_owned(),
        ));
    }
    let unspecified = match url.host() {
        Some(Host::Ipv4(v4)) => IpAddr::V4(v4).is_unspecified(),
        Some(Host::Ipv6(v6)) => IpAddr::V6(v6).is_unspecified(),
        Some(Host::Domain(_)) | None => false,
    };
    if unspecified {
        return Some((
            "is no address of a service".to_owned(),
            "write the service's own host name".to_owned(),
        ));
    }
    // Whatever is allowed elsewhere: what is told must not be read on its way.
    let fault = url_fault(url, ["https", "http"], false)?;
    let fix = if url.scheme() == "http" && fault.1.contains("allow_plaintext") {
        "write https://".to_owned()
    } else {
        fault.1
    };
    Some((fault.0, fix))
}

fn is_address(text: &str) -> bool {
    let mut parts = text.split('@');
    let (local, domain, more) = (parts.next(), parts.next(), parts.next());
    let fine = |part: Option<&str>| {
        part.is_some_and(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|char| char.is_ascii_alphanumeric() || ".-_+".contains(char))
        })
    };
    fine(local) && fine(domain) && more.is_none()
}

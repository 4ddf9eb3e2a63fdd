//! The sections: what each value must look like.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use domain::ObjectKind;
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use super::notify;
use super::reader::Reader;
use super::{
    Console, Environment, Http, Log, LogFormat, Mos, Network, Permissions, Retention, Salesforce,
    SignIn, TokenHash, Transport,
};
use crate::telemetry;

const PRIVATE_KEY_MARKS: [&str; 2] = [
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----",
];

/// More rows than any object of an org has.
const MAX_BULK_FROM: u64 = 1_000_000_000;
/// More than that is no log but an archive, and every line is in the store's memory.
const MAX_LOG_LINES: u64 = 10_000_000;
/// Ten years.
const MAX_DAYS: u64 = 3_650;

pub(super) fn salesforce(reader: &mut Reader, allow_plaintext: bool) -> Option<Salesforce> {
    let login_url = web_address(
        reader,
        "salesforce.login_url",
        "the org's My Domain, such as https://acme.my.salesforce.com",
        allow_plaintext,
    );
    let api_version = api_version(reader);
    let client_id = reader.required("salesforce.client_id", "the connected app's consumer key");
    let sign_in = sign_in(reader);
    let audience = reader
        .text("salesforce.audience")
        .filter(|text| !text.is_empty());
    let pubsub_endpoint = web_address(
        reader,
        "salesforce.pubsub_endpoint",
        "https://api.pubsub.salesforce.com:7443",
        allow_plaintext,
    );
    let topic = topic(reader);
    let polled_objects = polled_objects(reader);
    let polled_every = seconds(reader, "salesforce.polled_every_s");
    let refreshed_every = seconds(reader, "salesforce.refreshed_every_s");
    let permission_sets = permission_sets(reader);
    let namespace = api_name(reader, "salesforce.namespace");
    let permission_set_licence = api_name(reader, "salesforce.permission_set_licence");
    let package_namespace = api_name(reader, "salesforce.package_namespace");
    let request_timeout = seconds(reader, "salesforce.request_timeout_s");
    let watchdog = seconds(reader, "salesforce.watchdog_s");
    let bulk_from = reader.number_up_to("salesforce.bulk_from", MAX_BULK_FROM);
    Some(Salesforce {
        login_url: login_url?,
        api_version: api_version?,
        client_id: client_id?,
        sign_in: sign_in?,
        audience,
        pubsub_endpoint: pubsub_endpoint?,
        topic: topic?,
        polled_objects: polled_objects?,
        polled_every: polled_every?,
        refreshed_every: refreshed_every?,
        permission_sets: permission_sets?,
        namespace: namespace?,
        permission_set_licence: permission_set_licence?,
        package_namespace: package_namespace?,
        request_timeout: request_timeout?,
        watchdog: watchdog?,
        bulk_from: bulk_from?,
    })
}

pub(super) fn mos(reader: &mut Reader, allow_plaintext: bool) -> Option<Mos> {
    let url = web_address(
        reader,
        "mos.url",
        "mOS's address, such as https://ingest.mos.example",
        allow_plaintext,
    );
    let api_key = reader.required_secret("mos.api_key", "a key with ingest right");
    let request_timeout = seconds(reader, "mos.request_timeout_s");
    Some(Mos {
        url: url?,
        api_key: api_key?,
        request_timeout: request_timeout?,
    })
}

pub(super) fn transport(
    reader: &mut Reader,
    allow_plaintext: bool,
    environment: Option<Environment>,
) -> Option<Transport> {
    let embedded = reader.is_given("embedded.folder");
    let servers = reader.is_given("queue.rabbitmq_url") || reader.is_given("store.redis_url");
    // Every value is read, so that each one's own faults are told too.
    let folder = reader.text("embedded.folder");
    let deployment = deployment(reader);
    let rabbitmq_url = reader.secret("queue.rabbitmq_url");
    let redis_url = reader.secret("store.redis_url");
    match (embedded, servers) {
        (true, true) => {
            reader.fault(
                "embedded.folder",
                "is given together with queue.rabbitmq_url or store.redis_url",
                "keep either the folder or the two servers",
            );
            None
        }
        (false, false) => {
            reader.fault(
                "queue.rabbitmq_url",
                "is missing, and so is embedded.folder",
                "write queue.rabbitmq_url and store.redis_url for a deployment, or embedded.folder for one machine",
            );
            None
        }
        (true, false) => {
            if environment == Some(Environment::Production) {
                reader.fault(
                    "embedded.folder",
                    "is for one process on one machine, not for environment = \"production\"",
                    "write queue.rabbitmq_url and store.redis_url instead",
                );
            }
            let folder = folder.filter(|folder| !folder.is_empty());
            if folder.is_none() {
                reader.fault("embedded.folder", "is empty", "write a folder's path");
            }
            folder.map(|folder| Transport::Embedded {
                folder: PathBuf::from(folder),
            })
        }
        (false, true) => {
            for (name, what, other) in [
                (
                    "queue.rabbitmq_url",
                    "amqps://USER:PASSWORD@HOST/VHOST",
                    "store.redis_url",
                ),
                (
                    "store.redis_url",
                    "rediss://USER:PASSWORD@HOST/0",
                    "queue.rabbitmq_url",
                ),
            ] {
                if !reader.is_given(name) {
                    reader.fault(
                        name,
                        format!("is missing, though {other} is given"),
                        format!("write {what}"),
                    );
                }
            }
            let rabbitmq_url = rabbitmq_url.and_then(|url| {
                server_address(
                    reader,
                    "queue.rabbitmq_url",
                    url,
                    ["amqps", "amqp"],
                    allow_plaintext,
                )
            });
            let redis_url = redis_url.and_then(|url| {
                server_address(
                    reader,
                    "store.redis_url",
                    url,
                    ["rediss", "redis"],
                    allow_plaintext,
                )
            });
            Some(Transport::Servers {
                rabbitmq_url: rabbitmq_url?,
                redis_url: redis_url?,
                deployment: deployment?,
            })
        }
    }
}

pub(super) fn permissions(reader: &mut Reader) -> Option<Permissions> {
    seconds(reader, "permissions.poll_s").map(|poll| Permissions { poll })
}

pub(super) fn http(reader: &mut Reader) -> Option<Http> {
    let listen = listen(reader, "http.listen", 8081)?;
    Some(Http { listen })
}

pub(super) fn console(reader: &mut Reader, allow_plaintext: bool) -> Option<Console> {
    let listen = listen(reader, "console.listen", 8090);
    let token_sha256 = token_sha256(reader);
    let public_url = notify::public_url(reader, allow_plaintext);
    let journal = reader
        .text("console.journal")
        .filter(|path| !path.is_empty());
    let people = people(reader);
    let app = console_app(reader);
    let frame_ancestors = frame_ancestors(reader);
    let trusted_proxies = trusted_proxies(reader);
    let listen = listen?;
    if listen.is_some_and(|address| !address.ip().is_loopback()) && !allow_plaintext {
        reader.fault(
            "console.listen",
            "is reachable from other machines, and its answers are not encrypted",
            "write 127.0.0.1 and put a proxy with TLS before it, or allow_plaintext = true for a network you trust",
        );
        return None;
    }
    let (client_id, client_secret) = app?;
    let (admin_permission_set, operators, viewers) = people?;
    Some(Console {
        listen,
        token_sha256: token_sha256?,
        public_url: public_url?,
        journal: journal.map(PathBuf::from),
        client_id,
        client_secret,
        admin_permission_set,
        operators,
        viewers,
        frame_ancestors: frame_ancestors?,
        trusted_proxies: trusted_proxies?,
    })
}

/// Who is an administrator, an operator, a viewer.
fn people(reader: &mut Reader) -> Option<(String, BTreeSet<String>, BTreeSet<String>)> {
    let set = reader.required(
        "console.admin_permission_set",
        "the permission set's API name",
    );
    let operators = usernames(reader, "console.operators");
    let viewers = usernames(reader, "console.viewers");
    Some((set?, operators?, viewers?))
}

/// Who holds a permission set is known of those that are read.
pub(super) fn admin_is_read(reader: &mut Reader, salesforce: &Salesforce, console: &Console) {
    let admin = &console.admin_permission_set;
    let mut sets = salesforce.permission_sets.iter();
    if !sets.any(|set| set.eq_ignore_ascii_case(admin)) {
        reader.fault(
            "console.admin_permission_set",
            format!("`{admin}` is not among salesforce.permission_sets, so nobody could be an administrator"),
            "write the one of them whose holders may change settings",
        );
    }
}

/// Salesforce takes usernames in any case.
fn usernames(reader: &mut Reader, name: &'static str) -> Option<BTreeSet<String>> {
    let list = reader.list(name)?;
    if let Some(wrong) = list.iter().find(|username| !username.contains('@')) {
        let fault = format!("`{wrong}` is no Salesforce username");
        reader.fault(name, fault, "write usernames such as anna@example.com");
        return None;
    }
    Some(list.iter().map(|name| name.to_lowercase()).collect())
}

/// The app that people sign in through: its key and secret, where it is one of its own.
fn console_app(reader: &mut Reader) -> Option<(Option<String>, Option<SecretString>)> {
    let id = reader.text("console.client_id").filter(|id| !id.is_empty());
    let is_given = reader.is_given("console.client_secret");
    let secret = reader.secret("console.client_secret");
    if is_given && secret.is_none() {
        return None;
    }
    if is_given && id.is_none() {
        reader.fault(
            "console.client_secret",
            "is given without console.client_id",
            "write the consumer key of the same connected app as console.client_id, or take both out to sign people in through mosync's own app",
        );
        return None;
    }
    Some((id, secret))
}

/// Addresses and networks of proxies.
fn trusted_proxies(reader: &mut Reader) -> Option<Vec<Network>> {
    let name = "console.trusted_proxies";
    let mut networks = Vec::new();
    for text in reader.list(name)? {
        match text.parse::<Network>() {
            Ok(network) => networks.push(network),
            Err(no_network) => {
                reader.fault(
                    name,
                    format!("`{text}` {no_network}"),
                    "write the addresses that the proxies before the console have, as it sees them",
                );
                return None;
            }
        }
    }
    Some(networks)
}

/// Nothing after scheme, host and port.
pub(super) fn is_origin(url: &Url) -> bool {
    url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// A server that is named whole, so that no browser takes the name for a pattern or for more than one.
fn is_named_whole(url: &Url) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    url.host_str()
        .is_some_and(|host| host.bytes().all(is_plain))
}

/// Each as an origin, which is what the browser compares.
fn frame_ancestors(reader: &mut Reader) -> Option<Vec<String>> {
    let name = "console.frame_ancestors";
    let mut origins = Vec::new();
    for text in reader.list(name)? {
        let url = Url::parse(&text).ok().filter(is_origin);
        let url = url.filter(|url| url.scheme() == "https" || is_loopback(url));
        let Some(url) = url.filter(is_named_whole) else {
            let fault = format!("`{text}` is not the address of an https server");
            reader.fault(
                name,
                fault,
                "write the org's Lightning address, such as https://example.lightning.force.com",
            );
            return None;
        };
        origins.push(url.origin().ascii_serialization());
    }
    Some(origins)
}

/// `None`: a fault; `Some(None)`: not given.
fn token_sha256(reader: &mut Reader) -> Option<Option<TokenHash>> {
    let name = "console.token_sha256";
    let given = reader.is_given(name);
    let Some(text) = reader.secret(name) else {
        return (!given).then_some(None);
    };
    let hash = hex(text.expose_secret().trim());
    if hash.is_none() {
        reader.fault(
            name,
            "is not a SHA-256 in 64 hexadecimal digits",
            "write what `mosync console-token` prints as token_sha256, not the token itself",
        );
    }
    hash.map(|hash| Some(TokenHash(hash)))
}

fn hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = [0; 32];
    for (place, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(hash)
}

/// An address to listen on, or none where none is given; a bare port is one of this machine's
/// loopback. `None`: a fault.
fn listen(reader: &mut Reader, name: &'static str, usual: u16) -> Option<Option<SocketAddr>> {
    let Some(text) = reader.text(name).filter(|text| !text.is_empty()) else {
        return Some(None);
    };
    let listen = match text.parse::<u16>() {
        Ok(port) => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        Err(_) => text.parse::<SocketAddr>().ok(),
    };
    if listen.is_none() {
        reader.fault(
            name,
            format!("`{text}` is not an address"),
            format!("write IP:PORT, such as 127.0.0.1:{usual}, or \"{usual}\" for that port on this machine alone"),
        );
    }
    listen.map(Some)
}

pub(super) fn retention(reader: &mut Reader) -> Option<Retention> {
    let jobs = days(reader, "retention.jobs_days");
    let log_lines = reader.number_up_to("retention.log_lines", MAX_LOG_LINES);
    let log = days(reader, "retention.log_days");
    Some(Retention {
        jobs: jobs?,
        log_lines: log_lines?,
        log: log?,
    })
}

pub(super) fn log(reader: &mut Reader) -> Option<Log> {
    let format = reader.choice(
        "log.format",
        &[("text", LogFormat::Text), ("json", LogFormat::Json)],
    );
    let filter = reader.text("log.filter");
    if let Some(Err(fault)) = filter.as_deref().map(telemetry::check_filter) {
        reader.fault(
            "log.filter",
            format!("cannot be read ({fault})"),
            "write a level such as info, or levels per module such as info,loader=debug",
        );
    }
    Some(Log {
        format: format?,
        filter: filter?,
    })
}

fn sign_in(reader: &mut Reader) -> Option<SignIn> {
    let username = reader
        .text("salesforce.username")
        .filter(|text| !text.is_empty());
    let has_key = reader.is_given("salesforce.private_key");
    let has_secret = reader.is_given("salesforce.client_secret");
    let private_key = reader.secret("salesforce.private_key");
    let client_secret = reader.secret("salesforce.client_secret");
    match (has_key, has_secret) {
        (true, true) => {
            reader.fault(
                "salesforce.private_key",
                "is given together with salesforce.client_secret",
                "keep the private key (JWT bearer) or the secret (client credentials)",
            );
            None
        }
        (false, false) => {
            reader.fault(
                "salesforce.private_key",
                "is missing, and so is salesforce.client_secret",
                "write username and private_key_file (JWT bearer), or client_secret_file (client credentials)",
            );
            None
        }
        (true, false) => {
            if username.is_none() {
                reader.fault(
                    "salesforce.username",
                    "is missing, though salesforce.private_key is given",
                    "write the integration user's name",
                );
            }
            let private_key = private_key?;
            let pem = private_key.expose_secret();
            if !PRIVATE_KEY_MARKS.iter().any(|mark| pem.contains(mark)) {
                reader.fault(
                    "salesforce.private_key",
                    "is not a private key in PEM form",
                    "give the unencrypted RSA key that belongs to the connected app's certificate; it starts with -----BEGIN PRIVATE KEY-----",
                );
                return None;
            }
            Some(SignIn::JwtBearer {
                username: username?,
                private_key,
            })
        }
        (false, true) => {
            client_secret.map(|client_secret| SignIn::ClientCredentials { client_secret })
        }
    }
}

fn api_version(reader: &mut Reader) -> Option<String> {
    let version = reader.text("salesforce.api_version")?;
    let right = version
        .strip_suffix(".0")
        .is_some_and(|number| matches!(number.parse::<u16>(), Ok(50..=999)));
    if !right {
        reader.fault(
            "salesforce.api_version",
            format!("`{version}` is not an API version from 50.0 on"),
            "write it as 67.0",
        );
    }
    right.then_some(version)
}

fn topic(reader: &mut Reader) -> Option<String> {
    let topic = reader.text("salesforce.topic")?;
    let right = topic
        .strip_prefix("/data/")
        .is_some_and(|channel| !channel.is_empty());
    if !right {
        reader.fault(
            "salesforce.topic",
            format!("`{topic}` is not a change event channel"),
            "write /data/ChangeEvents, or /data/NAME__chn for a channel of your own",
        );
    }
    right.then_some(topic)
}

fn polled_objects(reader: &mut Reader) -> Option<BTreeSet<ObjectKind>> {
    let names = reader.list("salesforce.polled_objects")?;
    let mut objects = BTreeSet::new();
    for name in &names {
        let Ok(object) = name.parse() else {
            reader.fault(
                "salesforce.polled_objects",
                format!("`{name}` is not an object that mosync syncs"),
                format!(
                    "write some of {}",
                    ObjectKind::ALL.map(ObjectKind::api_name).join(", ")
                ),
            );
            return None;
        };
        objects.insert(object);
    }
    Some(objects)
}

fn permission_sets(reader: &mut Reader) -> Option<Vec<String>> {
    let sets = reader.list("salesforce.permission_sets")?;
    if sets.is_empty()
        || !sets
            .iter()
            .all(|name| !name.is_empty() && is_api_name(name))
    {
        reader.fault(
            "salesforce.permission_sets",
            "does not hold API names of permission sets",
            "write them as [\"mOS_Admin\", \"mOS_User\"], without the namespace",
        );
        return None;
    }
    Some(sets)
}

/// These names become part of SOQL queries.
fn api_name(reader: &mut Reader, name: &'static str) -> Option<String> {
    let text = reader.text(name)?;
    if !is_api_name(&text) {
        reader.fault(
            name,
            format!("`{text}` is not an API name"),
            "write letters, digits and underscores only",
        );
        return None;
    }
    Some(text)
}

fn is_api_name(text: &str) -> bool {
    text.chars()
        .all(|char| char.is_ascii_alphanumeric() || char == '_')
}

/// It becomes part of every key in the store.
fn deployment(reader: &mut Reader) -> Option<String> {
    let text = reader.text("store.deployment")?;
    let right = (1..=32).contains(&text.len())
        && text
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_'));
    if !right {
        reader.fault(
            "store.deployment",
            "is not a name of 1 to 32 letters, digits, `-` and `_`",
            "mosync is usual",
        );
    }
    right.then_some(text)
}

fn days(reader: &mut Reader, name: &'static str) -> Option<Duration> {
    const DAY: u64 = 24 * 60 * 60;
    let days = reader.number_up_to(name, MAX_DAYS)?;
    Some(Duration::from_secs(days.saturating_mul(DAY)))
}

fn seconds(reader: &mut Reader, name: &'static str) -> Option<Duration> {
    reader.number(name).map(Duration::from_secs)
}

fn web_address(
    reader: &mut Reader,
    name: &'static str,
    what: &str,
    allow_plaintext: bool,
) -> Option<Url> {
    let text = reader.required(name, what)?;
    let fault = match Url::parse(&text) {
        Ok(url) => match url_fault(&url, ["https", "http"], allow_plaintext) {
            None if url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none() =>
            {
                return Some(url);
            }
            None => (
                "holds more than a host and a path".to_owned(),
                "take out user name, password, `?` and `#`".to_owned(),
            ),
            Some(fault) => fault,
        },
        Err(fault) => (
            format!("is not an address ({fault})"),
            format!("write {what}"),
        ),
    };
    reader.fault(name, fault.0, fault.1);
    None
}

/// The address is a secret, it holds a password: faults never show it.
fn server_address(
    reader: &mut Reader,
    name: &'static str,
    address: SecretString,
    schemes: [&str; 2],
    allow_plaintext: bool,
) -> Option<SecretString> {
    let [tls, _plain] = schemes;
    let fault = match Url::parse(address.expose_secret()) {
        Ok(url) => url_fault(&url, schemes, allow_plaintext),
        Err(fault) => Some((
            format!("is not an address ({fault})"),
            format!(
                "write {tls}://USER:PASSWORD@HOST, with special characters of the password percent-encoded"
            ),
        )),
    };
    match fault {
        None => Some(address),
        Some((fault, fix)) => {
            reader.fault(name, fault, fix);
            None
        }
    }
}

/// Fault and fix of an address whose schemes are `[encrypted, unencrypted]`.
pub(super) fn url_fault(
    url: &Url,
    [tls, plain]: [&str; 2],
    allow_plaintext: bool,
) -> Option<(String, String)> {
    let scheme = url.scheme();
    if (scheme != tls && scheme != plain) || url.host().is_none() {
        return Some((
            format!("does not start with {tls}:// and a host"),
            format!("write {tls}://HOST"),
        ));
    }
    if is_link_local(url) {
        return Some((
            "is a link-local address, which only reaches services of the hosting machine"
                .to_owned(),
            "write the service's own host name".to_owned(),
        ));
    }
    if scheme == plain && !allow_plaintext && !is_loopback(url) {
        return Some((
            format!("is not encrypted ({plain}://)"),
            format!("write {tls}://, or allow_plaintext = true for a network you trust"),
        ));
    }
    None
}

/// The address in numbers. Other schemes than http leave the host as text, so it is read again.
fn ip(url: &Url) -> Option<IpAddr> {
    let host = Host::parse(url.host_str()?).ok()?;
    match host {
        Host::Ipv4(v4) => Some(IpAddr::V4(v4)),
        Host::Ipv6(v6) => Some(v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)),
        Host::Domain(_) => None,
    }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match ip(url) {
        Some(ip) => ip.is_loopback(),
        None => url.host_str() == Some("localhost"),
    }
}

fn is_link_local(url: &Url) -> bool {
    match ip(url) {
        Some(IpAddr::V4(v4)) => v4.is_link_local(),
        Some(IpAddr::V6(v6)) => v6.is_unicast_link_local(),
        None => false,
    }
}

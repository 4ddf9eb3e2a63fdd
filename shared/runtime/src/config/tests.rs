use std::collections::BTreeSet;
use std::io::Write as _;

use secrecy::ExposeSecret as _;

use super::keys::{Default, KEYS, Kind};
use super::*;

const EXAMPLE: &str = include_str!("../../../../deploy/mosync.example.toml");

const SMALLEST: &str = r#"
    [salesforce]
    login_url = "https://acme.my.salesforce.com"
    client_id = "3MVG9"
    client_secret = "s3cret-of-salesforce"
    [mos]
    url = "https://mos.example"
    api_key = "s3cret-of-mos"
    [embedded]
    folder = "/var/lib/mosync"
"#;

fn pairs(environment: &[(&str, &str)]) -> Vec<(String, String)> {
    environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn with(environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::read(SMALLEST, pairs(environment))
}

/// The fault lines of the smallest configuration under this environment.
fn faults(environment: &[(&str, &str)]) -> Vec<String> {
    faults_of(Config::read(SMALLEST, pairs(environment)))
}

fn faults_of(result: Result<Config, ConfigError>) -> Vec<String> {
    let text = result.unwrap_err().to_string();
    assert!(!text.contains("s3cret"), "{text}");
    let mut lines = text.lines().map(|line| line.trim_start().to_owned());
    let first = lines.next().unwrap();
    assert!(first.starts_with("the configuration has"), "{first}");
    lines.collect()
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn the_smallest_configuration_has_every_default() {
    let config = with(&[]).unwrap();
    assert_eq!(config.environment, Environment::Development);
    assert!(!config.allow_plaintext);
    assert_eq!(config.salesforce.api_version, "67.0");
    assert_eq!(config.salesforce.topic, "/data/ChangeEvents");
    assert_eq!(
        config.salesforce.pubsub_endpoint.as_str(),
        "https://api.pubsub.salesforce.com:7443/"
    );
    assert_eq!(config.salesforce.permission_sets, ["mOS_Admin", "mOS_User"]);
    assert!(config.salesforce.polled_objects.is_empty());
    assert_eq!(config.salesforce.polled_every, Duration::from_secs(60));
    let day = Duration::from_secs(86_400);
    assert_eq!(config.salesforce.refreshed_every, day);
    assert_eq!(config.salesforce.namespace, "");
    assert_eq!(config.salesforce.audience, None);
    assert_eq!(config.salesforce.request_timeout, Duration::from_secs(30));
    assert_eq!(config.salesforce.watchdog, Duration::from_secs(330));
    assert_eq!(config.salesforce.bulk_from, 10_000);
    assert_eq!(config.mos.request_timeout, Duration::from_secs(30));
    assert_eq!(config.permissions.poll, Duration::from_secs(60));
    assert_eq!(config.http.listen, None);
    assert_eq!(config.retention, Retention::default());
    assert_eq!(config.retention.log_lines, 100_000);
    assert_eq!(config.retention.jobs, 90 * DAY);
    assert_eq!(config.retention.log, 30 * DAY);
    assert_eq!(
        config.log,
        Log {
            format: LogFormat::Text,
            filter: "info".to_owned()
        }
    );
    assert!(
        matches!(config.transport, Transport::Embedded { folder } if folder == Path::new("/var/lib/mosync"))
    );
    assert!(
        matches!(config.salesforce.sign_in, SignIn::ClientCredentials { client_secret } if client_secret.expose_secret() == "s3cret-of-salesforce")
    );
}

#[test]
fn polled_objects_are_named_as_salesforce_names_them() {
    let config = with(&[
        (
            "MOSYNC_SALESFORCE_POLLED_OBJECTS",
            "OpportunityContactRole, User",
        ),
        ("MOSYNC_SALESFORCE_POLLED_EVERY_S", "300"),
    ]);
    let salesforce = config.unwrap().salesforce;
    let polled = [ObjectKind::User, ObjectKind::OpportunityContactRole];
    assert_eq!(salesforce.polled_objects, BTreeSet::from(polled));
    assert_eq!(salesforce.polled_every, Duration::from_secs(300));
}

#[test]
fn debug_shows_no_secret() {
    let text = format!("{:?}", with(&[]).unwrap());
    assert!(text.contains("3MVG9") && !text.contains("s3cret"), "{text}");
}

#[test]
fn the_environment_wins_and_empty_counts_as_absent() {
    let config = with(&[
        ("MOSYNC_ENVIRONMENT", ""),
        ("MOSYNC_MOS_URL", "http://127.0.0.1:9000"),
        ("MOSYNC_MOS_REQUEST_TIMEOUT_S", "7"),
        ("MOSYNC_ALLOW_PLAINTEXT", "true"),
        ("MOSYNC_SALESFORCE_PERMISSION_SETS", "One, Two_2"),
        ("MOSYNC_CONSOLE_ADMIN_PERMISSION_SET", "one"),
        ("MOSYNC_HTTP_LISTEN", "8081"),
        ("MOSYNC_LOG_FORMAT", "json"),
        ("MOSYNC_RETENTION_JOBS_DAYS", "365"),
        ("MOSYNC_RETENTION_LOG_LINES", "250000"),
        ("MOSYNC_RETENTION_LOG_DAYS", "1"),
        ("MOSYNC_SERVICE_HOST", "10.0.0.1"),
        ("MOSYNC_PORT_8081_TCP", "tcp://10.0.0.1:8081"),
        ("PATH", "/bin"),
    ])
    .unwrap();
    assert_eq!(config.environment, Environment::Development);
    assert_eq!(config.mos.url.as_str(), "http://127.0.0.1:9000/");
    assert_eq!(config.mos.request_timeout, Duration::from_secs(7));
    assert!(config.allow_plaintext);
    assert_eq!(config.salesforce.permission_sets, ["One", "Two_2"]);
    assert_eq!(config.http.listen, Some("127.0.0.1:8081".parse().unwrap()));
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(
        config.retention,
        Retention {
            jobs: 365 * DAY,
            log_lines: 250_000,
            log: DAY,
        }
    );
}

#[test]
fn a_secret_comes_from_a_file_and_the_environment_beats_both_ways_of_the_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "s3cret-from-file").unwrap();
    let path = file.path().to_str().unwrap();
    let config = with(&[("MOSYNC_MOS_API_KEY_FILE", path)]).unwrap();
    assert_eq!(config.mos.api_key.expose_secret(), "s3cret-from-file");

    let in_file = SMALLEST.replace(
        "api_key = \"s3cret-of-mos\"",
        &format!("api_key_file = \"{path}\""),
    );
    let config = Config::read(&in_file, []).unwrap();
    assert_eq!(config.mos.api_key.expose_secret(), "s3cret-from-file");
    let config = Config::read(&in_file, pairs(&[("MOSYNC_MOS_API_KEY", "s3cret-env")])).unwrap();
    assert_eq!(config.mos.api_key.expose_secret(), "s3cret-env");

    assert_eq!(
        faults(&[
            ("MOSYNC_MOS_API_KEY", "s3cret"),
            ("MOSYNC_MOS_API_KEY_FILE", path)
        ]),
        ["MOSYNC_MOS_API_KEY: is given twice, here and as mos.api_key_file; take one of them out"]
    );
    let empty = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(
        faults(&[("MOSYNC_MOS_API_KEY_FILE", empty.path().to_str().unwrap())]),
        ["MOSYNC_MOS_API_KEY_FILE: is empty; put the secret there"]
    );
    assert_eq!(
        faults(&[("MOSYNC_MOS_API_KEY_FILE", "/nowhere/key")]),
        [
            "MOSYNC_MOS_API_KEY_FILE: the file `/nowhere/key` cannot be read (No such file or directory (os error 2)); correct the path or the file's permissions"
        ]
    );
}

#[test]
fn all_that_is_missing_is_told_at_once() {
    assert_eq!(
        faults_of(Config::read("", [])),
        [
            "salesforce.login_url: is missing; write the org's My Domain, such as https://acme.my.salesforce.com, or set MOSYNC_SALESFORCE_LOGIN_URL",
            "salesforce.client_id: is missing; write the connected app's consumer key, or set MOSYNC_SALESFORCE_CLIENT_ID",
            "salesforce.private_key: is missing, and so is salesforce.client_secret; write username and private_key_file (JWT bearer), or client_secret_file (client credentials)",
            "mos.url: is missing; write mOS's address, such as https://ingest.mos.example, or set MOSYNC_MOS_URL",
            "mos.api_key: is missing; write a key with ingest right, or a file's path as mos.api_key_file, or set MOSYNC_MOS_API_KEY or MOSYNC_MOS_API_KEY_FILE",
            "queue.rabbitmq_url: is missing, and so is embedded.folder; write queue.rabbitmq_url and store.redis_url for a deployment, or embedded.folder for one machine",
        ]
    );
    assert_eq!(
        Config::read("", []).unwrap_err().to_string().lines().next(),
        Some("the configuration has 6 faults:")
    );
}

#[test]
fn what_is_not_known_is_named_with_what_was_probably_meant() {
    let text =
        format!("{SMALLEST}\n[lgo]\nfilter = \"info\"\n[store]\nredis_ulr = \"x\"\nbananas = 1");
    assert_eq!(
        faults_of(Config::read(
            &text,
            pairs(&[("MOSYNC_SALESFORCE_CLENT_ID", "x"), ("MOSYNC_XYZ", "1")])
        )),
        [
            "[lgo]: no such section; did you mean [log]?",
            "store.bananas: no such key; take it out; mosync.example.toml lists all keys",
            "store.redis_ulr: no such key; did you mean store.redis_url?",
            "MOSYNC_SALESFORCE_CLENT_ID: no such environment variable; did you mean MOSYNC_SALESFORCE_CLIENT_ID?",
            "MOSYNC_XYZ: no such environment variable; take it out; mosync.example.toml lists all keys",
        ]
    );
}

#[test]
fn text_that_is_no_toml_is_placed_without_being_shown() {
    let text = "[mos]\napi_key = \"s3cret\nurl = 1";
    let lines = faults_of(Config::read(text, []));
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("line 2: is not TOML ("), "{lines:?}");
    assert!(
        lines[0].ends_with("; compare with mosync.example.toml"),
        "{lines:?}"
    );
}

#[test]
fn each_wrong_value_has_its_sentence() {
    for (variable, value, sentence) in [
        (
            "MOSYNC_ENVIRONMENT",
            "prod",
            "`prod` is not known; write development or production",
        ),
        (
            "MOSYNC_ALLOW_PLAINTEXT",
            "maybe",
            "is neither true nor false; write true or false",
        ),
        (
            "MOSYNC_SALESFORCE_LOGIN_URL",
            "acme",
            "is not an address (relative URL without a base); write the org's My Domain, such as https://acme.my.salesforce.com",
        ),
        (
            "MOSYNC_SALESFORCE_LOGIN_URL",
            "http://acme.my.salesforce.com",
            "is not encrypted (http://); write https://, or allow_plaintext = true for a network you trust",
        ),
        (
            "MOSYNC_SALESFORCE_LOGIN_URL",
            "ftp://acme",
            "does not start with https:// and a host; write https://HOST",
        ),
        (
            "MOSYNC_SALESFORCE_PUBSUB_ENDPOINT",
            "https://169.254.169.254",
            "is a link-local address, which only reaches services of the hosting machine; write the service's own host name",
        ),
        (
            "MOSYNC_MOS_URL",
            "https://a:s3cret@mos.example",
            "holds more than a host and a path; take out user name, password, `?` and `#`",
        ),
        (
            "MOSYNC_SALESFORCE_API_VERSION",
            "v67",
            "`v67` is not an API version from 50.0 on; write it as 67.0",
        ),
        (
            "MOSYNC_SALESFORCE_TOPIC",
            "ChangeEvents",
            "`ChangeEvents` is not a change event channel; write /data/ChangeEvents, or /data/NAME__chn for a channel of your own",
        ),
        (
            "MOSYNC_SALESFORCE_POLLED_OBJECTS",
            "User,Lead",
            "`Lead` is not an object that mosync syncs; write some of User, Account, Contact, Opportunity, OpportunityContactRole",
        ),
        (
            "MOSYNC_SALESFORCE_PERMISSION_SETS",
            "a,,b",
            "does not hold API names of permission sets; write them as [\"mOS_Admin\", \"mOS_User\"], without the namespace",
        ),
        (
            "MOSYNC_SALESFORCE_NAMESPACE",
            "x' OR",
            "`x' OR` is not an API name; write letters, digits and underscores only",
        ),
        (
            "MOSYNC_SALESFORCE_WATCHDOG_S",
            "0",
            "is not a whole number from 1 to 86400; 330 is usual",
        ),
        (
            "MOSYNC_PERMISSIONS_POLL_S",
            "1.5",
            "is not a whole number from 1 to 86400; 60 is usual",
        ),
        (
            "MOSYNC_RETENTION_JOBS_DAYS",
            "3651",
            "is not a whole number from 1 to 3650; 90 is usual",
        ),
        (
            "MOSYNC_RETENTION_LOG_LINES",
            "0",
            "is not a whole number from 1 to 10000000; 100000 is usual",
        ),
        (
            "MOSYNC_STORE_DEPLOYMENT",
            "a:b",
            "is not a name of 1 to 32 letters, digits, `-` and `_`; mosync is usual",
        ),
        (
            "MOSYNC_HTTP_LISTEN",
            "everywhere",
            "`everywhere` is not an address; write IP:PORT, such as 127.0.0.1:8081, or \"8081\" for that port on this machine alone",
        ),
        (
            "MOSYNC_CONSOLE_LISTEN",
            "here",
            "`here` is not an address; write IP:PORT, such as 127.0.0.1:8090, or \"8090\" for that port on this machine alone",
        ),
        (
            "MOSYNC_CONSOLE_LISTEN",
            "0.0.0.0:8090",
            "is reachable from other machines, and its answers are not encrypted; write 127.0.0.1 and put a proxy with TLS before it, or allow_plaintext = true for a network you trust",
        ),
        (
            "MOSYNC_CONSOLE_TOKEN_SHA256",
            "s3cret",
            "is not a SHA-256 in 64 hexadecimal digits; write what `mosync console-token` prints as token_sha256, not the token itself",
        ),
        (
            "MOSYNC_LOG_FORMAT",
            "xml",
            "`xml` is not known; write text or json",
        ),
    ] {
        assert_eq!(
            faults(&[(variable, value)]),
            [format!("{variable}: {sentence}")]
        );
    }
    let lines = faults(&[("MOSYNC_LOG_FILTER", "loader=loud")]);
    assert!(
        lines[0].starts_with("MOSYNC_LOG_FILTER: cannot be read ("),
        "{lines:?}"
    );
}

#[test]
fn the_console_listens_where_it_is_told_and_knows_a_hash() {
    let none = with(&[]).unwrap().console;
    assert_eq!((none.listen, none.token_sha256), (None, None));
    assert_eq!(none.journal, None);
    let digits = "00ff".repeat(16);
    let given = with(&[
        ("MOSYNC_CONSOLE_LISTEN", "8090"),
        ("MOSYNC_CONSOLE_TOKEN_SHA256", &digits),
        ("MOSYNC_CONSOLE_JOURNAL", "kept/settings.jsonl"),
    ]);
    let given = given.unwrap().console;
    assert_eq!(given.journal, Some("kept/settings.jsonl".into()));
    assert_eq!(given.listen, Some(([127, 0, 0, 1], 8090).into()));
    let mut hash = [0; 32];
    for byte in hash.iter_mut().skip(1).step_by(2) {
        *byte = 255;
    }
    assert_eq!(given.token_sha256, Some(TokenHash(hash)));
    let wide = with(&[
        ("MOSYNC_CONSOLE_LISTEN", "0.0.0.0:8090"),
        ("MOSYNC_ALLOW_PLAINTEXT", "true"),
    ]);
    assert!(wide.unwrap().console.listen.is_some());
}

#[test]
fn wrong_types_in_the_file_are_named() {
    let text = r#"
        environment = 3
        allow_plaintext = "true"
        [salesforce]
        login_url = "https://acme.my.salesforce.com"
        client_id = 7
        client_secret = 8
        permission_sets = "mOS_User"
        watchdog_s = "330"
        [mos]
        url = "https://mos.example"
        api_key_file = 9
        [embedded]
        folder = "x"
    "#;
    assert_eq!(
        faults_of(Config::read(text, [])),
        [
            "environment: is not a text; write it in quotes",
            "allow_plaintext: is neither true nor false; write true or false",
            "salesforce.client_id: is not a text; write it in quotes",
            "salesforce.client_secret: is not a text; write it in quotes",
            "salesforce.permission_sets: is not a list of texts; write it as [\"one\", \"two\"], in the environment as one,two",
            "salesforce.watchdog_s: is not a whole number from 1 to 86400; 330 is usual",
            "mos.api_key_file: is not a text; write a file's path in quotes",
        ]
    );
}

#[test]
fn exactly_one_way_to_sign_in() {
    assert_eq!(
        faults(&[("MOSYNC_SALESFORCE_PRIVATE_KEY", "s3cret")]),
        [
            "MOSYNC_SALESFORCE_PRIVATE_KEY: is given together with salesforce.client_secret; keep the private key (JWT bearer) or the secret (client credentials)"
        ]
    );
    let jwt = SMALLEST.replace("client_secret = \"s3cret-of-salesforce\"", "");
    assert_eq!(
        faults_of(Config::read(
            &jwt,
            pairs(&[("MOSYNC_SALESFORCE_PRIVATE_KEY", "s3cret")])
        )),
        [
            "salesforce.username: is missing, though salesforce.private_key is given; write the integration user's name",
            "MOSYNC_SALESFORCE_PRIVATE_KEY: is not a private key in PEM form; give the unencrypted RSA key that belongs to the connected app's certificate; it starts with -----BEGIN PRIVATE KEY-----",
        ]
    );
    let pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let config = Config::read(
        &jwt,
        pairs(&[
            ("MOSYNC_SALESFORCE_PRIVATE_KEY", pem),
            ("MOSYNC_SALESFORCE_USERNAME", "i@acme.example"),
        ]),
    )
    .unwrap();
    assert!(
        matches!(config.salesforce.sign_in, SignIn::JwtBearer { username, .. } if username == "i@acme.example")
    );
}

#[test]
fn exactly_one_transport_and_a_real_one_in_production() {
    assert_eq!(
        faults(&[("MOSYNC_STORE_REDIS_URL", "rediss://r.example")]),
        [
            "embedded.folder: is given together with queue.rabbitmq_url or store.redis_url; keep either the folder or the two servers"
        ]
    );
    assert_eq!(
        faults(&[("MOSYNC_ENVIRONMENT", "production")]),
        [
            "embedded.folder: is for one process on one machine, not for environment = \"production\"; write queue.rabbitmq_url and store.redis_url instead"
        ]
    );
    let servers = SMALLEST
        .replace("[embedded]", "")
        .replace("folder = \"/var/lib/mosync\"", "");
    let config = |environment| Config::read(&servers, pairs(environment));
    assert_eq!(
        faults_of(config(&[(
            "MOSYNC_QUEUE_RABBITMQ_URL",
            "amqps://u:s3cret@q.example"
        )])),
        [
            "store.redis_url: is missing, though queue.rabbitmq_url is given; write rediss://USER:PASSWORD@HOST/0"
        ]
    );
    assert_eq!(
        faults_of(config(&[
            ("MOSYNC_QUEUE_RABBITMQ_URL", "amqp://u:s3cret@q.example"),
            ("MOSYNC_STORE_REDIS_URL", "http://u:s3cret@r.example"),
        ])),
        [
            "MOSYNC_QUEUE_RABBITMQ_URL: is not encrypted (amqp://); write amqps://, or allow_plaintext = true for a network you trust",
            "MOSYNC_STORE_REDIS_URL: does not start with rediss:// and a host; write rediss://HOST",
        ]
    );
    assert_eq!(
        faults_of(config(&[
            (
                "MOSYNC_QUEUE_RABBITMQ_URL",
                "amqps://u:s3cret@q.example:port"
            ),
            ("MOSYNC_STORE_REDIS_URL", "redis://127.0.0.1:6379"),
        ])),
        [
            "MOSYNC_QUEUE_RABBITMQ_URL: is not an address (invalid port number); write amqps://USER:PASSWORD@HOST, with special characters of the password percent-encoded"
        ]
    );
    let loaded = config(&[
        ("MOSYNC_ENVIRONMENT", "production"),
        (
            "MOSYNC_QUEUE_RABBITMQ_URL",
            "amqp://guest:s3cret@localhost:5672/%2f",
        ),
        ("MOSYNC_STORE_REDIS_URL", "redis://127.0.0.1:6379"),
    ])
    .unwrap();
    assert!(
        matches!(loaded.transport, Transport::Servers { deployment, redis_url, .. }
        if deployment == "mosync" && redis_url.expose_secret() == "redis://127.0.0.1:6379")
    );
}

#[test]
fn the_file_is_found_by_argument_or_variable() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(SMALLEST.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    Config::load(Some(file.path()), []).unwrap();
    Config::load(None, pairs(&[(FILE_VARIABLE, path)])).unwrap();
    // The argument wins.
    Config::load(Some(file.path()), pairs(&[(FILE_VARIABLE, "/nowhere")])).unwrap();
    assert_eq!(
        faults_of(Config::load(Some(Path::new("/nowhere")), [])),
        [
            "/nowhere: the configuration file cannot be read (No such file or directory (os error 2)); correct --config or MOSYNC_CONFIG, or the file's permissions"
        ]
    );
}

#[test]
fn every_key_of_the_table_is_used() {
    let mut reader = Reader::of(SMALLEST, []).unwrap();
    assert!(Config::of(&mut reader).is_some());
    let table: BTreeSet<&str> = KEYS.iter().map(|key| key.name).collect();
    assert_eq!(reader.asked(), &table);
}

#[test]
fn the_example_as_shipped_is_a_deployment() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = EXAMPLE.to_owned();
    for (name, secret) in [
        ("salesforce_private_key", "-----BEGIN PRIVATE KEY-----"),
        ("mos_api_key", "key"),
        ("rabbitmq_url", "amqps://q.example"),
        ("redis_url", "rediss://r.example"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, secret).unwrap();
        text = text.replace(&format!("/run/secrets/{name}"), path.to_str().unwrap());
    }
    let config = Config::read(&text, []).unwrap();
    assert!(matches!(config.transport, Transport::Servers { .. }));
}

#[test]
fn the_example_has_every_key_with_its_default() {
    let all: String = EXAMPLE
        .lines()
        .map(|line| {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            let name = bare.split(" = ").next().unwrap_or_default();
            let is_key = bare.contains(" = ")
                && name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            format!("{}\n", if is_key { bare } else { line })
        })
        .collect();
    let table: toml::Table = toml::from_str(&all).unwrap();
    let mut shown = BTreeSet::new();
    for (name, value) in &table {
        match value.as_table() {
            Some(section) => shown.extend(section.keys().map(|key| format!("{name}.{key}"))),
            None => {
                shown.insert(name.clone());
            }
        }
    }
    assert_eq!(shown, keys::names().collect());
    for key in KEYS {
        let value = key
            .name
            .split_once('.')
            .map_or_else(|| &table[key.name], |(section, name)| &table[section][name]);
        match key.default {
            Default::None => assert!(matches!(key.kind, Kind::Text | Kind::Secret)),
            Default::Text(text) => assert_eq!(value.as_str(), Some(text), "{}", key.name),
            Default::Number(number) => assert_eq!(value.as_integer(), Some(number), "{}", key.name),
            Default::Flag(flag) => assert_eq!(value.as_bool(), Some(flag), "{}", key.name),
            Default::List(texts) => assert_eq!(
                value
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|v| v.as_str().unwrap())
                    .collect::<Vec<_>>(),
                texts,
                "{}",
                key.name
            ),
        }
    }
}

#[test]
fn notifications_go_into_the_embedded_folder_when_nothing_is_said() {
    let notify = with(&[]).unwrap().notify;
    assert_eq!(
        notify.folder.as_deref(),
        Some(Path::new("/var/lib/mosync/mail"))
    );
    assert!(notify.smtp.is_none() && notify.webhook.is_none());
    assert_eq!(notify.from, "mosync@localhost");
    assert_eq!(notify.timeout, Duration::from_secs(30));
    let notify = with(&[("MOSYNC_NOTIFY_FOLDER", "/var/mail")])
        .unwrap()
        .notify;
    assert_eq!(notify.folder.as_deref(), Some(Path::new("/var/mail")));
}

#[test]
fn a_mail_server_and_a_webhook_are_read_with_their_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, "PEM").unwrap();
    let config = with(&[
        ("MOSYNC_NOTIFY_SMTP_HOST", "smtp.acme.example"),
        ("MOSYNC_NOTIFY_SMTP_PORT", "465"),
        ("MOSYNC_NOTIFY_SMTP_TLS", "implicit"),
        ("MOSYNC_NOTIFY_SMTP_USER", "mosync"),
        ("MOSYNC_NOTIFY_SMTP_PASSWORD", "s3cret-of-mail"),
        ("MOSYNC_NOTIFY_SMTP_CA_FILE", ca.to_str().unwrap()),
        ("MOSYNC_NOTIFY_FROM", "mosync@acme.example"),
        ("MOSYNC_NOTIFY_TIMEOUT_S", "5"),
        (
            "MOSYNC_NOTIFY_WEBHOOK_URL",
            "https://hooks.acme.example/a?token=s3cret",
        ),
        ("MOSYNC_NOTIFY_WEBHOOK_SECRET", "s3cret-of-hook"),
        ("MOSYNC_CONSOLE_PUBLIC_URL", "https://mosync.acme.example"),
    ])
    .unwrap();
    assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
    let smtp = config.notify.smtp.unwrap();
    assert_eq!((smtp.host.as_str(), smtp.port), ("smtp.acme.example", 465));
    assert_eq!(
        (smtp.tls, smtp.ca.unwrap()),
        (SmtpTls::Implicit, b"PEM".to_vec())
    );
    let (user, password) = smtp.login.unwrap();
    assert_eq!(
        (user.as_str(), password.expose_secret()),
        ("mosync", "s3cret-of-mail")
    );
    let webhook = config.notify.webhook.unwrap();
    assert_eq!(webhook.secret.expose_secret(), "s3cret-of-hook");
    assert_eq!(config.notify.from, "mosync@acme.example");
    assert_eq!(config.notify.timeout, Duration::from_secs(5));
    assert_eq!(config.console.trusted_proxies, Vec::new());
    let public = config.console.public_url.unwrap();
    assert_eq!(public.as_str(), "https://mosync.acme.example/");
}

#[test]
fn each_wrong_way_out_has_its_sentence() {
    const HOST: (&str, &str) = ("MOSYNC_NOTIFY_SMTP_HOST", "smtp.acme.example");
    const FROM: (&str, &str) = ("MOSYNC_NOTIFY_FROM", "mosync@acme.example");
    const HOOK: (&str, &str) = ("MOSYNC_NOTIFY_WEBHOOK_SECRET", "s3cret");
    for (given, word) in [
        (&[HOST][..], "notify.from: is missing"),
        (
            &[HOST, ("MOSYNC_NOTIFY_FROM", "mosync")],
            "not a bare mail address",
        ),
        (
            &[("MOSYNC_NOTIFY_SMTP_PORT", "25")],
            "without notify.smtp_host",
        ),
        (
            &[("MOSYNC_NOTIFY_SMTP_PASSWORD", "s3cret")],
            "without notify.smtp_host",
        ),
        (
            &[HOST, FROM, ("MOSYNC_NOTIFY_SMTP_USER", "u")],
            "notify.smtp_password: is missing",
        ),
        (
            &[HOST, FROM, ("MOSYNC_NOTIFY_SMTP_PASSWORD", "s3cret")],
            "notify.smtp_user: is missing",
        ),
        (
            &[HOST, FROM, ("MOSYNC_NOTIFY_SMTP_TLS", "none")],
            "not encrypted",
        ),
        (
            &[HOST, FROM, ("MOSYNC_NOTIFY_SMTP_TLS", "ssl")],
            "`ssl` is not known",
        ),
        (
            &[HOST, FROM, ("MOSYNC_NOTIFY_SMTP_PORT", "70000")],
            "from 1 to 65535",
        ),
        (
            &[HOST, FROM, ("MOSYNC_NOTIFY_SMTP_CA_FILE", "/no/such")],
            "cannot be read",
        ),
        (
            &[("MOSYNC_NOTIFY_SMTP_HOST", "169.254.1.1"), FROM],
            "link-local",
        ),
        (
            &[("MOSYNC_NOTIFY_SMTP_HOST", "smtp://x.example"), FROM],
            "not a host's name",
        ),
        (
            &[("MOSYNC_NOTIFY_SMTP_HOST", "x.example:25"), FROM],
            "not a host's name",
        ),
        (&[("MOSYNC_NOTIFY_TIMEOUT_S", "61")], "from 1 to 60"),
        (&[HOOK], "notify.webhook_url: is missing"),
        (
            &[("MOSYNC_NOTIFY_WEBHOOK_URL", "https://x.example")],
            "notify.webhook_secret: is missing",
        ),
        (
            &[
                HOOK,
                ("MOSYNC_NOTIFY_WEBHOOK_URL", "http://x.example/s3cret"),
            ],
            "not encrypted",
        ),
        (
            &[
                HOOK,
                ("MOSYNC_ALLOW_PLAINTEXT", "true"),
                ("MOSYNC_NOTIFY_WEBHOOK_URL", "http://x.example/"),
            ],
            "not encrypted",
        ),
        (
            &[
                HOOK,
                ("MOSYNC_NOTIFY_WEBHOOK_URL", "https://169.254.169.254/"),
            ],
            "link-local",
        ),
        (
            &[HOOK, ("MOSYNC_NOTIFY_WEBHOOK_URL", "https://0.0.0.0/")],
            "no address of a service",
        ),
        (
            &[
                HOOK,
                ("MOSYNC_NOTIFY_WEBHOOK_URL", "https://a:s3cret@x.example/"),
            ],
            "user name or a password",
        ),
        (
            &[HOOK, ("MOSYNC_NOTIFY_WEBHOOK_URL", "hooks")],
            "is not an address",
        ),
        (
            &[("MOSYNC_CONSOLE_PUBLIC_URL", "http://mosync.acme.example")],
            "not encrypted",
        ),
        (
            &[(
                "MOSYNC_CONSOLE_PUBLIC_URL",
                "https://mosync.acme.example/?a",
            )],
            "more than a scheme",
        ),
        (
            &[("MOSYNC_CONSOLE_PUBLIC_URL", "https://acme.example/mosync")],
            "at the root of its address",
        ),
        (
            &[("MOSYNC_CONSOLE_TRUSTED_PROXIES", "10.0.0.0/8,10.0.0.0/40")],
            "`10.0.0.0/40` is no address",
        ),
        (
            &[("MOSYNC_CONSOLE_PUBLIC_URL", "mosync")],
            "is not an address",
        ),
    ] {
        let found = faults(given);
        let by_key = |line: &String| {
            let name = word.split(':').next().unwrap_or_default();
            line.contains(word)
                || (word.contains(": ")
                    && line.contains(&keys::variable(name))
                    && line.contains(word.split(": ").nth(1).unwrap()))
        };
        assert!(found.iter().any(by_key), "{given:?}: {found:#?}");
    }
    // An unencrypted one of this machine is fine, for mails and for the webhook.
    with(&[
        ("MOSYNC_NOTIFY_SMTP_HOST", "127.0.0.1"),
        ("MOSYNC_NOTIFY_SMTP_TLS", "none"),
        FROM,
        HOOK,
        ("MOSYNC_NOTIFY_WEBHOOK_URL", "http://127.0.0.1:8080/hook"),
    ])
    .unwrap();
}

#[test]
fn frames_are_those_of_servers_that_are_named_whole() {
    const NAME: &str = "MOSYNC_CONSOLE_FRAME_ANCESTORS";
    let given = "https://acme.lightning.force.com/, http://localhost:3000";
    let origins = with(&[(NAME, given)]).unwrap().console.frame_ancestors;
    assert_eq!(
        origins,
        ["https://acme.lightning.force.com", "http://localhost:3000"]
    );
    for wrong in [
        "*",
        "https:",
        "https://*",
        "https://*.lightning.force.com",
        "https://acme.example;script-src",
        "'self'",
        "acme.lightning.force.com",
        "http://acme.lightning.force.com",
        "https://acme.lightning.force.com/lightning",
        "https://ada@acme.lightning.force.com",
    ] {
        let found = faults(&[(NAME, wrong)]);
        let told = format!("`{wrong}` is not the address of an https server");
        let is_told = |line: &String| line.contains(&told);
        assert!(found.iter().any(is_told), "{wrong}: {found:#?}");
    }
}

#[test]
fn trusted_proxies_are_addresses_and_networks() {
    let given = [("MOSYNC_CONSOLE_TRUSTED_PROXIES", "127.0.0.1, fd00::/8")];
    let proxies = with(&given).unwrap().console.trusted_proxies;
    let expected = ["127.0.0.1", "fd00::/8"].map(|it| it.parse().unwrap());
    assert_eq!(proxies, expected);
}

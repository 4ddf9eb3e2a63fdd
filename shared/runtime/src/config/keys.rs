//! Every key there is, once. `deploy/mosync.example.toml` is held to this table by a test.

/// What a key may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// Whole and positive.
    Number,
    Flag,
    List,
    /// A text that nobody may see; `<key>_file` names a file that holds it instead.
    Secret,
}

/// What holds when a key is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Default {
    None,
    Text(&'static str),
    Number(i64),
    Flag(bool),
    List(&'static [&'static str]),
}

impl Default {
    pub(crate) const fn text(self) -> Option<&'static str> {
        if let Self::Text(text) = self {
            return Some(text);
        }
        None
    }

    pub(crate) const fn number(self) -> Option<i64> {
        if let Self::Number(number) = self {
            return Some(number);
        }
        None
    }

    pub(crate) const fn list(self) -> &'static [&'static str] {
        if let Self::List(texts) = self {
            return texts;
        }
        &[]
    }
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// `section.key`, or the bare key at the top of the file.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: Default,
}

const fn text(name: &'static str, default: &'static str) -> Key {
    Key {
        name,
        kind: Kind::Text,
        default: Default::Text(default),
    }
}

/// A text without a default: required, or absent by its own meaning.
const fn bare(name: &'static str) -> Key {
    Key {
        name,
        kind: Kind::Text,
        default: Default::None,
    }
}

const fn number(name: &'static str, default: i64) -> Key {
    Key {
        name,
        kind: Kind::Number,
        default: Default::Number(default),
    }
}

const fn secret(name: &'static str) -> Key {
    Key {
        name,
        kind: Kind::Secret,
        default: Default::None,
    }
}

/// All of them, secrets without their `_file` twins.
pub(crate) const KEYS: &[Key] = &[
    text("environment", "development"),
    Key {
        name: "allow_plaintext",
        kind: Kind::Flag,
        default: Default::Flag(false),
    },
    bare("salesforce.login_url"),
    text("salesforce.api_version", "67.0"),
    bare("salesforce.client_id"),
    bare("salesforce.username"),
    secret("salesforce.private_key"),
    secret("salesforce.client_secret"),
    bare("salesforce.audience"),
    text(
        "salesforce.pubsub_endpoint",
        "https://api.pubsub.salesforce.com:7443",
    ),
    text("salesforce.topic", "/data/ChangeEvents"),
    Key {
        name: "salesforce.polled_objects",
        kind: Kind::List,
        default: Default::List(&[]),
    },
    number("salesforce.polled_every_s", 60),
    number("salesforce.refreshed_every_s", 86_400),
    Key {
        name: "salesforce.permission_sets",
        kind: Kind::List,
        default: Default::List(&["mOS_Admin", "mOS_User"]),
    },
    text("salesforce.namespace", ""),
    text("salesforce.permission_set_licence", ""),
    text("salesforce.package_namespace", ""),
    number("salesforce.request_timeout_s", 30),
    number("salesforce.watchdog_s", 330),
    number("salesforce.bulk_from", 10_000),
    bare("mos.url"),
    secret("mos.api_key"),
    number("mos.request_timeout_s", 30),
    secret("queue.rabbitmq_url"),
    secret("store.redis_url"),
    text("store.deployment", "mosync"),
    bare("embedded.folder"),
    number("permissions.poll_s", 60),
    bare("http.listen"),
    bare("console.listen"),
    secret("console.token_sha256"),
    bare("console.journal"),
    bare("console.client_id"),
    secret("console.client_secret"),
    text("console.admin_permission_set", "mOS_Admin"),
    Key {
        name: "console.operators",
        kind: Kind::List,
        default: Default::List(&[]),
    },
    Key {
        name: "console.viewers",
        kind: Kind::List,
        default: Default::List(&[]),
    },
    Key {
        name: "console.frame_ancestors",
        kind: Kind::List,
        default: Default::List(&[]),
    },
    Key {
        name: "console.trusted_proxies",
        kind: Kind::List,
        default: Default::List(&[]),
    },
    bare("console.public_url"),
    bare("notify.smtp_host"),
    number("notify.smtp_port", 587),
    text("notify.smtp_tls", "starttls"),
    bare("notify.smtp_user"),
    secret("notify.smtp_password"),
    bare("notify.smtp_ca_file"),
    bare("notify.from"),
    bare("notify.folder"),
    bare("notify.webhook_url"),
    secret("notify.webhook_secret"),
    number("notify.timeout_s", 30),
    number("retention.jobs_days", 90),
    number("retention.log_lines", 100_000),
    number("retention.log_days", 30),
    text("log.format", "text"),
    text("log.filter", "info"),
];

/// The key of that name, if there is one.
pub(crate) fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Every name that may be written: keys and the secrets' `_file` twins.
pub(crate) fn names() -> impl Iterator<Item = String> {
    KEYS.iter().flat_map(|key| {
        let twin = (key.kind == Kind::Secret).then(|| twin(key.name));
        std::iter::once(key.name.to_owned()).chain(twin)
    })
}

/// The key that names a file holding the secret.
pub(crate) fn twin(secret: &str) -> String {
    format!("{secret}_file")
}

/// The environment variable that sets a key.
pub(crate) fn variable(name: &str) -> String {
    format!("MOSYNC_{}", name.replace('.', "_").to_ascii_uppercase())
}

/// The known name that was probably meant.
pub(crate) fn nearest(given: &str, known: impl Iterator<Item = String>) -> Option<String> {
    known
        .map(|name| (strsim::damerau_levenshtein(given, &name), name))
        .min()
        .filter(|(distance, name)| distance * 3 <= name.len())
        .map(|(_, name)| name)
}

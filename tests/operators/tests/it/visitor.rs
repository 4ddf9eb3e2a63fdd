//! Somebody with a browser: pages over real HTTP, with a session's cookie, and their forms sent as a
//! browser sends them.

use std::collections::{BTreeMap, BTreeSet};

use console::api::Keys;
use console::people::People;
use console::{Console, Web, token};
use domain::permission::{Grant, PermissionSnapshot};
use domain::{ObjectKind, SalesforceId};
use http::{HeaderMap, Method, StatusCode};
use ports::stores::Session;

use crate::desk::{Desk, Door, record};
use crate::web::{Closed, encoded};

const OWN: &str = "http://console.test";
/// The administrator's username.
pub(crate) const ADA: &str = "ada@example.com";

pub(crate) struct Visitor {
    door: Door,
    cookie: String,
}

/// A page.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) html: String,
}

/// Names and values, in order.
pub(crate) type Fields = Vec<(String, String)>;

/// Permissions of the administrator, and of these users.
pub(crate) async fn permit(desk: &Desk, users: &[SalesforceId]) {
    let grant = |set: &str| Grant {
        permission_set: set.to_owned(),
        group: None,
        expires: None,
    };
    let mut holders: BTreeMap<_, _> = users
        .iter()
        .map(|user| (*user, [grant("mOS_User")].into()))
        .collect();
    holders.insert(record(ObjectKind::User, 1), [grant("mOS_Admin")].into());
    hold(desk, holders).await;
}

/// Nobody holds a permission set any more.
pub(crate) async fn forbid(desk: &Desk) {
    hold(desk, BTreeMap::new()).await;
}

async fn hold(desk: &Desk, holders: BTreeMap<SalesforceId, BTreeSet<Grant>>) {
    let latest = desk.stores.permissions.latest().await.unwrap();
    let snapshot = PermissionSnapshot {
        number: latest.number + 1,
        taken: desk.now(),
        holders,
        ..PermissionSnapshot::default()
    };
    let permissions = &desk.stores.permissions;
    permissions.store(&snapshot, None).await.unwrap();
}

impl Visitor {
    /// An administrator; permissions are as the test has stored them.
    pub(crate) async fn administrator(desk: &Desk) -> Self {
        Self::named(desk, "Ada Admin", 1).await
    }

    pub(crate) async fn named(desk: &Desk, name: &str, user: u32) -> Self {
        let sets = ["mOS_Admin", "mOS_User"].map(str::to_owned);
        let web = Web {
            sign_in: std::sync::Arc::new(Closed),
            url: OWN.parse().unwrap(),
            people: People {
                admin_permission_set: "mOS_Admin".to_owned(),
                ..People::default()
            },
            frame_ancestors: Vec::new(),
        };
        let ops = desk.ops.clone().counting(sets.into());
        let console = Console::new(ops, Keys::default()).with_pages(web);
        let id = format!("{user:064}");
        let session = Session {
            user: record(ObjectKind::User, user),
            username: ADA.to_owned(),
            name: name.to_owned(),
            instance_url: "https://acme.example".to_owned(),
            opened: desk.now(),
            seen: desk.now(),
        };
        let key = token::hash_in_words(&token::hash(&id));
        desk.stores.sessions.open(&key, &session).await.unwrap();
        Self {
            door: desk.door_to(console).await,
            cookie: format!("mosync={id}"),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Shown {
        self.ask(Method::GET, path, "", &[]).await
    }

    /// What a browser would send of the form of a page to that page itself.
    pub(crate) async fn form(&self, path: &str) -> Fields {
        self.get(path).await.form(path)
    }

    /// Sends a form.
    pub(crate) async fn send(&self, path: &str, fields: &Fields) -> Shown {
        let pairs = fields.iter();
        let pairs = pairs.map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let headers = [("origin", OWN)];
        self.ask(Method::POST, path, &body, &headers).await
    }

    async fn ask(&self, method: Method, path: &str, body: &str, headers: &[(&str, &str)]) -> Shown {
        let mut all = vec![("cookie", self.cookie.as_str())];
        all.extend(headers);
        if method == Method::POST {
            all.push(("content-type", "application/x-www-form-urlencoded"));
        }
        let answer = self.door.ask_as(method, path, body, &all).await;
        Shown {
            status: answer.status,
            headers: answer.headers,
            html: String::from_utf8(answer.body.to_vec()).unwrap(),
        }
    }
}

impl Shown {
    /// What a browser would send of a form, without its buttons.
    pub(crate) fn form(&self, action: &str) -> Fields {
        let begin = format!("action=\"{action}\"");
        let from = self
            .html
            .find(&begin)
            .unwrap_or_else(|| panic!("no form to {action} in {}", self.html));
        let html = self.html.get(from..).unwrap();
        fields(html.split("</form>").next().unwrap())
    }

    pub(crate) fn has(&self, text: &str) {
        assert!(self.html.contains(text), "{text:?} is not in {}", self.html);
    }

    pub(crate) fn lacks(&self, text: &str) {
        assert!(!self.html.contains(text), "{text:?} is in {}", self.html);
    }

    /// The sentence at a field of a form.
    pub(crate) fn error_at(&self, field: &str) -> String {
        let begin = format!("id=\"{field}-error\">");
        let from = self
            .html
            .find(&begin)
            .unwrap_or_else(|| panic!("no error at {field} in {}", self.html));
        let rest = self.html.get(from + begin.len()..).unwrap();
        plain(rest.split("</p>").next().unwrap())
    }
}

fn plain(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    text.replace("&quot;", "\"").replace("&amp;", "&")
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let begin = format!(" {name}=\"");
    let (_, rest) = tag.split_once(&begin)?;
    rest.split('"').next().map(plain)
}

fn is_set(tag: &str, name: &str) -> bool {
    tag.split_whitespace().any(|part| part == name)
}

fn fields(html: &str) -> Fields {
    let mut fields = Fields::new();
    let mut list: Option<(String, Option<String>)> = None;
    for part in html.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap();
        let name = attribute(tag, "name");
        match (tag.split_whitespace().next(), name) {
            (Some("input"), Some(name)) => {
                let kind = attribute(tag, "type").unwrap();
                let value = attribute(tag, "value");
                if kind != "checkbox" || is_set(tag, "checked") {
                    fields.push((name, value.unwrap_or_else(|| "on".to_owned())));
                }
            }
            (Some("textarea"), Some(name)) => fields.push((name, plain(text))),
            (Some("select"), Some(name)) => list = Some((name, None)),
            (Some("option"), _) => {
                if let (Some((_, chosen)), Some(value)) = (&mut list, attribute(tag, "value"))
                    && (chosen.is_none() || is_set(tag, "selected"))
                {
                    *chosen = Some(value);
                }
            }
            (Some("/select"), _) => {
                let (name, chosen) = list.take().unwrap();
                fields.push((name, chosen.unwrap()));
            }
            _ => {}
        }
    }
    fields
}

/// Writes into a field of the form, or adds it.
pub(crate) fn write(fields: &mut Fields, name: &str, value: &str) {
    match fields.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => value.clone_into(known),
        None => fields.push((name.to_owned(), value.to_owned())),
    }
}

/// Unticks a box.
pub(crate) fn untick(fields: &mut Fields, name: &str) {
    fields.retain(|(known, _)| known != name);
}

//! The pages of a desk, seen by people of every role.

use std::sync::Arc;

use async_trait::async_trait;
use console::api::Keys;
use console::people::People;
use console::{Console, Web, token};
use domain::SalesforceId;
use http::{Method, Response};
use hyper::body::Incoming;
use ports::sign_in::{Identity, Invitation, Return, SignIn, SignInError};
use ports::stores::Session;

use crate::desk::{Answer, Desk, Door, TOKEN, serve};

pub(crate) const OPERATOR: &str = "otto@example.com";
pub(crate) const VIEWER: &str = "vera@example.com";
/// Where the org's own pages are.
pub(crate) const INSTANCE: &str = "https://org.example.com";

/// Whoever is here has signed in already: sessions are begun in the store.
pub(crate) struct Closed;

#[async_trait]
impl SignIn for Closed {
    fn address(&self, _invitation: Invitation<'_>) -> String {
        "https://login.example.com/".to_owned()
    }

    async fn identify(&self, _back: Return<'_>) -> Result<Identity, SignInError> {
        Err(SignInError::Refused("closed".to_owned()))
    }
}

/// A console in a browser of somebody who has signed in.
pub(crate) struct Browser {
    pub(crate) door: Door,
    cookie: String,
    origin: String,
}

impl Browser {
    pub(crate) async fn of(desk: &Desk, username: &str) -> Self {
        let ops = desk.ops.clone();
        let door = serve(|address| {
            let web = Web {
                sign_in: Arc::new(Closed),
                url: format!("http://{address}").parse().unwrap(),
                people: People {
                    admin_permission_set: "mOS_Admin".to_owned(),
                    operators: [OPERATOR.to_owned()].into(),
                    viewers: [VIEWER.to_owned()].into(),
                },
                frame_ancestors: Vec::new(),
            };
            let keys = Keys {
                configured: Some(token::hash(TOKEN)),
                folder: None,
            };
            Console::new(ops, keys).with_pages(web)
        })
        .await;
        Self {
            origin: format!("http://{}", door.address),
            cookie: session(desk, username).await,
            door,
        }
    }

    /// Another session at the same console.
    pub(crate) async fn sign_in_again(&mut self, desk: &Desk, username: &str) {
        self.cookie = session(desk, username).await;
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let headers = [("cookie", self.cookie.as_str())];
        self.door
            .ask_with(Method::GET, path, None, "", &headers)
            .await
    }

    /// The text of a page that is there.
    pub(crate) async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text()
    }

    /// Answers as they come in.
    pub(crate) async fn listen(&self, path: &str, headers: &[(&str, &str)]) -> Response<Incoming> {
        let mut all = vec![("cookie", self.cookie.as_str())];
        all.extend_from_slice(headers);
        self.door.send(Method::GET, path, None, "", &all).await
    }

    /// Sends a form as the page `on` has it, with these values.
    pub(crate) async fn send(&self, on: &str, to: &str, values: &[(&str, &str)]) -> Answer {
        let page = self.page(on).await;
        let token = between(&page, "name=\"form_token\" value=\"", "\"");
        self.send_as(&token, to, values).await
    }

    pub(crate) async fn send_as(&self, token: &str, to: &str, values: &[(&str, &str)]) -> Answer {
        let mut form = format!("form_token={token}");
        for (name, value) in values {
            form.push_str(&format!("&{name}={}", encoded(value)));
        }
        let headers = [
            ("cookie", self.cookie.as_str()),
            ("origin", self.origin.as_str()),
        ];
        self.door
            .ask_with(Method::POST, to, None, &form, &headers)
            .await
    }
}

/// A new session's cookie.
async fn session(desk: &Desk, username: &str) -> String {
    let id = token::new_token().unwrap();
    let session = Session {
        user: SalesforceId::parse("005000000000001").unwrap(),
        username: username.to_owned(),
        name: "Otto <i>Operator</i>".to_owned(),
        instance_url: INSTANCE.to_owned(),
        opened: desk.now(),
        seen: desk.now(),
    };
    let key = token::hash_in_words(&token::hash(&id));
    desk.stores.sessions.open(&key, &session).await.unwrap();
    format!("mosync={id}")
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }
}

/// What stands between two texts, the first time.
pub(crate) fn between(text: &str, before: &str, after: &str) -> String {
    let (_, rest) = text
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before} in {text}"));
    let (found, _) = rest.split_once(after).unwrap();
    found.to_owned()
}

/// Where the page of a list leads on to, while there is more.
pub(crate) fn next_page(page: &str) -> Option<String> {
    let (before, _) = page.split_once("\" rel=\"next\"")?;
    let (_, path) = before.rsplit_once("href=\"").unwrap();
    Some(path.replace("&amp;", "&"))
}

/// As browsers encode a form.
pub(crate) fn encoded(value: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    value
        .bytes()
        .map(|byte| {
            if plain(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

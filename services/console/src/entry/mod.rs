//! Who comes in: people with a session of the console, programs with a token. One guard stands before
//! every page and every path of the API; each says what right it needs.

pub(crate) mod cookie;
mod guard;
pub(crate) mod headers;
mod origin;
mod tokens;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRef, Request};
use http::HeaderMap;
use ports::sign_in::SignIn;
use ports::stores::Session;
use url::Url;

pub(crate) use guard::{Front, Watch, challenge, check_form_token, guard};
pub(crate) use origin::{FORM_TOKEN_HEADER, form_token, same_origin};
pub use tokens::Keys;
pub(crate) use tokens::USER;

use crate::limits::Limits;
use crate::pages::{Live, Viewer};
use crate::people::People;
use crate::rights::Role;
use crate::{Operations, OpsError, token};
use cookie::Cookies;

/// What the pages need beside the operations.
pub struct Web {
    /// The way to Salesforce.
    pub sign_in: Arc<dyn SignIn>,
    /// The console's own address, without a path.
    pub url: Url,
    /// Who is who.
    pub people: People,
    /// Origins that may show pages in a frame.
    pub frame_ancestors: Vec<String>,
}

impl std::fmt::Debug for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Web")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

impl Web {
    /// As browsers write it in `Origin`.
    pub(crate) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Where Salesforce sends browsers back to.
    pub(crate) fn redirect_uri(&self) -> String {
        format!("{}/sign-in/back", self.origin())
    }

    /// How its cookies are written.
    pub(crate) fn cookies(&self) -> Cookies {
        let framed = !self.frame_ancestors.is_empty();
        Cookies {
            secure: framed || self.url.scheme() == "https",
            framed,
        }
    }
}

/// Operations, and who may reach them: the API, and the pages where there are any.
#[derive(Debug, Clone)]
pub struct Console {
    pub(crate) operations: Operations,
    pub(crate) keys: Keys,
    pub(crate) limits: Limits,
    pub(crate) web: Option<Arc<Web>>,
    pub(crate) live: Live,
}

impl FromRef<Console> for Operations {
    fn from_ref(console: &Console) -> Self {
        console.operations.clone()
    }
}

/// Somebody with a session.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) session: Session,
    /// What the store knows the session by.
    pub(crate) key: String,
    /// What forms of the session carry.
    pub(crate) form_token: String,
    /// Who they are here; `None`: nobody.
    pub(crate) role: Option<Role>,
}

impl Person {
    pub(crate) fn viewer(&self, role: Role) -> Viewer {
        Viewer {
            name: self.session.name.clone(),
            username: self.session.username.clone(),
            role,
            instance_url: self.session.instance_url.clone(),
            form_token: self.form_token.clone(),
        }
    }
}

impl Console {
    /// The API alone.
    #[must_use]
    pub fn new(operations: Operations, keys: Keys) -> Self {
        Self {
            operations,
            keys,
            limits: Limits::default(),
            web: None,
            live: Live::default(),
        }
    }

    /// With the pages.
    #[must_use]
    pub fn with_pages(mut self, web: Web) -> Self {
        self.web = Some(Arc::new(web));
        self
    }

    /// Whose browser it is: by the session that its cookie names, if it has not ended. Their role is
    /// asked of the newest snapshot of permissions, at every request; who is deactivated or frozen in
    /// Salesforce has none any more, five minutes later at the latest.
    ///
    /// # Errors
    /// [`OpsError::OutOfReach`] when a store does not answer.
    pub(crate) async fn person(&self, headers: &HeaderMap) -> Result<Option<Person>, OpsError> {
        let Some(web) = &self.web else {
            return Ok(None);
        };
        let Some(id) = web.cookies().session(headers) else {
            return Ok(None);
        };
        let key = session_key(&id);
        let Some(session) = self.operations.visit(&key).await? else {
            return Ok(None);
        };
        let snapshot = self.operations.permissions().await?;
        let now = self.operations.now();
        let role = web
            .people
            .role_of(&session.user, &session.username, &snapshot, now);
        let role = match role {
            Some(role) if self.operations.is_let_in(session.user).await => Some(role),
            Some(_) | None => None,
        };
        Ok(Some(Person {
            session,
            key,
            form_token: form_token(&id),
            role,
        }))
    }
}

/// What the store knows a session by.
pub(crate) fn session_key(id: &str) -> String {
    token::hash_in_words(&token::hash(id))
}

/// The address that a request came from, as the socket says it.
pub(crate) fn peer(request: &Request) -> String {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.map_or_else(
        || "nobody".to_owned(),
        |ConnectInfo(address)| address.ip().to_string(),
    )
}

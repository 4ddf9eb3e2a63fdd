//! Who comes in: people with a session of the console, programs with a token. One guard stands before
//! every page and every path of the API; each says what right it needs.

pub(crate) mod cookie;
mod guard;
pub(crate) mod headers;
mod origin;
mod peer;
mod tokens;

use std::sync::Arc;

use axum::extract::FromRef;
use domain::SalesforceId;
use http::HeaderMap;
use ports::sign_in::SignIn;
use ports::stores::Session;
use runtime::config::Network;
use url::Url;

pub(crate) use guard::{Front, Watch, challenge, check_form_token, guard};
pub(crate) use origin::{FORM_TOKEN_HEADER, form_token, same_origin};
pub(crate) use peer::Peer;
pub use tokens::Keys;
pub(crate) use tokens::USER;

use crate::limits::{Kind, Limits};
use crate::operations::standing::Holding;
use crate::pages::{Live, Streams, Viewer};
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
    pub(crate) proxies: Arc<[Network]>,
    pub(crate) web: Option<Arc<Web>>,
    pub(crate) live: Live,
    pub(crate) streams: Streams,
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
    /// Whether they were administrators when it could last be checked, which is too long ago.
    pub(crate) is_unchecked: bool,
}

/// Who somebody is, as of five minutes ago at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) role: Option<Role>,
    /// Whether they were administrators when it could last be checked, which is too long ago.
    pub(crate) is_unchecked: bool,
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
            proxies: Arc::default(),
            web: None,
            live: Live::default(),
            streams: Streams::default(),
        }
    }

    /// With the pages.
    #[must_use]
    pub fn with_pages(mut self, web: Web) -> Self {
        self.web = Some(Arc::new(web));
        self
    }

    /// Behind these proxies, which are believed when they say whom they ask for.
    #[must_use]
    pub fn behind(mut self, proxies: impl Into<Arc<[Network]>>) -> Self {
        self.proxies = proxies.into();
        self
    }

    /// Whose browser it is: by the session that its cookie names, if it has not ended. Counted before
    /// anything is read: somebody with a session by that, anybody else by the address. A look that
    /// nobody has asked for, such as that of a page for its figures, `keeps` no session from ending.
    ///
    /// # Errors
    /// [`OpsError::TooMany`]; [`OpsError::OutOfReach`] when a store does not answer.
    pub(crate) async fn person(
        &self,
        headers: &HeaderMap,
        peer: &Peer,
        kind: Kind,
        keeps: bool,
    ) -> Result<Option<Person>, OpsError> {
        let now = self.operations.now();
        let web = self.web.as_deref();
        let id = web.and_then(|web| web.cookies().session(headers));
        let key = id.as_deref().map(session_key);
        let is_counted = self.limits.knock(kind, key.as_deref(), &peer.0, now)?;
        let person = match (web, id, key) {
            (Some(web), Some(id), Some(key)) => self.owner(web, &id, key, keeps).await?,
            _ => None,
        };
        let Some(person) = person else {
            self.limits.admit(Kind::Guess, &peer.0, now)?;
            return Ok(None);
        };
        self.limits.know(&person.key, now);
        if !is_counted {
            self.limits.admit(kind, &person.key, now)?;
        }
        Ok(Some(person))
    }

    /// Whose session it is. Who is deactivated or frozen in Salesforce has no role any more, five
    /// minutes later at the latest.
    async fn owner(
        &self,
        web: &Web,
        id: &str,
        key: String,
        keeps: bool,
    ) -> Result<Option<Person>, OpsError> {
        let Some(session) = self.operations.visit(&key, keeps).await? else {
            return Ok(None);
        };
        let known = self.role(web, session.user, &session.username).await?;
        let role = match known.role {
            Some(role) if self.operations.is_let_in(session.user).await => Some(role),
            Some(_) | None => None,
        };
        Ok(Some(Person {
            session,
            key,
            form_token: form_token(id),
            role,
            is_unchecked: known.is_unchecked,
        }))
    }

    /// Who somebody is here: administrators by the newest snapshot of permissions, or by Salesforce
    /// itself where nobody has taken one for five minutes. Who cannot be checked may look, no more.
    ///
    /// # Errors
    /// [`OpsError::OutOfReach`] when a store does not answer.
    pub(crate) async fn role(
        &self,
        web: &Web,
        user: SalesforceId,
        username: &str,
    ) -> Result<Known, OpsError> {
        let (people, now) = (&web.people, self.operations.now());
        let named = people.named(username);
        let snapshot = self.operations.permissions().await?;
        let known = |role| Known {
            role,
            is_unchecked: false,
        };
        if !people.is_administrator(&user, &snapshot, now) {
            return Ok(known(named));
        }
        let set = &people.admin_permission_set;
        Ok(match self.operations.holding(user, set).await? {
            Holding::Held => known(Some(Role::Administrator)),
            Holding::Gone => known(named),
            Holding::Unknown => Known {
                role: named.or(Some(Role::Viewer)),
                is_unchecked: true,
            },
        })
    }
}

/// What the store knows a session by.
pub(crate) fn session_key(id: &str) -> String {
    token::hash_in_words(&token::hash(id))
}

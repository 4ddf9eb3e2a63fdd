//! Who gets in: sessions of people, tokens of programs, and what the log says of both.

use std::time::Duration;

use domain::Timestamp;
use domain::permission::PermissionSnapshot;
use ports::stores::{ApiToken, LogEntry, LogLevel, Revoked, Session};

use super::logs::ACCESS;
use super::{About, Caller, Operations};
use crate::rights::Right;
use crate::views::{MakeToken, NewTokenView, TokenList, TokenView};
use crate::{OpsError, token};

/// A session ends when nobody was there for so long.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// A session ends after so long in any case.
const LONGEST: Duration = Duration::from_secs(12 * 3_600);
/// When somebody was last there is written down no more often than this.
const SEEN_EVERY: Duration = Duration::from_secs(60);
/// No name of a token is longer.
const LONGEST_NAME: usize = 60;

impl Operations {
    /// All tokens of the API that were made in the console, the newest first.
    ///
    /// # Errors
    /// [`OpsError::OutOfReach`].
    pub async fn tokens(&self) -> Result<TokenList, OpsError> {
        let tokens = self.stores.tokens.tokens().await?;
        Ok(TokenList {
            tokens: tokens.iter().map(TokenView::of).collect(),
        })
    }

    /// Makes a token. It is answered this once; its hash alone is kept.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] for a name or scope that is none, [`OpsError::Conflict`] for a name that
    /// a token in force has already, [`OpsError::OutOfReach`] also where it may be in force though
    /// nobody is told what it is: the message says so then.
    pub async fn make_token(
        &self,
        asked: &MakeToken,
        caller: &Caller,
    ) -> Result<NewTokenView, OpsError> {
        let name = asked.name.trim();
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.contains(char::is_control)
        {
            return Err(OpsError::Invalid(format!(
                "a token needs a name of 1 to {LONGEST_NAME} letters that says who uses it, such as `Monthly report`"
            )));
        }
        let scope = Right::of_name(&asked.scope).ok_or_else(|| {
            OpsError::Invalid(format!(
                "scope `{}` is not known; write one of read, operate, administer",
                asked.scope
            ))
        })?;
        let known = self.stores.tokens.tokens().await?;
        let is_taken = known
            .iter()
            .any(|known| known.revoked.is_none() && known.token.name == name);
        if is_taken {
            return Err(OpsError::Conflict(format!(
                "a token in force is called `{name}` already; take another name, or revoke that one first"
            )));
        }
        let secret = token::new_token().map_err(|error| {
            OpsError::Broken(format!("the system has no random numbers: {error}"))
        })?;
        let made = ApiToken {
            hash: token::hash_in_words(&token::hash(&secret)),
            name: name.to_owned(),
            scope,
            created: self.now(),
            created_by: caller.name(),
        };
        // From here on it may be in force, and nobody is told what it is when something fails.
        let kept = self.keep_token(&made, caller).await;
        let token = kept.map_err(|error| {
            OpsError::OutOfReach(format!(
                "the API token `{name}` may have been made, and nobody has seen it; look at the page Access of the console, and revoke it if it is there: {error}"
            ))
        })?;
        Ok(NewTokenView { secret, token })
    }

    /// Stores a token, and writes down who has made it.
    async fn keep_token(&self, made: &ApiToken, caller: &Caller) -> Result<TokenView, OpsError> {
        self.stores.tokens.add_token(made).await?;
        let message = format!(
            "API token `{}` with scope {} was made by {}",
            made.name,
            made.scope.name(),
            caller.name()
        );
        self.note(About::topic(ACCESS), caller, message).await?;
        let known = self.stores.tokens.token(&made.hash).await?;
        let known = known.ok_or_else(|| OpsError::Broken("the new token was lost".to_owned()))?;
        Ok(TokenView::of(&known))
    }

    /// Revokes a token for ever, by its id; one that is revoked already stays as it is.
    ///
    /// # Errors
    /// [`OpsError::NotFound`].
    pub async fn revoke_token(&self, id: &str, caller: &Caller) -> Result<TokenView, OpsError> {
        let unknown = || OpsError::NotFound(format!("there is no API token `{id}`"));
        let known = self.stores.tokens.tokens().await?;
        let known = known
            .into_iter()
            .find(|known| TokenView::of(known).id == id)
            .ok_or_else(unknown)?;
        if known.revoked.is_some() {
            return Ok(TokenView::of(&known));
        }
        let revoked = Revoked {
            at: self.now(),
            by: caller.name(),
        };
        self.stores
            .tokens
            .revoke(&known.token.hash, &revoked)
            .await?;
        let message = format!(
            "API token `{}` was revoked by {}",
            known.token.name,
            caller.name()
        );
        self.note(About::topic(ACCESS), caller, message).await?;
        let known = self.stores.tokens.token(&known.token.hash).await?;
        known.map(|known| TokenView::of(&known)).ok_or_else(unknown)
    }

    /// The token in force that was presented, if it is one; its first use is in the log.
    pub(crate) async fn presented(&self, secret: &str) -> Result<Option<ApiToken>, OpsError> {
        let hash = token::hash_in_words(&token::hash(secret));
        let Some(known) = self.stores.tokens.token(&hash).await? else {
            return Ok(None);
        };
        if known.revoked.is_some() {
            return Ok(None);
        }
        let now = self.now();
        let is_due = known.used.is_none_or(|used| now.since(used) >= SEEN_EVERY);
        if is_due {
            self.stores.tokens.used(&hash, now).await?;
        }
        if known.used.is_none() {
            let message = format!(
                "API token `{}` was used for the first time",
                known.token.name
            );
            self.tell_access(LogLevel::Info, message).await?;
        }
        Ok(Some(known.token))
    }

    /// The session of a key, if it has not ended; this visit `keeps` it from ending.
    pub(crate) async fn visit(&self, key: &str, keeps: bool) -> Result<Option<Session>, OpsError> {
        let Some(session) = self.stores.sessions.session(key).await? else {
            return Ok(None);
        };
        let now = self.now();
        if has_ended(&session, now) {
            self.stores.sessions.close(key).await?;
            return Ok(None);
        }
        if keeps && now.since(session.seen) >= SEEN_EVERY {
            self.stores.sessions.seen(key, now).await?;
        }
        Ok(Some(session))
    }

    /// Begins a session, and forgets those that have ended.
    pub(crate) async fn open_session(&self, key: &str, session: &Session) -> Result<(), OpsError> {
        let now = self.now();
        let sessions = &self.stores.sessions;
        sessions
            .forget(now.before(LONGEST), now.before(IDLE))
            .await?;
        sessions.open(key, session).await?;
        self.was_let_in(session.user);
        Ok(())
    }

    /// Ends a session; what it was.
    pub(crate) async fn close_session(&self, key: &str) -> Result<Option<Session>, OpsError> {
        Ok(self.stores.sessions.close(key).await?)
    }

    /// The newest snapshot of permissions.
    pub(crate) async fn permissions(&self) -> Result<PermissionSnapshot, OpsError> {
        Ok(self.stores.permissions.latest().await?)
    }

    /// The org that the settings name.
    pub(crate) async fn pinned_org(&self) -> Result<Option<domain::SalesforceId>, OpsError> {
        Ok(self.stores.settings.current().await?.settings.org)
    }

    /// A line of the audit trail. The log of the process is told that there is one, and not of whom.
    pub(crate) async fn tell_access(
        &self,
        level: LogLevel,
        message: String,
    ) -> Result<(), OpsError> {
        tracing::info!(
            topic = ACCESS,
            level = level.name(),
            "somebody came, went or was refused; the integration log says who"
        );
        let entry = LogEntry {
            at: self.now(),
            level,
            topic: ACCESS.to_owned(),
            job: None,
            record: None,
            message,
        };
        Ok(self.stores.log.append(&entry).await?)
    }
}

/// Whether nobody was there for too long, or it has lasted too long.
fn has_ended(session: &Session, now: Timestamp) -> bool {
    now.since(session.seen) >= IDLE || now.since(session.opened) >= LONGEST
}

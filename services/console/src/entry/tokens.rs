//! Programs: whoever presents a token whose hash is known.

use http::{HeaderMap, header};
use runtime::config::TokenHash;

use super::{Console, Peer};
use crate::limits::Kind;
use crate::rights::Right;
use crate::{Author, Caller, OpsError, token};

/// The header in which a command names the user of the operating system who runs it. Whoever can read
/// the folder's token can write the folder's database, so this gives nothing away.
pub(crate) const USER: &str = "mosync-user";

/// Tokens that are not in the store.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keys {
    /// The hash from the configuration.
    pub configured: Option<TokenHash>,
    /// The hash of the token that this process has left in its embedded folder.
    pub folder: Option<TokenHash>,
}

impl Keys {
    fn caller(&self, presented: &str) -> Option<Caller> {
        // Both are compared, whichever fits, so that the time tells nothing.
        let fits = |hash: Option<TokenHash>| hash.is_some_and(|hash| token::is(presented, &hash));
        let (api, command_line) = (fits(self.configured), fits(self.folder));
        if command_line {
            Some(Caller::CommandLine)
        } else {
            api.then_some(Caller::Api)
        }
    }
}

/// A program that may come in.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) caller: Caller,
    pub(crate) author: Author,
    pub(crate) right: Right,
}

/// The token after `Authorization: Bearer`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
}

impl Console {
    /// Whose token it is, if anybody's; counted before anything is read.
    ///
    /// # Errors
    /// [`OpsError::TooMany`]; [`OpsError::OutOfReach`] when the store does not answer.
    pub(crate) async fn program(
        &self,
        presented: &str,
        headers: &HeaderMap,
        peer: &Peer,
    ) -> Result<Option<Program>, OpsError> {
        let now = self.operations.now();
        let who = token::hash_in_words(&token::hash(presented));
        if let Some(caller) = self.keys.caller(presented) {
            // The commands of this machine are not counted: they could read the database instead.
            if caller != Caller::CommandLine {
                self.limits.admit(Kind::Api, &who, now)?;
            }
            let user = headers.get(USER).and_then(|user| user.to_str().ok());
            return Ok(Some(Program {
                author: Author::of(&caller, user),
                caller,
                right: Right::Administer,
            }));
        }
        let is_counted = self.limits.knock(Kind::Api, Some(&who), &peer.0, now)?;
        let known = self.stored_token(presented).await?;
        if known.is_none() {
            self.limits.admit(Kind::Guess, &peer.0, now)?;
            return Ok(None);
        }
        self.limits.know(&who, now);
        if !is_counted {
            self.limits.admit(Kind::Api, &who, now)?;
        }
        Ok(known)
    }

    async fn stored_token(&self, presented: &str) -> Result<Option<Program>, OpsError> {
        let token = self.operations.presented(presented).await?;
        Ok(token.map(|token| {
            let caller = Caller::Token(token.name.into());
            Program {
                author: Author::of(&caller, None),
                caller,
                right: token.scope,
            }
        }))
    }

    /// What is said to who has no token that is known.
    pub(crate) fn without_token(&self, presented: bool) -> OpsError {
        let has_pages = self.web.is_some();
        OpsError::NotAllowed(
            match (presented, self.keys.configured.is_some(), has_pages) {
                (false, true, _) | (false, false, true) => {
                    "this API wants a token; send the header `Authorization: Bearer TOKEN`"
                }
                (true, false, true) => {
                    "this is not a token in force; an administrator can make one on the page Access of the console"
                }
                (true, true, _) => {
                    "this is not the token whose hash is in the configuration, nor one in force that was made in the console; make a new pair with `mosync console-token` if it is lost"
                }
                (_, false, false) => {
                    "nobody may call this API yet: make a token with `mosync console-token`, put its hash into the configuration as console.token_sha256, and restart"
                }
            }
            .to_owned(),
        )
    }
}

//! Signing people in through Salesforce: the OAuth 2.0 authorization code grant with PKCE (RFC 7636)
//! and a nonce of `OpenID` Connect.

use std::fmt;

use async_trait::async_trait;
use domain::SalesforceId;

/// Who has signed in, as Salesforce says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `005...`.
    pub user: SalesforceId,
    /// The user's org, `00D...`.
    pub org: SalesforceId,
    /// Their username.
    pub username: String,
    /// Their name.
    pub name: String,
    /// Where the org's own pages are, without a slash at the end.
    pub instance_url: String,
}

/// What the browser is sent to Salesforce with.
#[derive(Debug, Clone, Copy)]
pub struct Invitation<'a> {
    /// Where Salesforce sends the browser back to, as the connected app names it.
    pub redirect_uri: &'a str,
    /// Comes back as it is.
    pub state: &'a str,
    /// The SHA-256 of the verifier, base64url without padding.
    pub challenge: &'a str,
    /// Comes back within the signed id token.
    pub nonce: &'a str,
}

/// What the browser came back with, and what only this sign-in knows.
#[derive(Clone, Copy)]
pub struct Return<'a> {
    /// As in the invitation.
    pub redirect_uri: &'a str,
    /// What Salesforce gave the browser.
    pub code: &'a str,
    /// What the challenge is the hash of.
    pub verifier: &'a str,
    /// As in the invitation.
    pub nonce: &'a str,
}

impl fmt::Debug for Return<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Return")
    }
}

/// Why nobody was signed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Salesforce said no.
    #[error("Salesforce refused the sign-in: {0}")]
    Refused(String),
    /// No answer.
    #[error("Salesforce did not answer the sign-in ({0}); try again")]
    Unreachable(String),
    /// The answer makes no sense, or belongs to another sign-in.
    #[error("Salesforce's answer to the sign-in cannot be used: {0}")]
    Garbled(String),
}

/// An org's sign-in, for one connected app.
#[async_trait]
pub trait SignIn: Send + Sync {
    /// Where the browser goes to sign in.
    fn address(&self, invitation: Invitation<'_>) -> String;

    /// Redeems the code and says who signed in. The access token is used for nothing but that, and
    /// revoked before this answers; a refresh token, if one came, too.
    async fn identify(&self, back: Return<'_>) -> Result<Identity, SignInError>;
}

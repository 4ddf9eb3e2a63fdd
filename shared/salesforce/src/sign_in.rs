//! Signing people in: the authorization code grant with PKCE, and who it was (REST: "OAuth 2.0 Web
//! Server Flow", "User Info Endpoint", "Revoke OAuth Tokens").

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::SalesforceId;
use ports::sign_in::{Identity, Invitation, Return, SignIn, SignInError};
use ports::source::SourceError;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use crate::config::{ConfigError, allows_plaintext, check_address, is_loopback};
use crate::fault::{Fault, shortened};
use crate::http::Http;

/// The app that people sign in through.
#[derive(Debug, Clone)]
pub struct App {
    /// As in [`crate::Config`].
    pub login_url: Url,
    /// Its consumer key.
    pub client_id: String,
    /// Its consumer secret; an app may go without, since the code is bound by PKCE.
    pub client_secret: Option<SecretString>,
    /// For one request.
    pub request_timeout: Duration,
    /// As in [`crate::Config`].
    pub plaintext_allowed: bool,
}

/// Prepares sign-in. Nothing is sent.
///
/// # Errors
/// [`ConfigError`] names the value that cannot be right.
pub fn sign_in(app: App) -> Result<Arc<dyn SignIn>, ConfigError> {
    check_address("login_url", &app.login_url, app.plaintext_allowed)?;
    if app.client_id.trim().is_empty() {
        return Err(ConfigError::Empty("client_id"));
    }
    let http = Http::new(app.request_timeout, is_loopback(&app.login_url))
        .map_err(|error| ConfigError::Client(error.to_string()))?;
    Ok(Arc::new(Door { app, http }))
}

#[derive(Debug)]
struct Door {
    app: App,
    http: Http,
}

/// What the token endpoint answers. Its own messages could quote a token, so none is passed on.
#[derive(Deserialize)]
struct Tokens {
    access_token: SecretString,
    refresh_token: Option<SecretString>,
    id_token: Option<SecretString>,
    instance_url: String,
}

/// The claims of the id token that matter here.
#[derive(Deserialize)]
struct Claims {
    nonce: Option<String>,
    aud: String,
}

#[derive(Deserialize)]
struct UserInfo {
    user_id: String,
    organization_id: String,
    preferred_username: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    active: Option<bool>,
}

#[derive(Deserialize)]
struct OauthError {
    error: String,
    #[serde(default)]
    error_description: String,
}

#[async_trait]
impl SignIn for Door {
    fn address(&self, invitation: Invitation<'_>) -> String {
        let mut address = self.endpoint("authorize");
        address
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.app.client_id)
            .append_pair("redirect_uri", invitation.redirect_uri)
            .append_pair("scope", "openid")
            .append_pair("state", invitation.state)
            .append_pair("nonce", invitation.nonce)
            .append_pair("code_challenge", invitation.challenge)
            .append_pair("code_challenge_method", "S256");
        address.into()
    }

    async fn identify(&self, back: Return<'_>) -> Result<Identity, SignInError> {
        let tokens = self.redeem(back).await?;
        let identity = self.identity(&tokens, back).await;
        // Whatever was found: the tokens are of no more use.
        self.revoke(&tokens.access_token).await;
        if let Some(refresh) = &tokens.refresh_token {
            self.revoke(refresh).await;
        }
        identity
    }
}

impl Door {
    fn endpoint(&self, name: &str) -> Url {
        let mut address = self.app.login_url.clone();
        address.set_path(&format!("/services/oauth2/{name}"));
        address.set_query(None);
        address
    }

    async fn redeem(&self, back: Return<'_>) -> Result<Tokens, SignInError> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", back.code),
            ("redirect_uri", back.redirect_uri),
            ("code_verifier", back.verifier),
            ("client_id", self.app.client_id.as_str()),
        ];
        if let Some(secret) = &self.app.client_secret {
            form.push(("client_secret", secret.expose_secret()));
        }
        let request = self.http.client.post(self.endpoint("token")).form(&form);
        let answer = self.http.send(request).await.map_err(unreachable)?;
        if !answer.status.is_success() {
            let told = serde_json::from_slice::<OauthError>(&answer.body)
                .map(|refusal| format!("{}: {}", refusal.error, refusal.error_description));
            return Err(match told {
                Ok(told) => SignInError::Refused(shortened(&told)),
                Err(_no_oauth_error) if answer.status.is_server_error() => {
                    SignInError::Unreachable(format!("HTTP {}", answer.status.as_u16()))
                }
                Err(_no_oauth_error) => {
                    SignInError::Refused(format!("HTTP {}", answer.status.as_u16()))
                }
            });
        }
        serde_json::from_slice(&answer.body).map_err(|_may_quote| {
            SignInError::Garbled("it lacks access_token or instance_url".to_owned())
        })
    }

    async fn identity(&self, tokens: &Tokens, back: Return<'_>) -> Result<Identity, SignInError> {
        self.check_nonce(tokens, back.nonce)?;
        let request = self
            .http
            .client
            .get(self.endpoint("userinfo"))
            .bearer_auth(tokens.access_token.expose_secret());
        let answer = self.http.send(request).await.map_err(unreachable)?;
        if !answer.status.is_success() {
            return Err(SignInError::Refused(format!(
                "it does not say who it was (HTTP {}); give the connected app the scope openid",
                answer.status.as_u16()
            )));
        }
        let info: UserInfo = serde_json::from_slice(&answer.body).map_err(|_personal_data| {
            SignInError::Garbled("it does not say who it was".to_owned())
        })?;
        if info.active == Some(false) {
            return Err(SignInError::Refused("the user is not active".to_owned()));
        }
        let id = |text: &str, prefix: &str, what: &str| {
            SalesforceId::parse(text)
                .ok()
                .filter(|id| id.key_prefix() == prefix)
                .ok_or_else(|| SignInError::Garbled(format!("it names no {what}")))
        };
        Ok(Identity {
            user: id(&info.user_id, "005", "user")?,
            org: id(&info.organization_id, "00D", "org")?,
            name: info.name.unwrap_or_else(|| info.preferred_username.clone()),
            username: info.preferred_username,
            instance_url: self.instance(&tokens.instance_url)?,
        })
    }

    /// The answer belongs to the browser that was sent. The id token came over the connection to the
    /// token endpoint itself, so its signature says nothing more (`OpenID` Connect Core 1.0, 3.1.3.7).
    fn check_nonce(&self, tokens: &Tokens, nonce: &str) -> Result<(), SignInError> {
        let garbled = |what: &str| SignInError::Garbled(what.to_owned());
        let token = tokens.id_token.as_ref().ok_or_else(|| {
            garbled("it has no id token; give the connected app the scope openid")
        })?;
        let claims = token.expose_secret().split('.').nth(1).unwrap_or_default();
        let claims: Claims = URL_SAFE_NO_PAD
            .decode(claims)
            .ok()
            .and_then(|claims| serde_json::from_slice(&claims).ok())
            .ok_or_else(|| garbled("its id token cannot be read"))?;
        if claims.nonce.as_deref() != Some(nonce) || claims.aud != self.app.client_id {
            return Err(garbled("it belongs to another sign-in; sign in again"));
        }
        Ok(())
    }

    /// Links lead there, so it has to be an address of the web.
    fn instance(&self, text: &str) -> Result<String, SignInError> {
        let url = Url::parse(text)
            .ok()
            .filter(|url| match url.scheme() {
                "https" => true,
                "http" => allows_plaintext(url, self.app.plaintext_allowed),
                _ => false,
            })
            .ok_or_else(|| SignInError::Garbled("its instance_url is not https".to_owned()))?;
        Ok(url.origin().ascii_serialization())
    }

    /// Ends a token. One that outlives this is forgotten here all the same, and runs out by itself.
    async fn revoke(&self, token: &SecretString) {
        let form = [("token", token.expose_secret())];
        let request = self.http.client.post(self.endpoint("revoke")).form(&form);
        match self.http.send(request).await {
            Ok(answer) if answer.status.is_success() => {}
            Ok(answer) => tracing::warn!(
                status = answer.status.as_u16(),
                "Salesforce did not revoke the token of a sign-in; it runs out by itself"
            ),
            Err(fault) => tracing::warn!(
                error = %fault.error,
                "the token of a sign-in could not be revoked; it runs out by itself"
            ),
        }
    }
}

fn unreachable(fault: Fault) -> SignInError {
    let SourceError::Unreachable(why) = fault.error else {
        return SignInError::Unreachable(fault.error.to_string());
    };
    SignInError::Unreachable(why)
}

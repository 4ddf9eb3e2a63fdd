//! Signing in: the JWT bearer or client credentials grant, one session for all, renewed by one
//! task at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::SalesforceId;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ports::Clock;
use ports::source::SourceError;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use url::Url;

use crate::config::{Config, ConfigError, Grant, allows_plaintext};
use crate::fault::{Fault, shortened};
use crate::http::{Answer, Http};

/// How long an assertion is valid; Salesforce wants a short horizon, clocks differ a little.
const ASSERTION_LIFE: Duration = Duration::from_secs(180);
const TOKEN_PATH: &str = "/services/oauth2/token";
const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A signed-in session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) token: SecretString,
    /// Where this org's API is.
    pub(crate) instance_url: Url,
    pub(crate) org_id: SalesforceId,
    /// Who signed in.
    pub(crate) user_id: SalesforceId,
    /// Which sign-in it came from, counted from 1.
    generation: u64,
}

/// Holds the session.
#[derive(Debug)]
pub(crate) struct Auth {
    token_url: Url,
    login: Login,
    plaintext_allowed: bool,
    clock: Arc<dyn Clock>,
    /// Sign-ins that have been answered, well or badly.
    finished: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    session: Option<Arc<Session>>,
    generation: u64,
    failure: Option<Fault>,
}

enum Login {
    Jwt {
        client_id: String,
        username: String,
        audience: String,
        key: EncodingKey,
    },
    ClientCredentials {
        client_id: String,
        client_secret: SecretString,
    },
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Jwt { .. } => "Jwt",
            Self::ClientCredentials { .. } => "ClientCredentials",
        })
    }
}

impl Auth {
    pub(crate) fn new(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, ConfigError> {
        let mut token_url = config.login_url.clone();
        token_url.set_path(TOKEN_PATH);
        token_url.set_query(None);
        let login = match &config.grant {
            Grant::Jwt {
                client_id,
                username,
                audience,
                private_key_pem,
            } => Login::Jwt {
                client_id: client_id.clone(),
                username: username.clone(),
                audience: audience
                    .clone()
                    .unwrap_or_else(|| config.login_url.origin().ascii_serialization()),
                key: EncodingKey::from_rsa_pem(private_key_pem.expose_secret().as_bytes())
                    .map_err(|_the_error_may_quote_the_key| ConfigError::PrivateKey)?,
            },
            Grant::ClientCredentials {
                client_id,
                client_secret,
            } => Login::ClientCredentials {
                client_id: client_id.clone(),
                client_secret: client_secret.clone(),
            },
        };
        Ok(Self {
            token_url,
            login,
            plaintext_allowed: config.plaintext_allowed,
            clock,
            finished: AtomicU64::new(0),
            state: Mutex::default(),
        })
    }

    /// The session; signs in when there is none yet.
    pub(crate) async fn session(&self, http: &Http) -> Result<Arc<Session>, Fault> {
        self.newer_than(0, http).await
    }

    /// A session newer than one that Salesforce no longer accepts. However many ask at the same
    /// time, one of them signs in and all share its result, be it good or bad.
    pub(crate) async fn renew(
        &self,
        expired: &Session,
        http: &Http,
    ) -> Result<Arc<Session>, Fault> {
        self.newer_than(expired.generation, http).await
    }

    async fn newer_than(&self, generation: u64, http: &Http) -> Result<Arc<Session>, Fault> {
        let finished_before = self.finished.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        if let Some(session) = state
            .session
            .as_ref()
            .filter(|session| session.generation > generation)
        {
            return Ok(Arc::clone(session));
        }
        if self.finished.load(Ordering::Acquire) > finished_before
            && let Some(failure) = &state.failure
        {
            return Err(failure.clone());
        }
        let outcome = self.sign_in(state.generation + 1, http).await;
        self.finished.fetch_add(1, Ordering::Release);
        match outcome {
            Ok(session) => {
                let session = Arc::new(session);
                state.generation = session.generation;
                state.session = Some(Arc::clone(&session));
                state.failure = None;
                tracing::info!(org = %session.org_id, "signed in to Salesforce");
                Ok(session)
            }
            Err(fault) => {
                state.failure = Some(fault.clone());
                Err(fault)
            }
        }
    }

    async fn sign_in(&self, generation: u64, http: &Http) -> Result<Session, Fault> {
        let form = match &self.login {
            Login::Jwt {
                client_id,
                username,
                audience,
                key,
            } => {
                let claims = Claims {
                    iss: client_id,
                    sub: username,
                    aud: audience,
                    exp: self.clock.now().after(ASSERTION_LIFE).as_millis() / 1000,
                };
                let assertion = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, key)
                    .map_err(|error| {
                        Fault::lasting(SourceError::SignIn(format!(
                            "the assertion could not be signed: {error}"
                        )))
                    })?;
                vec![
                    ("grant_type", JWT_GRANT.to_owned()),
                    ("assertion", assertion),
                ]
            }
            Login::ClientCredentials {
                client_id,
                client_secret,
            } => {
                vec![
                    ("grant_type", "client_credentials".to_owned()),
                    ("client_id", client_id.clone()),
                    ("client_secret", client_secret.expose_secret().to_owned()),
                ]
            }
        };
        let answer = http
            .send(http.client.post(self.token_url.clone()).form(&form))
            .await?;
        if !answer.status.is_success() {
            return Err(refused(&answer));
        }
        self.session_of(&answer, generation).map_err(Fault::lasting)
    }

    fn session_of(&self, answer: &Answer, generation: u64) -> Result<Session, SourceError> {
        // The parser's message could quote the token.
        let tokens: TokenAnswer = serde_json::from_slice(&answer.body).map_err(|_may_quote| {
            SourceError::Garbled(
                "the sign-in's answer lacks access_token, instance_url or id".to_owned(),
            )
        })?;
        let instance_url = Url::parse(&tokens.instance_url).map_err(|error| {
            SourceError::Garbled(format!("the sign-in's instance_url is no URL: {error}"))
        })?;
        if instance_url.scheme() != "https"
            && !(instance_url.scheme() == "http"
                && allows_plaintext(&instance_url, self.plaintext_allowed))
        {
            return Err(SourceError::Garbled(
                "the sign-in's instance_url is not https, and the token is not sent in the clear"
                    .to_owned(),
            ));
        }
        let (org_id, user_id) = identity(&tokens.id)?;
        Ok(Session {
            token: tokens.access_token,
            org_id,
            user_id,
            instance_url,
            generation,
        })
    }
}

#[derive(Serialize)]
struct Claims<'login> {
    iss: &'login str,
    sub: &'login str,
    aud: &'login str,
    exp: i64,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: SecretString,
    instance_url: String,
    id: String,
}

/// The ids of the org and of the user, from the identity URL
/// `https://login.salesforce.com/id/<org>/<user>`. (Taking them from the token's front fails for
/// tokens in JWT form.)
fn identity(identity_url: &str) -> Result<(SalesforceId, SalesforceId), SourceError> {
    let garbled =
        || SourceError::Garbled("the sign-in's identity URL names no org and user".to_owned());
    let url = Url::parse(identity_url).map_err(|_not_a_url| garbled())?;
    let mut ids = url
        .path_segments()
        .ok_or_else(garbled)?
        .skip_while(|segment| *segment != "id")
        .skip(1)
        .map_while(|text| SalesforceId::parse(text).ok());
    match (ids.next(), ids.next()) {
        (Some(org), Some(user)) if org.key_prefix() == "00D" && user.key_prefix() == "005" => {
            Ok((org, user))
        }
        _ => Err(garbled()),
    }
}

#[derive(Deserialize)]
struct OauthError {
    error: String,
    #[serde(default)]
    error_description: String,
}

fn refused(answer: &Answer) -> Fault {
    let Ok(OauthError {
        error,
        error_description,
    }) = serde_json::from_slice::<OauthError>(&answer.body)
    else {
        let mut fault = Fault::of_answer(answer);
        if let SourceError::Refused { code, message } = &fault.error {
            fault.error =
                SourceError::SignIn(format!("{code}: {message}; is the login address right?"));
        }
        return fault;
    };
    let told = shortened(&format!("{error}: {error_description}"));
    match error.as_str() {
        "rate_limit_exceeded" => Fault::lasting(SourceError::Quota(format!(
            "{told}; too many sign-ins of this user within an hour"
        ))),
        "server_error" | "temporarily_unavailable" => {
            Fault::passing(SourceError::Unreachable(told))
        }
        _ if answer.status.is_server_error() => Fault::passing(SourceError::Unreachable(told)),
        _ => Fault::lasting(SourceError::SignIn(
            match advice(&error, &error_description) {
                Some(advice) => format!("{told}; {advice}"),
                None => told,
            },
        )),
    }
}

/// What a person can do about an OAuth error (pairs as Salesforce words them).
fn advice(error: &str, description: &str) -> Option<&'static str> {
    let description = description.to_ascii_lowercase();
    let says = |words: &str| description.contains(words);
    Some(match error {
        "invalid_grant" if says("approved") => {
            "pre-authorise the app: set its permitted users to admin approved and give the user its permission set"
        }
        "invalid_grant" if says("audience") => {
            "set the audience to https://login.salesforce.com, https://test.salesforce.com for a sandbox, or the org's own address"
        }
        "invalid_grant" if says("expired") || says("assertion") => {
            "check this machine's clock, and that the private key belongs to the certificate in the app"
        }
        "invalid_grant" if says("locked") => "unlock the user in Salesforce",
        "invalid_grant" if says("ip") && says("restricted") => {
            "allow this machine's address in the user's profile or relax the app's IP policy"
        }
        "invalid_grant" if says("no client credentials user") => {
            "name a run-as user in the app's client credentials flow"
        }
        "invalid_grant" => {
            "check the user name, and that a sandbox is signed in to through https://test.salesforce.com or its own address"
        }
        "invalid_client_id" => "copy the app's consumer key again",
        "invalid_client" => "copy the app's consumer secret again",
        "inactive_user" => "activate the integration user, or configure another",
        "inactive_org" => "the org is locked or has expired; ask its administrator",
        "unsupported_grant_type" => {
            "client credentials work only at the org's own address (https://<domain>.my.salesforce.com)"
        }
        "invalid_app_access" => "give the user access to the app by a profile or permission set",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[test]
    fn org_and_user_come_from_the_identity_url() {
        let url = "https://login.salesforce.com/id/00D000000000001EAA/005000000000001AAA";
        let (org, user) = identity(url).unwrap();
        assert_eq!(org.as_str(), "00D000000000001EAA");
        assert_eq!(user.as_str(), "005000000000001AAA");
        for wrong in [
            "",
            "https://login.salesforce.com/id/",
            "https://login.salesforce.com/id/005000000000001AAA/x",
            "https://login.salesforce.com/id/00D000000000001EAA/x",
            "https://login.salesforce.com/00D000000000001EAA",
        ] {
            assert!(
                matches!(identity(wrong), Err(SourceError::Garbled(_))),
                "{wrong}"
            );
        }
    }

    #[test]
    fn each_oauth_error_comes_with_advice() {
        let refusal = |status: u16, body: &str| {
            refused(&Answer {
                status: StatusCode::from_u16(status).unwrap(),
                retry_after: None,
                body: body.as_bytes().to_vec(),
            })
        };
        let fault = refusal(
            400,
            r#"{"error":"invalid_grant","error_description":"user hasn't approved this consumer"}"#,
        );
        assert!(
            matches!(&fault.error, SourceError::SignIn(text) if text.contains("pre-authorise")),
            "{:?}",
            fault.error
        );
        assert!(!fault.transient);
        for (error, description) in [
            ("invalid_grant", "audience is invalid"),
            ("invalid_grant", "expired authorization code"),
            ("invalid_grant", "authentication failure"),
            ("invalid_client_id", "client identifier invalid"),
            ("invalid_client", "invalid client credentials"),
            ("inactive_user", "user is inactive"),
            ("inactive_org", ""),
            ("unsupported_grant_type", "grant type not supported"),
            ("invalid_app_access", ""),
        ] {
            assert!(advice(error, description).is_some(), "{error}");
        }
        assert!(matches!(
            refusal(400, r#"{"error":"rate_limit_exceeded"}"#).error,
            SourceError::Quota(_)
        ));
        assert!(refusal(503, "<html>").transient);
        assert!(matches!(
            refusal(404, "<html>").error,
            SourceError::SignIn(_)
        ));
    }
}

//! Sign-in: the token endpoint, who somebody is, and the end of a session.
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::reply::Reply;
use super::{App, Incoming, browser};
use crate::record::Record;

/// What a refused sign-in answers.
pub(super) struct Refused {
    status: u16,
    error: &'static str,
    description: &'static str,
}

fn refused(error: &'static str, description: &'static str) -> Refused {
    Refused {
        status: 400,
        error,
        description,
    }
}

/// Authorization codes not yet redeemed.
#[derive(Default)]
pub(crate) struct Codes(Mutex<BTreeMap<String, Code>>);

pub(super) struct Code {
    pub(super) user: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<String>,
    /// Whether the `openid` scope was asked for, and with which nonce.
    pub(super) openid: Option<Option<String>>,
    pub(super) until_micros: i64,
}

impl Code {
    /// Of a user and an address, valid from now on.
    pub(super) fn of(app: &App, user: &str, redirect_uri: &str) -> Self {
        Code {
            user: user.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            challenge: None,
            openid: None,
            until_micros: app.org.now_micros() + CODE_LIFE_MICROS,
        }
    }
}

/// Keeps a code until it is redeemed.
pub(super) fn new_code(app: &App, kept: Code) -> String {
    // The token source is random enough for a code, too.
    let code = app.tokens.issue_refresh(&kept.user);
    app.tokens.revoke(&code);
    let mut codes = app.codes.0.lock().unwrap_or_else(PoisonError::into_inner);
    codes.insert(code.clone(), kept);
    code
}

/// Codes live 15 minutes.
const CODE_LIFE_MICROS: i64 = 15 * 60 * 1_000_000;

pub(super) type Form = BTreeMap<String, String>;

/// Answers a request below `/services/oauth2`.
pub(crate) fn answer(app: &App, incoming: &Incoming, door: &str) -> Reply {
    app.counters.add(&format!("oauth2.{door}"));
    match (door, &incoming.method) {
        ("token", &Method::POST) => token(app, incoming),
        ("userinfo", &Method::GET | &Method::POST) => userinfo(app, incoming),
        ("introspect", &Method::POST) => introspect(app, incoming),
        ("revoke", &Method::POST | &Method::GET) => revoke(app, incoming),
        ("authorize", &Method::GET | &Method::POST) => browser::authorize(app, incoming),
        _ => Reply::not_found(),
    }
}

// ---- the token endpoint

fn token(app: &App, incoming: &Incoming) -> Reply {
    let form = form(incoming);
    let client = client(incoming, &form);
    let granted = match form.get("grant_type").map(String::as_str) {
        Some("urn:ietf:params:oauth:grant-type:jwt-bearer") => jwt_bearer(app, &form),
        Some("client_credentials") => client_credentials(app, &client),
        Some("refresh_token") => refresh(app, &form, &client),
        Some("authorization_code") => redeem(app, &form, &client),
        _ => Err(refused(
            "unsupported_grant_type",
            "grant type not supported",
        )),
    };
    match granted {
        Ok(granted) => session(app, granted),
        Err(refused) => Reply::json(
            refused.status,
            &json!({"error": refused.error, "error_description": refused.description}),
        ),
    }
}

/// Client id and secret, from the body or from HTTP Basic.
fn client(incoming: &Incoming, form: &Form) -> (String, String) {
    let basic = incoming.header("authorization").and_then(|header| {
        let (scheme, encoded) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (id, secret) = decoded.split_once(':')?;
        Some((form_decoded(id), form_decoded(secret)))
    });
    basic.unwrap_or_else(|| {
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        (field("client_id"), field("client_secret"))
    })
}

fn check_client(app: &App, client: &(String, String)) -> Result<(), Refused> {
    if client.0 != app.client.id {
        return Err(refused("invalid_client_id", "client identifier invalid"));
    }
    if client.1 != app.client.secret {
        return Err(Refused {
            status: 401,
            ..refused("invalid_client", "invalid client credentials")
        });
    }
    Ok(())
}

/// A client that needs no secret, and may give no wrong one.
fn check_public_client(app: &App, client: &(String, String)) -> Result<(), Refused> {
    if client.0 == app.client.id && client.1.is_empty() {
        return Ok(());
    }
    check_client(app, client)
}

/// The user who signs in, when active.
pub(super) fn active(app: &App, username: &str) -> Result<String, Refused> {
    let users = app.org.records("User");
    let user = users.iter().find(|user| {
        user.text("Username")
            .is_some_and(|name| name.eq_ignore_ascii_case(username))
    });
    match user {
        None => Err(refused(
            "invalid_grant",
            "user hasn't approved this consumer",
        )),
        Some(user) if !user.flag("IsActive") => Err(refused("inactive_user", "user is inactive")),
        Some(user) => Ok(user.id().to_owned()),
    }
}

/// Who may sign in, and what is answered beside the access token.
#[derive(Default)]
struct Grant {
    user: String,
    refresh_token: Option<String>,
    /// The refresh token with which the access token ends.
    held: Option<String>,
    /// An id token, with the nonce asked for.
    openid: Option<Option<String>>,
}

type Granted = Result<Grant, Refused>;

fn plain(user: String) -> Grant {
    Grant {
        user,
        ..Grant::default()
    }
}

fn client_credentials(app: &App, client: &(String, String)) -> Granted {
    check_client(app, client)?;
    let user = active(app, &app.client.username).or(Err(refused(
        "invalid_grant",
        "no client credentials user enabled",
    )))?;
    Ok(plain(user))
}

fn jwt_bearer(app: &App, form: &Form) -> Granted {
    let invalid = || refused("invalid_grant", "invalid assertion");
    let assertion = form.get("assertion").ok_or_else(invalid)?;
    let pem = app.client.jwt_public_key.as_ref().ok_or_else(invalid)?;
    let key = DecodingKey::from_rsa_pem(pem).or(Err(invalid()))?;
    let mut validation = Validation::new(Algorithm::RS256);
    // The time is the org's and `exp` may be text: both are checked here.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims: Value = jsonwebtoken::decode(assertion, &key, &validation)
        .or(Err(invalid()))?
        .claims;
    if claims.get("iss").and_then(Value::as_str) != Some(&app.client.id) {
        return Err(refused("invalid_client_id", "client identifier invalid"));
    }
    if !audiences(&claims)
        .iter()
        .any(|audience| known_audience(app, audience))
    {
        return Err(refused("invalid_grant", "audience is invalid"));
    }
    let expires = match claims.get("exp") {
        Some(Value::String(text)) => text.parse::<f64>().ok(),
        Some(number) => number.as_f64(),
        None => None,
    };
    #[expect(clippy::cast_precision_loss, reason = "seconds since the epoch")]
    let now = app.org.now_micros().div_euclid(1_000_000) as f64;
    if expires.is_none_or(|expires| expires <= now) {
        return Err(refused("invalid_grant", "expired authorization code"));
    }
    let subject = claims
        .get("sub")
        .and_then(Value::as_str)
        .unwrap_or_default();
    Ok(plain(active(app, subject)?))
}

fn audiences(claims: &Value) -> Vec<&str> {
    match claims.get("aud") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(one)) => vec![one],
        _ => Vec::new(),
    }
}

/// The login hosts, a My Domain, or this server by whatever name it is reached.
fn known_audience(app: &App, audience: &str) -> bool {
    let Ok(url) = url::Url::parse(audience) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    host.ends_with(".salesforce.com")
        || matches!(host, "localhost" | "127.0.0.1" | "[::1]")
        || url::Url::parse(&app.instance_url).is_ok_and(|own| own.host_str() == url.host_str())
}

fn refresh(app: &App, form: &Form, client: &(String, String)) -> Granted {
    check_public_client(app, client)?;
    let given = form.get("refresh_token").map(String::as_str);
    let user = given.and_then(|token| app.tokens.refresh_user(token));
    match user {
        Some(user) => {
            let next = app.client.rotates_refresh_tokens.then(|| {
                app.tokens.use_up(given.unwrap_or_default());
                app.tokens.issue_refresh(&user)
            });
            Ok(Grant {
                held: next.clone().or_else(|| given.map(str::to_owned)),
                refresh_token: next,
                ..plain(user)
            })
        }
        None => Err(refused("invalid_grant", "expired access/refresh token")),
    }
}

fn redeem(app: &App, form: &Form, client: &(String, String)) -> Granted {
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let code = app
        .codes
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(field("code"));
    let expired = || refused("invalid_grant", "expired authorization code");
    let code = code.ok_or_else(expired)?;
    if app.org.now_micros() > code.until_micros {
        return Err(expired());
    }
    if code.redirect_uri != field("redirect_uri") {
        return Err(refused(
            "redirect_uri_mismatch",
            "redirect_uri must match configuration",
        ));
    }
    match &code.challenge {
        Some(challenge) => {
            let digest = Sha256::digest(field("code_verifier").as_bytes());
            if &URL_SAFE_NO_PAD.encode(digest) != challenge {
                return Err(refused("invalid_grant", "invalid code verifier"));
            }
            check_public_client(app, client)?;
        }
        None => check_client(app, client)?,
    }
    let refresh = app.tokens.issue_refresh(&code.user);
    Ok(Grant {
        user: code.user,
        held: Some(refresh.clone()),
        refresh_token: Some(refresh),
        openid: code.openid,
    })
}

/// A new session's answer.
fn session(app: &App, granted: Grant) -> Reply {
    let user = granted.user.as_str();
    let id = identity_url(app, user);
    let issued_at = app.org.now_micros().div_euclid(1000).to_string();
    let signature = Hmac::<Sha256>::new_from_slice(app.client.secret.as_bytes())
        .map(|mac| mac.chain_update(format!("{id}{issued_at}")).finalize())
        .map(|mac| STANDARD.encode(mac.into_bytes()))
        .unwrap_or_default();
    let mut answer = json!({
        "access_token": app.tokens.issue_with(user, granted.held.as_deref()),
        "signature": signature,
        "scope": "api refresh_token",
        "instance_url": app.instance_url,
        "id": id,
        "token_type": "Bearer",
        "issued_at": issued_at,
    });
    if let Value::Object(answer) = &mut answer {
        if let Some(refresh) = granted.refresh_token {
            answer.insert("refresh_token".to_owned(), refresh.into());
        }
        if let Some(nonce) = granted.openid {
            answer.insert("scope".to_owned(), "api refresh_token openid".into());
            answer.insert("id_token".to_owned(), id_token(app, user, nonce).into());
        }
    }
    Reply::json(200, &answer)
}

/// The key that id tokens are signed with. It protects nothing: everybody can read it here.
const ID_TOKEN_KEY: &[u8] = include_bytes!("testdata/id-token.key");

/// Its public half: the modulus in base64url.
const ID_TOKEN_MODULUS: &str = include_str!("testdata/id-token.modulus");

const ID_TOKEN_KEY_ID: &str = "fake-1";

/// How long an id token lives.
const ID_TOKEN_LIFE_S: i64 = 120;

/// Who signed in, as a signed token.
fn id_token(app: &App, user: &str, nonce: Option<String>) -> Option<String> {
    let record = app.org.record("User", user)?;
    let now = app.org.now_micros().div_euclid(1_000_000);
    let mut claims = json!({
        "iss": app.instance_url,
        "sub": identity_url(app, user),
        "aud": app.client.id,
        "iat": now,
        "exp": now + ID_TOKEN_LIFE_S,
        "auth_time": now,
        "user_id": user,
        "organization_id": app.org.org_id(),
        "preferred_username": record.get("Username"),
        "name": record.get("Name"),
        "email": record.get("Email"),
        "email_verified": true,
        "zoneinfo": record.get("TimeZoneSidKey"),
    });
    if let (Some(nonce), Value::Object(claims)) = (nonce, &mut claims) {
        claims.insert("nonce".to_owned(), nonce.into());
    }
    let mut header = jsonwebtoken::Header::new(Algorithm::RS256);
    header.kid = Some(ID_TOKEN_KEY_ID.to_owned());
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(ID_TOKEN_KEY).ok()?;
    jsonwebtoken::encode(&header, &claims, &key).ok()
}

/// `GET /id/keys`: what id tokens are checked with.
pub(crate) fn keys(app: &App) -> Reply {
    app.counters.add("id.keys");
    Reply::json(
        200,
        &json!({"keys": [{
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": ID_TOKEN_KEY_ID,
            "n": ID_TOKEN_MODULUS.trim(),
            "e": "AQAB",
        }]}),
    )
}

/// Where the doors are, for clients that ask.
pub(crate) fn discovery(app: &App) -> Reply {
    let base = &app.instance_url;
    Reply::json(
        200,
        &json!({
            "issuer": base,
            "authorization_endpoint": format!("{base}/services/oauth2/authorize"),
            "token_endpoint": format!("{base}/services/oauth2/token"),
            "revocation_endpoint": format!("{base}/services/oauth2/revoke"),
            "userinfo_endpoint": format!("{base}/services/oauth2/userinfo"),
            "introspection_endpoint": format!("{base}/services/oauth2/introspect"),
            "jwks_uri": format!("{base}/id/keys"),
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["api", "openid", "refresh_token", "offline_access", "id", "profile"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "private_key_jwt"],
        }),
    )
}

// ---- who it is

pub(super) fn identity_url(app: &App, user: &str) -> String {
    format!("{}/id/{}/{user}", app.instance_url, app.org.org_id())
}

fn bad_token() -> Reply {
    Reply::text(403, "text/plain", b"Bad_OAuth_Token".to_vec())
}

/// The signed-in user.
fn signed_in(app: &App, incoming: &Incoming) -> Option<Record> {
    let form = form(incoming);
    let token = incoming
        .bearer()
        .or_else(|| incoming.parameter("oauth_token"))
        .or_else(|| incoming.parameter("access_token"))
        .or_else(|| form.get("access_token").map(String::as_str))?;
    let session = app.tokens.session(token, true)?;
    app.org.record("User", &session.user)
}

fn userinfo(app: &App, incoming: &Incoming) -> Reply {
    let Some(user) = signed_in(app, incoming) else {
        return bad_token();
    };
    let url = identity_url(app, user.id());
    Reply::json(
        200,
        &json!({
            "sub": url,
            "user_id": user.id(),
            "organization_id": app.org.org_id(),
            "preferred_username": user.get("Username"),
            "nickname": user.get("CommunityNickname"),
            "name": user.get("Name"),
            "email": user.get("Email"),
            "email_verified": true,
            "given_name": user.get("FirstName"),
            "family_name": user.get("LastName"),
            "zoneinfo": user.get("TimeZoneSidKey"),
            "photos": photos(app),
            "profile": format!("{}/{}", app.instance_url, user.id()),
            "picture": format!("{}/profilephoto/005/F", app.instance_url),
            "address": {},
            "is_salesforce_integration_user": false,
            "urls": urls(app, user.id()),
            "active": user.flag("IsActive"),
            "user_type": "STANDARD",
            "language": user.get("LanguageLocaleKey"),
            "locale": user.get("LocaleSidKey"),
            "utcOffset": 0,
            "updated_at": user.get("LastModifiedDate"),
        }),
    )
}

/// `GET /id/<org>/<user>`.
pub(crate) fn identity(app: &App, incoming: &Incoming, org: &str, user: &str) -> Reply {
    app.counters.add("identity");
    let Some(caller) = signed_in(app, incoming) else {
        return bad_token();
    };
    if crate::id::to_18(org).as_deref() != Some(app.org.org_id())
        || crate::id::to_18(user).as_deref() != Some(caller.id())
    {
        return bad_token();
    }
    Reply::json(
        200,
        &json!({
            "id": identity_url(app, caller.id()),
            "asserted_user": true,
            "user_id": caller.id(),
            "organization_id": app.org.org_id(),
            "username": caller.get("Username"),
            "nick_name": caller.get("CommunityNickname"),
            "display_name": caller.get("Name"),
            "email": caller.get("Email"),
            "email_verified": true,
            "first_name": caller.get("FirstName"),
            "last_name": caller.get("LastName"),
            "timezone": caller.get("TimeZoneSidKey"),
            "photos": photos(app),
            "addr_street": caller.get("Street"),
            "addr_city": caller.get("City"),
            "addr_state": caller.get("State"),
            "addr_country": caller.get("Country"),
            "addr_zip": caller.get("PostalCode"),
            "mobile_phone": caller.get("MobilePhone"),
            "mobile_phone_verified": false,
            "is_lightning_login_user": false,
            "status": {"created_date": null, "body": null},
            "urls": urls(app, caller.id()),
            "active": caller.flag("IsActive"),
            "user_type": "STANDARD",
            "language": caller.get("LanguageLocaleKey"),
            "locale": caller.get("LocaleSidKey"),
            "utcOffset": 0,
            "last_modified_date": caller.get("LastModifiedDate"),
        }),
    )
}

fn photos(app: &App) -> Value {
    let photo = |size: &str| format!("{}/profilephoto/005/{size}", app.instance_url);
    json!({"picture": photo("F"), "thumbnail": photo("T")})
}

fn urls(app: &App, user: &str) -> Value {
    let base = &app.instance_url;
    let org = app.org.org_id();
    let rest = format!("{base}/services/data/v{{version}}/");
    json!({
        "enterprise": format!("{base}/services/Soap/c/{{version}}/{org}"),
        "metadata": format!("{base}/services/Soap/m/{{version}}/{org}"),
        "partner": format!("{base}/services/Soap/u/{{version}}/{org}"),
        "rest": rest,
        "sobjects": format!("{rest}sobjects/"),
        "search": format!("{rest}search/"),
        "query": format!("{rest}query/"),
        "recent": format!("{rest}recent/"),
        "profile": format!("{base}/{user}"),
        "feeds": format!("{rest}chatter/feeds"),
        "groups": format!("{rest}chatter/groups"),
        "users": format!("{rest}chatter/users"),
        "feed_items": format!("{rest}chatter/feed-items"),
        "custom_domain": base,
    })
}

fn introspect(app: &App, incoming: &Incoming) -> Reply {
    let form = form(incoming);
    let client = client(incoming, &form);
    if check_client(app, &client).is_err() {
        return Reply::json(
            401,
            &json!({"error": "invalid_client", "error_description": "invalid client credentials"}),
        );
    }
    let token = form.get("token").map(String::as_str).unwrap_or_default();
    let session = app.tokens.session(token, false);
    let answer = session.and_then(|session| {
        let user = app.org.record("User", &session.user)?;
        Some(json!({
            "active": true,
            "scope": "api refresh_token",
            "client_id": app.client.id,
            "username": user.get("Username"),
            "sub": identity_url(app, user.id()),
            "token_type": "access_token",
            "exp": session.expires_micros.div_euclid(1_000_000),
            "iat": app.org.now_micros().div_euclid(1_000_000),
            "nbf": app.org.now_micros().div_euclid(1_000_000),
        }))
    });
    Reply::json(200, &answer.unwrap_or_else(|| json!({"active": false})))
}

fn revoke(app: &App, incoming: &Incoming) -> Reply {
    let form = form(incoming);
    let token = form
        .get("token")
        .map(String::as_str)
        .or_else(|| incoming.parameter("token"))
        .unwrap_or_default();
    if app.tokens.revoke(token) {
        Reply::status(200)
    } else {
        Reply::json(
            400,
            &json!({"error": "unsupported_token_type", "error_description": "this token type is not supported"}),
        )
    }
}

pub(super) fn form(incoming: &Incoming) -> Form {
    let from_body = url::form_urlencoded::parse(&incoming.body).into_owned();
    // Some clients put the token request into the URL.
    incoming.query.iter().cloned().chain(from_body).collect()
}

fn form_decoded(text: &str) -> String {
    // Ids and secrets carry no plus sign of their own in Basic, unless form-encoded.
    let encoded = format!("x={text}");
    let decoded = url::form_urlencoded::parse(encoded.as_bytes()).next();
    decoded
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

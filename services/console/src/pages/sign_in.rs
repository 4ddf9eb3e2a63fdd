//! The way in through Salesforce, and out.
//!
//! In a window of its own: the browser is sent to Salesforce with a state, a nonce and a PKCE
//! challenge that all follow from one secret in a cookie, and comes back with a code. In a frame of a
//! Salesforce page, where Salesforce's own login cannot be shown: the same in a window of its own,
//! which hands a one-time code to the frame; the frame exchanges it for a cookie of its own. The code
//! is good for that frame alone, once, for a minute.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use maud::{Markup, html};
use ports::sign_in::{Identity, Invitation, Return, SignInError};
use ports::stores::{LogLevel, Session};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::asked::{Form, Query};
use super::fault::PageFault;
use super::parts::{form, notice};
use super::unsent::{KEEPING_SCRIPT, Unsent};
use super::{is_page, layout, sync_status};
use crate::entry::cookie::Cookie;
use crate::entry::{Console, Peer, Web, check_form_token, same_origin, session_key};
use crate::limits::Kind;
use crate::{OpsError, token};

/// Within the window of a sign-in: hands its code to the frame.
pub(super) const HANDOVER_SCRIPT: &str = "handover.js";
/// On the page that asks to sign in: opens the window where it is in a frame.
pub(super) const FRAME_SCRIPT: &str = "frame.js";

/// How long a sign-in may take, in seconds.
const SIGN_IN_LIFE: u32 = 600;
/// How long a code for a frame is good.
const HANDOVER_LIFE: Duration = Duration::from_secs(60);

pub(super) fn router() -> Router<Console> {
    Router::new()
        .route("/sign-in", get(begin))
        .route("/sign-in/back", get(back))
        .route("/sign-in/frame", post(take))
        .route("/sign-out", post(leave))
}

fn no_random(error: getrandom::Error) -> OpsError {
    OpsError::Broken(format!("the system has no random numbers: {error}"))
}

/// The page's part of what is known; pages are served only where it is.
fn web(console: &Console) -> Result<&Web, OpsError> {
    console
        .web
        .as_deref()
        .ok_or_else(|| OpsError::NotFound("there are no pages here".to_owned()))
}

/// Asks somebody whom nobody knows to sign in, and brings them back to where they wanted to go. What
/// they have sent is kept on the page: they sign in beside it.
pub(crate) fn ask(
    console: &Console,
    uri: &Uri,
    headers: &HeaderMap,
    unsent: Option<&Unsent>,
) -> Response {
    let address = uri.path_and_query().map_or("/", |it| it.as_str());
    match page_that_asks(console, address, headers, unsent) {
        Ok(response) => response,
        Err(error) => PageFault::bare(error).into_response(),
    }
}

fn page_that_asks(
    console: &Console,
    address: &str,
    headers: &HeaderMap,
    unsent: Option<&Unsent>,
) -> Result<Response, OpsError> {
    let web = web(console)?;
    // Beside what is kept, the same page again would look as if that were gone.
    let to = if is_page(address) && unsent.is_none() {
        address
    } else {
        sync_status::PATH
    };
    let begin = super::parts::pager::address("/sign-in", &[("return", to)]);
    let framed = !web.frame_ancestors.is_empty();
    // All tabs with the console have one secret, or the newest alone could sign in.
    let has_one = web.cookies().get(Cookie::Frame, headers);
    let secret = match has_one.filter(|secret| is_hash(secret)) {
        Some(secret) if framed => Some(secret),
        _ if framed => Some(token::new_token().map_err(no_random)?),
        _ => None,
    };
    let frame = secret.as_deref().map(mark);
    let beside = unsent.map(|_| "_blank");
    let body = html! {
        section.card #sign-in data-frame=[frame.as_deref()] {
            h1 { "mosync" }
            @if unsent.is_some() {
                p { strong { "Your session has ended, so nothing was done." } " What you wrote is kept on this page: sign in in a window of its own, come back to this one, and go on." }
            } @else {
                p { "Sign in with your Salesforce user to see how the sync with mOS is." }
            }
            p { a.brand-button href=(begin) target=[beside] { "Sign in with Salesforce" } }
            @if framed {
                form method="post" action="/sign-in/frame" {
                    input type="hidden" name="code";
                    input type="hidden" name="return" value=(to);
                }
                noscript { p.quiet { "Within a Salesforce tab this needs JavaScript. Without it, open the console in a window of its own." } }
            }
            @if let Some(unsent) = unsent { (unsent.form(None, "Go on")) }
        }
    };
    let framed = framed.then_some(FRAME_SCRIPT);
    let scripts = framed.into_iter().chain(unsent.map(|_| KEEPING_SCRIPT));
    let scripts: Vec<&str> = scripts.collect();
    let markup = layout::bare_with("Sign in", &body, &scripts);
    let mut response = layout::respond(StatusCode::UNAUTHORIZED, markup);
    if let Some(secret) = secret {
        // Until the browser ends: a page may have been open for long when somebody signs in.
        add(&mut response, web.cookies().set(Cookie::Frame, &secret));
    }
    Ok(response)
}

/// Of the form of what this console makes itself.
fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What a frame is known by to others, who must not know its secret.
fn mark(secret: &str) -> String {
    token::hash_in_words(&token::hash(&format!("mosync frame {secret}")))
}

/// What goes to Salesforce and comes back, each from the one secret in the cookie.
struct Begun {
    secret: String,
    /// Where to go afterwards.
    to: String,
    /// The frame that waits; empty for none.
    frame: String,
}

impl Begun {
    fn part(&self, what: &str) -> String {
        token::hash_in_words(&token::hash(&format!("mosync {what} {}", self.secret)))
    }

    fn state(&self) -> String {
        self.part("state")
    }

    fn nonce(&self) -> String {
        self.part("nonce")
    }

    fn verifier(&self) -> String {
        self.part("verifier")
    }

    /// RFC 7636, 4.2.
    fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier().as_bytes()))
    }

    fn cookie(&self) -> String {
        let to: String = url::form_urlencoded::byte_serialize(self.to.as_bytes()).collect();
        format!("{}.{}.{to}", self.secret, self.frame)
    }

    fn of_cookie(value: &str) -> Option<Self> {
        let mut parts = value.splitn(3, '.');
        let (secret, frame, to) = (parts.next()?, parts.next()?, parts.next()?);
        let to = url::form_urlencoded::parse(to.as_bytes())
            .next()?
            .0
            .into_owned();
        (is_hash(secret) && (frame.is_empty() || is_hash(frame)) && is_page(&to)).then(|| Self {
            secret: secret.to_owned(),
            to,
            frame: frame.to_owned(),
        })
    }
}

#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default, rename = "return")]
    to: String,
    #[serde(default)]
    frame: String,
}

/// Sends the browser to Salesforce.
async fn begin(
    State(console): State<Console>,
    Peer(peer): Peer,
    Query(asked): Query<Asked>,
) -> Response {
    let begun = || -> Result<Response, OpsError> {
        let web = web(&console)?;
        let now = console.operations.now();
        console.limits.admit(Kind::SignIn, &peer, now)?;
        // It goes into a cookie.
        if !asked.frame.is_empty() && !is_hash(&asked.frame) {
            return Err(OpsError::Invalid(
                "this sign-in is for a frame that is none of the console's; open the console again, and sign in from there"
                    .to_owned(),
            ));
        }
        let to = if is_page(&asked.to) {
            asked.to.as_str()
        } else {
            sync_status::PATH
        };
        let begun = Begun {
            secret: token::new_token().map_err(no_random)?,
            to: to.to_owned(),
            frame: asked.frame.clone(),
        };
        let address = web.sign_in.address(Invitation {
            redirect_uri: &web.redirect_uri(),
            state: &begun.state(),
            challenge: &begun.challenge(),
            nonce: &begun.nonce(),
        });
        let mut response = Redirect::to(&address).into_response();
        let cookie = web
            .cookies()
            .set_for(Cookie::SignIn, &begun.cookie(), SIGN_IN_LIFE);
        add(&mut response, cookie);
        Ok(response)
    };
    begun().unwrap_or_else(|error| PageFault::bare(error).into_response())
}

#[derive(Debug, Deserialize)]
struct CameBack {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

/// The browser is back from Salesforce.
async fn back(
    State(console): State<Console>,
    Peer(peer): Peer,
    headers: HeaderMap,
    Query(came): Query<CameBack>,
) -> Response {
    let now = console.operations.now();
    let admitted = console.limits.admit(Kind::SignIn, &peer, now);
    let signed_in = match admitted {
        Ok(()) => sign_in(&console, &came, &headers).await,
        Err(error) => Err(error),
    };
    let mut response = match signed_in {
        Ok(response) => response,
        Err(error) => not_signed_in(&error),
    };
    if let Some(web) = &console.web {
        add(&mut response, web.cookies().clear(Cookie::SignIn));
    }
    response
}

async fn sign_in(
    console: &Console,
    came: &CameBack,
    headers: &HeaderMap,
) -> Result<Response, OpsError> {
    let web = web(console)?;
    let begun = web.cookies().get(Cookie::SignIn, headers);
    let begun = begun.and_then(|value| Begun::of_cookie(&value));
    let begun =
        begun.filter(|begun| bool::from(begun.state().as_bytes().ct_eq(came.state.as_bytes())));
    let begun = begun.ok_or_else(|| {
        OpsError::Invalid(
            "this sign-in was not begun in this browser, or more than ten minutes ago; begin it again"
                .to_owned(),
        )
    })?;
    if !came.error.is_empty() {
        let why: String = came.error_description.chars().take(200).collect();
        return Err(OpsError::Forbidden(format!(
            "Salesforce has not signed you in ({}: {why}); begin again, and allow the access",
            came.error.chars().take(60).collect::<String>()
        )));
    }
    let identity = web
        .sign_in
        .identify(Return {
            redirect_uri: &web.redirect_uri(),
            code: &came.code,
            verifier: &begun.verifier(),
            nonce: &begun.nonce(),
        })
        .await
        .map_err(not_identified)?;
    check_org(console, &identity).await?;
    let now = console.operations.now();
    let session = Session {
        user: identity.user,
        username: identity.username,
        name: identity.name,
        instance_url: identity.instance_url,
        opened: now,
        seen: now,
    };
    let known = console.role(web, session.user, &session.username).await?;
    let Some(role) = known.role else {
        let message = format!(
            "{} was refused: neither the permission set mOS admin, nor named as an operator or viewer",
            session.username
        );
        console
            .operations
            .tell_access(LogLevel::Warning, message)
            .await?;
        return Ok(outsider(console, &session, None).await);
    };
    let message = format!("{} signed in as {}", session.username, role.name());
    console
        .operations
        .tell_access(LogLevel::Info, message)
        .await?;
    if begun.frame.is_empty() {
        open(console, web, &session, &begun.to, headers).await
    } else {
        hand_over(console, &session, &begun.frame).await
    }
}

/// Why Salesforce has not said who it is.
fn not_identified(error: SignInError) -> OpsError {
    let message = error.to_string();
    match error {
        SignInError::Refused(_) => OpsError::Forbidden(format!(
            "{message}; begin again, and see in Salesforce whether the user may use the connected app"
        )),
        SignInError::Unreachable(_) => OpsError::OutOfReach(message),
        SignInError::Garbled(_) => OpsError::Invalid(format!("{message}; begin again")),
    }
}

/// Only people of the org that the settings are for come in.
async fn check_org(console: &Console, identity: &Identity) -> Result<(), OpsError> {
    let pinned = console.operations.pinned_org().await?;
    let Some(pinned) = pinned else {
        return Err(OpsError::Conflict(
            "mosync has not met its org yet, so it does not know whom to let in; start its listener, and sign in again in a moment"
                .to_owned(),
        ));
    };
    if pinned == identity.org {
        return Ok(());
    }
    let message = format!(
        "{} of org {} was refused: this console is for org {pinned}",
        identity.username, identity.org
    );
    console
        .operations
        .tell_access(LogLevel::Warning, message)
        .await?;
    Err(OpsError::Forbidden(format!(
        "you have signed in to another org ({}); this console is for {pinned}. Sign out of Salesforce, and sign in as a user of that org",
        identity.org
    )))
}

/// Begins a session in place of the one that the browser had, and goes on to where somebody wanted to
/// go. What it had is not kept: anybody may have put it there.
async fn open(
    console: &Console,
    web: &Web,
    session: &Session,
    to: &str,
    headers: &HeaderMap,
) -> Result<Response, OpsError> {
    let operations = &console.operations;
    if let Some(old) = web.cookies().session(headers) {
        operations.close_session(&session_key(&old)).await?;
    }
    let id = token::new_token().map_err(no_random)?;
    let key = session_key(&id);
    operations.open_session(&key, session).await?;
    console.limits.know(&key, operations.now());
    let mut response = Redirect::to(to).into_response();
    add(&mut response, web.cookies().set(Cookie::Session, &id));
    Ok(response)
}

fn handover_key(code: &str, frame: &str) -> String {
    token::hash_in_words(&token::hash(&format!("mosync handover {code} {frame}")))
}

/// Keeps the session for the frame, under a key that the frame alone can make, and gives the frame's
/// part of it to the script of this window.
async fn hand_over(
    console: &Console,
    session: &Session,
    frame: &str,
) -> Result<Response, OpsError> {
    let code = token::new_token().map_err(no_random)?;
    let key = handover_key(&code, frame);
    console.operations.open_session(&key, session).await?;
    let body = html! {
        section.card #handover data-code=(code) {
            h1 { "You have signed in" }
            p { "This window closes by itself. If it does not, close it and go back to the Salesforce tab." }
        }
    };
    let markup = layout::bare_with("Signed in", &body, &[HANDOVER_SCRIPT]);
    Ok(layout::respond(StatusCode::OK, markup))
}

#[derive(Debug, Deserialize)]
struct Taken {
    #[serde(default)]
    code: String,
    #[serde(default, rename = "return")]
    to: String,
}

/// A frame exchanges its code for a session of its own.
async fn take(
    State(console): State<Console>,
    Peer(peer): Peer,
    headers: HeaderMap,
    Form(taken): Form<Taken>,
) -> Response {
    let exchanged = async {
        let web = web(&console)?;
        let now = console.operations.now();
        console.limits.admit(Kind::SignIn, &peer, now)?;
        same_origin(web, &headers)?;
        let refused = || {
            OpsError::Invalid(
                "this code is not for this frame, or was used, or is older than a minute; sign in again"
                    .to_owned(),
            )
        };
        let secret = web
            .cookies()
            .get(Cookie::Frame, &headers)
            .ok_or_else(refused)?;
        let key = handover_key(&taken.code, &mark(&secret));
        let session = console
            .operations
            .close_session(&key)
            .await?
            .ok_or_else(refused)?;
        if now.since(session.opened) > HANDOVER_LIFE {
            return Err(refused());
        }
        let to = if is_page(&taken.to) {
            taken.to.as_str()
        } else {
            sync_status::PATH
        };
        open(&console, web, &session, to, &headers).await
    };
    let exchanged: Result<Response, OpsError> = exchanged.await;
    exchanged.unwrap_or_else(|error| not_signed_in(&error))
}

#[derive(Debug, Deserialize)]
struct Leaving {
    #[serde(default)]
    form_token: String,
}

/// Ends the session.
async fn leave(
    State(console): State<Console>,
    peer: Peer,
    headers: HeaderMap,
    Form(leaving): Form<Leaving>,
) -> Response {
    let left = async {
        let web = web(&console)?;
        same_origin(web, &headers)?;
        let person = console.person(&headers, &peer, Kind::Order, true);
        if let Some(person) = person.await? {
            check_form_token(&person, &leaving.form_token)?;
            console.operations.close_session(&person.key).await?;
            let message = format!("{} signed out", person.session.username);
            console
                .operations
                .tell_access(LogLevel::Info, message)
                .await?;
        }
        let body = html! {
            section.card {
                h1 { "You have signed out" }
                p { "You may still be signed in to Salesforce itself." }
                p { a.brand-button href="/" { "Sign in again" } }
            }
        };
        let mut response = layout::respond(StatusCode::OK, layout::bare("Signed out", &body));
        add(&mut response, web.cookies().clear(Cookie::Session));
        Ok(response)
    };
    let left: Result<Response, OpsError> = left.await;
    left.unwrap_or_else(|error| PageFault::bare(error).into_response())
}

/// Nobody was signed in: why, and the way to try again.
fn not_signed_in(error: &OpsError) -> Response {
    let body = html! {
        section.card {
            h1 { "You are not signed in" }
            (notice::failed(&html! { (super::fault::sentence(&error.to_string())) }))
            p { a.brand-button href="/" { "Sign in with Salesforce" } }
        }
    };
    layout::respond(error.status(), layout::bare("Not signed in", &body))
}

/// For who has signed in and has no role: whom to ask. Without names: they are for those who may see
/// them.
pub(super) async fn outsider(
    console: &Console,
    session: &Session,
    form_token: Option<&str>,
) -> Response {
    let page = async {
        let web = web(console)?;
        let snapshot = console.operations.permissions().await?;
        let administrators = web
            .people
            .administrators(&snapshot, console.operations.now());
        Ok::<_, OpsError>(outsider_page(web, session, administrators, form_token))
    };
    match page.await {
        Ok(body) => {
            let markup = layout::bare("No access", &body);
            layout::respond(StatusCode::FORBIDDEN, markup)
        }
        Err(error) => PageFault::bare(error).into_response(),
    }
}

fn outsider_page(
    web: &Web,
    session: &Session,
    administrators: usize,
    form_token: Option<&str>,
) -> Markup {
    let set = &web.people.admin_permission_set;
    html! {
        section.card {
            h1 { "You have no access to mosync" }
            p { "You have signed in to Salesforce as " strong { (session.name) } " (" (session.username) "), and this user has no role here." }
            p {
                "Ask a Salesforce administrator to assign the permission set "
                strong { "mOS admin" } " (" code { (set) } ") to you, or whoever runs mosync to name you as an operator or viewer."
            }
            p.quiet {
                @match administrators {
                    0 => { "Nobody holds that permission set today, as far as mosync has read." }
                    1 => { "One user holds it today." }
                    number => { (number) " users hold it today." }
                }
                " A new assignment counts within a few minutes."
            }
            @if let Some(form_token) = form_token {
                form method="post" action="/sign-out" {
                    input type="hidden" name=(form::TOKEN) value=(form_token);
                    button.button type="submit" { "Sign out" }
                }
            } @else {
                p { a.button href="/" { "Sign in again" } }
            }
        }
    }
}

fn add(response: &mut Response, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_is_known_again_and_nothing_else() {
        let begun = Begun {
            secret: "a".repeat(64),
            to: "/sync-status?x=1&y=a.b".to_owned(),
            frame: "b".repeat(64),
        };
        let known = Begun::of_cookie(&begun.cookie()).unwrap();
        assert_eq!((&known.to, &known.frame), (&begun.to, &begun.frame));
        assert_eq!(known.state(), begun.state());
        let parts = [
            begun.state(),
            begun.nonce(),
            begun.verifier(),
            begun.secret.clone(),
        ];
        let different: std::collections::BTreeSet<_> = parts.iter().collect();
        assert_eq!(different.len(), 4);
        for wrong in [
            "",
            "a.b.c",
            "..",
            &format!("{}..//evil.example", begun.secret),
        ] {
            assert!(Begun::of_cookie(wrong).is_none(), "{wrong}");
        }
    }
}

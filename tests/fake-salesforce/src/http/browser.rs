//! The browser's door: the login page, the question whether an app may have access, and the way
//! back to the app with a code.
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use axum::http::Method;

use super::auth::{self, Code};
use super::reply::Reply;
use super::{App, Incoming};

/// The cookie that a signed-in browser has; its value is a session id like any other.
const SESSION: &str = "sid";

/// Users who have let the app in: they are not asked again.
#[derive(Default)]
pub(crate) struct Approvals(Mutex<BTreeSet<String>>);

impl Approvals {
    fn has(&self, user: &str) -> bool {
        let users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        users.contains(user)
    }

    fn add(&self, user: &str) {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        users.insert(user.to_owned());
    }
}

/// `/services/oauth2/authorize`: shown to a person, not to a program.
pub(crate) fn authorize(app: &App, incoming: &Incoming) -> Reply {
    let redirect_uri = incoming.parameter("redirect_uri").unwrap_or_default();
    let Ok(target) = url::Url::parse(redirect_uri) else {
        return bad(
            "redirect_uri_mismatch",
            "redirect_uri must match configuration",
        );
    };
    if incoming.parameter("client_id") != Some(&app.client.id) {
        return bad("invalid_client_id", "client identifier invalid");
    }
    let refused = |error, description| {
        back(
            target.clone(),
            incoming,
            &[("error", error), ("error_description", description)],
        )
    };
    if incoming.parameter("response_type") != Some("code") {
        return refused("unsupported_response_type", "response type not supported");
    }
    let method = incoming.parameter("code_challenge_method");
    // jsforce names no method, and real orgs take its challenge: S256 is the only one there is.
    if incoming.parameter("code_challenge").is_some() && method.is_some_and(|name| name != "S256") {
        return refused("invalid_request", "code challenge method must be S256");
    }
    let form = auth::form(incoming);
    let field = |name: &str| form.get(name).map(String::as_str);
    if incoming.method == Method::POST
        && let Some(username) = field("username")
    {
        return log_in(app, incoming, username, field("pw").unwrap_or_default());
    }
    let asks_anew = incoming.parameter("prompt").is_some_and(|prompt| {
        incoming.method == Method::GET && prompt.split(' ').any(|word| word == "login")
    });
    let Some(user) = browser(app, incoming).filter(|_| !asks_anew) else {
        let hint = incoming.parameter("login_hint").unwrap_or_default();
        return login_page(hint, None);
    };
    match (&incoming.method, field("approval")) {
        (&Method::POST, Some("allow")) => app.approvals.add(&user),
        (&Method::POST, Some(_)) => {
            return refused("access_denied", "end-user denied authorization");
        }
        _ if app.approvals.has(&user) => {}
        _ => return approval_page(app, &user),
    }
    let code = auth::new_code(
        app,
        Code {
            challenge: incoming.parameter("code_challenge").map(str::to_owned),
            openid: incoming
                .parameter("scope")
                .is_some_and(|scope| scope.split(' ').any(|scope| scope == "openid"))
                .then(|| incoming.parameter("nonce").map(str::to_owned)),
            ..Code::of(app, &user, redirect_uri)
        },
    );
    back(target, incoming, &[("code", &code)])
}

/// To the app, with what came of it.
fn back(mut target: url::Url, incoming: &Incoming, pairs: &[(&str, &str)]) -> Reply {
    for (name, value) in pairs {
        target.query_pairs_mut().append_pair(name, value);
    }
    if let Some(state) = incoming.parameter("state") {
        target.query_pairs_mut().append_pair("state", state);
    }
    Reply::status(302).header("location", target.as_str())
}

fn bad(error: &str, description: &str) -> Reply {
    let answer = serde_json::json!({"error": error, "error_description": description});
    Reply::json(400, &answer)
}

/// Whose browser it is.
fn browser(app: &App, incoming: &Incoming) -> Option<String> {
    let cookies = incoming.header("cookie")?.split(';');
    let session = cookies
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, _)| *name == SESSION)?;
    let session = app.tokens.session(session.1, true)?;
    let user = app.org.record("User", &session.user)?;
    user.flag("IsActive").then_some(session.user)
}

/// Sets the cookie, and asks for the same address again.
fn log_in(app: &App, incoming: &Incoming, username: &str, password: &str) -> Reply {
    app.counters.add("login");
    let user = auth::active(app, username).ok();
    let Some(user) = user.filter(|_| password == app.client.password) else {
        return login_page(
            username,
            Some(
                "Please check your username and password. If you still can't log in, contact your Salesforce administrator.",
            ),
        );
    };
    let secure = if app.instance_url.starts_with("https:") {
        "; Secure; SameSite=None"
    } else {
        "; SameSite=Lax"
    };
    let cookie = format!(
        "{SESSION}={}; Path=/; HttpOnly{secure}",
        app.tokens.issue(&user)
    );
    let mut again = url::form_urlencoded::Serializer::new(String::new());
    // What was asked for with `prompt=login` is done.
    again.extend_pairs(incoming.query.iter().filter(|(name, _)| name != "prompt"));
    Reply::status(302)
        .header(
            "location",
            &format!("/services/oauth2/authorize?{}", again.finish()),
        )
        .header("set-cookie", &cookie)
}

/// Both forms are sent to the address that they came from.
fn login_page(username: &str, error: Option<&str>) -> Reply {
    let error = error.map_or_else(String::new, |error| {
        format!("<div id=\"error\" role=\"alert\">{}</div>", escaped(error))
    });
    page(
        "Login | Salesforce",
        &format!(
            "{error}<form id=\"login_form\" method=\"post\">\
             <label for=\"username\">Username</label>\
             <input id=\"username\" name=\"username\" type=\"email\" value=\"{}\" autocomplete=\"username\">\
             <label for=\"password\">Password</label>\
             <input id=\"password\" name=\"pw\" type=\"password\" autocomplete=\"off\">\
             <button id=\"Login\" name=\"Login\">Log In</button></form>",
            escaped(username)
        ),
    )
}

fn approval_page(app: &App, user: &str) -> Reply {
    let record = app.org.record("User", user);
    let name = record.as_ref().and_then(|user| user.text("Name"));
    page(
        "Allow Access?",
        &format!(
            "<h2>Allow Access?</h2><p>mosync is asking to:</p><ul><li>Access your basic information</li></ul>\
             <p>Do you want to allow access for {}?</p>\
             <form id=\"editPage\" method=\"post\">\
             <button id=\"oadeny\" name=\"approval\" value=\"deny\">Deny</button>\
             <button id=\"oaapprove\" name=\"approval\" value=\"allow\">Allow</button></form>",
            escaped(name.unwrap_or_default())
        ),
    )
}

fn page(title: &str, body: &str) -> Reply {
    let style = "body{font:14px/1.5 sans-serif;background:#f4f6f9;margin:0}main{max-width:20rem;margin:10vh auto;background:#fff;padding:1.5rem;border:1px solid #dcdcdc;border-radius:4px}label,input,button{display:block;width:100%;box-sizing:border-box;margin:.25rem 0 .75rem}input,button{padding:.6rem;border:1px solid #747474;border-radius:4px}button{background:#0176d3;color:#fff}#error{color:#8e030f;margin-bottom:1rem}";
    let html = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{style}</style></head><body><main><h1>Salesforce (stand-in)</h1>{body}</main></body></html>"
    );
    Reply::text(200, "text/html; charset=UTF-8", html.into_bytes())
        .header("cache-control", "no-store")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

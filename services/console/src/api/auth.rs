//! Who may call: whoever presents a token whose hash is known.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header;
use runtime::config::TokenHash;

use super::speech::Refused;
use crate::{Author, Caller, OpsError, token};

/// The header in which a command names the user of the operating system who runs it. Whoever can read
/// the folder's token can write the folder's database, so this gives nothing away.
pub(crate) const USER: &str = "mosync-user";

/// What callers may present.
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

/// Lets a request with a good token pass, marked with who calls. The description of the API is for
/// everybody.
pub(super) async fn guard(State(keys): State<Keys>, mut request: Request, next: Next) -> Response {
    if request.uri().path() == "/api/openapi.json" {
        return next.run(request).await;
    }
    let presented = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    match presented.and_then(|presented| keys.caller(presented)) {
        Some(caller) => {
            let user = request.headers().get(USER);
            let user = user.and_then(|user| user.to_str().ok());
            let author = Author::of(caller, user);
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(author);
            next.run(request).await
        }
        None => not_allowed(&keys, presented.is_some()),
    }
}

fn not_allowed(keys: &Keys, presented: bool) -> Response {
    let sentence = match (keys.configured.is_some(), presented) {
        (false, _) => {
            "nobody may call this API yet: make a token with `mosync console-token`, put its hash into the configuration as console.token_sha256, and restart"
        }
        (true, false) => "this API wants a token; send the header `Authorization: Bearer TOKEN`",
        (true, true) => {
            "this is not the token whose hash is in the configuration; make a new pair with `mosync console-token` if it is lost"
        }
    };
    let mut response = Refused(OpsError::NotAllowed(sentence.to_owned())).into_response();
    response.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        header::HeaderValue::from_static("Bearer"),
    );
    response
}

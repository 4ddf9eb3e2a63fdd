//! The guard before every page and every path of the API.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{Method, header};
use subtle::ConstantTimeEq as _;

use super::tokens::bearer;
use super::{Console, FORM_TOKEN_HEADER, Peer, Person, same_origin};
use crate::api::refusal;
use crate::limits::Kind;
use crate::pages::{self, MAX_FORM, Unsent};
use crate::rights::Right;
use crate::{Author, Caller, OpsError, token};

/// What a page's script sends with requests that nobody has asked for.
const BY_ITSELF_HEADER: &str = "x-mosync-by-itself";

/// Paths of which each request is several to Salesforce: what the org may be asked is not spent by
/// one who asks without end.
const ASKED_OF_SALESFORCE: [&str; 21] = [
    "/api/v1/checklist",
    "/api/v1/explain/{id}",
    "/api/v1/left",
    "/api/v1/settings/confirm-org",
    "/api/v1/settings/import-mapping",
    "/api/v1/settings/preview",
    "/api/v1/settings/preview/{preview}/export",
    "/api/v1/settings/preview/{preview}/opportunities",
    "/api/v1/settings/revert",
    "/api/v1/settings/validate",
    "/api/v1/sync-all/expected",
    "/api/v1/users",
    "/api/v1/users/export",
    "/explain",
    "/left",
    "/left/export",
    "/settings/checklist",
    "/settings/preview/{preview}/export",
    "/settings/sync-all",
    "/users",
    "/users/csv",
];

/// Paths of which the orders are, and not what is read there. A page's orders are counted anyhow, and
/// as many may be given.
const ORDERS_ASKED_OF_SALESFORCE: [&str; 1] = ["/api/v1/settings"];

/// How somebody who does not get in is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Front {
    /// In HTML.
    Page,
    /// In JSON.
    Api,
}

/// What is guarded.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    console: Console,
    needs: Right,
    front: Front,
    asks_salesforce: bool,
    orders_ask_salesforce: bool,
}

/// Lets a request pass when whoever sends it may, marked with who that is.
pub(crate) async fn guard(State(watch): State<Watch>, request: Request, next: Next) -> Response {
    let presented = bearer(request.headers()).map(str::to_owned);
    let admitted = match (watch.front, presented) {
        (Front::Api, Some(token)) => watch.admit_program(&token, request).await,
        (Front::Api, None) => watch.admit_script(request).await,
        (Front::Page, _) => watch.admit_person(request).await,
    };
    match admitted {
        Ok(request) => next.run(request).await,
        Err(refusal) => *refusal,
    }
}

/// The request that passes, or what is answered instead.
type Admitted = Result<Request, Box<Response>>;

fn no(response: Response) -> Box<Response> {
    Box::new(response)
}

impl Watch {
    /// Before this path of the routes.
    pub(crate) fn before(path: &str, console: &Console, needs: Right, front: Front) -> Self {
        Self {
            console: console.clone(),
            needs,
            front,
            asks_salesforce: ASKED_OF_SALESFORCE.contains(&path),
            orders_ask_salesforce: ORDERS_ASKED_OF_SALESFORCE.contains(&path),
        }
    }

    async fn admit_program(&self, token: &str, mut request: Request) -> Admitted {
        let console = &self.console;
        let api = |error| no(refusal(error));
        let peer = Peer::of(console, request.extensions(), request.headers());
        let known = console.program(token, request.headers(), &peer).await;
        let Some(program) = known.map_err(api)? else {
            return Err(api(console.without_token(true)));
        };
        if !program.right.covers(self.needs) {
            return Err(api(OpsError::Forbidden(format!(
                "this token may {}, and this needs a token that may {}",
                program.right.name(),
                self.needs.name()
            ))));
        }
        // The commands of this machine are not counted, here as elsewhere.
        if program.caller != Caller::CommandLine {
            let who = token::hash_in_words(&token::hash(token));
            self.may_ask(&request, &who).map_err(api)?;
        }
        request.extensions_mut().insert(program.caller);
        request.extensions_mut().insert(program.author);
        request.extensions_mut().insert(program.right);
        Ok(request)
    }

    /// A script of a page of the console, which speaks with the browser's cookies.
    async fn admit_script(&self, request: Request) -> Admitted {
        let console = &self.console;
        let api = |error| no(refusal(error));
        let person = self.person(&request).await.map_err(api)?;
        let (Some(person), Some(web)) = (person, &console.web) else {
            return Err(api(console.without_token(false)));
        };
        if is_order(&request) {
            same_origin(web, request.headers()).map_err(api)?;
            let sent = request.headers().get(FORM_TOKEN_HEADER);
            let sent = sent.and_then(|sent| sent.to_str().ok()).unwrap_or_default();
            check_form_token(&person, sent).map_err(api)?;
        }
        self.admit(&person, request).map_err(api)
    }

    /// Whose browser it is; holds nothing of the request but its headers.
    fn person(
        &self,
        request: &Request,
    ) -> impl Future<Output = Result<Option<Person>, OpsError>> + Send {
        let (console, headers) = (&self.console, request.headers());
        let peer = Peer::of(console, request.extensions(), headers);
        let path = request.uri().path();
        // A form that is written in asks for what fits, and changes nothing by that.
        let kind = if is_order(request) && path != pages::ROWS {
            Kind::Order
        } else {
            Kind::Look
        };
        // A page asks for its figures for as long as it is open, whether anybody looks at it or not.
        let is_by_itself = path == pages::LIVE || headers.contains_key(BY_ITSELF_HEADER);
        let keeps = !is_by_itself;
        async move { console.person(headers, &peer, kind, keeps).await }
    }

    async fn admit_person(&self, request: Request) -> Admitted {
        let console = &self.console;
        let person = match self.person(&request).await {
            Ok(Some(person)) => person,
            Ok(None) => return Err(no(self.ask_to_sign_in(request).await)),
            Err(error) => return Err(no(pages::PageFault::bare(error).into_response())),
        };
        let request = if is_order(&request) {
            self.checked_form(&person, request).await?
        } else {
            request
        };
        let path = request.uri().path().to_owned();
        match self.admit(&person, request) {
            Ok(request) => Ok(request),
            Err(error) => Err(no(pages::refuse(console, &person, &path, error).await)),
        }
    }

    /// What is sent by somebody who has no session any more stays with them.
    async fn ask_to_sign_in(&self, request: Request) -> Response {
        let (uri, headers) = (request.uri().clone(), request.headers().clone());
        let unsent = if is_order(&request) {
            // Not what comes from another site, or is too large.
            self.sent(request).await.ok().map(|(_, unsent)| unsent)
        } else {
            None
        };
        pages::ask_to_sign_in(&self.console, &uri, &headers, unsent.as_ref())
    }

    /// The form read, its token checked, and the request as it was.
    async fn checked_form(&self, person: &Person, request: Request) -> Admitted {
        let (request, unsent) = match self.sent(request).await {
            Ok(read) => read,
            Err(error) => {
                return Err(no(pages::refuse(&self.console, person, "/", error).await));
            }
        };
        if check_form_token(person, unsent.token()).is_ok() {
            return Ok(request);
        }
        Err(no(pages::send_again(person, &unsent)))
    }

    /// What a form of the console's own has sent, and the request as it was.
    async fn sent(&self, request: Request) -> Result<(Request, Unsent), OpsError> {
        if let Some(web) = &self.console.web {
            same_origin(web, request.headers())?;
        }
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, MAX_FORM).await.map_err(|_too_large| {
            OpsError::TooLarge(format!(
                "the form is larger than the {MAX_FORM} bytes that are read; nothing was done"
            ))
        })?;
        let unsent = Unsent::of(&parts.uri, &body);
        Ok((Request::from_parts(parts, Body::from(body)), unsent))
    }

    /// Whether somebody with a session may, as of now.
    fn admit(&self, person: &Person, mut request: Request) -> Result<Request, OpsError> {
        let role = person.role.ok_or_else(|| {
            OpsError::Forbidden("you have no role in this console (any more)".to_owned())
        })?;
        if !role.right().covers(self.needs) && person.is_unchecked {
            return Err(OpsError::OutOfReach(
                "whether you still hold the permission set mOS admin was last read more than five minutes ago, and Salesforce does not answer, so what administrators do waits; open Sync Status for what is out of reach, and try again when it answers"
                    .to_owned(),
            ));
        }
        if !role.right().covers(self.needs) {
            return Err(OpsError::Forbidden(format!(
                "this needs a role that may {}, and you are {} {} here; ask an administrator of the console",
                self.needs.name(),
                if role.name().starts_with(['A', 'O']) {
                    "an"
                } else {
                    "a"
                },
                role.name().to_lowercase(),
            )));
        }
        self.may_ask(&request, &person.key)?;
        let caller = Caller::Person(person.session.username.as_str().into());
        let extensions = request.extensions_mut();
        extensions.insert(Author::of(&caller, None));
        extensions.insert(caller);
        extensions.insert(role.right());
        extensions.insert(person.viewer(role));
        Ok(request)
    }

    /// Counts what Salesforce has to answer.
    ///
    /// # Errors
    /// [`OpsError::TooMany`].
    fn may_ask(&self, request: &Request, who: &str) -> Result<(), OpsError> {
        let is_asked = self.asks_salesforce || (self.orders_ask_salesforce && is_order(request));
        if !is_asked {
            return Ok(());
        }
        let now = self.console.operations.now();
        self.console.limits.admit(Kind::Salesforce, who, now)
    }
}

/// Whether a request is meant to change something.
pub(super) fn is_order(request: &Request) -> bool {
    !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    )
}

/// # Errors
/// [`OpsError::Forbidden`].
pub(crate) fn check_form_token(person: &Person, sent: &str) -> Result<(), OpsError> {
    if bool::from(sent.as_bytes().ct_eq(person.form_token.as_bytes())) {
        return Ok(());
    }
    Err(OpsError::Forbidden(
        "the form does not belong to this session, so nothing was done; open the page again and send it from there"
            .to_owned(),
    ))
}

/// What an API refusal of a caller who is not known says to programs.
pub(crate) fn challenge(response: &mut Response) {
    response.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        header::HeaderValue::from_static("Bearer"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_of_salesforce_is_there() {
        let all = ASKED_OF_SALESFORCE
            .into_iter()
            .chain(ORDERS_ASKED_OF_SALESFORCE);
        for asked in all {
            let is_operation = crate::api::routes().any(|(path, _)| path == asked);
            let is_page = pages::routes().any(|(path, ..)| path == asked);
            assert!(is_operation || is_page, "{asked}");
        }
    }
}

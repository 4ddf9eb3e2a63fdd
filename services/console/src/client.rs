//! The other end of the API: over a socket, or within the process that can open the stores itself.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes};
use domain::settings::Settings;
use futures::{Stream, StreamExt as _};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use crate::access::Access;
use crate::rights::Right;
use crate::views::{
    ConfirmOrg, DeadList, DeadOutcome, DeadView, ErrorView, ExplainView, Groups, ImportMapping,
    ImportedView, JobList, JobView, LeftView, LogPageView, LogSearch, NotificationList, ParkedList,
    ParkedSearch, PreviewView, PreviewedList, PreviewedSearch, Reason, RevertSettings, SavedView,
    Selection, SettingsDiff, SettingsHistory, SettingsView, StatusView, SyncAllView, TestView,
    Touched, UsersView, ValidationView,
};
use crate::{Author, Caller, Operations, OpsError};
use crate::{api, entry};

/// The longest answer that is read whole.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Asks the API, wherever it is.
#[derive(Debug, Clone)]
pub struct Client {
    way: Way,
    /// On whose behalf.
    user: Option<String>,
}

#[derive(Debug, Clone)]
enum Way {
    /// The same routes, without a socket.
    Inside(Router),
    /// A process that holds the stores.
    Socket(Access),
}

/// A settings document on its way, as it was written.
#[derive(Debug, Serialize)]
struct Written<'a> {
    base: u64,
    settings: &'a RawValue,
}

/// The pieces of an export, as they come.
pub type Export = std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, OpsError>> + Send>>;

impl Client {
    /// On stores that this process has opened, on behalf of the command line.
    #[must_use]
    pub fn inside(operations: Operations) -> Self {
        Self {
            way: Way::Inside(api::inside(operations)),
            user: None,
        }
    }

    /// To the process that has left its address and token in an embedded folder.
    #[must_use]
    pub const fn of_process(access: Access) -> Self {
        Self {
            way: Way::Socket(access),
            user: None,
        }
    }

    /// On behalf of a user of the operating system, whom saved settings then name.
    #[must_use]
    pub fn on_behalf_of(mut self, user: Option<String>) -> Self {
        self.user = user;
        self
    }

    /// How the sync is.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn status(&self) -> Result<StatusView, OpsError> {
        self.get("/status").await
    }

    /// Who holds mOS permission, and who does not though it matters.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn users(&self) -> Result<UsersView, OpsError> {
        self.get("/users").await
    }

    /// What left the scope and is still in mOS, in the stretch of mOS's records after this one.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn left(&self, after: Option<&str>) -> Result<LeftView, OpsError> {
        let after = after.map(|after| ("after".to_owned(), after.to_owned()));
        self.get(&with("/left", after)).await
    }

    /// Why a record is in mOS, or is not; by its id or the address of its page in Salesforce.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn explain(&self, asked: &str) -> Result<ExplainView, OpsError> {
        self.get(&format!("/explain/{}", escaped(asked))).await
    }

    /// Starts a sync-all, or answers the one that runs.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn sync_all(&self) -> Result<SyncAllView, OpsError> {
        self.post("/sync-all", &()).await
    }

    /// The history, newest first.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn jobs(&self, before: Option<&str>, limit: usize) -> Result<JobList, OpsError> {
        let page = [
            ("before", before.map(str::to_owned)),
            ("limit", Some(limit.to_string())),
        ];
        self.get(&with(
            "/jobs",
            page.into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?))),
        ))
        .await
    }

    /// One job.
    ///
    /// # Errors
    /// [`OpsError::NotFound`].
    pub async fn job(&self, id: &str) -> Result<JobView, OpsError> {
        self.get(&format!("/jobs/{}", escaped(id))).await
    }

    /// Pauses, resumes or cancels a job: `deed` is the last part of the path.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn steer(&self, id: &str, deed: &str, reason: &Reason) -> Result<JobView, OpsError> {
        self.post(&format!("/jobs/{}/{deed}", escaped(id)), reason)
            .await
    }

    /// Parked records by cause.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn parked_groups(&self) -> Result<Groups, OpsError> {
        self.get("/parked/groups").await
    }

    /// A page of parked records.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn parked(&self, search: &ParkedSearch) -> Result<ParkedList, OpsError> {
        self.get(&with("/parked", pairs(search)?)).await
    }

    /// Has parked records tried again.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn retry_parked(&self, selection: &Selection) -> Result<Touched, OpsError> {
        self.post("/parked/retry", selection).await
    }

    /// Dismisses parked records.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn dismiss_parked(&self, selection: &Selection) -> Result<Touched, OpsError> {
        self.post("/parked/dismiss", selection).await
    }

    /// The first dead messages.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn dead(&self, limit: usize) -> Result<DeadList, OpsError> {
        self.get(&format!("/dead?limit={limit}")).await
    }

    /// One dead message.
    ///
    /// # Errors
    /// [`OpsError::NotFound`].
    pub async fn dead_message(&self, id: &str) -> Result<DeadView, OpsError> {
        self.get(&format!("/dead/{}", escaped(id))).await
    }

    /// Sends a message back to its queue.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn replay_dead(&self, id: &str) -> Result<DeadOutcome, OpsError> {
        self.post(&format!("/dead/{}/replay", escaped(id)), &())
            .await
    }

    /// Throws a message away.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn discard_dead(&self, id: &str, reason: &Reason) -> Result<DeadOutcome, OpsError> {
        self.post(&format!("/dead/{}/discard", escaped(id)), reason)
            .await
    }

    /// A page of the integration log.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn logs(&self, search: &LogSearch) -> Result<LogPageView, OpsError> {
        self.get(&with("/logs", pairs(search)?)).await
    }

    /// The integration log as a file, piece by piece.
    ///
    /// # Errors
    /// [`OpsError`], also in the middle.
    pub async fn export_logs(&self, search: &LogSearch) -> Result<Export, OpsError> {
        self.export(&with("/logs/export", pairs(search)?)).await
    }

    async fn export(&self, path: &str) -> Result<Export, OpsError> {
        let body = self.ask(Method::GET, path, Body::empty()).await?;
        Ok(Box::pin(body.into_data_stream().map(|piece| {
            piece.map_err(|error| OpsError::OutOfReach(format!("the export broke off: {error}")))
        })))
    }

    /// A page of notifications, newest first.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn notifications(
        &self,
        before: Option<&str>,
        limit: usize,
    ) -> Result<NotificationList, OpsError> {
        let before = before.map(|before| ("before".to_owned(), before.to_owned()));
        let limit = ("limit".to_owned(), limit.to_string());
        let page = before.into_iter().chain([limit]);
        self.get(&with("/notifications", page)).await
    }

    /// Sends a test notification.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn test_notification(&self) -> Result<TestView, OpsError> {
        self.post("/notifications/test", &()).await
    }

    /// The settings in force.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn settings(&self) -> Result<SettingsView, OpsError> {
        self.get("/settings").await
    }

    /// A revision of the settings.
    ///
    /// # Errors
    /// [`OpsError::NotFound`].
    pub async fn settings_revision(&self, revision: u64) -> Result<SettingsView, OpsError> {
        self.get(&format!("/settings/revisions/{revision}")).await
    }

    /// Saves a settings document, as it was written, that was made from revision `base`.
    ///
    /// # Errors
    /// [`OpsError::Refused`], [`OpsError::SettingsConflict`].
    pub async fn save_settings(
        &self,
        base: u64,
        document: &RawValue,
    ) -> Result<SavedView, OpsError> {
        self.post(
            "/settings",
            &Written {
                base,
                settings: document,
            },
        )
        .await
    }

    /// What is wrong with a document that was made from revision `base`, and what it would change.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn validate_settings(
        &self,
        base: u64,
        document: &RawValue,
    ) -> Result<ValidationView, OpsError> {
        let told = Written {
            base,
            settings: document,
        };
        self.post("/settings/validate", &told).await
    }

    /// What saving a document would do that was made from revision `base`.
    ///
    /// # Errors
    /// Those of [`Self::save_settings`].
    pub async fn preview_settings(
        &self,
        base: u64,
        document: &RawValue,
    ) -> Result<PreviewView, OpsError> {
        let told = Written {
            base,
            settings: document,
        };
        self.post("/settings/preview", &told).await
    }

    /// A page of the opportunities that a previewed save does something to.
    ///
    /// # Errors
    /// [`OpsError::NotFound`] for a preview that is kept no more.
    pub async fn previewed(
        &self,
        preview: &str,
        search: &PreviewedSearch,
    ) -> Result<PreviewedList, OpsError> {
        let path = format!("/settings/preview/{}/opportunities", escaped(preview));
        self.get(&with(&path, pairs(search)?)).await
    }

    /// All of them as a file, piece by piece.
    ///
    /// # Errors
    /// [`OpsError`], also in the middle.
    pub async fn export_previewed(
        &self,
        preview: &str,
        search: &PreviewedSearch,
    ) -> Result<Export, OpsError> {
        let path = format!("/settings/preview/{}/export", escaped(preview));
        self.export(&with(&path, pairs(search)?)).await
    }

    /// The saves, newest first.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn settings_history(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<SettingsHistory, OpsError> {
        let before = before.map(|before| ("before".to_owned(), before.to_string()));
        let limit = ("limit".to_owned(), limit.to_string());
        let page = before.into_iter().chain([limit]);
        self.get(&with("/settings/history", page)).await
    }

    /// What two revisions differ in.
    ///
    /// # Errors
    /// [`OpsError::NotFound`].
    pub async fn settings_diff(
        &self,
        from: Option<u64>,
        to: Option<u64>,
    ) -> Result<SettingsDiff, OpsError> {
        let sides = [("from", from), ("to", to)];
        let sides = sides
            .into_iter()
            .filter_map(|(name, side)| Some((name.to_owned(), side?.to_string())));
        self.get(&with("/settings/diff", sides)).await
    }

    /// Saves an older document as a new revision, or says what that would change.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn revert_settings(&self, revert: &RevertSettings) -> Result<SavedView, OpsError> {
        self.post("/settings/revert", revert).await
    }

    /// Takes the field mapping of the org's custom metadata, or says what that would change.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn import_mapping(&self, import: &ImportMapping) -> Result<ImportedView, OpsError> {
        self.post("/settings/import-mapping", import).await
    }

    /// Serves the connected org from now on.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn confirm_org(&self, org: &str) -> Result<SavedView, OpsError> {
        let org = Some(org.to_owned());
        self.post("/settings/confirm-org", &ConfirmOrg { org })
            .await
    }

    /// The settings document as a file.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn export_settings(&self, revision: Option<u64>) -> Result<Settings, OpsError> {
        let revision = revision.map(|number| ("revision".to_owned(), number.to_string()));
        self.get(&with("/settings/export", revision)).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, OpsError> {
        let body = self.ask(Method::GET, path, Body::empty()).await?;
        understood(body).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        told: &(impl Serialize + Sync),
    ) -> Result<T, OpsError> {
        let told = serde_json::to_vec(told)
            .map_err(|error| OpsError::Broken(format!("a request cannot be written: {error}")))?;
        let body = if told == b"null" {
            Body::empty()
        } else {
            Body::from(told)
        };
        understood(self.ask(Method::POST, path, body).await?).await
    }

    /// The body of a good answer.
    async fn ask(&self, method: Method, path: &str, body: Body) -> Result<Body, OpsError> {
        let user = self.user.as_deref();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(header::CONTENT_TYPE, "application/json");
        let unwritten =
            |error: http::Error| OpsError::Invalid(format!("this cannot be asked for: {error}"));
        let response = match &self.way {
            Way::Inside(router) => {
                let request = request
                    .extension(Caller::CommandLine)
                    .extension(Right::Administer)
                    .extension(Author::of(&Caller::CommandLine, user))
                    .body(body)
                    .map_err(unwritten)?;
                match router.clone().oneshot(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }
            Way::Socket(access) => {
                // A name that no header can hold is left out.
                if let Some(user) = user.and_then(|user| HeaderValue::from_str(user).ok()) {
                    request = request.header(entry::USER, user);
                }
                let request = request
                    .header(header::HOST, access.address.to_string())
                    .header(header::AUTHORIZATION, format!("Bearer {}", access.token))
                    .body(body)
                    .map_err(unwritten)?;
                over_socket(access.address, request).await?
            }
        };
        if response.status() == StatusCode::OK {
            return Ok(response.into_body());
        }
        Err(refused(response).await)
    }
}

/// One connection a request: nobody asks often.
async fn over_socket(
    address: SocketAddr,
    request: Request<Body>,
) -> Result<Response<Body>, OpsError> {
    let lost = |error: &dyn std::error::Error| {
        OpsError::OutOfReach(format!(
            "the running mosync does not answer at {address} ({error}); if it has just started or ended, try again"
        ))
    };
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| lost(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Body>(TokioIo::new(stream))
            .await
            .map_err(|error| lost(&error))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the connection's own task; it ends with the connection"
    )]
    let running = tokio::spawn(connection);
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| lost(&error))?;
    // Dropping the handle leaves the task running until the body has been read.
    drop(running);
    Ok(response.map(Body::new))
}

async fn understood<T: DeserializeOwned>(body: Body) -> Result<T, OpsError> {
    let bytes = read(body).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        OpsError::Broken(format!(
            "the running mosync answers something else than this version understands ({error}); use the commands of the version that runs"
        ))
    })
}

async fn refused(response: Response<Body>) -> OpsError {
    let status = response.status();
    match read(response.into_body()).await {
        Ok(bytes) => match serde_json::from_slice::<ErrorView>(&bytes) {
            Ok(view) => OpsError::of_answer(status, view.error),
            Err(_other) => OpsError::Broken(format!(
                "whoever answers is not mosync's API: HTTP status {status}"
            )),
        },
        Err(error) => error,
    }
}

async fn read(body: Body) -> Result<Bytes, OpsError> {
    axum::body::to_bytes(body, MAX_ANSWER)
        .await
        .map_err(|error| OpsError::OutOfReach(format!("the answer broke off: {error}")))
}

/// A search as names and values.
fn pairs(search: &impl Serialize) -> Result<Vec<(String, String)>, OpsError> {
    let value = serde_json::to_value(search)
        .map_err(|error| OpsError::Broken(format!("a request cannot be written: {error}")))?;
    let fields = value.as_object().into_iter().flatten();
    Ok(fields
        .map(|(name, value)| {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (name.clone(), text)
        })
        .collect())
}

fn with(path: &str, pairs: impl IntoIterator<Item = (String, String)>) -> String {
    let query = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={}", escaped(&value)))
        .collect::<Vec<_>>()
        .join("&");
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    }
}

/// Percent-encoded: only what is unreserved (RFC 3986) stays.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

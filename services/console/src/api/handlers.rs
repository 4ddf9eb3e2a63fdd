//! One function a route.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, StreamExt as _};
use http::{Method, Uri, header};
use serde::Deserialize;

use super::DOCUMENT;
use super::speech::{Asked, CalledBy, May, Named, Refused, SignedBy, Told};
use crate::export::{self, Line};
use crate::views::{
    ChecklistView, ConfirmOrg, DeadList, DeadOutcome, DeadView, ExpectedSyncAll, ExplainView,
    FieldList, Format, GroupSearch, Groups, ImportMapping, ImportedView, JobList, JobSearch,
    JobView, LeftView, LogPageView, LogSearch, MailView, MakeToken, NewTokenView, NotificationList,
    NotificationView, OrgView, ParkedList, ParkedSearch, PreviewView, PreviewedList,
    PreviewedSearch, Reason, RevertSettings, SaveSettings, SavedView, Selection, SettingsDiff,
    SettingsHistory, SettingsView, StatusView, SyncAllView, TestView, TokenList, TokenView,
    Touched, UsersView, ValidationView,
};
use crate::{Operations, OpsError};
use domain::settings::Settings;

type Answer<T> = Result<Json<T>, Refused>;

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    before: Option<String>,
    limit: Option<usize>,
}

/// A whole list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    format: Option<Format>,
}

/// The history of jobs as a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobsFile {
    kind: Option<String>,
    state: Option<String>,
    format: Option<Format>,
}

/// Parked records as a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ParkedFile {
    object: Option<String>,
    kind: Option<String>,
    parent: Option<String>,
    job: Option<String>,
    group: Option<String>,
    dismissed: Option<bool>,
    format: Option<Format>,
}

/// A stretch of what mOS holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stretch {
    after: Option<String>,
    limit: Option<usize>,
}

/// The beginning of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct First {
    limit: Option<usize>,
}

/// A page of the saves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saves {
    before: Option<u64>,
    limit: Option<usize>,
}

/// Two revisions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sides {
    from: Option<u64>,
    to: Option<u64>,
}

/// One revision.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OneRevision {
    revision: Option<u64>,
}

fn answer<T>(result: Result<T, OpsError>) -> Answer<T> {
    result.map(Json).map_err(Refused)
}

pub(super) async fn status(State(ops): State<Operations>) -> Answer<StatusView> {
    answer(ops.status().await)
}

pub(super) async fn users(State(ops): State<Operations>) -> Answer<UsersView> {
    answer(ops.users().await)
}

pub(super) async fn export_users(State(ops): State<Operations>) -> Result<Response, Refused> {
    let users = ops.users().await.map_err(Refused)?;
    let text = export::users(&users).map_err(Refused)?;
    Ok(([(header::CONTENT_TYPE, Format::Csv.media_type())], text).into_response())
}

pub(super) async fn fields(
    State(ops): State<Operations>,
    Named(object): Named,
) -> Answer<FieldList> {
    answer(ops.fields(&object).await)
}

pub(super) async fn checklist(State(ops): State<Operations>) -> Answer<ChecklistView> {
    answer(ops.checklist().await)
}

pub(super) async fn expected_sync_all(State(ops): State<Operations>) -> Answer<ExpectedSyncAll> {
    answer(ops.expected_sync_all().await)
}

pub(super) async fn left(
    State(ops): State<Operations>,
    Asked(stretch): Asked<Stretch>,
) -> Answer<LeftView> {
    answer(ops.left(stretch.after.as_deref(), stretch.limit).await)
}

pub(super) async fn explain(
    State(ops): State<Operations>,
    Named(id): Named,
) -> Answer<ExplainView> {
    answer(ops.explain(&id).await)
}

pub(super) async fn sync_all(
    State(ops): State<Operations>,
    CalledBy(caller): CalledBy,
) -> Answer<SyncAllView> {
    answer(ops.sync_all(caller).await)
}

pub(super) async fn jobs(
    State(ops): State<Operations>,
    Asked(search): Asked<JobSearch>,
) -> Answer<JobList> {
    answer(ops.jobs(&search).await)
}

pub(super) async fn export_jobs(
    State(ops): State<Operations>,
    Asked(wanted): Asked<JobsFile>,
) -> Result<Response, Refused> {
    let search = JobSearch {
        kind: wanted.kind,
        state: wanted.state,
        ..JobSearch::default()
    };
    let format = wanted.format.unwrap_or(Format::Csv);
    begun(format, ops.all_jobs(&search)).await
}

pub(super) async fn export_parked(
    State(ops): State<Operations>,
    Asked(wanted): Asked<ParkedFile>,
) -> Result<Response, Refused> {
    let search = ParkedSearch {
        object: wanted.object,
        kind: wanted.kind,
        parent: wanted.parent,
        job: wanted.job,
        group: wanted.group,
        dismissed: wanted.dismissed,
        ..ParkedSearch::default()
    };
    let format = wanted.format.unwrap_or(Format::Csv);
    begun(format, ops.all_parked(&search)).await
}

pub(super) async fn export_dead(
    State(ops): State<Operations>,
    Asked(file): Asked<File>,
) -> Result<Response, Refused> {
    begun(file.format.unwrap_or(Format::Csv), ops.all_dead()).await
}

pub(super) async fn job(State(ops): State<Operations>, Named(job): Named) -> Answer<JobView> {
    answer(ops.job(&job).await)
}

pub(super) async fn pause(
    State(ops): State<Operations>,
    CalledBy(caller): CalledBy,
    Named(job): Named,
    Told(told): Told<Reason>,
) -> Answer<JobView> {
    answer(ops.pause_job(&job, told.reason, caller).await)
}

pub(super) async fn resume(
    State(ops): State<Operations>,
    CalledBy(caller): CalledBy,
    Named(job): Named,
) -> Answer<JobView> {
    answer(ops.resume_job(&job, caller).await)
}

pub(super) async fn cancel(
    State(ops): State<Operations>,
    CalledBy(caller): CalledBy,
    Named(job): Named,
    Told(told): Told<Reason>,
) -> Answer<JobView> {
    answer(ops.cancel_job(&job, told.reason, caller).await)
}

pub(super) async fn notifications(
    State(ops): State<Operations>,
    May(may): May,
    Asked(page): Asked<Page>,
) -> Answer<NotificationList> {
    let before = page.before.as_deref();
    answer(ops.notifications(before, page.limit, may).await)
}

pub(super) async fn notification(
    State(ops): State<Operations>,
    May(may): May,
    Named(id): Named,
) -> Answer<NotificationView> {
    answer(ops.notification(&id, may).await)
}

pub(super) async fn notification_mail(
    State(ops): State<Operations>,
    May(may): May,
    Named(id): Named,
) -> Answer<MailView> {
    answer(ops.notification_mail(&id, may).await)
}

pub(super) async fn export_notifications(
    State(ops): State<Operations>,
    May(may): May,
    Asked(file): Asked<File>,
) -> Result<Response, Refused> {
    let format = file.format.unwrap_or(Format::Csv);
    begun(format, export::deliveries(ops.all_notifications(may))).await
}

pub(super) async fn test_notification(
    State(ops): State<Operations>,
    CalledBy(caller): CalledBy,
) -> Answer<TestView> {
    answer(ops.test_notification(caller).await)
}

pub(super) async fn parked(
    State(ops): State<Operations>,
    Asked(search): Asked<ParkedSearch>,
) -> Answer<ParkedList> {
    answer(ops.parked(&search).await)
}

pub(super) async fn groups(
    State(ops): State<Operations>,
    Asked(search): Asked<GroupSearch>,
) -> Answer<Groups> {
    answer(ops.parked_groups(&search).await)
}

pub(super) async fn retry(
    State(ops): State<Operations>,
    CalledBy(caller): CalledBy,
    Told(selection): Told<Selection>,
) -> Answer<Touched> {
    answer(ops.retry_parked(&selection, caller).await)
}

pub(super) async fn dismiss(
    State(ops): State<Operations>,
    CalledBy(caller): CalledBy,
    Told(selection): Told<Selection>,
) -> Answer<Touched> {
    answer(ops.dismiss_parked(&selection, caller).await)
}

pub(super) async fn dead(
    State(ops): State<Operations>,
    Asked(first): Asked<First>,
) -> Answer<DeadList> {
    answer(ops.dead(first.limit).await)
}

pub(super) async fn dead_message(
    State(ops): State<Operations>,
    Named(message): Named,
) -> Answer<DeadView> {
    answer(ops.dead_message(&message).await)
}

pub(super) async fn replay(
    State(ops): State<Operations>,
    CalledBy(caller): CalledBy,
    Named(message): Named,
) -> Answer<DeadOutcome> {
    answer(ops.replay_dead(&message, caller).await)
}

pub(super) async fn discard(
    State(ops): State<Operations>,
    CalledBy(caller): CalledBy,
    Named(message): Named,
    Told(told): Told<Reason>,
) -> Answer<DeadOutcome> {
    answer(ops.discard_dead(&message, told.reason, caller).await)
}

pub(super) async fn settings(State(ops): State<Operations>) -> Answer<SettingsView> {
    answer(ops.settings().await)
}

pub(super) async fn save_settings(
    State(ops): State<Operations>,
    SignedBy(author): SignedBy,
    Told(told): Told<SaveSettings>,
) -> Answer<SavedView> {
    answer(ops.save_settings(&told, &author).await)
}

pub(super) async fn validate_settings(
    State(ops): State<Operations>,
    Told(told): Told<SaveSettings>,
) -> Answer<ValidationView> {
    answer(ops.validate_settings(&told).await)
}

pub(super) async fn preview_settings(
    State(ops): State<Operations>,
    Told(told): Told<SaveSettings>,
) -> Answer<PreviewView> {
    answer(ops.preview_settings(&told).await)
}

pub(super) async fn previewed(
    State(ops): State<Operations>,
    Named(preview): Named,
    Asked(search): Asked<PreviewedSearch>,
) -> Answer<PreviewedList> {
    answer(ops.previewed(&preview, &search).await)
}

pub(super) async fn export_previewed(
    State(ops): State<Operations>,
    Named(preview): Named,
    Asked(search): Asked<PreviewedSearch>,
) -> Result<Response, Refused> {
    let format = search.format.unwrap_or(Format::Csv);
    begun(format, ops.all_previewed(&preview, &search)?).await
}

pub(super) async fn settings_history(
    State(ops): State<Operations>,
    Asked(page): Asked<Saves>,
) -> Answer<SettingsHistory> {
    answer(ops.settings_history(page.before, page.limit).await)
}

pub(super) async fn settings_revision(
    State(ops): State<Operations>,
    Named(revision): Named,
) -> Answer<SettingsView> {
    let number = revision.parse().map_err(|_not_a_number| {
        OpsError::NotFound(format!(
            "`{revision}` is not the number of a settings revision; `mosync settings history` lists them"
        ))
    })?;
    answer(ops.settings_revision(number).await)
}

pub(super) async fn settings_diff(
    State(ops): State<Operations>,
    Asked(sides): Asked<Sides>,
) -> Answer<SettingsDiff> {
    answer(ops.settings_diff(sides.from, sides.to).await)
}

pub(super) async fn revert_settings(
    State(ops): State<Operations>,
    SignedBy(author): SignedBy,
    Told(told): Told<RevertSettings>,
) -> Answer<SavedView> {
    answer(ops.revert_settings(&told, &author).await)
}

pub(super) async fn import_mapping(
    State(ops): State<Operations>,
    SignedBy(author): SignedBy,
    Told(told): Told<ImportMapping>,
) -> Answer<ImportedView> {
    answer(ops.import_mapping(&told, &author).await)
}

pub(super) async fn confirm_org(
    State(ops): State<Operations>,
    SignedBy(author): SignedBy,
    Told(told): Told<ConfirmOrg>,
) -> Answer<SavedView> {
    answer(ops.confirm_org(&told, &author).await)
}

pub(super) async fn export_settings(
    State(ops): State<Operations>,
    Asked(one): Asked<OneRevision>,
) -> Answer<Settings> {
    answer(ops.export_settings(one.revision).await)
}

pub(super) async fn logs(
    State(ops): State<Operations>,
    May(may): May,
    Asked(search): Asked<LogSearch>,
) -> Answer<LogPageView> {
    answer(ops.logs(&search, may).await)
}

pub(super) async fn export(
    State(ops): State<Operations>,
    May(may): May,
    Asked(search): Asked<LogSearch>,
) -> Result<Response, Refused> {
    let format = search.format.unwrap_or(Format::Csv);
    begun(format, ops.all_logs(&search, may)?).await
}

/// Streamed, once the first page could be read: what keeps it from that is said with its status.
async fn begun<L: Line + Send + Sync + 'static>(
    format: Format,
    pages: impl Stream<Item = Result<Vec<L>, OpsError>> + Send + 'static,
) -> Result<Response, Refused> {
    let mut pages = Box::pin(pages.peekable());
    if let Some(Err(error)) = pages.as_mut().peek().await {
        return Err(Refused(error.clone()));
    }
    let content_type = (header::CONTENT_TYPE, format.media_type());
    Ok(([content_type], export::file(format, pages)).into_response())
}

pub(super) async fn document() -> Response {
    let content_type = (header::CONTENT_TYPE, "application/json");
    ([content_type], DOCUMENT).into_response()
}

pub(super) async fn no_such_path(uri: Uri) -> Refused {
    no_such(uri.path())
}

pub(super) fn no_such(path: &str) -> Refused {
    Refused(OpsError::NotFound(format!(
        "there is no `{path}` here; /api/openapi.json lists every path"
    )))
}

pub(super) async fn org(State(ops): State<Operations>) -> Answer<OrgView> {
    answer(ops.org().await)
}

pub(super) async fn tokens(State(ops): State<Operations>) -> Answer<TokenList> {
    answer(ops.tokens().await)
}

pub(super) async fn make_token(
    State(ops): State<Operations>,
    CalledBy(caller): CalledBy,
    Told(told): Told<MakeToken>,
) -> Answer<NewTokenView> {
    answer(ops.make_token(&told, &caller).await)
}

pub(super) async fn revoke_token(
    State(ops): State<Operations>,
    CalledBy(caller): CalledBy,
    Named(token): Named,
) -> Answer<TokenView> {
    answer(ops.revoke_token(&token, &caller).await)
}

pub(super) async fn wrong_method(method: Method, uri: Uri) -> Refused {
    Refused(OpsError::WrongMethod(format!(
        "`{}` cannot be asked by {method}; /api/openapi.json lists every path with its method",
        uri.path()
    )))
}

//! What every page knows: who looks at it, which org it is about, and how the sync is.

use axum::extract::FromRequestParts;
use axum::response::IntoResponse as _;
use http::request::Parts;

use super::{Desk, PageFault};
use crate::rights::{Right, Role};
use crate::views::{OrgView, StatusView};
use crate::{Caller, OpsError};

/// Who looks at a page. Put among the request's extensions by whoever let the request in.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// As Salesforce calls them.
    pub name: String,
    /// The Salesforce username.
    pub username: String,
    /// Who they are here, as of this request.
    pub role: Role,
    /// The address of the org's own pages, without a slash at its end; empty when it is not known.
    pub instance_url: String,
    /// What forms of this session carry, so that no other site can send them.
    pub form_token: String,
}

impl Viewer {
    /// Whether they may.
    pub fn may(&self, needed: Right) -> bool {
        self.role.right().covers(needed)
    }
}

/// What every page function takes.
#[derive(Debug, Clone)]
pub struct PageContext {
    /// Who looks at it.
    pub viewer: Viewer,
    /// The connected org.
    pub org: OrgView,
    /// One reading of everything, the same as the API's.
    pub status: StatusView,
    /// The path that was asked for.
    pub path: String,
}

impl FromRequestParts<Desk> for PageContext {
    type Rejection = axum::response::Response;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Self::Rejection> {
        let viewer = parts.extensions.get::<Viewer>().cloned().ok_or_else(|| {
            let nobody = OpsError::NotAllowed("nobody has signed in".to_owned());
            PageFault::bare(nobody).into_response()
        })?;
        Self::read(desk, viewer, parts.uri.path())
            .await
            .map_err(|error| PageFault::bare(error).into_response())
    }
}

impl PageContext {
    /// The viewer, as somebody who orders something.
    pub(super) fn caller(&self) -> Caller {
        Caller::Person(self.viewer.username.as_str().into())
    }

    /// What every page shows once more, after something was done: it may have changed that.
    pub(super) async fn again(&self, desk: &Desk) -> Self {
        let read = Self::read(desk, self.viewer.clone(), &self.path).await;
        // What was done is done: it is told, whatever cannot be read now.
        read.unwrap_or_else(|_out_of_reach| self.clone())
    }

    /// Asks for what every page shows.
    ///
    /// # Errors
    /// [`OpsError::OutOfReach`] when a store or the broker does not answer.
    pub(super) async fn read(desk: &Desk, viewer: Viewer, path: &str) -> Result<Self, OpsError> {
        let operations = &desk.operations;
        Ok(Self {
            status: operations.status().await?,
            org: operations.org().await?,
            viewer,
            path: path.to_owned(),
        })
    }
}

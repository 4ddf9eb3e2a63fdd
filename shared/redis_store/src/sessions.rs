//! Who has signed in to the console: one hash of documents, one of when each was last seen.

use async_trait::async_trait;
use domain::Timestamp;
use ports::stores::{Session, SessionStore, StoreError};

use crate::link::{Link, of_doc, script, to_doc};

/// The document and when the person was last here; nothing where there is none.
type Stored = Vec<String>;

fn session_of(stored: &Stored) -> Result<Option<Session>, StoreError> {
    let [doc, seen] = stored.as_slice() else {
        return Ok(None);
    };
    let mut session: Session = of_doc(doc)?;
    let seen = seen
        .parse()
        .map_err(|_error| StoreError::Corrupt("when a session was last seen".to_owned()))?;
    session.seen = Timestamp::from_micros(seen);
    Ok(Some(session))
}

#[async_trait]
impl SessionStore for Link {
    async fn open(&self, key: &str, session: &Session) -> Result<(), StoreError> {
        let arguments = [
            key.to_owned(),
            session.opened.as_micros().to_string(),
            session.seen.as_micros().to_string(),
            to_doc(session)?,
        ];
        self.run(script!("open_session"), &arguments).await
    }

    async fn session(&self, key: &str) -> Result<Option<Session>, StoreError> {
        let stored: Stored = self.run(script!("session"), &[key.to_owned()]).await?;
        session_of(&stored)
    }

    async fn seen(&self, key: &str, at: Timestamp) -> Result<(), StoreError> {
        let arguments = [key.to_owned(), at.as_micros().to_string()];
        self.run(script!("session_seen"), &arguments).await
    }

    async fn close(&self, key: &str) -> Result<Option<Session>, StoreError> {
        let stored: Stored = self
            .run(script!("close_session"), &[key.to_owned()])
            .await?;
        session_of(&stored)
    }

    async fn forget(
        &self,
        opened_before: Timestamp,
        seen_before: Timestamp,
    ) -> Result<u64, StoreError> {
        let arguments = [
            opened_before.as_micros().to_string(),
            seen_before.as_micros().to_string(),
        ];
        self.run(script!("forget_sessions"), &arguments).await
    }
}

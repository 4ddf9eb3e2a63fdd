//! Notifications: what was told, to whom, and whether it arrived. What is told is found by
//! [`watch`], and taken to its receivers by [`send`]; [`Notifier`] does both for as long as the
//! console runs.

mod send;
mod watch;

use domain::notification::{
    Board, Delivery, Event, Matter, Notice, Notification, Settled, Way, notice_id,
};
use domain::right::Right;
use futures::Stream;
use ports::stores::{OutboxPosition, StoreError};

use super::{About, Caller, MAX_PAGE, Operations, page_size, pages};
use crate::OpsError;
use crate::views::{
    IncidentView, MailView, NotificationList, NotificationView, TestView, TriedView,
};

pub use send::Notifier;

/// How often what was told is added to the board; others write to it every few seconds.
const KEEP_ATTEMPTS: u32 = 5;

impl Operations {
    /// Has notifications leave this way; without it, none can be tried.
    #[must_use]
    pub fn telling(mut self, courier: std::sync::Arc<dyn ports::courier::Courier>) -> Self {
        self.courier = Some(courier);
        self
    }

    /// A page of notifications, newest first, with the incidents that are not over; `may` is what
    /// whoever asks may, which says whether they see addresses.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] names the value that cannot be understood.
    pub async fn notifications(
        &self,
        before: Option<&str>,
        limit: Option<usize>,
        may: Right,
    ) -> Result<NotificationList, OpsError> {
        let max = page_size(limit)?;
        let before = match before {
            Some(id) => Some(self.position(id).await?),
            None => None,
        };
        let outbox = &self.stores.outbox;
        let mut found = outbox.list(before.as_ref(), max.saturating_add(1)).await?;
        let more = found.len() > max;
        found.truncate(max);
        let next = found.last().filter(|_| more);
        let board = outbox.board().await?;
        let incidents = board.iter().flat_map(|board| board.incidents.values());
        let mut open: Vec<IncidentView> = incidents.map(IncidentView::from).collect();
        open.sort_by(|one, other| (other.since, &other.id).cmp(&(one.since, &one.id)));
        let views = found.iter().map(|one| NotificationView::of(one, may));
        Ok(NotificationList {
            open,
            next: next.map(|last| last.id().to_owned()),
            notifications: views.collect(),
        })
    }

    /// All notifications, newest first, read page by page as they are taken.
    pub fn all_notifications(
        &self,
        may: Right,
    ) -> impl Stream<Item = Result<Vec<NotificationView>, OpsError>> + Send + use<> {
        let outbox = std::sync::Arc::clone(&self.stores.outbox);
        pages(None, move |before: Option<OutboxPosition>| {
            let outbox = std::sync::Arc::clone(&outbox);
            async move {
                let found = outbox.list(before.as_ref(), MAX_PAGE).await?;
                let last = found.last().filter(|_| found.len() == MAX_PAGE);
                let next = last.map(|last| Some((last.notice.at, last.notice.id.clone())));
                let views = found.iter().map(|one| NotificationView::of(one, may));
                Ok((views.collect(), next))
            }
        })
    }

    async fn position(&self, id: &str) -> Result<OutboxPosition, OpsError> {
        let found = self.stores.outbox.notification(id).await?;
        let found = found.ok_or_else(|| {
            OpsError::Invalid(format!(
                "before `{id}` is not `next` of a page; begin with the first page, which has no `before`"
            ))
        })?;
        Ok((found.notice.at, found.notice.id))
    }

    /// One notification.
    ///
    /// # Errors
    /// [`OpsError::NotFound`].
    pub async fn notification(&self, id: &str, may: Right) -> Result<NotificationView, OpsError> {
        Ok(NotificationView::of(
            &self.kept_notification(id).await?,
            may,
        ))
    }

    async fn kept_notification(&self, id: &str) -> Result<Notification, OpsError> {
        let found = self.stores.outbox.notification(id).await?;
        found.ok_or_else(|| {
            OpsError::NotFound(format!(
                "there is no notification `{id}`; `mosync notify list` shows them, and old ones are forgotten"
            ))
        })
    }

    /// The mail of a notification, where it lies in the folder of mails.
    ///
    /// # Errors
    /// [`OpsError::NotFound`] when there is no such notification, or no such file (any more).
    pub async fn notification_mail(&self, id: &str, may: Right) -> Result<MailView, OpsError> {
        let told = self.kept_notification(id).await?;
        let kept = match &self.courier {
            Some(courier) => courier.kept(&told.notice).await,
            None => Ok(None),
        };
        let kept = kept.map_err(OpsError::OutOfReach)?.ok_or_else(|| {
            OpsError::NotFound(format!(
                "the mail of notification `{id}` does not lie in the folder of mails; files are written where no mail server is configured, and the newest 1,000 are kept"
            ))
        })?;
        Ok(MailView::of(kept, may))
    }

    /// Sends a test to everybody who would be told, at once, and says what each receiver answers.
    ///
    /// # Errors
    /// [`OpsError::Conflict`] when there is nobody to tell.
    pub async fn test_notification(&self, caller: Caller) -> Result<TestView, OpsError> {
        let settings = self.stores.settings.current().await?.settings;
        let now = self.now();
        let ways = self.courier.as_ref().map(|courier| {
            let ways = courier.ways(&settings.admin_emails);
            (courier, ways)
        });
        let Some((courier, ways)) = ways.filter(|(_, ways)| !ways.is_empty()) else {
            return Err(OpsError::Conflict(
                "there is nobody to send a test to; write addresses into the settings (`mosync settings set admin-emails ada@example.com`) and a mail server, a folder or a webhook into section [notify] of the configuration".to_owned(),
            ));
        };
        let incident = format!("test {}", now.as_micros());
        let notice = Notice {
            id: notice_id(&incident, Event::Happened.name()),
            incident: notice_id(&incident, "incident"),
            matter: Matter::Test,
            event: Event::Happened,
            at: now,
            object: "notifications of mosync".to_owned(),
            count: 1,
            cause: "somebody has ordered a test".to_owned(),
            advice: "Nothing to do: notifications arrive.".to_owned(),
            page: "/notifications".to_owned(),
            details: Vec::new(),
            lasted_s: None,
        };
        let begun = |letter: Notification, place: usize| letter.begun(place, now);
        let letter = Notification::new(notice, ways);
        let letter = (0..letter.deliveries.len()).fold(letter, begun);
        let ways = letter.deliveries.iter();
        let answers = ways.map(|Delivery { way, .. }| courier.deliver(&letter, way));
        let answers = futures::future::join_all(answers).await;
        let settled = |letter: Notification, (place, answer): (usize, Settled)| {
            // Whoever has ordered it has seen the answer, and orders another one when it is time.
            let answer = if let Settled::Later(said) = answer {
                Settled::Never(said)
            } else {
                answer
            };
            letter.settled(place, answer, self.now())
        };
        let letter = answers.into_iter().enumerate().fold(letter, settled);
        let tried: Vec<TriedView> = letter.deliveries.iter().map(TriedView::from).collect();
        let taken = tried.iter().filter(|way| way.taken).count();
        let line = format!(
            "a test notification was ordered by {}: {taken} of {} receivers have taken it",
            caller.name(),
            tried.len()
        );
        let kept = async {
            self.keep_told(std::slice::from_ref(&letter)).await?;
            self.note(About::topic("notify"), &caller, line).await
        };
        // It has gone out all the same, and whoever ordered it must not order it again for that.
        if let Err(error) = kept.await {
            tracing::warn!("a test notification was sent and could not be kept: {error}");
        }
        Ok(TestView {
            id: letter.notice.id,
            tried,
        })
    }

    /// Adds to the outbox what was told already, beside whoever watches.
    async fn keep_told(&self, told: &[Notification]) -> Result<(), StoreError> {
        let outbox = &self.stores.outbox;
        let mut attempts = 0;
        loop {
            let board = outbox.board().await?;
            let mut board = board.unwrap_or_else(|| Board::new(self.now()));
            board.revision += 1;
            attempts += 1;
            match outbox.post(&board, told).await {
                // Another process has looked meanwhile.
                Err(StoreError::Conflict { .. }) if attempts < KEEP_ATTEMPTS => {}
                done => return done,
            }
        }
    }
}

/// What the status warns of.
pub(super) fn undelivered(failed: u64) -> Option<String> {
    (failed > 0).then(|| {
        format!(
            "{failed} notifications of the last 24 hours did not reach everybody they were for (see `mosync notify list`, and try again with `mosync notify test`)"
        )
    })
}

/// Whether a way is one that the settings no longer ask for.
fn is_unwanted(way: &Way, addresses: &[String]) -> bool {
    match way {
        Way::Mail { to } => !addresses.contains(to),
        Way::Folder { .. } | Way::Webhook => false,
    }
}

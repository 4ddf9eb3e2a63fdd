//! Who watches, and takes notifications to their receivers: one process at a time.
//!
//! An attempt is written down before it is made and again after. Killed in between, it is made
//! again when its time is over, as the same message with the same id.

use std::sync::Arc;
use std::time::Duration;

use domain::notification::{
    Board, Delivery, DeliveryState, Event, Matter, Notice, Notification, Settled, notice_id,
};
use domain::{Timestamp, notification::Finding};
use ports::courier::Courier;
use ports::stores::StoreError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::is_unwanted;
use crate::Operations;

/// What the lease is called.
const LEASE: &str = "notifier";
/// Longer than one attempt.
const LEASE_FOR: Duration = Duration::from_secs(90);
/// How often something due is looked for.
const EVERY: Duration = Duration::from_secs(1);
/// How often the stores are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// A board without news is kept so seldom.
const KEEP_EVERY: Duration = Duration::from_secs(60);
/// Notifications taken up at a time.
const BATCH: usize = 20;
/// How often old ones are forgotten, and how many at a time.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);
const FORGOTTEN: usize = 1_000;

/// Watches and tells.
pub struct Notifier {
    operations: Operations,
    courier: Arc<dyn Courier>,
    holder: String,
    kept_for: Duration,
    looked: Option<Instant>,
    forgot: Option<Instant>,
    /// Who is told, when the store that knows does not answer.
    addresses: Vec<String>,
    /// When the store began not to answer, and what has been told of it.
    blind: Option<Blind>,
}

/// The status store does not answer, so nothing can be kept in it.
struct Blind {
    since: Instant,
    from: Timestamp,
    told: Option<Notification>,
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier")
            .field("holder", &self.holder)
            .finish_non_exhaustive()
    }
}

impl Notifier {
    /// `holder` is this process's name in the lease, unlike any other's; notifications are kept
    /// for `kept_for`.
    #[must_use]
    pub const fn new(
        operations: Operations,
        courier: Arc<dyn Courier>,
        holder: String,
        kept_for: Duration,
    ) -> Self {
        Self {
            operations,
            courier,
            holder,
            kept_for,
            looked: None,
            forgot: None,
            addresses: Vec::new(),
            blind: None,
        }
    }

    /// Until `stop`. An attempt that is under way is ended first.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            match self.round(&stop).await {
                Ok(()) => self.sees_again().await,
                Err(error) => self.cannot_see(&error).await,
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
        let lease = &self.operations.stores.lease;
        if let Err(error) = lease.release(LEASE, &self.holder).await {
            tracing::debug!("the lease of notifications runs out by itself: {error}");
        }
    }

    /// Looks when it is time to, and sends what is due; nothing while another process does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn round(&mut self, stop: &CancellationToken) -> Result<(), StoreError> {
        if !self.holds().await? {
            return Ok(());
        }
        let settings = self.operations.stores.settings.current().await?.settings;
        self.addresses = settings.admin_emails;
        if self.looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            self.look().await?;
            self.looked = Some(Instant::now());
        }
        self.send_due(stop).await?;
        self.forget().await
    }

    async fn holds(&self) -> Result<bool, StoreError> {
        let lease = &self.operations.stores.lease;
        lease.hold(LEASE, &self.holder, LEASE_FOR).await
    }

    /// Looks at everything, and writes down what is to be told of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn look(&self) -> Result<(), StoreError> {
        let outbox = &self.operations.stores.outbox;
        let now = self.operations.now();
        let board = outbox.board().await?.unwrap_or_else(|| Board::new(now));
        let finding: Finding = self.operations.finding(&board, now).await?;
        let (next, notices) = board.after(&finding, now);
        let is_due = board.revision == 0 || now.since(board.looked) >= KEEP_EVERY;
        if notices.is_empty() && !next.is_news_to(&board) && !is_due {
            return Ok(());
        }
        let letters = notices
            .into_iter()
            .map(|notice| {
                let ways = self.courier.ways(&self.addresses);
                Notification::new(notice, ways)
            })
            .collect::<Vec<_>>();
        match outbox.post(&next, &letters).await {
            // Another process has looked meanwhile; the next look begins with what it has written.
            Err(StoreError::Conflict { .. }) => Ok(()),
            done => done,
        }
    }

    async fn send_due(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        let outbox = &self.operations.stores.outbox;
        for letter in outbox.due(self.operations.now(), BATCH).await? {
            self.send(letter, stop).await?;
        }
        Ok(())
    }

    /// Makes the attempts of a notification that are due.
    async fn send(
        &self,
        mut letter: Notification,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let outbox = &self.operations.stores.outbox;
        while let Some(place) = letter.next_due(self.operations.now()) {
            // The lease covers one attempt.
            if stop.is_cancelled() || !self.holds().await? {
                return Ok(());
            }
            let Some(Delivery { way, .. }) = letter.deliveries.get(place).cloned() else {
                return Ok(());
            };
            if is_unwanted(&way, &self.addresses) {
                let why = "the address is not in the settings any more".to_owned();
                letter = letter.settled(place, Settled::Unwanted(why), self.operations.now());
                if !outbox.replace(&letter).await? {
                    return Ok(());
                }
                continue;
            }
            letter = letter.begun(place, self.operations.now());
            if !outbox.replace(&letter).await? {
                return Ok(());
            }
            let outcome = self.courier.deliver(&letter, &way).await;
            letter = letter.settled(place, outcome, self.operations.now());
            log(&letter, place);
            if !outbox.replace(&letter).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn forget(&mut self) -> Result<(), StoreError> {
        if self.forgot.is_some_and(|at| at.elapsed() < FORGET_EVERY) {
            return Ok(());
        }
        let outbox = &self.operations.stores.outbox;
        let before = self.operations.now().before(self.kept_for);
        while outbox.forget(before, FORGOTTEN).await? > 0 {}
        self.forgot = Some(Instant::now());
        Ok(())
    }

    /// The store does not answer: when that goes on, it is told without it, as well as can be. A
    /// restart of this process while it goes on tells it again.
    async fn cannot_see(&mut self, error: &StoreError) {
        let operations = &self.operations;
        let blind = self.blind.get_or_insert_with(|| {
            tracing::warn!("notifications wait: {error}");
            Blind {
                since: Instant::now(),
                from: operations.now(),
                told: None,
            }
        });
        if blind.since.elapsed() < Matter::OutOfReach.grace() {
            return;
        }
        let mut notification = match blind.told.take() {
            Some(notification) => notification,
            None => {
                let incident = format!("store {}", blind.from.as_micros());
                let cause = domain::notification::plain(&error.to_string());
                let ways = self.courier.ways(&self.addresses);
                Notification::new(of_store(&incident, blind.from, cause), ways)
            }
        };
        if let Some(place) = notification.next_due(operations.now())
            && let Some(Delivery { way, .. }) = notification.deliveries.get(place).cloned()
        {
            notification = notification.begun(place, operations.now());
            let outcome = self.courier.deliver(&notification, &way).await;
            notification = notification.settled(place, outcome, operations.now());
            log(&notification, place);
        }
        blind.told = Some(notification);
    }

    /// The store answers again: what was told without it is kept, and that it is over.
    async fn sees_again(&mut self) {
        let Some(Blind { from, told, .. }) = self.blind.take() else {
            return;
        };
        let Some(told) = told else { return };
        let now = self.operations.now();
        let mut over = told.notice.clone();
        over.id = notice_id(&over.incident, "2 closed");
        over.event = Event::Closed;
        over.at = now;
        over.lasted_s = Some(now.since(from).as_secs());
        let ways = self.courier.ways(&self.addresses);
        let letters = [told, Notification::new(over, ways)];
        if let Err(error) = self.operations.keep_told(&letters).await {
            tracing::warn!("that the status store answers again was not told: {error}");
        }
    }
}

fn of_store(incident: &str, from: Timestamp, cause: String) -> Notice {
    Notice {
        id: notice_id(incident, "1 opened"),
        incident: notice_id(incident, "incident"),
        matter: Matter::OutOfReach,
        event: Event::Opened,
        at: from,
        object: "the status store".to_owned(),
        count: 1,
        cause,
        advice: "Start it again, or correct the network. Nothing is lost meanwhile; changes wait in Salesforce and in the queues.".to_owned(),
        page: "/sync-status".to_owned(),
        details: Vec::new(),
        lasted_s: None,
    }
}

/// Without the address, and without what the receiver said, which may hold it.
fn log(letter: &Notification, place: usize) {
    let Some(Delivery {
        state, attempts, ..
    }) = letter.deliveries.get(place)
    else {
        return;
    };
    let notice = &letter.notice;
    let (id, matter, event) = (&notice.id, notice.matter.name(), notice.event.name());
    match state {
        DeliveryState::Sent => {
            tracing::info!(id, matter, event, attempts, "a notification was sent");
        }
        DeliveryState::Failed => tracing::warn!(
            id,
            matter,
            event,
            attempts,
            "a notification could not be delivered; `mosync notify list` says why"
        ),
        DeliveryState::Pending | DeliveryState::Sending | DeliveryState::Dropped => {
            tracing::info!(id, matter, event, attempts, "a notification is tried again");
        }
    }
}

//! One Subscribe call: demand, delivery, keep-alives, and how the call ends.
use std::sync::Arc;

use futures::Stream;
use pubsub_proto::{ConsumerEvent, FetchRequest, FetchResponse, ProducerEvent, ReplayPreset};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::log::{EventLog, StoredEvent};
use super::server::Timing;
use super::status;
use super::topic::Topic;
use crate::faults::Faults;

/// How many events one call has outstanding at most; what is asked beyond that is forgotten.
const MAX_PENDING: usize = 100;

/// A response is closed at this many bytes of payload.
const MAX_RESPONSE: usize = 3 * 1024 * 1024;

/// A Subscribe call in progress.
pub(crate) struct Subscription {
    log: Arc<EventLog>,
    timing: Timing,
    rpc_id: String,
    requests: Streaming<FetchRequest>,
    /// The client has closed its half and asks for no more.
    half_closed: bool,
    /// From the first request on.
    feed: Option<Feed>,
    pending: usize,
    /// When something was last sent, or asked for first.
    quiet_since: Instant,
    head: watch::Receiver<u64>,
    drops: watch::Receiver<u64>,
    stalled: watch::Receiver<Option<Instant>>,
    stop: CancellationToken,
}

/// What is read, and up to where it was.
struct Feed {
    topic_name: String,
    topic: Topic,
    position: u64,
}

/// What woke the call.
enum Wake {
    Request(Result<Option<FetchRequest>, Status>),
    Cut(Status),
    LookAgain,
}

impl Subscription {
    pub(crate) fn new(
        log: Arc<EventLog>,
        faults: &Faults,
        timing: Timing,
        rpc_id: String,
        requests: Streaming<FetchRequest>,
        stop: CancellationToken,
    ) -> Self {
        Subscription {
            head: log.head(),
            drops: faults.drops(),
            stalled: faults.stalled_until(),
            log,
            timing,
            rpc_id,
            requests,
            half_closed: false,
            feed: None,
            pending: 0,
            quiet_since: Instant::now(),
            stop,
        }
    }

    /// The responses; an error is the last of them.
    pub(crate) fn responses(self) -> impl Stream<Item = Result<FetchResponse, Status>> {
        futures::stream::unfold(Some(self), async |call| {
            let mut call = call?;
            match call.next().await {
                Ok(Some(response)) => Some((Ok(response), Some(call))),
                Ok(None) => None,
                Err(status) => Some((Err(status), None)),
            }
        })
    }

    /// The next response; `None` where the call ends in peace.
    async fn next(&mut self) -> Result<Option<FetchResponse>, Status> {
        loop {
            // What comes after this line wakes the wait below.
            self.head.borrow_and_update();
            let now = Instant::now();
            let silent_until = (*self.stalled.borrow_and_update()).filter(|until| *until > now);
            if silent_until.is_none()
                && let Some(response) = self.due(now)
            {
                return Ok(Some(response));
            }
            if self.pending == 0
                && (self.half_closed || now >= self.quiet_since + self.timing.idle_close)
            {
                return Ok(None);
            }
            let deadline = silent_until.unwrap_or_else(|| self.deadline());
            match self.wake(deadline, silent_until.is_none()).await {
                Wake::LookAgain => {}
                Wake::Cut(status) => return Err(status),
                Wake::Request(Ok(Some(request))) => self.ask(&request)?,
                Wake::Request(Ok(None)) => self.half_closed = true,
                Wake::Request(Err(status)) => return Err(status),
            }
        }
    }

    /// When the next keep-alive is due or the call has idled for too long.
    fn deadline(&self) -> Instant {
        let patience = if self.pending == 0 {
            self.timing.idle_close
        } else {
            self.timing.keepalive
        };
        self.quiet_since + patience
    }

    async fn wake(&mut self, deadline: Instant, listening: bool) -> Wake {
        let delivering = listening && self.pending > 0;
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Wake::Cut(status::going_away(&self.rpc_id)),
            Ok(()) = self.drops.changed() => Wake::Cut(status::cut()),
            Ok(()) = self.head.changed(), if delivering => Wake::LookAgain,
            request = self.requests.message(), if !self.half_closed => Wake::Request(request),
            Ok(()) = self.stalled.changed() => Wake::LookAgain,
            () = sleep_until(deadline) => Wake::LookAgain,
        }
    }

    /// Events if there are any and they were asked for, else a keep-alive if it is time for one.
    fn due(&mut self, now: Instant) -> Option<FetchResponse> {
        if self.pending == 0 {
            return None;
        }
        let feed = self.feed.as_mut()?;
        let batch = self
            .log
            .read(feed.position, &feed.topic, self.pending, MAX_RESPONSE);
        feed.position = batch.position;
        if batch.events.is_empty() && now < self.quiet_since + self.timing.keepalive {
            return None;
        }
        self.pending -= batch.events.len();
        self.quiet_since = now;
        Some(FetchResponse {
            events: batch.events.iter().map(|event| consumer(event)).collect(),
            latest_replay_id: batch.replay_id,
            rpc_id: self.rpc_id.clone(),
            pending_num_requested: i32::try_from(self.pending).unwrap_or(i32::MAX),
        })
    }

    /// Takes a request: the first one says what is read and from where, each adds to the demand.
    fn ask(&mut self, request: &FetchRequest) -> Result<(), Status> {
        match &self.feed {
            None => {
                self.feed = Some(self.open(request)?);
                self.quiet_since = Instant::now();
            }
            Some(feed)
                if !request.topic_name.is_empty() && request.topic_name != feed.topic_name =>
            {
                return Err(status::bad_fetch(
                    "topic.mismatch",
                    "The topic name of a later request differs from the first request's. Open \
                     another call for another topic.",
                    &self.rpc_id,
                ));
            }
            Some(_) => {}
        }
        let wanted = usize::try_from(request.num_requested).unwrap_or_default();
        if wanted == 0 {
            return Err(status::bad_fetch(
                "requested.events.invalid",
                "The number of requested events must be greater than zero.",
                &self.rpc_id,
            ));
        }
        if self.pending == 0 {
            self.quiet_since = Instant::now();
        }
        self.pending = self.pending.saturating_add(wanted).min(MAX_PENDING);
        Ok(())
    }

    fn open(&self, request: &FetchRequest) -> Result<Feed, Status> {
        if request.topic_name.is_empty() {
            return Err(status::topic_empty(&self.rpc_id));
        }
        let captured = |entity: &str| self.log.schema_id(entity).is_some();
        let topic = Topic::parse(&request.topic_name, captured)
            .ok_or_else(|| status::topic_not_found(&self.rpc_id))?;
        let preset = ReplayPreset::try_from(request.replay_preset).map_err(|unknown| {
            let message = format!("{unknown}. Use LATEST, EARLIEST or CUSTOM.");
            status::bad_fetch("request.invalid", &message, &self.rpc_id)
        })?;
        let position = match preset {
            ReplayPreset::Latest => self.log.latest(),
            ReplayPreset::Earliest => self.log.earliest(),
            ReplayPreset::Custom => self
                .log
                .resume(&request.replay_id)
                .map_err(|error| status::replay(error, &self.rpc_id))?,
        };
        Ok(Feed {
            topic_name: request.topic_name.clone(),
            topic,
            position,
        })
    }
}

fn consumer(event: &StoredEvent) -> ConsumerEvent {
    ConsumerEvent {
        event: Some(ProducerEvent {
            id: event.event_id.clone(),
            schema_id: event.schema_id.clone(),
            payload: event.payload.clone(),
            headers: Vec::new(),
        }),
        replay_id: event.replay_id.clone(),
    }
}

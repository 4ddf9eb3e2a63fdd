//! How far the stream has been taken over, and that it is stored.

use domain::Timestamp;
use domain::job::{Job, JobId, JobKind, JobScope};
use ports::source::{ReplayId, StreamStart};
use ports::stores::{LogLevel, StreamState};

use crate::{Active, gaps, in_words, poll};

/// What a position is the end of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Of what was taken: there is more, or may be.
    Taken {
        /// Up to when everything was heard, as far as what was taken says it.
        up_to: Option<Timestamp>,
    },
    /// Of a window, on a stream that goes on.
    Window {
        /// When it was opened.
        opened: Timestamp,
    },
    /// Of the stream: the server has nothing more for us.
    Stream,
}

impl Reach {
    /// Up to when everything has been heard. What is still to come may be much older than the
    /// server's answer, and a gap in it must begin no later than it.
    fn heard(self, answered: Timestamp, before: Option<Timestamp>) -> Timestamp {
        let up_to = match self {
            Self::Taken { up_to } => up_to.or(before),
            Self::Window { opened } => Some(opened),
            Self::Stream => None,
        };
        up_to.map_or(answered, |up_to| up_to.min(answered))
    }
}

/// The stored state of the stream.
pub(crate) struct Settled<'a> {
    active: &'a Active,
    pub(crate) state: Option<StreamState>,
}

impl<'a> Settled<'a> {
    pub(crate) async fn load(active: &'a Active) -> Result<Self, String> {
        let listener = &active.listener;
        let state = listener.stores.position.stream(&listener.topic).await;
        let state = state.map_err(in_words)?;
        Ok(Self { active, state })
    }

    /// Where a subscription starts.
    pub(crate) fn start(&self) -> StreamStart {
        match &self.state {
            Some(state) if !state.position.0.is_empty() => {
                StreamStart::After(state.position.clone())
            }
            Some(_) => StreamStart::Earliest,
            None => StreamStart::Latest,
        }
    }

    /// Everything up to `position` is with the broker: stores it. The very first position comes with
    /// the first load, which begins after it and after the first position of every polled object.
    pub(crate) async fn settle(
        &mut self,
        position: ReplayId,
        reach: Reach,
        answered: Timestamp,
        had_events: bool,
    ) -> Result<(), String> {
        let listener = &self.active.listener;
        if self.state.is_none() {
            poll::all_begun(self.active).await?;
            // Before the position, so that no moment shows a stream without its first load; the
            // reader of jobs waits for the position.
            first_load(self.active, &position).await?;
        }
        let before = self.state.as_ref();
        let last_event = before.and_then(|state| state.last_event);
        let state = StreamState {
            position,
            at_end: reach == Reach::Stream,
            window_over: matches!(reach, Reach::Window { .. }),
            heard: reach.heard(answered, before.map(|state| state.heard)),
            last_event: if had_events {
                Some(answered)
            } else {
                last_event
            },
        };
        listener
            .stores
            .position
            .store_stream(&listener.topic, &state)
            .await
            .map_err(in_words)?;
        self.state = Some(state);
        Ok(())
    }
}

/// Asks for the first load: once for the first position of an org, and again where the stores have
/// lost their history and with it the position.
async fn first_load(active: &Active, position: &ReplayId) -> Result<(), String> {
    let now = active.listener.clock.now();
    let name = format!("first load of {} from {}", active.org, position.to_hex());
    let id = JobId::new(JobKind::SyncAll, domain::job::uuid_of(&name));
    // One that reads already may have passed what has changed since.
    let (job, message) = match gaps::sync_all_to_come(active).await? {
        Some(asked) => {
            let message = format!("{} is the first load of this org", asked.id);
            (asked.id, message)
        }
        None => {
            let job = Job::queued(id.clone(), JobKind::SyncAll, JobScope::Everything, now);
            let jobs = &active.listener.stores.jobs;
            jobs.create(&job).await.map_err(in_words)?;
            (id, "the first load of this org is queued".to_owned())
        }
    };
    active
        .log(LogLevel::Info, "job", Some(&job), message)
        .await
        .map_err(in_words)
}

//! Faults that a test asks for, shared by the HTTP doors and the Pub/Sub server.
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::bulk::faults::BulkFaults;
use crate::commit::ChangeKind;

/// A change event without a record change behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InjectedEvent {
    /// `GAP_CREATE`, `GAP_UPDATE`, `GAP_DELETE` or `GAP_UNDELETE` of these ids: header only.
    Gap {
        /// API name of the object.
        entity: String,
        /// The 18-character ids.
        ids: Vec<String>,
        /// Which of the four kinds.
        kind: ChangeKind,
    },
    /// `GAP_OVERFLOW` of the object: the all-zero id.
    Overflow {
        /// API name of the object.
        entity: String,
    },
    /// An event whose only id is the key prefix and an asterisk.
    Wildcard {
        /// API name of the object.
        entity: String,
    },
    /// An event whose payload ends too early.
    Truncated {
        /// API name of the object.
        entity: String,
    },
}

/// What an HTTP request meets instead of (or before) its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpFault {
    /// 429 with `Retry-After` and no body.
    TooManyRequests {
        /// Seconds for `Retry-After`.
        retry_after_s: u64,
    },
    /// A status of 500 and above.
    ServerError {
        /// The status.
        status: u16,
    },
    /// The answer comes late.
    Slow {
        /// How late.
        delay: Duration,
    },
}

/// A fault as `POST /admin/faults` takes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The next `count` requests to the API are answered 429.
    #[serde(rename = "http_429")]
    Http429 {
        /// How many requests.
        #[serde(default = "one")]
        count: usize,
        /// Seconds for `Retry-After`.
        #[serde(default = "one_second")]
        retry_after_s: u64,
    },
    /// The next `count` requests to the API are answered with a server error.
    #[serde(rename = "http_5xx")]
    Http5xx {
        /// How many requests.
        #[serde(default = "one")]
        count: usize,
        /// The status, 503 where not given.
        #[serde(default = "unavailable")]
        status: u16,
    },
    /// The next `count` requests to the API are answered late.
    HttpSlow {
        /// How many requests.
        #[serde(default = "one")]
        count: usize,
        /// How late, in milliseconds.
        ms: u64,
    },
    /// The org's API allowance is used up, or there again: every call of the data API is answered
    /// 403 `REQUEST_LIMIT_EXCEEDED` meanwhile.
    Quota {
        /// Whether it is used up.
        exhausted: bool,
    },
    /// Every token handed out so far stops working.
    ExpireTokens {},
    /// Every open subscription ends with `UNAVAILABLE`.
    DropStreams {},
    /// Open subscriptions stay open and fall silent, keep-alives included.
    StallStreams {
        /// For how long, in milliseconds.
        ms: u64,
    },
    /// Every replay id handed out so far is refused as corrupted.
    InvalidateReplayIds {},
    /// A gap event.
    Gap {
        /// API name of the object.
        entity: String,
        /// The ids; where none are given, the object's first record's.
        #[serde(default)]
        ids: Vec<String>,
        /// `create`, `update`, `delete` or `undelete`; update where not given.
        #[serde(default)]
        change: GapKind,
    },
    /// An overflow event.
    Overflow {
        /// API name of the object.
        entity: String,
    },
    /// A wildcard event.
    Wildcard {
        /// API name of the object.
        entity: String,
    },
    /// An event whose payload ends too early.
    Truncated {
        /// API name of the object.
        entity: String,
    },
    /// The next `count` events are delivered twice, the second time under a new replay id.
    DuplicateNext {
        /// How many events.
        #[serde(default = "one")]
        count: usize,
    },
}

/// Which gap event.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapKind {
    /// `GAP_CREATE`
    Create,
    /// `GAP_UPDATE`
    #[default]
    Update,
    /// `GAP_DELETE`
    Delete,
    /// `GAP_UNDELETE`
    Undelete,
}

impl From<GapKind> for ChangeKind {
    fn from(kind: GapKind) -> Self {
        match kind {
            GapKind::Create => ChangeKind::Create,
            GapKind::Update => ChangeKind::Update,
            GapKind::Delete => ChangeKind::Delete,
            GapKind::Undelete => ChangeKind::Undelete,
        }
    }
}

fn one() -> usize {
    1
}

fn one_second() -> u64 {
    1
}

fn unavailable() -> u16 {
    503
}

type Injector = Box<dyn Fn(&InjectedEvent) + Send + Sync>;

/// The faults in force.
pub struct Faults {
    /// Those of the Bulk API.
    pub bulk: BulkFaults,
    http: Mutex<VecDeque<HttpFault>>,
    duplicates: Mutex<usize>,
    quota_exhausted: AtomicBool,
    injectors: Mutex<Vec<Injector>>,
    drops: watch::Sender<u64>,
    stalled_until: watch::Sender<Option<Instant>>,
    replay_epoch: watch::Sender<u64>,
    token_epoch: watch::Sender<u64>,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}

impl Default for Faults {
    fn default() -> Self {
        Faults {
            bulk: BulkFaults::default(),
            http: Mutex::default(),
            duplicates: Mutex::default(),
            quota_exhausted: AtomicBool::new(false),
            injectors: Mutex::default(),
            drops: watch::Sender::new(0),
            stalled_until: watch::Sender::new(None),
            replay_epoch: watch::Sender::new(0),
            token_epoch: watch::Sender::new(0),
        }
    }
}

impl Faults {
    /// Puts a fault in force.
    pub fn apply(&self, fault: Fault) {
        match fault {
            Fault::Http429 {
                count,
                retry_after_s,
            } => self.push_http(count, &HttpFault::TooManyRequests { retry_after_s }),
            Fault::Http5xx { count, status } => {
                self.push_http(count, &HttpFault::ServerError { status });
            }
            Fault::HttpSlow { count, ms } => self.push_http(
                count,
                &HttpFault::Slow {
                    delay: Duration::from_millis(ms),
                },
            ),
            Fault::Quota { exhausted } => self.quota_exhausted.store(exhausted, Ordering::Relaxed),
            Fault::ExpireTokens {} => self.token_epoch.send_modify(|epoch| *epoch += 1),
            Fault::DropStreams {} => self.drops.send_modify(|drops| *drops += 1),
            Fault::StallStreams { ms } => {
                let until = Instant::now() + Duration::from_millis(ms);
                self.stalled_until.send_replace(Some(until));
            }
            Fault::InvalidateReplayIds {} => self.replay_epoch.send_modify(|epoch| *epoch += 1),
            Fault::Gap {
                entity,
                ids,
                change,
            } => self.inject(&InjectedEvent::Gap {
                entity,
                ids,
                kind: change.into(),
            }),
            Fault::Overflow { entity } => self.inject(&InjectedEvent::Overflow { entity }),
            Fault::Wildcard { entity } => self.inject(&InjectedEvent::Wildcard { entity }),
            Fault::Truncated { entity } => self.inject(&InjectedEvent::Truncated { entity }),
            Fault::DuplicateNext { count } => {
                *self
                    .duplicates
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) += count;
            }
        }
    }

    /// Registers who turns injected events into change events; called at once, in order.
    pub fn on_inject(&self, f: Box<dyn Fn(&InjectedEvent) + Send + Sync>) {
        self.injectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(f);
    }

    /// Changes whenever every open subscription is to end.
    pub fn drops(&self) -> watch::Receiver<u64> {
        self.drops.subscribe()
    }

    /// Until when subscriptions are silent; past or `None`: they are not.
    pub fn stalled_until(&self) -> watch::Receiver<Option<Instant>> {
        self.stalled_until.subscribe()
    }

    /// How often all replay ids have been made invalid.
    pub fn replay_epoch(&self) -> u64 {
        *self.replay_epoch.borrow()
    }

    /// How often all tokens have been expired.
    pub fn token_epoch(&self) -> u64 {
        *self.token_epoch.borrow()
    }

    /// Whether the event about to be delivered is to be delivered twice; counts down.
    pub fn take_duplicate(&self) -> bool {
        let mut left = self
            .duplicates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let any = *left > 0;
        *left = left.saturating_sub(1);
        any
    }

    /// Whether the org's API allowance is used up.
    pub fn quota_exhausted(&self) -> bool {
        self.quota_exhausted.load(Ordering::Relaxed)
    }

    /// What the HTTP request in hand meets; counts down.
    pub fn take_http(&self) -> Option<HttpFault> {
        self.http
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    fn push_http(&self, count: usize, fault: &HttpFault) {
        let mut queue = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        queue.extend(std::iter::repeat_n(fault.clone(), count));
    }

    fn inject(&self, event: &InjectedEvent) {
        let injectors = self
            .injectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for injector in injectors.iter() {
            injector(event);
        }
    }
}

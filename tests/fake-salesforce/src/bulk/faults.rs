//! Faults of the Bulk API that a test asks for with `POST /admin/faults`.
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;

/// A fault of the Bulk API. Where `object` is given, only queries of that object meet it.
///
/// Faults of jobs are taken by the next query jobs created; a job takes at most one of each group
/// (how it goes: `bulk_job_slow`, `bulk_job_hangs`; how it ends: `bulk_job_failed`,
/// `bulk_job_aborted`; what it says of itself: `bulk_job_miscounts`). Faults of pages are met by
/// requests for results: `page` is the place of a page, from 1, by its first row and the rows
/// asked for; a page meets one at a time, the oldest first.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum BulkFault {
    /// The job ends as `Failed`, its rows uncounted.
    BulkJobFailed {
        /// How many jobs.
        #[serde(default = "one")]
        count: usize,
        /// API name of the object.
        object: Option<String>,
        /// The job's `errorMessage`.
        #[serde(default = "retried")]
        message: String,
    },
    /// The job ends as `Aborted`, as when an administrator stops it.
    BulkJobAborted {
        /// How many jobs.
        #[serde(default = "one")]
        count: usize,
        /// API name of the object.
        object: Option<String>,
    },
    /// The job stays `InProgress` until `bulk_release`, or until it is aborted.
    BulkJobHangs {
        /// How many jobs.
        #[serde(default = "one")]
        count: usize,
        /// API name of the object.
        object: Option<String>,
    },
    /// The job stays `UploadComplete` for `queued_ms`, then `InProgress` for `ms`, then is computed.
    BulkJobSlow {
        /// How many jobs.
        #[serde(default = "one")]
        count: usize,
        /// API name of the object.
        object: Option<String>,
        /// Milliseconds before it begins.
        #[serde(default)]
        queued_ms: u64,
        /// Milliseconds before it is computed.
        #[serde(default)]
        ms: u64,
    },
    /// `numberRecordsProcessed` is off by so many; the results are whole.
    BulkJobMiscounts {
        /// How many jobs.
        #[serde(default = "one")]
        count: usize,
        /// API name of the object.
        object: Option<String>,
        /// Added to the true number.
        by: i64,
    },
    /// Jobs that hang go on.
    BulkRelease {},
    /// The page ends in mid-row.
    BulkPageTruncated {
        /// How many requests.
        #[serde(default = "one")]
        count: usize,
        /// API name of the object.
        object: Option<String>,
        /// Which page.
        #[serde(default = "one")]
        page: usize,
        /// The body ends as if it were whole; otherwise the connection breaks.
        #[serde(default)]
        clean: bool,
    },
    /// The page lacks its last rows, which `Sforce-NumberOfRecords` counts.
    BulkPageShort {
        /// How many requests.
        #[serde(default = "one")]
        count: usize,
        /// API name of the object.
        object: Option<String>,
        /// Which page.
        #[serde(default = "one")]
        page: usize,
        /// How many rows are missing.
        #[serde(default = "one_row")]
        missing: u64,
    },
    /// The page is no CSV.
    BulkPageGarbage {
        /// How many requests.
        #[serde(default = "one")]
        count: usize,
        /// API name of the object.
        object: Option<String>,
        /// Which page.
        #[serde(default = "one")]
        page: usize,
    },
    /// The last column of the page has another name.
    BulkPageHeader {
        /// How many requests.
        #[serde(default = "one")]
        count: usize,
        /// API name of the object.
        object: Option<String>,
        /// Which page.
        #[serde(default = "one")]
        page: usize,
    },
    /// Asking for this page or a later one ends the job's retention: the job is gone from then on.
    BulkResultsExpired {
        /// How many jobs.
        #[serde(default = "one")]
        count: usize,
        /// API name of the object.
        object: Option<String>,
        /// The first page that is gone.
        #[serde(default = "one")]
        page: usize,
    },
    /// The page is answered with a server error.
    #[serde(rename = "bulk_page_5xx")]
    BulkPage5xx {
        /// How many requests.
        #[serde(default = "one")]
        count: usize,
        /// API name of the object.
        object: Option<String>,
        /// Which page.
        #[serde(default = "one")]
        page: usize,
        /// The status, 503 where not given.
        #[serde(default = "unavailable")]
        status: u16,
    },
    /// The page's body comes late.
    BulkPageSlow {
        /// How many requests.
        #[serde(default = "one")]
        count: usize,
        /// API name of the object.
        object: Option<String>,
        /// Which page.
        #[serde(default = "one")]
        page: usize,
        /// How late, in milliseconds.
        ms: u64,
    },
    /// Pages hold at most so many rows, whatever is asked for; 0 ends it.
    BulkPageRows {
        /// The rows.
        rows: u64,
    },
    /// So many query jobs may still be created within a day.
    BulkQueryQuota {
        /// The jobs.
        left: usize,
    },
}

fn one() -> usize {
    1
}

fn one_row() -> u64 {
    1
}

fn unavailable() -> u16 {
    503
}

fn retried() -> String {
    "InternalServerError : Retried more than fifteen times".to_owned()
}

/// How a query job goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) queued: Duration,
    pub(crate) working: Duration,
    pub(crate) hangs: bool,
    pub(crate) end: Option<End>,
    pub(crate) miscount: i64,
}

/// How a query job ends without results.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Failed(String),
    Aborted,
}

/// What a request for results meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PageFault {
    Truncated { clean: bool },
    Short { missing: u64 },
    Garbage,
    Header,
    Expired,
    ServerError { status: u16 },
    Slow { delay: Duration },
}

#[derive(Debug)]
struct Pending<T> {
    left: usize,
    object: Option<String>,
    what: T,
}

impl<T> Pending<T> {
    fn concerns(&self, object: &str) -> bool {
        let named = self.object.as_deref();
        self.left > 0 && named.is_none_or(|named| named.eq_ignore_ascii_case(object))
    }
}

#[derive(Debug)]
enum JobFault {
    Slow { queued: Duration, working: Duration },
    Hangs,
    End(End),
    Miscounts(i64),
}

impl JobFault {
    /// A job takes at most one of each group.
    fn group(&self) -> u8 {
        match self {
            JobFault::Slow { .. } | JobFault::Hangs => 0,
            JobFault::End(_) => 1,
            JobFault::Miscounts(_) => 2,
        }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: Vec<Pending<JobFault>>,
    pages: Vec<Pending<(usize, PageFault)>>,
    page_rows: u64,
}

/// The faults of the Bulk API in force.
#[derive(Debug, Default)]
pub struct BulkFaults {
    waiting: Mutex<Waiting>,
    released: watch::Sender<u64>,
}

impl BulkFaults {
    /// Puts a fault in force. `BulkQueryQuota` is not kept here: it changes the org's books.
    pub(crate) fn apply(&self, fault: BulkFault) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Waiting {
            jobs,
            pages,
            page_rows,
        } = &mut *waiting;
        let mut job = |left, object, what| jobs.push(Pending { left, object, what });
        let mut page = |left, object, page, fault| {
            let what = (page, fault);
            pages.push(Pending { left, object, what });
        };
        use BulkFault as F;
        match fault {
            F::BulkJobFailed {
                count,
                object,
                message,
            } => job(count, object, JobFault::End(End::Failed(message))),
            F::BulkJobAborted { count, object } => {
                job(count, object, JobFault::End(End::Aborted));
            }
            F::BulkJobHangs { count, object } => job(count, object, JobFault::Hangs),
            F::BulkJobSlow {
                count,
                object,
                queued_ms,
                ms,
            } => {
                let (queued, working) =
                    (Duration::from_millis(queued_ms), Duration::from_millis(ms));
                job(count, object, JobFault::Slow { queued, working });
            }
            F::BulkJobMiscounts { count, object, by } => {
                job(count, object, JobFault::Miscounts(by));
            }
            F::BulkPageTruncated {
                count,
                object,
                page: number,
                clean,
            } => page(count, object, number, PageFault::Truncated { clean }),
            F::BulkPageShort {
                count,
                object,
                page: number,
                missing,
            } => page(count, object, number, PageFault::Short { missing }),
            F::BulkPageGarbage {
                count,
                object,
                page: number,
            } => page(count, object, number, PageFault::Garbage),
            F::BulkPageHeader {
                count,
                object,
                page: number,
            } => page(count, object, number, PageFault::Header),
            F::BulkResultsExpired {
                count,
                object,
                page: number,
            } => page(count, object, number, PageFault::Expired),
            F::BulkPage5xx {
                count,
                object,
                page: number,
                status,
            } => page(count, object, number, PageFault::ServerError { status }),
            F::BulkPageSlow {
                count,
                object,
                page: number,
                ms,
            } => {
                let delay = Duration::from_millis(ms);
                page(count, object, number, PageFault::Slow { delay });
            }
            F::BulkRelease {} => self.released.send_modify(|times| *times += 1),
            F::BulkPageRows { rows } => *page_rows = rows,
            F::BulkQueryQuota { .. } => {}
        }
    }

    /// Changes whenever hanging jobs are to go on.
    pub(crate) fn released(&self) -> watch::Receiver<u64> {
        self.released.subscribe()
    }

    /// How a new job on this object goes; counts down.
    pub(crate) fn take_script(&self, object: &str) -> Script {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut script, mut taken) = (Script::default(), Vec::new());
        for pending in &mut waiting.jobs {
            let group = pending.what.group();
            if !pending.concerns(object) || taken.contains(&group) {
                continue;
            }
            taken.push(group);
            pending.left -= 1;
            match &pending.what {
                JobFault::Slow { queued, working } => {
                    (script.queued, script.working) = (*queued, *working);
                }
                JobFault::Hangs => script.hangs = true,
                JobFault::End(end) => script.end = Some(end.clone()),
                JobFault::Miscounts(by) => script.miscount = *by,
            }
        }
        waiting.jobs.retain(|pending| pending.left > 0);
        script
    }

    /// What the request for this page of results on this object meets; counts down.
    pub(crate) fn take_page(&self, object: &str, page: usize) -> Option<PageFault> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let found = waiting.pages.iter_mut().find(|pending| {
            let (wanted, fault) = &pending.what;
            let meets = *wanted == page || (*fault == PageFault::Expired && page >= *wanted);
            meets && pending.concerns(object)
        })?;
        found.left -= 1;
        let fault = found.what.1.clone();
        waiting.pages.retain(|pending| pending.left > 0);
        Some(fault)
    }

    /// The most rows of a page, where there is such a limit.
    pub(crate) fn page_rows(&self) -> Option<u64> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        Some(waiting.page_rows).filter(|rows| *rows > 0)
    }
}

//! `mosync status`.

use std::process::ExitCode;
use std::time::Duration;

use boot::Reach;
use boot::console::views::{ApiView, JobView, StageView, StatusView, Verdict, WindowsView};
use domain::Timestamp;
use domain::job::MosStatus;
use ports::Clock as _;
use ports::stores::WorkerState;
use runtime::time::SystemClock;
use serde::Serialize;

use super::words;
use crate::exit::{Failure, clear_terminal, print, say};

/// How often it looks again.
const AGAIN: Duration = Duration::from_secs(2);

/// Prints how the sync is, or a job; the first line is the verdict with its reason.
pub(crate) async fn run(
    mut reach: Reach,
    job: Option<&str>,
    watch: bool,
    json: bool,
) -> Result<ExitCode, Failure> {
    let output = Output::of(watch, json);
    loop {
        let (code, over) = match job {
            None => (output.everything(&mut reach).await, false),
            Some(id) => match output.job(&mut reach, id).await {
                Ok((code, over)) => (Ok(code), over),
                Err(failure) => (Err(failure), false),
            },
        };
        if !watch || over {
            return code;
        }
        if let Err(failure) = code {
            // Out of reach now says nothing about in two seconds; anything else does.
            if !failure.is_out_of_reach() {
                return Err(failure);
            }
            say(&format!("mosync: {failure}"));
        }
        tokio::time::sleep(AGAIN).await;
    }
}

#[derive(Clone, Copy)]
enum Output {
    Text {
        clear: bool,
    },
    /// For people who read JSON.
    Json,
    /// One line each time.
    JsonLines,
}

impl Output {
    fn of(watch: bool, json: bool) -> Self {
        match (json, watch) {
            (true, true) => Self::JsonLines,
            (true, false) => Self::Json,
            (false, _) => Self::Text {
                clear: watch && std::io::IsTerminal::is_terminal(&std::io::stdout()),
            },
        }
    }

    async fn everything(self, reach: &mut Reach) -> Result<ExitCode, Failure> {
        let status = reach.client().await?.status().await?;
        self.print(&status, || lines(&status))?;
        Ok(match status.verdict {
            Verdict::Healthy => ExitCode::SUCCESS,
            Verdict::Degraded => ExitCode::from(1),
            Verdict::OutOfReach => ExitCode::from(3),
        })
    }

    /// The code, and whether nothing more will come of it.
    async fn job(self, reach: &mut Reach, id: &str) -> Result<(ExitCode, bool), Failure> {
        let job = reach.client().await?.job(id).await?;
        self.print(&job, || words::job_at_length(&job, SystemClock.now()))?;
        Ok((code_of(&job), job.over.is_some()))
    }

    fn print<T: Serialize>(
        self,
        value: &T,
        lines: impl FnOnce() -> Vec<String>,
    ) -> Result<(), Failure> {
        let failed = |error: serde_json::Error| Failure::failed(error.to_string());
        match self {
            Self::Json => print(&serde_json::to_string_pretty(value).map_err(failed)?),
            Self::JsonLines => print(&serde_json::to_string(value).map_err(failed)?),
            Self::Text { clear } => {
                if clear {
                    clear_terminal();
                }
                print(&lines().join("\n"));
            }
        }
        Ok(())
    }
}

/// 0 while it is well, 1 when somebody should look.
pub(crate) fn code_of(job: &JobView) -> ExitCode {
    match job.mos {
        MosStatus::Waiting | MosStatus::Loading | MosStatus::Completed | MosStatus::Cancelled => {
            ExitCode::SUCCESS
        }
        MosStatus::Stalled | MosStatus::CompletedWithErrors | MosStatus::Failed => {
            ExitCode::from(1)
        }
    }
}

fn lines(status: &StatusView) -> Vec<String> {
    let now = status.read_at;
    let mut lines = vec![format!("{}: {}", status.verdict.name(), status.reason)];
    lines.push(match status.waiting_for.join(", ") {
        waiting if status.at_rest || waiting.is_empty() => "at rest: yes".to_owned(),
        waiting => format!("at rest: no, waiting for {waiting}"),
    });
    lines.push(match &status.stream {
        Some(stream) => format!(
            "event stream: last event {}, last event or keep-alive {}",
            stream
                .last_event
                .map_or_else(|| "none yet".to_owned(), |at| words::ago(at, now)),
            words::ago(stream.heard, now)
        ),
        None => "event stream: not heard yet".to_owned(),
    });
    for (object, poll) in &status.polls {
        let polled = poll.and_then(|poll| poll.polled);
        let found = poll.and_then(|poll| poll.found);
        lines.push(format!(
            "{object}: last polled {}, last change {}",
            polled.map_or_else(|| "never".to_owned(), |at| words::ago(at, now)),
            found.map_or_else(|| "none yet".to_owned(), |at| words::ago(at, now))
        ));
    }
    lines.extend(
        status
            .windows
            .as_ref()
            .map(|windows| windows_line(windows, now)),
    );
    lines.extend(status.api.as_ref().map(api_line));
    let stages = status.stages.iter().map(stage).collect::<Vec<_>>();
    lines.push(format!("oldest unsettled: {}", stages.join("; ")));
    lines.push(match &status.last_sync_all {
        Some(job) => format!("last sync-all: {}", in_short(job, now)),
        None => "last sync-all: none yet".to_owned(),
    });
    lines.push(match &status.last_ended {
        Some(job) => format!("most recent sync: {}", in_short(job, now)),
        None => "most recent sync: none yet".to_owned(),
    });
    let polled = status
        .permissions_polled
        .map_or_else(|| "never".to_owned(), |at| words::ago(at, now));
    lines.push(format!(
        "permissions: {} users, read {polled}",
        status.permitted_users
    ));
    lines.extend(
        status
            .warnings
            .iter()
            .map(|warning| format!("warning: {warning}")),
    );
    lines.push(format!("settings: revision {}", status.settings_revision));
    lines.push(queues(status));
    lines.push(format!("workers: {}", workers(status)));
    for gap in &status.open_gaps {
        lines.push(format!(
            "open gap since {}: {}; {} catches up",
            gap.since, gap.evidence, gap.job
        ));
    }
    for (kind, records) in &status.parked {
        lines.push(format!(
            "parked, {}: {records}. {}",
            kind.name(),
            kind.advice()
        ));
    }
    for (object, unreadable) in &status.unreadable {
        lines.push(format!(
            "not visible to the integration user, {object}: {}. {}",
            unreadable.records, unreadable.advice
        ));
    }
    if status.unreadable_left_off > 0 {
        lines.push(format!(
            "not visible to the integration user: {} more",
            status.unreadable_left_off
        ));
    }
    lines.extend(status.jobs.iter().map(words::job));
    lines
}

fn queues(status: &StatusView) -> String {
    let (Some(queues), Some(waiting), Some(dead)) =
        (&status.queues, status.waiting_to_retry, status.dead)
    else {
        return "queues: not known, the message broker does not answer".to_owned();
    };
    let depths = queues.iter().map(|(name, depth)| format!("{name} {depth}"));
    let depths = depths.collect::<Vec<_>>().join(", ");
    format!("queues: {depths}; waiting to be retried {waiting}, dead {dead}")
}

fn windows_line(windows: &WindowsView, now: Timestamp) -> String {
    let next = windows.next.map_or_else(
        || "one is being taken".to_owned(),
        |next| {
            format!(
                "the next in {} at {next}",
                words::seconds(next.since(now).as_secs())
            )
        },
    );
    format!(
        "windows: {}, {next}; the last brought {} changes of {} records; {} read-backs saved in 24 h",
        windows.frequency, windows.changes, windows.records, windows.reads_saved
    )
}

fn api_line(api: &ApiView) -> String {
    let mut line = format!(
        "API requests in 24 h: the org has used {} of {}, mosync {} of its share of {}; {} are kept back for the customer",
        api.used, api.max, api.ours, api.share, api.reserve
    );
    for (what, until) in [
        ("bulk reading", api.bulk_held_until),
        ("live changes", api.live_held_until),
    ] {
        if let Some(until) = until {
            line.push_str(&format!("; {what} waits until {until}"));
        }
    }
    line
}

fn stage(stage: &StageView) -> String {
    let name = stage.stage.name();
    match (stage.oldest_age_s, stage.ready) {
        (Some(age), ready) => format!(
            "{name} {} ({} in hand, {} queued behind)",
            words::seconds(age),
            stage.unsettled,
            ready.map_or_else(|| "an unknown number".to_owned(), |ready| ready.to_string())
        ),
        (None, Some(0)) => format!("{name} none"),
        (None, Some(ready)) => format!("{name} unknown ({ready} queued, none in hand)"),
        (None, None) => format!("{name} unknown"),
    }
}

fn in_short(job: &JobView, now: Timestamp) -> String {
    let when = job.over.map_or_else(
        || format!("asked for {}", words::ago(job.requested, now)),
        |over| format!("over {}", words::ago(over, now)),
    );
    format!(
        "{}, {when}: Salesforce {}, mOS {}; {}",
        job.id,
        job.salesforce.name(),
        job.mos.name(),
        words::pace(job).unwrap_or_else(|| words::counts(|count| job.tally.total(count)))
    )
}

fn workers(status: &StatusView) -> String {
    let told = status.workers.iter().map(|(worker, report)| {
        let state = match &report.state {
            WorkerState::Running => "runs".to_owned(),
            WorkerState::Paused(why) => format!("is paused ({why})"),
            WorkerState::Failing(why) => format!("fails ({why})"),
        };
        format!(
            "{worker} {state}, heard {}",
            words::ago(report.at, status.read_at)
        )
    });
    let told = told.collect::<Vec<_>>();
    if told.is_empty() {
        "none has run yet".to_owned()
    } else {
        told.join("; ")
    }
}

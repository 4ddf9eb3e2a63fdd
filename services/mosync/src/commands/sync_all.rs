//! `mosync sync-all`.

mod bars;

use std::process::ExitCode;
use std::time::Duration;

use boot::Reach;
use boot::console::views::JobView;
use domain::job::MosStatus;
use tokio::time::Instant;

use super::words;
use crate::exit::{Failure, print, say};
use bars::Bars;

/// How often it looks again.
const AGAIN: Duration = Duration::from_millis(500);
/// How often plain lines repeat what goes on.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Starts a sync-all, or finds the one that runs; prints its id, and waits for its end if asked to.
pub(crate) async fn run(mut reach: Reach, wait: bool) -> Result<ExitCode, Failure> {
    let asked = reach.client().await?.sync_all().await?;
    print(&asked.job.id);
    if !asked.started {
        say("a sync-all runs already; this is its id, and no second one was started");
    }
    if wait {
        follow(reach, asked.job).await
    } else {
        Ok(ExitCode::SUCCESS)
    }
}

/// Shows how a job goes until it is over: 0 completed, 1 anything else.
async fn follow(mut reach: Reach, job: JobView) -> Result<ExitCode, Failure> {
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let mut bars = terminal.then(Bars::new);
    let mut job = job;
    let mut last_line = None::<Instant>;
    while job.over.is_none() {
        match &mut bars {
            Some(bars) => bars.show(&job),
            None if last_line.is_none_or(|at| at.elapsed() >= LINE_EVERY) => {
                say(&words::job(&job));
                last_line = Some(Instant::now());
            }
            None => {}
        }
        tokio::time::sleep(AGAIN).await;
        // Out of reach for a while is no end of the job.
        match look(&mut reach, &job.id).await {
            Ok(now) => job = now,
            Err(failure) if failure.is_out_of_reach() => match &bars {
                Some(bars) => bars.say(&format!("mosync: {failure}")),
                None => say(&format!("mosync: {failure}")),
            },
            Err(failure) => return Err(failure),
        }
    }
    if let Some(bars) = bars {
        bars.end();
    }
    for line in words::job_at_length(&job, job.over.unwrap_or(job.requested)) {
        say(&line);
    }
    Ok(if job.mos == MosStatus::Completed {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

async fn look(reach: &mut Reach, id: &str) -> Result<JobView, Failure> {
    Ok(reach.client().await?.job(id).await?)
}
